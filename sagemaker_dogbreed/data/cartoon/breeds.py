"""The breeds the cartoonist knows: proportions, ears, tails and coats, as a table of values."""

from __future__ import annotations

from typing import Literal

import attrs

Color = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

Ears = Literal["button", "drop", "prick"]
Tail = Literal["curl", "low", "nub", "plume", "pompom", "saber"]
Texture = Literal["curly", "shaggy", "smooth"]
Marking = Literal["mask", "pale", "plain", "points", "saddle", "spots", "wolf"]


@attrs.frozen(kw_only=True)
class Coat:
    """One color variety: ``base`` covers the dog, ``second`` and ``third`` paint the marking."""

    base: Color
    second: Color
    third: Color
    marking: Marking


@attrs.frozen(kw_only=True)
class Breed:
    """What sets one breed's drawing apart; lengths are in hundredths of the picture's side.

    ``tuck`` is how far the belly rises toward the hind legs, from 0 (a barrel) to 1 (a sighthound);
    ``muzzle_depth`` is the thickness of the muzzle's tip.
    """

    name: str
    body_length: float
    body_depth: float
    leg_length: float
    leg_width: float
    neck_length: float
    head_radius: float
    muzzle_length: float
    muzzle_depth: float
    ears: Ears
    ear_length: float
    tail: Tail
    tail_length: float
    texture: Texture = "smooth"
    tuck: float = 0.25
    coats: tuple[Coat, ...]

    @property
    def extent(self) -> float:
        """About how much of the picture the dog takes up, the larger of length and height."""
        head = 2 * self.head_radius
        length = self.body_length + 0.5 * self.neck_length + 0.5 * head + self.muzzle_length
        return max(length, self.leg_length + self.body_depth + self.neck_length + head)


_BLACK = (46, 42, 44)
_WHITE = (246, 242, 234)
_CREAM = (250, 228, 188)
_TAN = (203, 137, 72)
_RED = (176, 92, 44)
_GOLD = (222, 166, 88)
_FAWN = (224, 186, 136)
_CHOCOLATE = (104, 64, 42)
_GRAY = (142, 146, 154)

_TRICOLOR = Coat(base=_TAN, second=_BLACK, third=_WHITE, marking="saddle")
_LEMON = Coat(base=_GOLD, second=_RED, third=_WHITE, marking="saddle")


def _plain(color: Color) -> Coat:
    return Coat(base=color, second=color, third=color, marking="plain")


def _pale(color: Color, pale: Color) -> Coat:
    return Coat(base=color, second=pale, third=pale, marking="pale")


_ALL = (
    Breed(
        name="basset_hound",
        body_length=41,
        body_depth=18,
        leg_length=7,
        leg_width=4.2,
        neck_length=4,
        head_radius=10,
        muzzle_length=9,
        muzzle_depth=5.2,
        ears="drop",
        ear_length=23,
        tail="saber",
        tail_length=19,
        tuck=0.1,
        coats=(_TRICOLOR, _LEMON),
    ),
    Breed(
        name="beagle",
        body_length=31,
        body_depth=16,
        leg_length=17,
        leg_width=3.3,
        neck_length=6,
        head_radius=10,
        muzzle_length=7,
        muzzle_depth=4.2,
        ears="drop",
        ear_length=13,
        tail="saber",
        tail_length=19,
        coats=(_TRICOLOR, _LEMON),
    ),
    Breed(
        name="corgi",
        body_length=38,
        body_depth=17,
        leg_length=7,
        leg_width=3.6,
        neck_length=6,
        head_radius=10.5,
        muzzle_length=6,
        muzzle_depth=3.2,
        ears="prick",
        ear_length=14,
        tail="nub",
        tail_length=4,
        tuck=0.1,
        coats=(
            _pale(_GOLD, _WHITE),
            _pale(_TAN, _WHITE),
            _pale(_RED, _WHITE),
        ),
    ),
    Breed(
        name="dachshund",
        body_length=50,
        body_depth=13.5,
        leg_length=6,
        leg_width=3,
        neck_length=7,
        head_radius=8.5,
        muzzle_length=11,
        muzzle_depth=3,
        ears="drop",
        ear_length=14,
        tail="saber",
        tail_length=17,
        coats=(
            _plain(_RED),
            Coat(base=_BLACK, second=_TAN, third=_TAN, marking="points"),
            Coat(base=_CHOCOLATE, second=_TAN, third=_TAN, marking="points"),
        ),
    ),
    Breed(
        name="dalmatian",
        body_length=32,
        body_depth=15,
        leg_length=23,
        leg_width=2.9,
        neck_length=9,
        head_radius=9,
        muzzle_length=8.5,
        muzzle_depth=3.8,
        ears="drop",
        ear_length=11,
        tail="saber",
        tail_length=21,
        tuck=0.45,
        coats=(
            Coat(base=_WHITE, second=_BLACK, third=_BLACK, marking="spots"),
            Coat(base=_WHITE, second=_CHOCOLATE, third=_CHOCOLATE, marking="spots"),
        ),
    ),
    Breed(
        name="golden_retriever",
        body_length=35,
        body_depth=18,
        leg_length=17,
        leg_width=4,
        neck_length=7,
        head_radius=10.5,
        muzzle_length=7.5,
        muzzle_depth=4.6,
        ears="drop",
        ear_length=12,
        tail="plume",
        tail_length=24,
        texture="shaggy",
        coats=(_pale(_GOLD, _CREAM), _pale(_FAWN, _CREAM), _pale(_TAN, _GOLD)),
    ),
    Breed(
        name="greyhound",
        body_length=35,
        body_depth=15,
        leg_length=25,
        leg_width=2.1,
        neck_length=13,
        head_radius=6.5,
        muzzle_length=10,
        muzzle_depth=2.4,
        ears="button",
        ear_length=7,
        tail="low",
        tail_length=24,
        tuck=1,
        coats=(_plain(_GRAY), _pale(_FAWN, _CREAM), _plain(_BLACK)),
    ),
    Breed(
        name="husky",
        body_length=34,
        body_depth=17,
        leg_length=19,
        leg_width=3.8,
        neck_length=7,
        head_radius=10.5,
        muzzle_length=6.5,
        muzzle_depth=3.8,
        ears="prick",
        ear_length=10,
        tail="curl",
        tail_length=24,
        texture="shaggy",
        coats=(
            Coat(base=_GRAY, second=_WHITE, third=_WHITE, marking="wolf"),
            Coat(base=_BLACK, second=_WHITE, third=_WHITE, marking="wolf"),
            Coat(base=_RED, second=_WHITE, third=_WHITE, marking="wolf"),
        ),
    ),
    Breed(
        name="poodle",
        body_length=28,
        body_depth=14,
        leg_length=21,
        leg_width=2.4,
        neck_length=9,
        head_radius=8,
        muzzle_length=9,
        muzzle_depth=2.8,
        ears="drop",
        ear_length=13,
        tail="pompom",
        tail_length=13,
        texture="curly",
        tuck=0.6,
        coats=(_plain(_WHITE), _plain(_FAWN), _plain(_BLACK), _plain(_GRAY)),
    ),
    Breed(
        name="pug",
        body_length=27,
        body_depth=19,
        leg_length=11,
        leg_width=3.6,
        neck_length=2,
        head_radius=12.5,
        muzzle_length=2,
        muzzle_depth=6,
        ears="button",
        ear_length=8,
        tail="curl",
        tail_length=13,
        tuck=0.15,
        coats=(
            Coat(base=_FAWN, second=_BLACK, third=_BLACK, marking="mask"),
            Coat(base=_GRAY, second=_BLACK, third=_BLACK, marking="mask"),
            Coat(base=_CREAM, second=_BLACK, third=_BLACK, marking="mask"),
        ),
    ),
)

BREEDS = {breed.name: breed for breed in _ALL}
"""Every breed that can be drawn, by name."""
