from __future__ import annotations

import io
import os
import resource
import stat
import struct
import sys
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sagemaker_dogbreed.data.archive import extract, extracted, recognise
from sagemaker_dogbreed.data.locking import exclusive
from sagemaker_dogbreed.errors import ArchiveError

FILES = {
    "dogs/beagle/1.jpg": b"one" * 1000,
    "dogs/beagle/été 2.jpg": b"",
    "dogs/pug/1.jpg": os.urandom(70_000),
}
Maker = Callable[[Path, Iterable[tuple[str, bytes]]], None]


def make_zip(
    path: Path, members: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED
) -> None:
    with zipfile.ZipFile(path, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same name twice is meant
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.compress_type = compression
            member.filename = member.orig_filename = name  # not cleaned, as an attacker would
            file.writestr(member, content)


def make_tar(path: Path, members: Iterable[tuple[str, bytes]], mode: str = "w") -> None:
    with tarfile.open(path, mode, errors="surrogateescape") as file:  # type: ignore[call-overload]  # mode is a parameter
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            file.addfile(member, io.BytesIO(content))


def unpack(archive: Path, destination: Path, **limits: Any) -> Path:
    options = {"max_files": 1000, "max_total_bytes": 10_000_000, "progress": False, **limits}
    return extract(archive, destination, **options)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".lock", ".bin"))


KINDS: dict[str, tuple[str, Maker]] = {
    "zip": ("zip", make_zip),
    "stored zip": ("zip", lambda path, members: make_zip(path, members, zipfile.ZIP_STORED)),
    "bzip2 zip": ("zip", lambda path, members: make_zip(path, members, zipfile.ZIP_BZIP2)),
    "tar": ("tar", make_tar),
    "tar.gz": ("tar", lambda path, members: make_tar(path, members, "w:gz")),
    "tar.bz2": ("tar", lambda path, members: make_tar(path, members, "w:bz2")),
    "tar.xz": ("tar", lambda path, members: make_tar(path, members, "w:xz")),
}
MAKERS = {"zip": make_zip, "tar": make_tar}


@pytest.mark.parametrize("kind", KINDS)
def test_archives_are_recognised_by_content(tmp_path: Path, kind: str) -> None:
    """Each kind is unpacked whatever its file is called, and an existing result is used again."""
    expected, make = KINDS[kind]
    archive = tmp_path / "a.bin"
    make(archive, FILES.items())
    assert recognise(archive) == expected
    folder = extracted(
        archive, tmp_path / "new" / "cache", max_files=9, max_total_bytes=10**6, progress=False
    )
    assert tree(folder) == FILES
    (folder / "mark").touch()
    again = extracted(archive, tmp_path / "new" / "cache", max_files=9, max_total_bytes=10**6, progress=False)
    assert (again, (folder / "mark").exists()) == (folder, True)
    assert leftovers(folder.parent) == [folder.name]


def test_other_content_is_unpacked_elsewhere(tmp_path: Path) -> None:
    """The folder in the cache depends on the archive's bytes, not on its name."""
    archive = tmp_path / "a.bin"
    make_zip(archive, FILES.items())
    first = extracted(archive, tmp_path, max_files=9, max_total_bytes=10**6, progress=False)
    make_zip(archive, [("b/1.jpg", b"new")])
    second = extracted(archive, tmp_path, max_files=9, max_total_bytes=10**6, progress=False)
    assert (tree(first), tree(second)) == (FILES, {"b/1.jpg": b"new"})


@pytest.mark.parametrize("kind", MAKERS)
def test_by_products_of_file_managers_are_skipped(tmp_path: Path, kind: str) -> None:
    """Finder's and Explorer's own files are not unpacked; "./" before names does not matter."""
    archive = tmp_path / "a.bin"
    junk = [("__MACOSX/dogs/._1.jpg", b"x"), ("dogs/.DS_Store", b"x"), ("dogs/Thumbs.db", b"x")]
    MAKERS[kind](archive, [("./", b""), ("./dogs/", b""), ("__MACOSX/", b""), *junk, ("./dogs/1.jpg", b"1")])
    folder = unpack(archive, tmp_path / "out")
    assert [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))] == ["dogs", "dogs/1.jpg"]


def test_permissions_in_archives_are_ignored(tmp_path: Path) -> None:
    """Files become 0644 and folders 0755, whatever the archive says."""
    archive = tmp_path / "a.bin"
    with tarfile.open(archive, "w") as file:
        folder = tarfile.TarInfo("dogs")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o000
        file.addfile(folder)
        member = tarfile.TarInfo("dogs/1.jpg")
        member.mode, member.uid = 0o6777, 12345
        file.addfile(member)
    out = unpack(archive, tmp_path / "out")
    umask = os.umask(0)
    os.umask(umask)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (out, out / "dogs", out / "dogs/1.jpg")]
    assert modes == [0o755 & ~umask, 0o755 & ~umask, 0o644 & ~umask]
    assert (out / "dogs/1.jpg").stat().st_uid == os.getuid()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("a/..", "leads out"),
        ("/etc/evil", "absolute"),
        ("//evil", "absolute"),
        ("C:/evil", "absolute"),
        ("c:evil", "absolute"),
        ("..\\evil", "backslash"),
        ("a\x1b[2Jb", "control characters"),
        ("a\nb", "control characters"),
        ("a\u2028b", "control characters"),
        ("a/" * 40 + "b", "deeper than 32"),
        ("a" * 2000, "longer than 1024"),
        (".", "has no name"),
    ],
)
def test_unsafe_names_are_refused(tmp_path: Path, kind: str, name: str, reason: str) -> None:
    """A name that leads anywhere else, or that cannot be trusted, makes the archive unusable."""
    archive = tmp_path / "a.bin"
    MAKERS[kind](archive, [("good/1.jpg", b"1"), (name, b"evil")])
    with pytest.raises(ArchiveError, match=rf"a\.bin is not safe to unpack: the entry .* {reason}"):
        unpack(archive, tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_a_nul_in_a_zip_name_is_refused(tmp_path: Path) -> None:
    """A name is not cut off at a NUL, where it could look harmless."""
    archive = tmp_path / "a.bin"
    make_zip(archive, [("a.jpg_.exe", b"1")])
    archive.write_bytes(archive.read_bytes().replace(b"a.jpg_.exe", b"a.jpg\0.exe"))
    with pytest.raises(ArchiveError, match="control characters"):
        unpack(archive, tmp_path / "out")


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    """A tar name of other bytes has no spelling that is the same everywhere."""
    make_tar(tmp_path / "a.bin", [("caf\udce9/1.jpg", b"1")])
    with pytest.raises(ArchiveError, match="not UTF-8"):
        unpack(tmp_path / "a.bin", tmp_path / "out")


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a/1.jpg", "a/1.JPG"], "letter case"),
        (["Beagle/1.jpg", "beagle/2.jpg"], "letter case"),
        (["caf\u00e9/1.jpg", "cafe\u0301/2.jpg"], "accents"),
        (["a", "a/1.jpg"], "both a file and a folder"),
        (["a/1.jpg", "a"], "both a file and a folder"),
        (["a/1.jpg", "./a//1.jpg"], "is there twice"),
    ],
)
def test_names_that_clash_are_refused(tmp_path: Path, kind: str, names: list[str], reason: str) -> None:
    """No member may replace another one, on any file system."""
    archive = tmp_path / "a.bin"
    MAKERS[kind](archive, [(name, b"x") for name in names])
    with pytest.raises(ArchiveError, match=reason):
        unpack(archive, tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_a_folder_may_be_listed_twice(tmp_path: Path) -> None:
    """A repeated entry for a folder changes nothing and is accepted."""
    make_tar(tmp_path / "a.bin", [("a/", b""), ("a/1.jpg", b"1"), ("a/", b"")])
    assert tree(unpack(tmp_path / "a.bin", tmp_path / "out")) == {"a/1.jpg": b"1"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    """Only ordinary files and folders are unpacked; nothing is written through a link."""
    with tarfile.open(tmp_path / "a.bin", "w") as file:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = kind, "/etc"
        file.addfile(member)
        file.addfile(tarfile.TarInfo("a/passwd"))
    with pytest.raises(ArchiveError, match="a link, a device or a sparse file"):
        unpack(tmp_path / "a.bin", tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    """A zip member marked as a link is neither followed nor written."""
    with zipfile.ZipFile(tmp_path / "a.bin", "w") as file:
        member = zipfile.ZipInfo("a")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(member, "/etc")
    with pytest.raises(ArchiveError, match="a link or a device"):
        unpack(tmp_path / "a.bin", tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    """The error says that the archive is encrypted."""
    archive = tmp_path / "a.bin"
    make_zip(archive, [("a.jpg", b"1")])
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="encrypted"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", MAKERS)
def test_too_many_entries_are_refused(tmp_path: Path, kind: str) -> None:
    """The limit counts folders and skipped files, too; the error names the setting."""
    archive = tmp_path / "a.bin"
    MAKERS[kind](archive, [("a/", b""), ("a/1", b""), ("__MACOSX/2", b"")])
    assert tree(unpack(archive, tmp_path / "enough", max_files=3)) == {"a/1": b""}
    with pytest.raises(ArchiveError, match=r"more than max_files \(2\)"):
        unpack(archive, tmp_path / "out", max_files=2)


@pytest.mark.parametrize("kind", KINDS)
def test_bombs_are_refused(tmp_path: Path, kind: str) -> None:
    """What really comes out is counted, over all files and skipped ones; nothing stays."""
    archive = tmp_path / "a.bin"
    KINDS[kind][1](archive, [("a", bytes(600_000)), ("__MACOSX/b", bytes(400_000))])
    assert len(tree(unpack(archive, tmp_path / "enough", max_total_bytes=1_000_000))) == 1
    with pytest.raises(ArchiveError, match=r"more than max_total_gb allows \(999,999 bytes\)"):
        unpack(archive, tmp_path / "out", max_total_bytes=999_999)
    assert leftovers(tmp_path) == ["enough"]


def test_a_zip_cannot_lie_about_its_size(tmp_path: Path) -> None:
    """A member that says it is small, and is not, gets no further than it said."""
    archive = tmp_path / "a.bin"
    make_zip(archive, [("a", bytes(5_000_000))])
    size = struct.pack("<L", 5_000_000)
    archive.write_bytes(archive.read_bytes().replace(size, struct.pack("<L", 10)))
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(archive, tmp_path / "out", max_total_bytes=1000)
    assert leftovers(tmp_path) == []


def test_endless_metadata_in_a_tar_is_refused(tmp_path: Path) -> None:
    """An extended header of many megabytes is refused before it is in memory."""
    with tarfile.open(tmp_path / "a.bin", "w:gz") as file:
        header = tarfile.TarInfo("x")
        header.type, header.size = tarfile.XHDTYPE, 50_000_000
        file.addfile(header, io.BytesIO(bytes(50_000_000)))
    with pytest.raises(ArchiveError, match=r"a\.bin is damaged: the metadata of a member is absurdly long"):
        unpack(tmp_path / "a.bin", tmp_path / "out")


def test_a_negative_size_in_a_tar_is_refused(tmp_path: Path) -> None:
    """A member cannot send the reader back to where it was."""
    member = tarfile.TarInfo("a")
    member.size = -1024
    (tmp_path / "a.bin").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(ArchiveError, match="negative"):
        unpack(tmp_path / "a.bin", tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_an_archive_that_was_cut_off_is_damaged(tmp_path: Path, kind: str, share: float) -> None:
    """A part of an archive is an error with the file's name; nothing stays."""
    archive = tmp_path / "a.bin"
    KINDS[kind][1](archive, FILES.items())
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    with pytest.raises(ArchiveError, match=r"a\.bin is (damaged|neither)"):
        unpack(archive, tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_a_tar_cut_off_between_members_is_damaged(tmp_path: Path) -> None:
    """The end mark is missed even where the cut is clean, and so is a header that cannot be read."""
    archive = tmp_path / "a.bin"
    make_tar(archive, [("a", b"x" * 512), ("b", b"x" * 512)])
    whole = archive.read_bytes()
    archive.write_bytes(whole[:1024])
    with pytest.raises(ArchiveError, match="its end is missing"):
        unpack(archive, tmp_path / "out")
    archive.write_bytes(whole[:1024] + b"?" * 512 + whole[1536:])
    with pytest.raises(ArchiveError, match="unreadable data"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", MAKERS)
def test_wrong_bytes_are_noticed(tmp_path: Path, kind: str) -> None:
    """A checksum inside the archive that does not fit is an error."""
    archive = tmp_path / "a.bin"
    maker = {"zip": make_zip, "tar": KINDS["tar.gz"][1]}[kind]
    maker(archive, [("a", os.urandom(100_000))])
    data = bytearray(archive.read_bytes())
    data[50_000] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"a\.bin is damaged"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a zip nor a tar"),
        (b"hello" * 1000, "neither a zip nor a tar"),
        (b"<html>", "a web page"),
        (b"7z\xbc\xaf\x27\x1c", "RAR or 7z"),
        (b"BZh9nonsense", "neither"),
        (bytes(10_240), "holds no files"),
        (b"PK\x05\x06" + bytes(18), "holds no files"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Other files, and archives without files, are errors that say what the file may be."""
    archive = tmp_path / "a.bin"
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"a\.bin .*{message}"):
        unpack(archive, tmp_path / "out")
    assert leftovers(tmp_path) == []


def test_an_archive_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    """A file that is gone is an ArchiveError with its name."""
    with pytest.raises(ArchiveError, match=r"gone\.zip cannot be read: No such file"):
        extracted(tmp_path / "gone.zip", tmp_path, max_files=1, max_total_bytes=1)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that opens and cannot be read")
def test_a_disk_that_fails_is_not_called_damage(tmp_path: Path) -> None:
    """If the archive cannot be read the error says why, and does not blame its content."""
    with pytest.raises(ArchiveError, match=r"mem cannot be unpacked to .*Input/output error"):
        unpack(Path("/proc/self/mem"), tmp_path / "out")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """If a file cannot be written the error names the destination, and no part of it stays."""
    make_zip(tmp_path / "a.bin", [("a", bytes(1000)), ("b", bytes(300_000))])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ArchiveError, match=r"cannot be unpacked to '.*out': File too large"):
            unpack(tmp_path / "a.bin", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert leftovers(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle removes what was unpacked so far and goes on to the caller."""
    archive = tmp_path / "a.bin"
    pipe = tmp_path / "out.part" / "a"
    make_zip(archive, [("a", b"1"), ("b", b"2")])

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if pipe.exists():
                raise KeyboardInterrupt
            return len(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            unpack(archive, tmp_path / "out", progress=True)
    assert leftovers(tmp_path) == []
    assert tree(unpack(archive, tmp_path / "out")) == {"a": b"1", "b": b"2"}


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """An unfinished folder of an earlier process is not taken for part of the data set."""
    make_zip(tmp_path / "a.bin", [("a/1", b"1")])
    (tmp_path / "out.part" / "b").mkdir(parents=True)
    assert tree(unpack(tmp_path / "a.bin", tmp_path / "out")) == {"a/1": b"1"}
    assert leftovers(tmp_path) == ["out"]


def test_two_who_unpack_the_same_take_turns(tmp_path: Path) -> None:
    """While another process unpacks, the second one waits, and then uses what is there."""
    archive, out = tmp_path / "a.bin", tmp_path / "out"
    make_zip(archive, [("a/1", b"1")])
    second = threading.Thread(target=unpack, args=(archive, out))
    with exclusive(out):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        (out / "b").mkdir(parents=True)
    second.join(20)
    assert [path.name for path in out.iterdir()] == ["b"]


NAMES = st.one_of(
    st.lists(
        st.sampled_from(["..", ".", "", "a", "A", "b", "C:", "\\", "é", "e\u0301", "\x00", "\n", "~", "con"]),
        min_size=1,
        max_size=5,
    ).map("/".join),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
)


@pytest.mark.parametrize("kind", MAKERS)
@settings(deadline=None, max_examples=150)
@given(names=st.lists(NAMES, min_size=1, max_size=4))
@example(names=["a", "a"])
def test_whatever_the_names_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, kind: str, names: list[str]
) -> None:
    """Either all members are unpacked inside the folder, or there is an ArchiveError and nothing is."""
    outer = tmp_path_factory.mktemp("case")
    sandbox = outer / "deep" / "er"
    sandbox.mkdir(parents=True)
    archive = outer / "a.bin"
    try:
        MAKERS[kind](archive, [(name, b"x") for name in names])
    except (ValueError, UnicodeError):  # the name cannot be put into such an archive
        return
    try:
        out = unpack(archive, sandbox / "out")
    except ArchiveError:
        assert leftovers(sandbox) == []
    else:
        assert all(path.is_relative_to(out) for path in out.rglob("*"))
        assert out == sandbox / "out"
    assert leftovers(outer) == ["deep"]
    assert leftovers(outer / "deep") == ["er"]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_the_damage_it_is_an_archive_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: Any
) -> None:
    """Bytes changed anywhere give the right files, files with other names, or an ArchiveError."""
    folder = tmp_path_factory.mktemp("case")
    archive = folder / "a.bin"
    KINDS[kind][1](archive, [("a/1", b"one" * 50), ("b/2", b"two")])
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, min(len(content) - 1, 3000)))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content)
    try:
        unpack(archive, folder / "out", max_total_bytes=100_000)
    except ArchiveError:
        assert leftovers(folder) == []
