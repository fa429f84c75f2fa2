"""What an upload has to do: which files are there already, which S3 can copy, which must be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.data.file_stamp import FileStamp
from sagemaker_dogbreed.data.versions.manifest import Entry
from sagemaker_dogbreed.errors import DatasetError

if TYPE_CHECKING:
    from sagemaker_dogbreed.store.interface import StoredObject

_NAMED = 5  # objects named in a message


class SourceFile(NamedTuple):
    """A file to be an object: its key below the version's prefix, and what it holds.

    Without a ``stamp`` it has to be read to know whether it still holds that.
    """

    key: str
    path: Path
    size: int
    sha256: str
    stamp: FileStamp | None


class SyncPlan(NamedTuple):
    """``done`` are the objects that are right as they are, ``copies`` pairs of a file and its twin's URI."""

    done: dict[str, Entry]
    copies: list[tuple[SourceFile, str]]
    uploads: list[SourceFile]


def plan(
    files: Iterable[SourceFile],
    listing: Mapping[str, StoredObject],
    known: Mapping[str, Entry],
    twins: Mapping[str, str] | None = None,
) -> SyncPlan:
    """Divide files by what has to be done.

    Args:
        files: All that the version consists of.
        listing: The objects below its prefix, by key.
        known: What was noted of them when they were stored, by key.
        twins: URIs of other objects, by SHA-256.
    """
    result = SyncPlan(done={}, copies=[], uploads=[])
    for file in files:
        entry = known.get(file.key)
        if entry is not None and entry.sha256 == file.sha256 and is_there(entry, listing):
            result.done[file.key] = entry
        elif twins and file.sha256 in twins:
            result.copies.append((file, twins[file.sha256]))
        else:
            result.uploads.append(file)
    return result


def is_there(entry: Entry, listing: Mapping[str, StoredObject]) -> bool:
    """Return whether an object is still the one that was stored."""
    found = listing.get(entry.key)
    return found is not None and found.size == entry.size and found.etag == entry.etag


def by_key(objects: Iterable[StoredObject], uri: str) -> dict[str, StoredObject]:
    """Return objects by their keys below a prefix."""
    return {item.uri[len(uri) + 1 :]: item for item in objects}


def refuse_strays(uri: str, keys: Iterable[str], listing: Iterable[str]) -> None:
    """Raise DatasetError if there are objects in the channels of a version that are not its own.

    A job that reads a channel's prefix would train on them.
    """
    own = set(keys)
    folders = tuple(f"{split}/" for split in SPLITS)
    strays = sorted(key for key in listing if key.startswith(folders) and key not in own)
    if strays:
        named = ", ".join(f"{uri}/{key}" for key in strays[:_NAMED])
        more = f" and {len(strays) - _NAMED:,} more" if len(strays) > _NAMED else ""
        raise DatasetError(
            f"{uri} holds objects that are not part of this version, and jobs would train on them: "
            f"{named}{more}. Delete them and repeat the call"
        )
