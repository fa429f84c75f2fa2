"""Figures as part of a page: text that is text, colors that follow the page's, names that do not clash."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from sagemaker_dogbreed.analysis import figures

_VARIABLES = {
    figures.BLUE: "blue",
    figures.VERMILION: "vermilion",
    figures.GREEN: "green",
    figures.ORANGE: "orange",
    figures.SKY: "sky",
    figures.PURPLE: "purple",
    figures.INK: "ink",
    figures.GREY: "grey",
    figures.FAINT: "faint",
    "#000000": "ink",
    "#b0b0b0": "grey",
    "#ffffff": "paper",
}
_COLORS = {color.lower(): f"var(--{name})" for color, name in _VARIABLES.items()}
_COLOR = re.compile(r"#[0-9a-f]{6}\b")
_FONT_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_LEFT_OUT = {"metadata", "style"}


def inline_svg(figure: figures.Figure, name: str) -> Markup:
    """Return a figure as an SVG element to put into a page; its title becomes the label that is read aloud.

    Args:
        figure: The figure; it loses its title.
        name: Unlike those of the page's other figures: identifiers begin with it.
    """
    title = figure.get_suptitle().replace("\n", " ").replace(r"\$", "$")
    figure.suptitle("").set_in_layout(False)
    content = io.BytesIO()
    figure.savefig(content, format="svg", transparent=True)
    # What is parsed is matplotlib's own output.
    root = ET.fromstring(content.getvalue())  # noqa: S314
    names: dict[str, str] = {}
    for element in root.iter():
        names.setdefault(element.get("id", ""), f"{name}-{len(names)}")
    _adapt(root, names)
    width, height = root.get("viewBox", "0 0 1 1").split()[2:]
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "role": "img",
        "aria-label": title,
        "style": f"--width: {float(width):g}; --height: {float(height):g}",
    }
    return Markup(ET.tostring(root, encoding="unicode", short_empty_elements=False))  # noqa: S704 - escaped by it


def _adapt(element: ET.Element, names: dict[str, str]) -> None:
    """Rewrite an element and what is in it for use within HTML, where SVG has no namespaces."""
    element.tag = _local(element.tag)
    element.attrib = {_local(key): _value(_local(key), value, names) for key, value in element.attrib.items()}
    for child in list(element):
        if _local(child.tag) in _LEFT_OUT:
            element.remove(child)
        else:
            _adapt(child, names)


def _local(name: Any) -> str:
    return str(name).rpartition("}")[2]


def _value(key: str, value: str, names: dict[str, str]) -> str:
    if key == "id":
        return names[value]
    if key == "href":
        return f"#{names[value.removeprefix('#')]}"
    if key == "clip-path":
        return f"url(#{names[value.removeprefix('url(#').removesuffix(')')]})"
    if key == "style":
        value = _FONT_FAMILY.sub("", value)
        return _COLOR.sub(lambda match: _COLORS.get(match[0], match[0]), value)
    return value.replace("\n", "") if key == "d" else value
