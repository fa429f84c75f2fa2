"""Draws images beside what a model says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from sagemaker_dogbreed.analysis.prediction import Prediction

_PICTURE = 160
_GAP = 16
_LINE = 24
_BARS = 210
_INK, _FAINT, _PAPER = (34, 40, 49), (224, 228, 234), (255, 255, 255)
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_RIGHT, _WRONG, _NEUTRAL = (46, 139, 87), (204, 78, 60), (70, 110, 170)


def draw_predictions(
    pictures: Sequence[Image.Image],
    predictions: Sequence[Prediction],
    *,
    true_classes: Sequence[str] | None = None,
    columns: int = 3,
    top_k: int = 3,
) -> Image.Image:
    """Draw a sheet of images with their most probable classes as bars.

    Args:
        pictures: The images, of any size.
        predictions: One for each image.
        true_classes: The right answers, where known: they head each image, and color the bars
            green for right and red for wrong.
        columns: Images in a row.
        top_k: Bars beside an image.

    Returns:
        An RGB image.

    Raises:
        ValueError: The sequences differ in length, are empty, or a number is below 1.
    """
    if not pictures or len(pictures) != len(predictions):
        raise ValueError(f"need one prediction for each picture, got {len(predictions)} for {len(pictures)}")
    if true_classes is not None and len(true_classes) != len(pictures):
        raise ValueError(f"need one true class for each picture, got {len(true_classes)} for {len(pictures)}")
    if columns < 1 or top_k < 1:
        raise ValueError(f"columns and top_k must be at least 1, got {columns} and {top_k}")
    columns = min(columns, len(pictures))
    cell_width, cell_height = _PICTURE + _BARS + 2 * _GAP, max(_PICTURE, (2 * top_k + 1) * _LINE) + _GAP
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * cell_width + _GAP, rows * cell_height + _GAP), _PAPER)
    for index, (picture, prediction) in enumerate(zip(pictures, predictions, strict=True)):
        left = _GAP + (index % columns) * cell_width
        top = _GAP + (index // columns) * cell_height
        sheet.paste(ImageOps.pad(picture.convert("RGB"), (_PICTURE, _PICTURE), color=_FAINT), (left, top))
        truth = true_classes[index] if true_classes is not None else None
        _draw_bars(ImageDraw.Draw(sheet), left + _PICTURE + _GAP, top, prediction.top(top_k), truth)
    return sheet


def _draw_bars(
    draw: ImageDraw.ImageDraw, left: int, top: int, prediction: Prediction, truth: str | None
) -> None:
    font, bold = ImageFont.load_default(14), ImageFont.load_default(16)
    if truth is not None:
        draw.text((left, top), _fitted(f"is: {truth}", bold, _BARS - _GAP), fill=_INK, font=bold)
        top += _LINE
    for each in prediction.classes:
        color = _NEUTRAL if truth is None else _RIGHT if each.class_name == truth else _WRONG
        label = f"{each.probability:.0%}".replace("%", " %")
        draw.text((left, top), _fitted(each.class_name, font, _BARS - _GAP - 48), fill=_INK, font=font)
        draw.text((left + _BARS - _GAP, top), label, fill=_INK, font=font, anchor="ra")
        middle = top + _LINE - 4
        draw.rounded_rectangle((left, middle, left + _BARS - _GAP, middle + 8), 4, fill=_FAINT)
        length = round((_BARS - _GAP) * min(max(each.probability, 0.0), 1.0))
        if length > 8:
            draw.rounded_rectangle((left, middle, left + length, middle + 8), 4, fill=color)
        top += 2 * _LINE - 6


def _fitted(text: str, font: _Font, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
