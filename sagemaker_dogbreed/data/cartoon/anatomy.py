"""A dog's parts as shapes, from the proportions of its breed and its pose."""

from __future__ import annotations

import math
import random

import attrs

from sagemaker_dogbreed.data.cartoon.breeds import Breed, Color
from sagemaker_dogbreed.data.cartoon.canvas import Frame, Shape, tufted


@attrs.frozen(kw_only=True)
class Pose:
    """How a dog holds itself; drawn from a stream of its own, so no breed has poses of its own.

    ``stride`` (-1 to 1) opens the legs, ``wag``, ``nod`` and ``lean`` are degrees, ``reach`` stretches the
    neck; ``collar`` and ``ball`` are colors, or None for a dog without.
    """

    stride: float
    wag: float
    nod: float
    lean: float
    reach: float
    tongue: bool
    collar: Color | None
    ball: Color | None

    @classmethod
    def random(cls, rng: random.Random) -> Pose:
        """Draw a pose."""
        toys: tuple[Color, ...] = (
            (214, 60, 64),
            (60, 110, 200),
            (70, 160, 90),
            (240, 190, 50),
            (150, 80, 170),
        )
        return cls(
            stride=rng.uniform(-1, 1),
            wag=rng.uniform(-16, 16),
            nod=rng.uniform(-14, 14),
            lean=rng.uniform(-4, 4),
            reach=rng.uniform(0.85, 1.2),
            tongue=rng.random() < 0.4,
            collar=rng.choice((None, *toys)),
            ball=rng.choice((None, None, None, *toys)),
        )


@attrs.frozen
class Skeleton:
    """Where a dog's parts are; the origin of ``body`` is on the ground, below the middle of the trunk."""

    breed: Breed
    pose: Pose
    body: Frame

    @property
    def head(self) -> Frame:
        """The frame at the middle of the skull, turned by the nod."""
        x, y = self._skull
        return self.body.moved(x, y, self.pose.nod)

    @property
    def pixel(self) -> float:
        """Pixels per unit."""
        return math.hypot(*self.body.right)

    @property
    def _croup(self) -> Frame:
        breed = self.breed
        return self.body.moved(
            -breed.body_length * 0.46, breed.leg_length + 0.82 * breed.body_depth, self.pose.wag
        )

    @property
    def _skull(self) -> tuple[float, float]:
        breed = self.breed
        neck = breed.neck_length * self.pose.reach
        return breed.body_length * 0.46 + neck * 0.5, breed.leg_length + breed.body_depth + neck * 0.75

    def torso(self) -> list[Shape]:
        """Return chest, back and belly."""
        breed = self.breed
        half, depth, leg = breed.body_length / 2, breed.body_depth, breed.leg_length
        shape = self.body.blob(
            (-half, leg + 0.6 * depth),
            (-half * 0.78, leg + 0.95 * depth),
            (0, leg + 0.93 * depth),
            (half * 0.7, leg + 1.02 * depth),
            (half * 1.05, leg + 0.62 * depth),
            (half * 0.75, leg),
            (half * 0.1, leg + 0.16 * breed.tuck * depth),
            (-half * 0.5, leg + 0.45 * breed.tuck * depth),
            (-half * 0.9, leg + 0.25 * depth),
        )
        return self.coated(shape)

    def coated(self, shape: Shape) -> list[Shape]:
        """Return the shape with the outline that the breed's hair gives it."""
        if self.breed.texture == "shaggy":
            return [shape, tufted(shape, 1.3 * self.pixel, 4.4 * self.pixel)]
        return [shape]

    def fleece(self, frame: Frame, x: float, y: float, width: float, height: float) -> list[Shape]:
        """Return a ball of curls around (x, y)."""
        shapes = [frame.oval(x, y, width, height)]
        count = max(7, round((width + height) * 0.9))
        curl = 0.42 * math.sqrt(width * height) * 7 / count + 0.4
        for index in range(count):
            turn = math.tau * index / count
            shapes.append(frame.oval(x + width * math.cos(turn), y + height * math.sin(turn), curl, curl))
        return shapes

    def neck(self) -> list[Shape]:
        """Return the neck, from the withers to the skull."""
        breed = self.breed
        x, y = self._skull
        low = (breed.body_length * 0.38, breed.leg_length + 0.68 * breed.body_depth, breed.body_depth * 0.33)
        return self.body.limb(low, (x - breed.head_radius * 0.1, y, breed.head_radius * 0.62))

    def legs(self, *, far: bool) -> list[Shape]:
        """Return the two legs of the near or the far side, with paws."""
        breed = self.breed
        leg, width, depth = breed.leg_length, breed.leg_width, breed.body_depth
        swing = self.pose.stride * (leg * 0.22 + 1.2) * (-1 if far else 1)
        shift = 3.2 if far else 0.0
        front, rear = breed.body_length * 0.35 + shift, -breed.body_length * 0.37 + shift
        shapes = self.body.limb(
            (front, leg + 0.3 * depth, width * 1.45),
            (front + swing * 0.4, leg * 0.5, width),
            (front + swing, width * 0.7, width * 0.9),
        )
        shapes.append(self.body.oval(rear, leg + 0.38 * depth, depth * 0.4, depth * 0.44))
        shapes += self.body.limb(
            (rear, leg + 0.18 * depth, width * 1.6),
            (rear - leg * 0.14 - swing * 0.6, leg * 0.42, width * 0.95),
            (rear - swing, width * 0.7, width * 0.9),
        )
        for foot in (front + swing, rear - swing):
            shapes.append(self.body.oval(foot + width * 0.5, width * 0.65, width * 1.4, width * 0.75))
            if breed.texture == "curly":
                shapes += self.fleece(self.body, foot, width * 2.6, width * 1.5, width * 1.5)
        return shapes

    def skull(self) -> list[Shape]:
        """Return the skull with cheeks."""
        radius = self.breed.head_radius
        shapes = [self.head.oval(0, 0, radius, radius * 0.95)]
        if self.breed.texture == "curly":
            shapes += self.fleece(self.head, -radius * 0.2, radius * 0.85, radius * 0.85, radius * 0.72)
        return shapes

    def muzzle(self) -> list[Shape]:
        """Return the muzzle with the lips."""
        radius, length, tip = self.breed.head_radius, self.breed.muzzle_length, self.breed.muzzle_depth
        return self.head.limb(
            (0.4 * radius, -0.28 * radius, 0.58 * radius), (radius + length - tip, -0.4 * radius, tip)
        )

    def ear(self, *, far: bool) -> list[Shape]:
        """Return one ear."""
        radius, length = self.breed.head_radius, self.breed.ear_length
        if self.breed.ears == "prick":
            frame = self.head.moved(radius * (0.28 if far else -0.42), radius * 0.55, -10 if far else 8)
            return [
                frame.blob(
                    (-radius * 0.42, 0), (-length * 0.06, length), (length * 0.06, length), (radius * 0.42, 0)
                )
            ]
        frame = self.head.moved(
            -radius * (0.05 if far else 0.3), radius * 0.72, self.pose.wag * 0.4 - self.pose.nod
        )
        if self.breed.ears == "button":
            return [
                frame.blob(
                    (-0.5 * length, 0.1 * length),
                    (0.35 * length, 0.2 * length),
                    (0.2 * length, -0.85 * length),
                )
            ]
        width = 0.3 * radius + 0.09 * length
        shape = frame.blob(
            (0.1 * radius, 0.12 * radius),
            (-width, 0.02 * length),
            (-1.55 * width, -0.55 * length),
            (-1.0 * width, -length),
            (-0.1 * width, -0.85 * length),
            (0.2 * width, -0.35 * length),
        )
        if self.breed.texture == "curly":
            return self.fleece(frame, -0.6 * width, -0.55 * length, width, length * 0.5)
        return self.coated(shape)

    def tail(self) -> list[Shape]:
        """Return the tail, wagged."""
        breed, size = self.breed, self.breed.tail_length
        frame = self._croup
        match breed.tail:
            case "saber":
                return frame.limb(
                    (1, -1, 1.8), (-0.4 * size, 0.3 * size, 1.5), (-0.55 * size, 0.85 * size, 0.7)
                )
            case "low":
                return frame.limb(
                    (1, 0, 1.4), (-0.22 * size, -0.45 * size, 1.1), (-0.6 * size, -0.75 * size, 0.6)
                )
            case "nub":
                return [frame.oval(-0.3 * size, 0.2 * size, size * 0.75, size * 0.6)]
            case "curl":
                thick = size * (0.17 if breed.texture == "shaggy" else 0.13)
                turns = [math.radians(angle) for angle in range(215, -50, -22)]
                ring = [
                    (0.05 * size + 0.34 * size * math.cos(t), 0.3 * size + 0.34 * size * math.sin(t))
                    for t in turns
                ]
                return frame.limb(*((x, y, thick * (1 - 0.03 * index)) for index, (x, y) in enumerate(ring)))
            case "plume":
                knots = (
                    (2, 2),
                    (-0.35 * size, 0.3 * size),
                    (-size, 0.42 * size),
                    (-0.8 * size, 0.02 * size),
                    (-0.3 * size, -0.25 * size),
                    (2, -4),
                )
                return self.coated(frame.blob(*knots))
            case "pompom":
                tip = (-0.35 * size, size)
                return frame.limb((1, -1, 1.3), (*tip, 1.0)) + self.fleece(frame, *tip, 4.2, 4.2)

    def tail_tip(self) -> Shape:
        """Return the area around the end of a saber or curl tail."""
        size = self.breed.tail_length
        frame = self._croup
        if self.breed.tail == "curl":
            return frame.oval(0.36 * size, 0.28 * size, 0.24 * size, 0.26 * size)
        return frame.oval(-0.56 * size, 0.9 * size, 0.3 * size, 0.3 * size)
