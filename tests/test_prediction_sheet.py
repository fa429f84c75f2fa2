"""The sheet of pictures with what a model says of them."""

from __future__ import annotations

import pytest
from PIL import Image

from sagemaker_dogbreed import ClassProbability, Prediction, draw_predictions

SURE = Prediction((ClassProbability("pug", 0.9), ClassProbability("a" * 80, 0.1)))
GREEN, RED = (46, 139, 87), (204, 78, 60)


def _colors(sheet):
    return {color for _, color in sheet.getcolors(maxcolors=10**6)}


def test_right_answers_are_green_and_wrong_ones_red():
    """A bar's color says whether the class is the true one."""
    pictures = [Image.new("RGB", (40, 20), "blue")]
    right = _colors(draw_predictions(pictures, [SURE], true_classes=["pug"], top_k=1))
    wrong = _colors(draw_predictions(pictures, [SURE], true_classes=["husky"], top_k=1))
    assert (GREEN in right, RED in right) == (True, False)
    assert (GREEN in wrong, RED in wrong) == (False, True)
    assert _colors(draw_predictions(pictures, [SURE])) & {GREEN, RED} == set()


def test_the_sheet_has_room_for_every_picture():
    """Rows are added as pictures are, and a sheet is no wider than its pictures need."""
    sizes = [draw_predictions([Image.new("L", (9, 9))] * n, [SURE] * n, columns=2).size for n in (1, 2, 3)]
    assert sizes[1][0] > sizes[0][0]
    assert sizes[2][0] == sizes[1][0]
    assert sizes[2][1] > sizes[1][1]


@pytest.mark.parametrize(
    ("predictions", "options", "message"),
    [
        ([], {}, "one prediction for each picture, got 0 for 1"),
        ([SURE], {"true_classes": []}, "one true class for each picture"),
        ([SURE], {"columns": 0}, "must be at least 1"),
    ],
)
def test_what_does_not_fit_together_is_refused(predictions, options, message):
    """Sequences of different lengths and impossible numbers are errors."""
    with pytest.raises(ValueError, match=message):
        draw_predictions([Image.new("RGB", (4, 4))], predictions, **options)


def test_a_top_of_nothing_is_refused():
    """There is always a most probable class."""
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SURE.top(0)
