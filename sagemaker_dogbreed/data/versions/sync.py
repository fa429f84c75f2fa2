"""Brings a prepared data set to S3, and sends only what is not there yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.data.file_stamp import FileStamp
from sagemaker_dogbreed.data.prepare import PreparedDataset
from sagemaker_dogbreed.data.versions.dataset import Dataset, channel_uris, dataset_uri
from sagemaker_dogbreed.data.versions.journal import Journal
from sagemaker_dogbreed.data.versions.manifest import (
    LARGEST_MANIFEST,
    MANIFEST_NAME,
    Entry,
    Manifest,
    channel_manifest,
)
from sagemaker_dogbreed.data.versions.sync_plan import (
    SourceFile,
    SyncPlan,
    by_key,
    is_there,
    plan,
    refuse_strays,
)
from sagemaker_dogbreed.data.versions.upload_bar import UploadBar
from sagemaker_dogbreed.errors import DatasetError
from sagemaker_dogbreed.store.interface import Store, StoredObject

VERSION_DIGITS = 16
_MEGABYTE = 1_000_000


def sync(
    prepared: PreparedDataset, store: Store, bucket: str, *, cache_dir: Path, progress: bool = True
) -> Dataset:
    """Upload a prepared data set below ``<prefix>/<name>/<version>/`` and return it.

    Versions never mix: the same files end at the same place, changed files at another. An object is
    left alone while its size and etag are those it had when it was stored from a file with the same
    SHA-256; a file that an earlier version has too is copied within S3; the rest is sent. What was
    stored is noted at once, so that a call after an interruption goes on where that one ended.

    Args:
        prepared: The data set.
        store: Where to.
        bucket: The bucket, unless the spec names another.
        cache_dir: Where it is noted what was stored.
        progress: Whether to draw a progress bar.

    Raises:
        DatasetError: A file changed since it was examined, or there are objects in the version's channels
            that are not part of it.
        StoreError: The bucket cannot be read or written.
    """
    spec = prepared.spec
    version = prepared.fingerprint[:VERSION_DIGITS]
    if spec.shard_size_mb is not None:
        version += f"-shards{spec.shard_size_mb}"
    uri = dataset_uri(spec, bucket, version)
    journal = Journal(cache_dir, uri.rpartition("/")[0], version)
    shards = cache_dir / "shards" / f"{prepared.name}-{version}"
    try:
        _Upload(prepared, store, uri, journal, shards).run(progress=progress)
    finally:
        journal.close()
    if spec.shard_size_mb is not None:
        import shutil

        shutil.rmtree(shards, ignore_errors=True)
    return Dataset(
        name=prepared.name,
        version=version,
        uri=uri,
        channels=channel_uris(uri),
        classes=prepared.classes,
        image_count=len(prepared.files),
        report=prepared.report,
    )


class _Upload:
    """The upload of one version."""

    def __init__(
        self, prepared: PreparedDataset, store: Store, uri: str, journal: Journal, shards: Path
    ) -> None:
        self.prepared, self.store, self.uri, self.journal, self.shards = prepared, store, uri, journal, shards
        self.noted = journal.read()
        self.listing = by_key(store.objects(f"{uri}/", self.noted), uri)

    def run(self, *, progress: bool) -> None:
        known = dict(self.noted)
        files = self._files(known)
        refuse_strays(self.uri, (file.key for file in files), self.listing)
        todo = plan(files, self.listing, known)
        if todo.uploads:
            from sagemaker_dogbreed.data.versions.earlier_versions import find_twins

            twins = find_twins(self.store, self.uri.rpartition("/")[0], self.journal)
            todo = plan(files, self.listing, known, twins)
        for entry in todo.done.values():
            self._note(entry)
        entries = self._transfer(files, todo, progress=progress)
        self._write_manifests([entries[file.key] for file in files], known)

    def _files(self, known: dict[str, Entry]) -> Sequence[SourceFile]:
        """Return what the version consists of, and add to what is known of it what its manifest tells."""
        shard_size = self.prepared.spec.shard_size_mb
        manifest = self._manifest(known) if shard_size is not None or not self._is_noted() else None
        if manifest is not None:
            known.update((entry.key, entry) for entry in manifest.entries)
        if shard_size is None:
            images = self.prepared.files
            return [SourceFile(item.key, item.path, item.size, item.sha256, item.stamp) for item in images]
        if manifest is not None and all(is_there(entry, self.listing) for entry in manifest.entries):
            # The version tells what is in the shards: there is no need to pack them once more.
            return [
                SourceFile(entry.key, self.shards / entry.key, entry.size, entry.sha256, None)
                for entry in manifest.entries
            ]
        from sagemaker_dogbreed.data.versions.shards import pack

        return pack(self.prepared.files, self.shards, shard_size * _MEGABYTE)

    def _is_noted(self) -> bool:
        """Return whether the manifest is the one that was written from here."""
        entry = self.noted.get(MANIFEST_NAME)
        return entry is not None and is_there(entry, self.listing)

    def _manifest(self, known: dict[str, Entry]) -> Manifest | None:
        """Return the manifest that is in S3, if it is there and of this version."""
        found = self.listing.get(MANIFEST_NAME)
        if found is None:
            return None
        content = self.store.read(found.uri, LARGEST_MANIFEST)
        try:
            manifest = Manifest.from_json(content, found.uri)
        except DatasetError:
            return None  # it will be written anew
        if manifest.version != self.uri.rpartition("/")[2]:
            return None
        digest = hashlib.sha256(content).hexdigest()
        known[MANIFEST_NAME] = Entry(MANIFEST_NAME, found.size, digest, found.etag)
        return manifest

    def _transfer(
        self, files: Sequence[SourceFile], todo: SyncPlan, *, progress: bool
    ) -> Mapping[str, Entry]:
        """Copy and send what has to be, and return all objects of the version."""
        entries = dict(todo.done)
        moved = {file.key: file for file in (*todo.uploads, *(file for file, _ in todo.copies))}
        bar = UploadBar(
            self.prepared.name,
            files=len(files),
            size=sum(file.size for file in files),
            done=len(entries),
            done_size=sum(entry.size for entry in entries.values()),
            show=progress,
        )

        def stored(key: str, item: StoredObject) -> None:
            file = moved[key]
            entry = Entry(key, item.size, file.sha256, item.etag)
            if item.size != file.size:
                raise _changed(file)
            entries[key] = entry
            self._note(entry)
            bar.add(item.size)

        def sent(key: str, item: StoredObject) -> None:
            if not _is_unchanged(moved[key]):
                raise _changed(moved[key])
            stored(key, item)

        with bar:
            if todo.copies:
                pairs = ((twin, file.key) for file, twin in todo.copies)
                self.store.copy_tree(pairs, self.uri, stored)
            if todo.uploads:
                self.store.put_tree(((file.key, file.path) for file in todo.uploads), self.uri, sent)
        return entries

    def _write_manifests(self, entries: Sequence[Entry], known: Mapping[str, Entry]) -> None:
        """Write what lists the version's objects, last of all, unless it is there already."""
        manifest = Manifest(
            name=self.prepared.name,
            version=self.uri.rpartition("/")[2],
            classes=self.prepared.classes,
            image_count=len(self.prepared.files),
            entries=tuple(entries),
        )
        keys = [entry.key for entry in entries]
        channels = {f"{split}.manifest": channel_manifest(self.uri, split, keys) for split in SPLITS}
        self._write(channels, known)
        self._write({MANIFEST_NAME: manifest.to_json()}, known)

    def _write(self, contents: Mapping[str, bytes], known: Mapping[str, Entry]) -> None:
        """Write objects of such contents, all at a time, but those that are there already."""
        digests = {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}
        missing = []
        for key, digest in digests.items():
            there = known.get(key)
            if there is not None and there.sha256 == digest and is_there(there, self.listing):
                self._note(there)
            else:
                missing.append(key)
        if not missing:
            return
        import tempfile

        def stored(key: str, item: StoredObject) -> None:
            self._note(Entry(key, item.size, digests[key], item.etag))

        with tempfile.TemporaryDirectory() as folder:
            files = [(key, Path(folder) / key) for key in missing]
            for key, path in files:
                path.write_bytes(contents[key])
            self.store.put_tree(files, self.uri, stored)

    def _note(self, entry: Entry) -> None:
        if self.noted.get(entry.key) != entry:
            self.journal.add(entry)


def _is_unchanged(file: SourceFile) -> bool:
    """Return whether a file that was sent is still the one that was examined, and so was when it was sent."""
    try:
        if file.stamp is not None:
            return FileStamp.of(file.path) == file.stamp
        with file.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _changed(file: SourceFile) -> DatasetError:
    return DatasetError(
        f"{file.path} changed since it was examined; repeat the call when nothing writes to it"
    )
