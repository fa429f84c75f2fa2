"""What one version of a data set consists of, as a file beside it in S3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import attrs

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.data.keys import complaint
from sagemaker_dogbreed.errors import DatasetError
from sagemaker_dogbreed.specs.compute import NAME_PATTERN

MANIFEST_NAME = "manifest.json"
"""The manifest's name below the version's prefix; it is written last, so where it is all else is too."""

LARGEST_MANIFEST = 1 << 30
"""Bytes; a million objects take about 200 MB."""

_FORMAT = 1


class Entry(NamedTuple):
    """An object below a version's prefix: its key there, size in bytes, SHA-256 and etag."""

    key: str
    size: int
    sha256: str
    etag: str


@attrs.frozen(kw_only=True)
class Manifest:
    """One version of a data set: its classes, how many images it has, and every object."""

    name: str
    version: str
    classes: tuple[str, ...]
    image_count: int
    entries: tuple[Entry, ...] = attrs.field(repr=False)

    def to_json(self) -> bytes:
        """Return the manifest as a file; the same manifest gives the same bytes."""
        content = {
            "format": _FORMAT,
            "name": self.name,
            "version": self.version,
            "classes": self.classes,
            "image_count": self.image_count,
            "objects": [entry._asdict() for entry in self.entries],
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes, uri: str) -> Manifest:
        """Return the manifest that a file holds; it may come from anybody.

        Raises:
            DatasetError: It is none, or names an object that cannot be part of a data set.
        """
        try:
            whole = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{uri} is no manifest of a data set: {error}") from error
        try:
            return cls._checked(whole)
        except (ValueError, TypeError, KeyError) as error:
            reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
            raise DatasetError(f"{uri} is no manifest of a data set that can be used: {reason}") from error

    @classmethod
    def _checked(cls, whole: Any) -> Manifest:
        if not isinstance(whole, dict):
            raise ValueError("it is no JSON object")
        if whole["format"] != _FORMAT:
            raise ValueError(f"its format is {whole['format']!r}; this library reads {_FORMAT}")
        entries = tuple(_entry(item) for item in _list(whole, "objects"))
        if len({entry.key for entry in entries}) < len(entries):
            raise ValueError("it names an object twice")
        classes = tuple(_text(name, r"[^/\x00-\x1f\x7f]{1,255}") for name in _list(whole, "classes"))
        if len(classes) < 2 or list(classes) != sorted(set(classes)):
            raise ValueError("its classes are not two or more names in order")
        return cls(
            name=_text(whole["name"], NAME_PATTERN),
            version=_text(whole["version"], r"[0-9a-f]{16}(-shards[0-9]{1,6})?"),
            classes=classes,
            image_count=_count(whole["image_count"]),
            entries=entries,
        )


def channel_manifest(uri: str, split: str, keys: Iterable[str]) -> bytes:
    """Return the file that lists a channel's objects for SageMaker, which then loads these and no others.

    Source: S3DataSource in the SageMaker API reference, S3DataType ManifestFile.
    """
    prefix = f"{split}/"
    names = [key[len(prefix) :] for key in keys if key.startswith(prefix)]
    # A line for each, as with an indent, but an indent takes ten times as long.
    whole = [{"prefix": f"{uri}/{prefix}"}, *names]
    return json.dumps(whole, ensure_ascii=False, separators=(",\n", ": ")).encode()


def _entry(item: Mapping[str, Any]) -> Entry:
    if not isinstance(item, dict):
        raise ValueError(f"{item!r:.100} is no object's description")
    key = item["key"]
    if not isinstance(key, str) or complaint(key) is not None:
        raise ValueError(f"{key!r:.100} cannot be an object's key")
    split, *parts = key.split("/")
    if split not in SPLITS or not parts or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"{key!r:.100} is not the key of an object in {', '.join(SPLITS)}")
    return Entry(
        key=key,
        size=_count(item["size"]),
        sha256=_text(item["sha256"], "[0-9a-f]{64}"),
        etag=_text(item["etag"], r"[\x21-\x7e]{0,200}"),
    )


def _list(whole: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(whole[name], list):
        raise ValueError(f"{name} is no list")
    return whole[name]  # type: ignore[no-any-return]  # checked


def _text(value: object, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{value!r:.100} does not match {pattern}")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.100} is not the size or number of anything")
    return value
