"""Shapes and a canvas to paint them on: what every cartoon is made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
from PIL import Image, ImageDraw

from sagemaker_dogbreed.data.cartoon.breeds import Color

Point = tuple[float, float]
Shape = list[Point]
"""A closed polygon in pixels."""

_CIRCLE = [(math.cos(math.tau * step / 28), math.sin(math.tau * step / 28)) for step in range(28)]


def mix(first: Color, second: Color, share: float) -> Color:
    """Return the color that lies ``share`` (0 to 1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


@attrs.frozen
class Frame:
    """A coordinate system on the canvas: x runs forward (where the dog looks), y runs up.

    ``right`` and ``up`` are the unit vectors in pixels, ``origin`` is a pixel.
    """

    origin: Point
    right: Point
    up: Point

    def point(self, x: float, y: float) -> Point:
        """Return the pixel of a point."""
        return (
            self.origin[0] + x * self.right[0] + y * self.up[0],
            self.origin[1] + x * self.right[1] + y * self.up[1],
        )

    def moved(self, x: float, y: float, degrees: float = 0) -> Frame:
        """Return the frame whose origin is at (x, y), turned counterclockwise."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        (rx, ry), (ux, uy) = self.right, self.up
        right = (cos * rx + sin * ux, cos * ry + sin * uy)
        return Frame(self.point(x, y), right, (cos * ux - sin * rx, cos * uy - sin * ry))

    def polygon(self, *corners: Point) -> Shape:
        """Return straight lines through the corners."""
        return [self.point(x, y) for x, y in corners]

    def oval(self, x: float, y: float, width: float, height: float) -> Shape:
        """Return an ellipse around (x, y) with these half axes."""
        return [self.point(x + width * cos, y + height * sin) for cos, sin in _CIRCLE]

    def limb(self, *joints: tuple[float, float, float]) -> list[Shape]:
        """Return a round-ended stroke through joints of (x, y, radius)."""
        shapes = [self.oval(x, y, radius, radius) for x, y, radius in joints]
        for (x1, y1, r1), (x2, y2, r2) in itertools.pairwise(joints):
            length = math.hypot(x2 - x1, y2 - y1) or 1.0
            nx, ny = (y1 - y2) / length, (x2 - x1) / length
            side = ((x1 + nx * r1, y1 + ny * r1), (x2 + nx * r2, y2 + ny * r2))
            other = ((x2 - nx * r2, y2 - ny * r2), (x1 - nx * r1, y1 - ny * r1))
            shapes.append(self.polygon(*side, *other))
        return shapes

    def blob(self, *knots: Point) -> Shape:
        """Return a smooth closed curve (Catmull-Rom) through the knots."""
        curve = []
        count = len(knots)
        for index in range(count):
            p0, p1, p2, p3 = (knots[(index + shift) % count] for shift in (-1, 0, 1, 2))
            for step in range(7):
                t = step / 7
                x, y = (
                    b + 0.5 * t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * (b - c) + d - a)))
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
                curve.append(self.point(x, y))
        return curve


def tufted(shape: Shape, depth: float, pitch: float) -> Shape:
    """Return the outline with slanting tufts of hair; depth and pitch are in pixels."""
    outline = [*shape, shape[0]]
    result: Shape = []
    travelled, outward = 0.0, False
    area = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in itertools.pairwise(outline))
    sign = depth if area > 0 else -depth
    for (x1, y1), (x2, y2) in itertools.pairwise(outline):
        length = math.hypot(x2 - x1, y2 - y1)
        while length > 0 and travelled < length:
            share = travelled / length
            x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
            push = sign / length if outward else 0.0
            result.append((x + (y2 - y1) * push, y - (x2 - x1) * push))
            outward = not outward
            travelled += pitch * (0.7 if outward else 0.3)
        travelled -= length
    return result


class Canvas:
    """A picture being painted; ``line_width`` is the outlines' width in pixels."""

    def __init__(self, image: Image.Image, line_width: float) -> None:
        self.image = image
        self.line_width = line_width
        self._draw = ImageDraw.Draw(image)

    def fill(self, shape: Shape, color: Color) -> None:
        """Paint one shape without an outline."""
        self._draw.polygon(shape, fill=color)

    def darken(self, share: float) -> None:
        """Darken the whole picture by ``share`` (0 to 1)."""
        self.image.paste(self.image.point(lambda level: level * (1 - share)))

    def stroke(self, points: Sequence[Point], color: Color, width: float = 1.0) -> None:
        """Paint a line; the width counts in outline widths."""
        self._draw.line(points, fill=color, width=max(1, round(width * self.line_width)), joint="curve")

    def solid(self, shapes: Sequence[Shape], color: Color, outline: Color) -> None:
        """Paint shapes as one body with one outline around all of them."""
        width = max(1, round(2 * self.line_width))
        for shape in shapes:
            self._draw.line([*shape, shape[0], shape[1]], fill=outline, width=width)
        for shape in shapes:
            self._draw.polygon(shape, fill=color)

    @contextmanager
    def inside(self, shapes: Sequence[Shape]) -> Iterator[Canvas]:
        """Give a canvas whose paint stays inside the shapes."""
        mask = Image.new("L", self.image.size)
        draw = ImageDraw.Draw(mask)
        for shape in shapes:
            draw.polygon(shape, fill=255)
        layer = Canvas(self.image.copy(), self.line_width)
        yield layer
        self.image.paste(layer.image, mask=mask)
