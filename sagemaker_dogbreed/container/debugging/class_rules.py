"""Rules on the classes that a training sees."""

from __future__ import annotations

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.rules import rule


@rule("ClassImbalance", on="epoch")
def class_imbalance(
    history: History,
    *,
    threshold_imbalance: float = 10.0,
    threshold_misprediction: float = 0.7,
    samples: int = 500,
) -> str | None:
    """The largest class has many times the smallest one's images, or small classes are classified wrongly.

    Asked when ``samples`` images of training have been seen. AWS complains of any class of which more than
    ``threshold_misprediction`` are wrong. That is how each training begins, and hard classes stay so; here
    the class must have less than half the largest one's images, while of all images fewer are wrong. AWS's
    ``argmax`` and patterns of tensor names are not needed: classes are counted in the training itself.
    """
    epochs = [epoch for epoch in history.epochs if epoch.labels]
    if not epochs or sum(sum(epoch.labels) for epoch in epochs) < samples:
        return None
    last = epochs[-1]
    largest = max(range(len(last.labels)), key=last.labels.__getitem__)
    smallest = min(range(len(last.labels)), key=last.labels.__getitem__)
    many, few = last.labels[largest], last.labels[smallest]
    if many > threshold_imbalance * few:
        return (
            f"{_name(history, largest)} has {many} training images and {_name(history, smallest)} {few}: "
            + (f"{many / few:.1f} times as many" if few else "it cannot be learned")
        )
    if len(last.errors) != len(last.labels) or sum(last.errors) > threshold_misprediction * sum(last.labels):
        return None
    for place, (seen, wrong) in enumerate(zip(last.labels, last.errors, strict=True)):
        if 2 * seen < many and wrong > threshold_misprediction * seen:
            return (
                f"{wrong / seen:.0%} of the {seen} training images of {_name(history, place)} are classified "
                f"wrongly, of all {sum(last.errors) / sum(last.labels):.0%}; "
                f"{_name(history, largest)} has {many} images"
            )
    return None


def _name(history: History, place: int) -> str:
    names = history.settings.get("class_names")
    if isinstance(names, list | tuple) and place < len(names):
        return str(names[place])
    return f"class {place}"
