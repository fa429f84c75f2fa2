"""What an endpoint says of an image."""

from __future__ import annotations

import attrs


@attrs.frozen
class ClassProbability:
    """A class and how probable the model finds it, from 0 to 1."""

    class_name: str
    probability: float


@attrs.frozen
class Prediction:
    """An endpoint's answer for one image: classes, most probable first.

    >>> prediction = Prediction((ClassProbability("pug", 0.75), ClassProbability("beagle", 0.25)))
    >>> prediction.class_name
    'pug'
    >>> print(prediction)
    pug 75.0 %, beagle 25.0 %
    """

    classes: tuple[ClassProbability, ...]

    @property
    def class_name(self) -> str:
        """The most probable class."""
        return self.classes[0].class_name

    @property
    def probability(self) -> float:
        """The most probable class's probability, from 0 to 1."""
        return self.classes[0].probability

    def top(self, count: int) -> Prediction:
        """Return the ``count`` most probable classes (at most as many as the endpoint answered with).

        Raises:
            ValueError: ``count`` is below 1.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        return Prediction(self.classes[:count])

    def __str__(self) -> str:
        return ", ".join(
            f"{each.class_name} {each.probability:.1%}".replace("%", " %") for each in self.classes
        )
