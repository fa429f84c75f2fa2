"""The patterns of a coat: saddle, spots, mask, pale belly and socks."""

from __future__ import annotations

import random

from sagemaker_dogbreed.data.cartoon.anatomy import Skeleton
from sagemaker_dogbreed.data.cartoon.breeds import Coat, Color
from sagemaker_dogbreed.data.cartoon.canvas import Canvas, mix


def mark_body(canvas: Canvas, dog: Skeleton, coat: Coat, rng: random.Random) -> None:
    """Paint the coat's marking on trunk and legs; the canvas is limited to them."""
    match coat.marking:
        case "pale" | "wolf":
            _chest_and_belly(canvas, dog, coat.second, rng)
            _socks(canvas, dog, coat.second, rng.uniform(0.3, 0.75))
        case "saddle":
            _saddle(canvas, dog, coat.second, rng)
            _chest_and_belly(canvas, dog, coat.third, rng)
            _socks(canvas, dog, coat.third, rng.uniform(0.3, 0.75))
        case "points":
            breed = dog.breed
            x, y = breed.body_length * 0.5, breed.leg_length + 0.4 * breed.body_depth
            canvas.fill(dog.body.oval(x, y, 3.5, 3.2), coat.second)
            _socks(canvas, dog, coat.second, rng.uniform(0.5, 0.9))
        case "spots":
            _spots(canvas, dog, coat.second, rng)
        case "mask" | "plain":
            pass


def mark_face(canvas: Canvas, dog: Skeleton, coat: Coat, rng: random.Random) -> None:
    """Paint the coat's marking on skull and muzzle; the canvas is limited to them."""
    head, radius = dog.head, dog.breed.head_radius
    if coat.marking in {"pale", "points", "saddle", "wolf"}:
        length = dog.breed.muzzle_length
        width = radius * 0.75 + length * 0.6
        canvas.fill(head.oval(radius * 0.7 + length * 0.4, -radius * 0.62, width, radius * 0.5), coat.third)
    match coat.marking:
        case "wolf":
            canvas.fill(head.oval(0, -radius * 0.62, radius * 0.8, radius * 0.5), coat.third)
            canvas.fill(head.oval(radius * 0.48, radius * 0.2, radius * 0.34, radius * 0.42), coat.third)
        case "points":
            canvas.fill(head.oval(radius * 0.5, radius * 0.6, radius * 0.17, radius * 0.13), coat.second)
        case "spots":
            for _ in range(9):
                x, y = rng.uniform(-radius, radius * 1.6), rng.uniform(-radius, radius)
                size = rng.uniform(0.5, 1.1)
                canvas.fill(head.oval(x, y, size, size), coat.second)
        case "mask":
            _mask(canvas, dog, coat)


def _chest_and_belly(canvas: Canvas, dog: Skeleton, color: Color, rng: random.Random) -> None:
    half, depth, leg = dog.breed.body_length / 2, dog.breed.body_depth, dog.breed.leg_length
    canvas.fill(dog.body.oval(half * 0.98, leg + 0.5 * depth, half * 0.42, depth * 0.62), color)
    canvas.fill(dog.body.oval(half * 0.05, leg, half * 0.52, depth * rng.uniform(0.18, 0.32)), color)


def _socks(canvas: Canvas, dog: Skeleton, color: Color, share: float) -> None:
    top = dog.breed.leg_length * share
    canvas.fill(dog.body.polygon((-80, -5), (80, -5), (80, top), (-80, top)), color)


def _saddle(canvas: Canvas, dog: Skeleton, color: Color, rng: random.Random) -> None:
    half, depth, leg = dog.breed.body_length / 2, dog.breed.body_depth, dog.breed.leg_length
    middle, reach = rng.uniform(-0.25, 0.05) * half, rng.uniform(0.6, 0.8) * half
    canvas.fill(dog.body.oval(middle, leg + 0.95 * depth, reach, depth * rng.uniform(0.4, 0.6)), color)


def _spots(canvas: Canvas, dog: Skeleton, color: Color, rng: random.Random) -> None:
    half, top = dog.breed.body_length / 2, dog.breed.leg_length + dog.breed.body_depth
    for _ in range(34):
        x, y, size = rng.uniform(-half, half * 1.2), rng.uniform(3, top + 8), rng.uniform(0.8, 2.1)
        canvas.fill(dog.body.oval(x, y, size, size * rng.uniform(0.7, 1.1)), color)


def _mask(canvas: Canvas, dog: Skeleton, coat: Coat) -> None:
    head, radius = dog.head, dog.breed.head_radius
    canvas.fill(head.oval(radius * 0.85, -radius * 0.42, radius * 0.55, radius * 0.52), coat.second)
    around_eye = head.oval(radius * 0.42, radius * 0.12, radius * 0.32, radius * 0.34)
    canvas.fill(around_eye, mix(coat.base, coat.second, 0.6))
    for height in (0.62, 0.78):  # the wrinkles of the forehead
        arch = ((x, height - 0.25 * (x - 0.35) ** 2) for x in (0.1, 0.25, 0.4, 0.55))
        line = [head.point(radius * x, radius * y) for x, y in arch]
        canvas.stroke(line, mix(coat.base, (0, 0, 0), 0.45), 1.2)
