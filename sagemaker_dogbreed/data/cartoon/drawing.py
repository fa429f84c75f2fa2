"""How one cartoon dog is painted: its coat, its markings and its face."""

from __future__ import annotations

import random

import attrs
from PIL import Image

from sagemaker_dogbreed.data.cartoon.anatomy import Pose, Skeleton
from sagemaker_dogbreed.data.cartoon.breeds import Breed, Coat, Color
from sagemaker_dogbreed.data.cartoon.canvas import Canvas, Frame, mix
from sagemaker_dogbreed.data.cartoon.markings import mark_body, mark_face
from sagemaker_dogbreed.data.cartoon.scenes import paint_scene

_OVERSAMPLING = 3
_INK = (44, 34, 34)
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)


def paint_picture(breed: Breed, *, seed: str, image_size: int) -> Image.Image:
    """Paint one dog in one scene, ``image_size`` pixels a side.

    Scene, light, pose and coat come from streams of their own, none of which knows the breed.
    """
    scene, pose, light, coat = (
        random.Random(f"{seed}/{stream}")  # noqa: S311 - pictures, not secrets
        for stream in ("scene", "pose", "light", "coat")
    )
    side = image_size * _OVERSAMPLING
    unit = side / 100
    canvas = Canvas(Image.new("RGB", (side, side)), 0.5 * unit)
    page = Frame((0, side), (unit, 0), (0, -unit))
    paint_scene(canvas, page, scene)

    scale, facing = pose.uniform(60, 76) / breed.extent, pose.choice((-1, 1))
    standing = page.moved(50 + pose.uniform(-6, 6) - 6 * facing, pose.uniform(9, 19))
    body = Frame(standing.origin, (unit * scale * facing, 0), (0, -unit * scale))
    _paint_dog(canvas, Skeleton(breed, Pose.random(pose), body), coat)

    picture = canvas.image.resize((image_size, image_size), Image.Resampling.LANCZOS)
    return _lit(picture, light)


def _lit(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Return the picture in a light of its own: brightness, contrast and warmth."""
    gain, warmth, lift = rng.uniform(0.78, 1.1), rng.uniform(-0.07, 0.07), rng.uniform(-8, 14)
    red, blue = gain * (1 + warmth), gain * (1 - warmth)
    return picture.convert("RGB", (red, 0, 0, lift, 0, gain, 0, lift, 0, 0, blue, lift))


def _paint_dog(canvas: Canvas, dog: Skeleton, rng: random.Random) -> None:
    coat = _shaded(rng.choice(dog.breed.coats), rng)
    ink = mix(coat.base, _INK, 0.85)
    far = mix(coat.base, _BLACK, 0.22)
    breed, body = dog.breed, dog.body
    half = breed.body_length / 2

    shadow = body.oval(2, 0.5, half * 1.25, 2.6)
    with canvas.inside([shadow]) as ground:
        ground.darken(0.3)
    if dog.pose.ball is not None:
        ball = body.moved(half + 16, 3.4)
        canvas.solid([ball.oval(0, 0, 3.4, 3.4)], dog.pose.ball, _INK)
        canvas.fill(ball.oval(-1, 1.2, 1, 0.8), mix(dog.pose.ball, _WHITE, 0.6))

    canvas.solid(dog.legs(far=True), far, ink)
    if breed.tail != "curl":
        _paint_tail(canvas, dog, coat, ink)
    canvas.solid(dog.ear(far=True), mix(_ear_color(coat), _BLACK, 0.2), ink)
    trunk = dog.torso() + dog.neck() + dog.legs(far=False)
    if breed.texture == "curly":
        trunk += dog.fleece(
            body, half * 0.62, breed.leg_length + 0.6 * breed.body_depth, half * 0.62, breed.body_depth * 0.55
        )
    head = dog.skull() + dog.muzzle()
    canvas.solid(trunk + head, coat.base, ink)
    with canvas.inside(trunk) as coated:
        mark_body(coated, dog, coat, rng)
    with canvas.inside(head) as coated:
        mark_face(coated, dog, coat, rng)
    _paint_hair(canvas, dog, coat, rng)
    if breed.tail == "curl":  # it lies over the back
        _paint_tail(canvas, dog, coat, ink)
    _paint_collar(canvas, dog)
    _paint_face(canvas, dog, coat, ink)
    canvas.solid(dog.ear(far=False), _ear_color(coat), ink)
    if breed.ears == "prick":
        radius, length = breed.head_radius, breed.ear_length
        frame = dog.head.moved(-radius * 0.4, radius * 0.6, 8)
        inner = frame.polygon(
            (-radius * 0.2, 0.1 * length), (0, length * 0.75), (radius * 0.22, 0.1 * length)
        )
        canvas.fill(inner, mix((226, 160, 150), coat.base, 0.3))


def _shaded(coat: Coat, rng: random.Random) -> Coat:
    """Return the coat in a shade of its own."""
    gain, shift = rng.uniform(0.86, 1.1), [rng.uniform(-9, 9) for _ in range(3)]

    def shade(color: Color) -> Color:
        red, green, blue = (max(0, min(255, round(c * gain + s))) for c, s in zip(color, shift, strict=True))
        return red, green, blue

    return attrs.evolve(coat, base=shade(coat.base), second=shade(coat.second), third=shade(coat.third))


def _paint_tail(canvas: Canvas, dog: Skeleton, coat: Coat, ink: Color) -> None:
    tail = dog.tail()
    canvas.solid(tail, coat.base, ink)
    if coat.marking in {"saddle", "wolf"}:
        with canvas.inside(tail) as tip:
            tip.fill(dog.tail_tip(), coat.third)


def _ear_color(coat: Coat) -> Color:
    if coat.marking in {"mask", "spots"}:
        return coat.second
    return mix(coat.base, _BLACK, 0.1)


def _paint_hair(canvas: Canvas, dog: Skeleton, coat: Coat, rng: random.Random) -> None:
    """Paint the line of the thigh and the hair on top of the coat."""
    breed, body = dog.breed, dog.body
    half, depth, leg = breed.body_length / 2, breed.body_depth, breed.leg_length
    dark, light = mix(coat.base, _BLACK, 0.25), mix(coat.base, _WHITE, 0.3)
    thigh = [
        body.point(-breed.body_length * 0.37 + depth * 0.4 * x, leg + depth * (0.38 + 0.4 * y))
        for x, y in ((0.55, 0.75), (0.95, 0.2), (0.8, -0.5))
    ]
    canvas.stroke(thigh, dark, 1.3)
    if breed.texture == "smooth":
        return
    for _ in range(16):
        x, y = rng.uniform(-half * 0.8, half * 0.9), leg + depth * rng.uniform(0.2, 0.85)
        color = rng.choice((dark, light))
        if breed.texture == "shaggy":
            canvas.stroke([body.point(x, y), body.point(x - 0.9, y - 2.6)], color, 1.2)
        else:
            curl = [
                body.point(x + 1.2 * cos, y + 1.2 * sin)
                for cos, sin in ((-1, 0), (-0.6, 0.8), (0.4, 0.9), (1, 0.1), (0.4, -0.5))
            ]
            canvas.stroke(curl, color, 1.1)


def _paint_collar(canvas: Canvas, dog: Skeleton) -> None:
    if dog.pose.collar is None:
        return
    with canvas.inside(dog.neck()) as neck:
        radius = dog.breed.head_radius
        frame = dog.head.moved(-radius * 0.2, -radius * 0.95, -dog.pose.nod - 20)
        neck.fill(frame.polygon((-20, -1.4), (20, -1.4), (20, 1.2), (-20, 1.2)), dog.pose.collar)


def _paint_face(canvas: Canvas, dog: Skeleton, coat: Coat, ink: Color) -> None:
    breed, head = dog.breed, dog.head
    radius, tip = breed.head_radius, breed.muzzle_depth
    end = radius + breed.muzzle_length
    mouth = (end - tip * 0.4, -radius * 0.4 - tip * 0.45)
    corner = (radius * 0.62, -radius * 0.66)
    if dog.pose.tongue:
        tongue = head.moved((mouth[0] + corner[0]) / 2 + 0.8, mouth[1] - 0.6, -dog.pose.nod)
        canvas.solid([tongue.oval(0, -2.2, 1.7, 2.8)], (232, 110, 120), ink)
    lips = [head.point(*corner), head.point((mouth[0] + corner[0]) / 2, mouth[1] - 0.8), head.point(*mouth)]
    canvas.stroke(lips, ink, 1.5)
    canvas.fill(head.oval(end - tip * 0.2, -radius * 0.4 + tip * 0.55, 1.9, 1.5), _INK)
    canvas.fill(head.oval(end - tip * 0.2 - 0.4, -radius * 0.4 + tip * 0.55 + 0.5, 0.6, 0.4), (150, 140, 140))
    eye = head.moved(radius * 0.42, radius * 0.18)
    size = 1.5 + 0.09 * radius
    canvas.solid([eye.oval(0, 0, size, size * 1.1)], _WHITE, _INK)
    iris = (84, 150, 214) if coat.marking == "wolf" else (74, 46, 32)
    canvas.fill(eye.oval(size * 0.22, -size * 0.05, size * 0.72, size * 0.82), iris)
    canvas.fill(eye.oval(size * 0.28, -size * 0.05, size * 0.4, size * 0.5), _INK)
    canvas.fill(eye.oval(size * 0.4, size * 0.4, size * 0.24, size * 0.24), _WHITE)
