"""A mapping that cannot be changed, so that specs which hold one are values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value", covariant=True)


class FrozenMapping(Mapping[Key, Value]):
    """A mapping that is hashable where its values are, and equal to any mapping with the same items.

    >>> FrozenMapping({"a": 1}) == {"a": 1}
    True
    """

    def __init__(self, items: Mapping[Key, Value]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: Key) -> Value:
        return self._items[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def frozen(value: object) -> object:
    """Return a mapping as one that cannot be changed; anything else as it is."""
    return FrozenMapping(value) if isinstance(value, Mapping) else value
