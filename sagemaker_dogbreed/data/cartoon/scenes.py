"""Places for the cartoon dogs to stand in; nothing here knows of breeds."""

from __future__ import annotations

import random

from PIL import Image

from sagemaker_dogbreed.data.cartoon.breeds import Color
from sagemaker_dogbreed.data.cartoon.canvas import Canvas, Frame, mix


def paint_scene(canvas: Canvas, page: Frame, rng: random.Random) -> None:
    """Paint one of the scenes over the whole canvas.

    ``page`` has its origin at the lower left corner and 100 units to a side.
    """
    scene = rng.choice((_meadow, _autumn, _beach, _snow, _room, _street))
    scene(canvas, page, rng, rng.uniform(30, 52))


def _gradient(canvas: Canvas, top: Color, bottom: Color) -> None:
    size = canvas.image.size
    ramp = Image.linear_gradient("L").resize(size)
    canvas.image.paste(Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp))


def _ground(canvas: Canvas, page: Frame, height: float, color: Color) -> None:
    canvas.fill(page.polygon((0, 0), (100, 0), (100, height), (0, height)), color)
    canvas.fill(
        page.polygon((0, 0), (100, 0), (100, height / 3), (0, height / 4)), mix(color, (0, 0, 0), 0.06)
    )


def _clouds(canvas: Canvas, page: Frame, rng: random.Random, color: Color) -> None:
    for _ in range(rng.randint(1, 3)):
        x, y, size = rng.uniform(0, 100), rng.uniform(70, 95), rng.uniform(3, 6)
        for shift, scale in ((-1.3, 0.7), (0, 1.0), (1.3, 0.75)):
            canvas.fill(page.oval(x + shift * size, y, size * scale * 1.3, size * scale), color)


def _hills(canvas: Canvas, page: Frame, rng: random.Random, height: float, color: Color) -> None:
    for _ in range(3):
        width = rng.uniform(25, 50)
        canvas.fill(page.oval(rng.uniform(0, 100), height, width, rng.uniform(6, 18)), color)


def _trees(canvas: Canvas, page: Frame, rng: random.Random, height: float, colors: tuple[Color, ...]) -> None:
    for _ in range(rng.randint(1, 3)):
        x, size = rng.uniform(0, 100), rng.uniform(7, 13)
        trunk = page.polygon(
            (x - 1.5, height - 2), (x + 1.5, height - 2), (x + 1, height + 16), (x - 1, height + 16)
        )
        canvas.fill(trunk, (112, 82, 58))
        color = rng.choice(colors)
        canvas.fill(page.oval(x, height + 20, size, size * 1.1), color)
        canvas.fill(
            page.oval(x - size * 0.3, height + 23, size * 0.5, size * 0.45), mix(color, (255, 255, 255), 0.15)
        )


def _specks(canvas: Canvas, page: Frame, rng: random.Random, top: float, colors: tuple[Color, ...]) -> None:
    for _ in range(rng.randint(8, 22)):
        x, y, size = rng.uniform(0, 100), rng.uniform(0, top), rng.uniform(0.4, 1.3)
        canvas.fill(page.oval(x, y, size, size * 0.7), rng.choice(colors))


def _meadow(canvas: Canvas, page: Frame, rng: random.Random, height: float) -> None:
    _gradient(canvas, (120, 186, 236), (214, 236, 246))
    _clouds(canvas, page, rng, (250, 252, 255))
    _hills(canvas, page, rng, height, (134, 184, 120))
    _trees(canvas, page, rng, height, ((70, 132, 72), (92, 150, 70)))
    _ground(canvas, page, height, mix((112, 176, 82), (150, 190, 80), rng.random()))
    _specks(canvas, page, rng, height, ((250, 240, 120), (250, 250, 250), (236, 130, 150), (80, 140, 66)))


def _autumn(canvas: Canvas, page: Frame, rng: random.Random, height: float) -> None:
    _gradient(canvas, (226, 190, 150), (250, 228, 190))
    _hills(canvas, page, rng, height, (196, 150, 96))
    _trees(canvas, page, rng, height, ((206, 98, 44), (224, 150, 50), (170, 70, 48)))
    _ground(canvas, page, height, mix((176, 140, 78), (150, 128, 72), rng.random()))
    _specks(canvas, page, rng, height, ((214, 104, 44), (232, 176, 60), (120, 72, 44)))


def _beach(canvas: Canvas, page: Frame, rng: random.Random, height: float) -> None:
    _gradient(canvas, (104, 190, 226), (232, 242, 240))
    x, y = rng.uniform(10, 90), rng.uniform(72, 92)
    canvas.fill(page.oval(x, y, 7, 7), (255, 236, 150))
    sea = page.polygon((0, height - 4), (100, height - 4), (100, height + 11), (0, height + 11))
    canvas.fill(sea, mix((60, 140, 190), (70, 170, 180), rng.random()))
    _ground(canvas, page, height, mix((236, 212, 160), (222, 190, 140), rng.random()))
    _specks(canvas, page, rng, height, ((250, 240, 226), (200, 160, 116), (236, 150, 120)))


def _snow(canvas: Canvas, page: Frame, rng: random.Random, height: float) -> None:
    _gradient(canvas, (158, 182, 208), (226, 234, 242))
    _hills(canvas, page, rng, height, (214, 226, 238))
    for _ in range(rng.randint(2, 4)):
        x, size = rng.uniform(0, 100), rng.uniform(7, 12)
        for level in range(3):
            y, half = height - 2 + level * size * 0.7, size * (1 - level * 0.25)
            canvas.fill(page.polygon((x - half, y), (x + half, y), (x, y + size * 1.3)), (70, 112, 104))
    _ground(canvas, page, height, mix((236, 242, 250), (214, 226, 242), rng.random()))
    _specks(canvas, page, rng, 100, ((255, 255, 255), (250, 252, 255)))


def _room(canvas: Canvas, page: Frame, rng: random.Random, height: float) -> None:
    wall = rng.choice(((196, 214, 206), (232, 206, 186), (186, 196, 222), (238, 228, 196), (214, 180, 190)))
    _gradient(canvas, mix(wall, (255, 255, 255), 0.2), wall)
    if rng.random() < 0.5:
        for left in range(4, 100, 12):
            stripe = page.polygon((left, 0), (left + 4, 0), (left + 4, 100), (left, 100))
            canvas.fill(stripe, mix(wall, (255, 255, 255), 0.18))
    x, y = rng.uniform(5, 70), rng.uniform(66, 74)
    canvas.fill(page.polygon((x, y), (x + 22, y), (x + 22, y + 20), (x, y + 20)), (120, 84, 58))
    inner = rng.choice(((150, 206, 240), (240, 190, 120), (120, 150, 110), (70, 80, 130)))
    canvas.fill(page.polygon((x + 2, y + 2), (x + 20, y + 2), (x + 20, y + 18), (x + 2, y + 18)), inner)
    _ground(
        canvas, page, height, rng.choice(((176, 128, 86), (150, 112, 84), (206, 176, 140), (130, 130, 140)))
    )
    canvas.fill(
        page.polygon((0, height), (100, height), (100, height + 2.5), (0, height + 2.5)), (246, 240, 232)
    )
    rug = rng.choice(((190, 70, 70), (70, 110, 160), (90, 140, 110), (220, 180, 90)))
    middle = rng.uniform(30, 70)
    canvas.fill(page.oval(middle, height * 0.4, 42, height * 0.3), rug)
    canvas.fill(page.oval(middle, height * 0.4, 36, height * 0.24), mix(rug, (255, 255, 255), 0.3))


def _street(canvas: Canvas, page: Frame, rng: random.Random, height: float) -> None:
    night = rng.random() < 0.5
    _gradient(canvas, *(((46, 52, 92), (110, 96, 140)) if night else ((150, 196, 230), (236, 226, 210))))
    window = (250, 220, 130) if night else (206, 226, 240)
    x = -rng.uniform(0, 10)
    while x < 100:
        width, top = rng.uniform(16, 26), height + rng.uniform(22, 46)
        color = rng.choice(((168, 96, 84), (190, 160, 120), (120, 130, 150), (204, 130, 96), (140, 160, 140)))
        color = mix(color, (40, 40, 80), 0.4) if night else color
        canvas.fill(page.polygon((x, 0), (x + width, 0), (x + width, top), (x, top)), color)
        for row in range(3):
            for column in range(2):
                left, low = x + width * (0.18 + 0.42 * column), top - 8 - row * 10
                canvas.fill(
                    page.polygon((left, low), (left + 4, low), (left + 4, low + 5), (left, low + 5)), window
                )
        x += width
    _ground(canvas, page, height, mix((150, 148, 150), (110, 110, 122), rng.random()))
    curb = page.polygon((0, height - 3), (100, height - 3), (100, height), (0, height))
    canvas.fill(curb, (206, 202, 196))
