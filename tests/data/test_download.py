from __future__ import annotations

import hashlib
import io
import logging
import os
import random
import re
import resource
import socket
import ssl
import sys
import tarfile
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.data.connection_trouble import connection_trouble, tls_trouble
from sagemaker_dogbreed.data.download import download, shown
from sagemaker_dogbreed.data.fetch import fetch
from sagemaker_dogbreed.data.locking import exclusive
from sagemaker_dogbreed.errors import DatasetError, DownloadError
from sagemaker_dogbreed.specs.dataset import DatasetSpec


def tar_bytes(size: int = 300_000, seed: int = 0) -> bytes:
    """A tar file with one member of random bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        member = tarfile.TarInfo("a/1.jpg")
        member.size = size
        file.addfile(member, io.BytesIO(random.Random(seed).randbytes(size)))
    return buffer.getvalue()


BODY = tar_bytes()
SHA256 = hashlib.sha256(BODY).hexdigest()
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []

    def url(self, path: str = "/dogs.tar", credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.server_address[1]}{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def send(
    body: bytes = BODY,
    *,
    status: int = 200,
    announce: int | None = None,
    cut: int | None = None,
    **headers: str,
) -> Answer:
    """An answer; ``cut`` closes the connection after so many bytes of the body."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body) if announce is None else announce))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body[:cut])
        handler.close_connection = True

    return answer


def rest(body: bytes = BODY, etag: str = '"1"', *, cut: int | None = None) -> Answer:
    """What a server that knows ranges answers."""

    def answer(handler: Handler) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if wanted is None or handler.headers.get("If-Range", etag) != etag:
            return send(body, ETag=etag, cut=cut)(handler)
        start = int(wanted[1])
        if start >= len(body):
            return send(b"", status=416, ETag=etag, Content_Range=f"bytes */{len(body)}")(handler)
        place = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return send(body[start:], status=206, ETag=etag, Content_Range=place, cut=cut)(handler)

    return answer


def get(server: Server, folder: Path, **options: Any) -> Path:
    waits: list[float] = options.pop("waits", [])
    url = options.pop("url", None) or server.url()
    return fetch(DatasetSpec(source=url, **options), folder, progress=False, sleep=waits.append)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_download_lands_in_the_cache_and_is_used_again(server: Server, tmp_path: Path) -> None:
    """A URL becomes a file in the cache, in one request, however often it is asked for."""
    server.answers = [send()]
    path = get(server, tmp_path / "new" / "cache")
    assert path.read_bytes() == BODY
    assert path.name.endswith("-dogs.tar")
    assert get(server, tmp_path / "new" / "cache", sha256=SHA256.upper()) == path
    assert get(server, tmp_path / "new" / "cache", url=f"{server.url()}#part") == path
    assert len(server.requests) == 1
    assert names(path.parent) == [path.name]


def test_the_progress_bar_counts_bytes(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With progress on, a bar with the file's name and size is drawn; without, nothing is."""
    server.answers = [send()]
    get(server, tmp_path / "a")
    assert capsys.readouterr().err == ""
    fetch(DatasetSpec(source=server.url()), tmp_path / "b")
    assert re.search(r"dogs\.tar: 100%.*307k/307k", capsys.readouterr().err)


def test_a_dropped_download_is_continued(server: Server, tmp_path: Path) -> None:
    """After a dropped connection only the missing bytes are asked for, of the same version."""
    server.answers = [rest(cut=100_000), rest(cut=50_000), rest()]
    waits: list[float] = []
    assert get(server, tmp_path, sha256=SHA256, waits=waits).read_bytes() == BODY
    assert [request.get("range") for request in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert [request.get("if-range") for request in server.requests] == [None, '"1"', '"1"']
    assert waits == [1.0, 2.0]


def test_a_later_call_continues_what_an_earlier_one_began(server: Server, tmp_path: Path) -> None:
    """What arrived before all attempts failed is kept, and the next call asks for the rest."""
    server.answers = [rest(cut=100_000), send(b"", status=503)]
    with pytest.raises(DownloadError, match="5 attempts: the server answered 503"):
        get(server, tmp_path)
    assert len(server.requests) == 5
    server.answers = [rest()]
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.requests[-1]["range"] == "bytes=100000-"


def test_last_modified_serves_where_the_etag_is_weak(server: Server, tmp_path: Path) -> None:
    """A weak ETag does not identify bytes, so the modification time is sent instead."""
    date = "Sat, 01 Aug 2026 00:00:00 GMT"
    server.answers = [send(cut=1000, ETag='W/"1"', Last_Modified=date), send()]
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.requests[1]["if-range"] == date


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}], ids=["nothing", "a weak ETag"])
def test_without_a_version_a_download_starts_anew(
    server: Server, tmp_path: Path, headers: dict[str, str]
) -> None:
    """Where the server does not tell versions apart, no old bytes are put before new ones."""
    server.answers = [send(tar_bytes(seed=1), cut=1000, **headers), send()]
    assert get(server, tmp_path).read_bytes() == BODY
    assert "range" not in server.requests[1]


def test_a_server_without_ranges_starts_from_zero(server: Server, tmp_path: Path) -> None:
    """If the server answers a range request with the whole file, the old bytes are dropped."""
    server.answers = [send(cut=100_000, ETag='"1"'), send(ETag='"1"')]
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.requests[1]["range"] == "bytes=100000-"


def test_a_file_that_changed_in_between_is_downloaded_anew(server: Server, tmp_path: Path) -> None:
    """If the ETag is another one after the drop, nothing of the old version remains."""
    server.answers = [rest(tar_bytes(seed=1), '"old"', cut=100_000), rest(BODY, '"new"')]
    assert get(server, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"2"', "Content_Range": f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"},
        {"ETag": '"1"', "Content_Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"},
        {"ETag": '"1"'},
    ],
    ids=["another version", "another place", "no place"],
)
def test_a_rest_that_does_not_fit_is_not_appended(
    server: Server, tmp_path: Path, headers: dict[str, str]
) -> None:
    """A 206 of another version or another place makes the download start anew."""
    server.answers = [send(cut=1000, ETag='"1"'), send(BODY[1000:], status=206, **headers), rest()]
    assert get(server, tmp_path).read_bytes() == BODY
    assert "range" not in server.requests[2]


@pytest.mark.parametrize("size", [0, 5])
def test_a_416_completes_or_restarts(server: Server, tmp_path: Path, size: int) -> None:
    """If nothing is missing a 416 ends the download; if too much is there it starts anew."""
    server.answers = [rest(cut=1000), send(b"", status=500)]
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(BODY + b"x" * size)
    server.answers, server.requests = [rest()], []
    assert get(server, tmp_path).read_bytes() == BODY
    assert len(server.requests) == (1 if size == 0 else 2)


def test_damaged_notes_make_a_download_start_anew(server: Server, tmp_path: Path) -> None:
    """A partial file whose version is not known is not continued."""
    server.answers = [rest(cut=1000), send(b"", status=500)]
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    for notes in ("{", "[]"):
        (tmp_path / next(tmp_path.glob("*.json")).name).write_text(notes)
        with pytest.raises(DownloadError):
            get(server, tmp_path)
        assert "range" not in server.requests[-1]
    server.answers = [rest()]
    assert get(server, tmp_path).read_bytes() == BODY


def test_attempts_that_bring_much_do_not_count(server: Server, tmp_path: Path) -> None:
    """A long download over a bad line goes on as long as it gets forward."""
    body = tar_bytes(7 * 1_100_000)
    server.answers = [rest(body, cut=1_100_000) for _ in range(7)] + [rest(body)]
    waits: list[float] = []
    assert get(server, tmp_path, waits=waits).read_bytes() == body
    assert waits == [1.0] * 7


def test_a_wrong_length_is_never_taken_for_complete(server: Server, tmp_path: Path) -> None:
    """If fewer bytes come than announced, again and again, there is an error and no file."""
    server.answers = [send(announce=len(BODY) + 10)]
    with pytest.raises(
        DownloadError, match=r"5 attempts: the connection to 127.* was dropped.*; what has arrived is kept"
    ):
        get(server, tmp_path)
    assert not list(tmp_path.glob("*.tar"))
    assert len(server.requests) == 5


def test_server_trouble_passes(server: Server, tmp_path: Path) -> None:
    """Answers that mean "later" are tried again, after the time the server asks for."""
    server.answers = [
        send(b"", status=500),
        send(b"", status=429, Retry_After="7"),
        send(b"", status=503, Retry_After="86400"),
        send(b"", status=502, Retry_After="Sat, 01 Aug 2026 00:00:00 GMT"),
        send(),
    ]
    waits: list[float] = []
    assert get(server, tmp_path, waits=waits).read_bytes() == BODY
    assert waits == [1.0, 7.0, 60.0, 8.0]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(404, "Check the URL"), (403, "presigned URL may have expired"), (401, "password"), (204, "browser")],
)
def test_a_refusal_is_final(server: Server, tmp_path: Path, status: int, advice: str) -> None:
    """A refusal is told at once, with the URL, the status and what to do."""
    server.answers = [send(b"", status=status)]
    with pytest.raises(DownloadError, match=rf"127.*/dogs\.tar cannot.*answered {status}\. .*{advice}"):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_redirects_are_followed_to_http_only(server: Server, tmp_path: Path) -> None:
    """A redirect may lead to another http(s) address; to a local file it may not, nor around in a circle."""
    server.answers = [send(b"", status=302, Location="/other"), send()]
    assert get(server, tmp_path).read_bytes() == BODY
    server.answers = [send(b"", status=302, Location="file:///etc/passwd")]
    with pytest.raises(DownloadError, match="neither http nor https"):
        get(server, tmp_path, url=server.url("/file.tar"))
    server.answers = [send(b"", status=302, Location="/again")]
    with pytest.raises(DownloadError, match="redirects without end"):
        get(server, tmp_path, url=server.url("/circle.tar"))


def test_a_wrong_checksum_is_an_error_and_the_file_is_removed(server: Server, tmp_path: Path) -> None:
    """The error names both digests; neither the wrong file nor a part of it stays."""
    server.answers = [send()]
    with pytest.raises(DownloadError, match=f"(?s){SHA256}.*{'0' * 64}"):
        get(server, tmp_path, sha256="0" * 64)
    assert names(tmp_path) == []


def test_a_damaged_file_in_the_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    """A file in the cache that does not match the checksum is downloaded anew."""
    server.answers = [send()]
    path = get(server, tmp_path)
    path.write_bytes(BODY[:-1] + b"x")
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    assert len(server.requests) == 2
    path.write_bytes(BODY[:-1] + b"x")
    server.answers = [send(b"", status=404)]
    with pytest.raises(DownloadError):
        get(server, tmp_path, sha256=SHA256)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"Rar!\x1a\x07\x00", "RAR or 7z"),
        (b"\x1f\x8bnonsense", "lead"),
        (b"", "lead"),
    ],
)
def test_what_is_no_archive_is_not_kept(server: Server, tmp_path: Path, body: bytes, hint: str) -> None:
    """A login page or the like is refused with a hint, and is not in the way of the next try."""
    server.answers = [send(body), send()]
    with pytest.raises(DownloadError, match=rf"did not deliver a zip or tar file.*{hint}"):
        get(server, tmp_path)
    assert get(server, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_beyond_the_size_limit_is_refused(server: Server, tmp_path: Path, announced: bool) -> None:
    """More bytes than max_total_gb are not stored, whether they were announced or just come."""

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)
        handler.close_connection = True

    server.answers = [send(cut=10) if announced else endless]
    with pytest.raises(DownloadError, match=r"larger than max_total_gb allows \(100,000 bytes\)"):
        get(server, tmp_path, max_total_gb=0.0001)
    assert names(tmp_path) == []


def test_a_body_without_length_is_taken_until_its_end(server: Server, tmp_path: Path) -> None:
    """A chunked body needs no length; one that is cut off is tried again."""

    def chunked(end: bytes) -> Answer:
        def answer(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(BODY), BODY) + end)
            handler.close_connection = True

        return answer

    server.answers = [chunked(b""), chunked(b"0\r\n\r\n")]
    assert get(server, tmp_path).read_bytes() == BODY
    assert len(server.requests) == 2


def test_bytes_are_kept_as_the_server_stores_them(server: Server, tmp_path: Path) -> None:
    """A content coding is not asked for, and not undone: the checksum is that of the file as stored."""
    server.answers = [send(Content_Encoding="gzip")]
    assert get(server, tmp_path, sha256=SHA256).read_bytes() == BODY
    assert server.requests[0]["accept-encoding"] == "identity"


def test_a_silent_server_counts_as_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing is given up after the timeout."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/dogs.tar"
        with pytest.raises(DownloadError, match=r"timed out: 127\.0\.0\.1:\d+ was silent for 0\.05 seconds"):
            download(
                url,
                tmp_path / "dogs.tar",
                max_bytes=1000,
                verify=lambda path: None,
                progress=False,
                sleep=lambda seconds: None,
                timeout=0.05,
            )


def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is tried a few times, with longer and longer waits."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/dogs.tar"
    waits: list[float] = []
    with pytest.raises(DownloadError, match=r"after 5 attempts: connection refused by 127\.0") as caught:
        fetch(DatasetSpec(source=url), tmp_path, progress=False, sleep=waits.append)
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert "kept" not in str(caught.value)


def test_an_unknown_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no name server knows is told as that, without secrets."""
    monkeypatch.setenv("NO_PROXY", "*")
    url = "http://me:hunter2@nohost.invalid/dogs.zip?hunter2"
    with pytest.raises(DownloadError, match=r"unknown host name: nohost\.invalid") as caught:
        fetch(DatasetSpec(source=url), tmp_path, progress=False, sleep=lambda seconds: None)
    assert "hunter2" not in str(caught.value)
    assert "kept" not in str(caught.value)


def test_a_proxy_that_refuses_is_told_from_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the proxy of the environment is not there, the proxy is named and not the server."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy = f"http://me:hunter2@127.0.0.1:{closed.getsockname()[1]}"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    spec = DatasetSpec(source="http://nohost.invalid/dogs.zip")
    with pytest.raises(DownloadError, match="connection refused by the proxy") as caught:
        fetch(spec, tmp_path, progress=False, sleep=lambda seconds: None)
    assert "hunter2" not in str(caught.value)


def test_a_redirect_to_nowhere_names_the_host_that_is_missing(server: Server, tmp_path: Path) -> None:
    """After a redirect the trouble is that of the new host, and its secrets are not shown."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        other = f"127.0.0.1:{closed.getsockname()[1]}"
    server.answers = [send(b"", status=302, Location=f"http://me:hunter2@{other}/x?hunter2")]
    with pytest.raises(DownloadError, match=f"connection refused by {other}") as caught:
        get(server, tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "again"), r"unknown host name: h \(no name server answered\)"),
        (TimeoutError(110, "Connection timed out"), "the connection to h timed out"),
        (OSError(101, "Network is unreachable"), "h cannot be reached: Network is unreachable"),
    ],
)
def test_rarer_troubles_are_told_apart(error: OSError, told: str) -> None:
    """A silent name server, a network's timeout and a missing route each have their words."""
    connection = urllib3.connection.HTTPConnection("h")
    beneath = urllib3.exceptions.NewConnectionError(connection, "Failed")
    beneath.__cause__ = error
    outer = requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", beneath))  # type: ignore[arg-type]  # no pool
    assert re.fullmatch(told, connection_trouble(outer, "h"))


def test_a_certificate_that_is_not_trusted_is_told_from_other_tls_trouble() -> None:
    """The certificate is blamed only where it was checked, and with the reason."""
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "certificate has expired"
    assert tls_trouble(requests.exceptions.SSLError(untrusted), "h") == (
        "the TLS certificate of h is not trusted: certificate has expired"
    )


def test_an_untrusted_certificate_is_an_error(tmp_path: Path, server: Server) -> None:
    """Where the server does not speak TLS, https fails at once and says so."""
    server.answers = [send()]
    with pytest.raises(
        DownloadError, match=r"the TLS connection to 127\.0\.0\.1:\d+ failed: .*is 127.* a server of https"
    ):
        get(server, tmp_path, url=server.url().replace("http:", "https:"))


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x/a.zip", "http://*/a.zip"])
def test_a_malformed_url_is_an_error_of_ours(tmp_path: Path, url: str) -> None:
    """What is no URL fails as a DownloadError, at once."""
    with pytest.raises(DownloadError, match="is not a valid URL"):
        fetch(DatasetSpec(source=url), tmp_path, progress=False, sleep=lambda seconds: None)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_secrets_in_a_url_are_not_shown(
    server: Server, tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """User name, password and query are sent, but appear in no error, traceback, log or file name."""
    caplog.set_level(logging.INFO)
    headers = {"Location": "gopher://me:hunter2@x/?signature=hunter2"} if status == 302 else {}
    server.answers = [send(b"no archive", status=status, **headers)]
    url = server.url("/dogs.tar?signature=hunter2", "me:hunter2@")
    with pytest.raises(DownloadError) as caught:
        get(server, tmp_path, url=url)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(list(tmp_path.iterdir()))
    assert "hunter2" not in told
    assert server.url() in str(caught.value)
    assert server.requests[0]["path"] == "/dogs.tar?signature=hunter2"
    assert server.requests[0]["authorization"].startswith("Basic ")


@given(
    user=st.text("abcdef:%40", min_size=1),
    query=st.text("abc=&/@?:#"),
    mark=st.sampled_from("?#"),
)
def test_shown_urls_hold_no_secrets(user: str, query: str, mark: str) -> None:
    """Whatever is before the @ and after the path is left out."""
    assert shown(f"https://{user}@host:1/a/b.zip{mark}{query}") == "https://host:1/a/b.zip"


def test_a_full_disk_is_an_error_of_ours_and_the_download_continues_later(
    server: Server, tmp_path: Path
) -> None:
    """If bytes cannot be written the error names the file; with room again, the rest is fetched."""
    server.answers = [rest()]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DownloadError, match=r"cannot be saved as .*dogs\.tar.*File too large"):
            get(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.requests[-1]["range"] == "bytes=100000-"


def test_a_cache_folder_that_cannot_be_made_is_an_error_of_ours(server: Server, tmp_path: Path) -> None:
    """If a file is where the cache should be, the error says so."""
    (tmp_path / "cache").write_text("")
    server.answers = [send()]
    with pytest.raises(DownloadError, match="cannot be saved"):
        get(server, tmp_path / "cache")


def test_two_who_want_the_same_take_turns(server: Server, tmp_path: Path) -> None:
    """While another process downloads, the second one waits, and then uses what the first one got."""
    server.answers = [send()]
    target = get(server, tmp_path)
    target.unlink()
    second = threading.Thread(target=get, args=(server, tmp_path))
    with exclusive(target):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        target.write_bytes(BODY)
    second.join(20)
    assert not second.is_alive()
    assert len(server.requests) == 1


def test_a_local_source_is_returned_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder or a file is not copied; ``~`` is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "dogs").mkdir()
    (tmp_path / "dogs.tar").write_bytes(BODY)
    cache = tmp_path / "cache"
    assert fetch(DatasetSpec(source=str(tmp_path / "dogs")), cache) == tmp_path / "dogs"
    assert fetch(DatasetSpec(source="~/dogs.tar", sha256=SHA256), cache) == tmp_path / "dogs.tar"
    assert not cache.exists()


def test_a_missing_source_names_the_nearest_folder(tmp_path: Path) -> None:
    """The error has the path, and the part of it that exists."""
    source = str(tmp_path / "no" / "such" / "folder")
    with pytest.raises(DatasetError, match=re.escape(f"{source!r} does not exist")) as caught:
        fetch(DatasetSpec(source=source), tmp_path / "cache")
    assert str(caught.value).endswith(repr(str(tmp_path)))


@pytest.mark.parametrize("source", ["s3://me:hunter2@bucket/x.zip?hunter2", "file:///etc", "a\0b", "x" * 300])
def test_other_sources_are_refused(tmp_path: Path, source: str) -> None:
    """Other schemes, and what can be no path at all, are errors that show no secrets."""
    with pytest.raises(DatasetError, match="source") as caught:
        fetch(DatasetSpec(source=source), tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_source_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A socket or a pipe is neither a folder nor a file."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="neither a folder nor a file"):
        fetch(DatasetSpec(source=str(tmp_path / "pipe")), tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that opens and cannot be read")
def test_a_local_file_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    """A failing disk is told with the file's name."""
    with pytest.raises(DatasetError, match="'/proc/self/mem' cannot be read"):
        fetch(DatasetSpec(source="/proc/self/mem", sha256=SHA256), tmp_path)


def test_checksums_of_local_sources_are_checked(tmp_path: Path) -> None:
    """A file must match its sha256, and stays where it is; a folder can have none."""
    path = tmp_path / "dogs.tar"
    path.write_bytes(BODY)
    with pytest.raises(DatasetError, match=f"(?s){SHA256}.*{'0' * 64}"):
        fetch(DatasetSpec(source=str(path), sha256="0" * 64), tmp_path)
    assert path.read_bytes() == BODY
    with pytest.raises(DatasetError, match="leave sha256 out"):
        fetch(DatasetSpec(source=str(tmp_path), sha256=SHA256), tmp_path)
