"""What a training job found on its test split, as its ``evaluation.json`` has it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sagemaker_dogbreed.errors import JobError

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_MOST_PICTURE = 100_000  # characters
_ROUNDING = 1e-4  # what sums of float32 may be above 1


def _number(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None and "None" in str(attribute.type):
        return
    whole = str(attribute.type) == "int"
    if type(value) is not int and (whole or type(value) is not float):
        raise ValueError(f"{attribute.name} is not a number: {value!r:.80}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{attribute.name} is {value}")


def _share(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    _number(instance, attribute, value)
    if value is not None and value > 1 + _ROUNDING:
        raise ValueError(f"{attribute.name} is {value}, and a share is 1 at most")


def _text(_instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) and not (value is None and "None" in str(attribute.type)):
        raise ValueError(f"{attribute.name} is not a text: {value!r:.80}")


def _picture(_instance: Any, _attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not (
        isinstance(value, str) and len(value) <= _MOST_PICTURE and _BASE64.fullmatch(value)
    ):
        raise ValueError(f"thumbnail is not base64: {value!r:.80}")


def _how_many(values: Sequence[Any]) -> str:
    return f"<{len(values):,}>"


def _how_long(picture: str | None) -> str:
    return "None" if picture is None else f"<{len(picture):,} characters>"


@attrs.frozen(kw_only=True)
class EvaluatedClass:
    """A class: how many images it has, how often it was predicted, and rightly; rates of nothing are None."""

    name: str = attrs.field(validator=_text)
    images: int = attrs.field(validator=_number)
    predicted: int = attrs.field(validator=_number)
    right: int = attrs.field(validator=_number)
    precision: float | None = attrs.field(validator=_share)
    recall: float | None = attrs.field(validator=_share)

    @property
    def errors(self) -> int:
        """How often it was missed or wrongly predicted."""
        return self.images + self.predicted - 2 * self.right


@attrs.frozen(kw_only=True)
class EvaluatedImage:
    """An image with what was said of it; ``thumbnail`` is a JPEG in base64, ``loss`` is in nats."""

    file: str | None = attrs.field(validator=_text)
    true: str = attrs.field(validator=_text)
    predicted: str = attrs.field(validator=_text)
    confidence: float = attrs.field(validator=_share)
    true_probability: float = attrs.field(validator=_share)
    loss: float = attrs.field(validator=_number)
    thumbnail: str | None = attrs.field(validator=_picture, repr=_how_long)

    def __str__(self) -> str:
        taken = "recognized" if self.true == self.predicted else f"taken for {self.predicted}"
        return f"{self.file or 'an image'}: {self.true}, {taken}, loss {self.loss:.4g}"


@attrs.frozen(kw_only=True)
class ConfusedPair:
    """How many images of a class were taken for another, with the worst of them."""

    true: str = attrs.field(validator=_text)
    predicted: str = attrs.field(validator=_text)
    images: int = attrs.field(validator=_number)
    examples: tuple[EvaluatedImage, ...] = attrs.field(repr=_how_many)


@attrs.frozen(kw_only=True)
class Evaluation:
    """An evaluation; of very many classes and errors it has those with the most.

    Attributes:
        images: How many there are.
        loss: Their mean cross-entropy, in nats.
        top_1: The share that is classified rightly, 0 to 1.
        calibration_error: The expected one, 0 to 1.
        class_count: How many classes there are, listed or not.
        confusion: True class, predicted class and how many images; classes by their place in ``classes``.
        worst: Images with the highest loss.
    """

    images: int = attrs.field(validator=_number)
    loss: float | None = attrs.field(validator=_number)
    top_1: float | None = attrs.field(validator=_share)
    calibration_error: float | None = attrs.field(validator=_share)
    class_count: int = attrs.field(validator=_number)
    classes: tuple[EvaluatedClass, ...] = attrs.field(repr=_how_many)
    confusion: tuple[tuple[int, int, int], ...] = attrs.field(repr=_how_many)
    worst: tuple[EvaluatedImage, ...] = attrs.field(repr=_how_many)
    confused: tuple[ConfusedPair, ...] = attrs.field(repr=_how_many)

    def __str__(self) -> str:
        shown = [f"{self.images:,} images of {self.class_count:,} classes"]
        if self.top_1 is not None:
            shown.append(f"top-1 {100 * self.top_1:.1f} %")
        if self.loss is not None:
            shown.append(f"loss {self.loss:.4g}")
        if self.confused:
            pair = self.confused[0]
            shown.append(f"most often confused: {pair.true} taken for {pair.predicted} ({pair.images:,})")
        return ", ".join(shown)


def read_evaluation(content: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation of a parsed ``evaluation.json``.

    Raises:
        JobError: It is not what a training job writes; the message says what is wrong.
    """
    try:
        classes = tuple(_made(EvaluatedClass, row) for row in content["classes"])
        evaluation: Evaluation = _made(
            Evaluation,
            {
                **content,
                "classes": classes,
                "confusion": tuple(_cell(cell, len(classes)) for cell in content["confusion"]),
                "worst": _images(content["worst"]),
                "confused": tuple(
                    _made(ConfusedPair, {**pair, "examples": _images(pair["examples"])})
                    for pair in content["confused"]
                ),
            },
        )
        return evaluation
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise JobError(
            f"the evaluation cannot be read ({type(error).__name__}: {error}); "
            "is it an evaluation.json that a training job of this release wrote?"
        ) from error


def _made(kind: type[Any], content: Mapping[str, Any]) -> Any:
    return kind(**{field.name: content[field.name] for field in attrs.fields(kind)})


def _images(rows: Any) -> tuple[EvaluatedImage, ...]:
    return tuple(_made(EvaluatedImage, row) for row in rows)


def _cell(cell: Any, classes: int) -> tuple[int, int, int]:
    true, predicted, count = cell
    if not all(type(each) is int and each >= 0 for each in cell) or max(true, predicted) >= classes:
        raise ValueError(f"confusion has a cell {cell!r:.80}")
    return true, predicted, count
