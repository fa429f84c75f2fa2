"""Figures that look the same everywhere: in a notebook, in a file, whatever matplotlib is set to.

Imported on use, for it imports matplotlib. Rooms that draw a training take matplotlib's parts from here: so
whichever is loaded first, the error says what to install.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Container, Iterator
from typing import Any

from sagemaker_dogbreed.errors import MissingExtraError

try:
    from matplotlib import style
    from matplotlib.figure import Figure as Figure
    from matplotlib.font_manager import fontManager
    from matplotlib.patches import Rectangle as Rectangle
    from matplotlib.ticker import FuncFormatter as FuncFormatter
    from matplotlib.ticker import LogLocator as LogLocator
    from matplotlib.ticker import MaxNLocator as MaxNLocator
    from matplotlib.ticker import NullFormatter as NullFormatter
    from matplotlib.ticker import PercentFormatter as PercentFormatter
except ImportError as error:
    raise MissingExtraError("matplotlib", "reports", "drawing plots") from error

# Okabe and Ito's colors, which people tell apart however they see color (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
INK, GREY, FAINT = "#222831", "#6B7280", "#D9DDE3"
# Matplotlib's own font has no Chinese, Japanese or Korean, and little of India's scripts. Systems have these.
_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans KR",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "IPAGothic",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Arial Unicode MS",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Nirmala UI",
)


def font_families(installed: Container[str]) -> list[str]:
    """Return matplotlib's own font, and after it those of the installed ones that have what it lacks.

    >>> font_families({"IPAGothic", "Comic Sans MS"})
    ['DejaVu Sans', 'IPAGothic']
    """
    return ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]


_STYLE: Any = [
    "default",
    {
        "font.family": font_families({font.name for font in fontManager.ttflist}),
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.fonttype": "none",  # text that can be selected, searched and read aloud
    },
]
WIDTH, _DPI = 8.0, 150  # inches, pixels an inch: 1,200 pixels, and still readable at half of that


class NotebookFigure(Figure):
    """A figure that a notebook shows where it is a cell's value, though pyplot does not know it."""

    def draw(self, renderer: Any) -> None:
        """Draw the figure; axis labels are made only now, and look as the rest."""
        with style.context(_STYLE), _glyphs_may_be_missing():
            super().draw(renderer)

    def get_tightbbox(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the figure's parts take up, as saving with ``bbox_inches="tight"`` asks."""
        with _glyphs_may_be_missing():
            return super().get_tightbbox(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=self.dpi)
        return content.getvalue()


@contextlib.contextmanager
def _glyphs_may_be_missing() -> Iterator[None]:
    """Let names be in any script: who reads a box sees it, and SVG's text is drawn in the reader's fonts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield


@contextlib.contextmanager
def drawn(title: str, height: float, width: float = WIDTH) -> Iterator[Figure]:
    """Make a titled figure of a size in inches, to be drawn on in matplotlib's own style.

    No backend is chosen and pyplot is not loaded; the user's settings are as before afterwards.
    """
    with style.context(_STYLE):
        figure = NotebookFigure(figsize=(width, height), dpi=_DPI, layout="constrained")
        figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
        yield figure


def say(figure: Figure, message: str) -> None:
    """Write a sentence in place of a plot that there is nothing to draw of."""
    axes: Any = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", wrap=True, color=GREY, fontsize=12)
