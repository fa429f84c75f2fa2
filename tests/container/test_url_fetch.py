"""Fetching URLs: where a request may lead, whatever the spelling, the redirect or the DNS answer."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sagemaker_dogbreed.container import url_fetch
from sagemaker_dogbreed.container.url_fetch import fetch
from sagemaker_dogbreed.container.urls import UrlError

MAX_BYTES = 100_000
LOCAL = ("127.0.0.1",)
GZIP_BOMB = gzip.compress(bytes(5_000_000), 1)


class Handler(BaseHTTPRequestHandler):
    """Answers by path; the server's ``seen`` lists what was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.path))
        path = self.path.partition("?")[0]
        if path == "/redirect":
            self.answer(302, b"", Location=self.path.partition("?to=")[2])
        elif path == "/loop":
            self.answer(301, b"", Location="/loop")
        elif path == "/long":
            self.answer(200, bytes(MAX_BYTES + 1))
        elif path == "/endless":
            self.endless()
        elif path == "/lying-short":
            self.answer(200, b"abcdefgh", Content_Length="3")
        elif path == "/lying-long":
            self.answer(200, b"abc", Content_Length="99")
        elif path == "/gzip":
            self.answer(200, GZIP_BOMB, Content_Encoding="gzip")
        elif path == "/missing":
            self.answer(404, b"no")
        elif path == "/headers":
            self.answer(200, repr(sorted(self.headers.items())).encode())
        else:
            self.answer(200, b"image bytes")

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        named = {"Content-Length": str(len(body))}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        self.close_connection = True

    def endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"1000\r\n" + bytes(0x1000) + b"\r\n")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, str]]

    def handle_error(self, *arguments: object) -> None:
        """Clients hang up here."""


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.seen = []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def module_server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(module_server: Server) -> Server:
    module_server.seen.clear()
    return module_server


@contextlib.contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection with a function on its socket; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    talk(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def base(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def error_of(url: str, **options: object) -> UrlError:
    with pytest.raises(UrlError) as caught:
        fetch(url, **{"max_bytes": MAX_BYTES, **options})
    return caught.value


def test_allowed_host_is_fetched(server: Server) -> None:
    """A host on the allow-list gives its bytes, asked for with path, query and Host header."""
    body = fetch(f"{base(server)}/dog.jpg?size=1#part", allowed_hosts=LOCAL, max_bytes=MAX_BYTES)
    assert body == b"image bytes"
    assert server.seen == [(f"127.0.0.1:{server.server_port}", "/dog.jpg?size=1")]


def test_without_allow_list_loopback_is_blocked(server: Server) -> None:
    """The same URL is blocked by default, and no connection is made."""
    error = error_of(f"{base(server)}/dog.jpg?secret=1")
    assert error.code == "url_blocked"
    assert error.message.startswith(f"{base(server)}/dog.jpg: the host is not on the public internet")
    assert "secret" not in error.message
    assert server.seen == []


def test_allow_list_entry_with_port_opens_that_port_only(server: Server) -> None:
    """host:port opens one port, another one of the same host stays blocked."""
    own, other = f"127.0.0.1:{server.server_port}", f"127.0.0.1:{server.server_port + 1}"
    assert fetch(base(server), allowed_hosts=[own], max_bytes=MAX_BYTES) == b"image bytes"
    assert error_of(base(server), allowed_hosts=[other]).code == "url_blocked"


def test_allow_list_is_by_name_not_by_address(server: Server) -> None:
    """A name that leads to an allowed address is not allowed by it."""
    error = error_of(
        f"http://evil.example:{server.server_port}/", allowed_hosts=LOCAL, resolve=lambda *_: ["127.0.0.1"]
    )
    assert error.code == "url_blocked"
    assert "127.0.0.1" not in error.message


def test_non_ascii_path_is_escaped(server: Server) -> None:
    """A path as people write it is sent in its escaped form; escapes are left alone."""
    fetch(f"{base(server)}/köter%20x.jpg?q=ä", allowed_hosts=LOCAL, max_bytes=MAX_BYTES)
    assert server.seen[0][1] == "/k%C3%B6ter%20x.jpg?q=%C3%A4"


def test_request_says_little_and_asks_for_no_compression(server: Server) -> None:
    """Only the headers an image fetch needs are sent."""
    body = fetch(f"{base(server)}/headers", allowed_hosts=LOCAL, max_bytes=MAX_BYTES).decode()
    assert "('Accept-Encoding', 'identity')" in body
    assert sorted(name for name, _ in eval(body)) == [
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Host",
        "User-Agent",
    ]


def test_environment_proxies_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is passed by: it would resolve the name itself."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, base(server))
    assert error_of("http://dogs.example/", resolve=lambda *_: []).code == "url_unreachable"
    assert server.seen == []


def test_redirect_to_allowed_host_is_followed(server: Server) -> None:
    """A redirect, relative ones included, is followed where it may lead."""
    assert (
        fetch(f"{base(server)}/redirect?to=/dog.jpg", allowed_hosts=LOCAL, max_bytes=MAX_BYTES)
        == b"image bytes"
    )
    assert [path for _, path in server.seen] == ["/redirect?to=/dog.jpg", "/dog.jpg"]


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:8080/",
        "//167772161/",
        "file:///etc/passwd",
        "gopher://10.0.0.1/",
        "http://user:pass@10.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://10.0.0.1:22/",
    ],
)
def test_redirect_into_closed_places_is_blocked(server: Server, target: str) -> None:
    """A redirect is checked like a URL; the message names the first URL only."""
    error = error_of(f"{base(server)}/redirect?to={target}", allowed_hosts=LOCAL)
    assert error.code == "url_blocked"
    assert error.message.startswith(f"{base(server)}/redirect: ")
    assert error.message.endswith("(after a redirect)")
    assert "10.0.0.1" not in error.message


def test_redirect_loop_ends(server: Server) -> None:
    """Endless redirects end after five."""
    error = error_of(f"{base(server)}/loop", allowed_hosts=LOCAL)
    assert (error.code, len(server.seen)) == ("url_status", 1 + url_fetch.MAX_REDIRECTS)


def test_dns_answer_that_changes_is_checked_at_each_hop(server: Server) -> None:
    """A name is resolved once a hop, and what is connected to is what was checked."""
    answers = [["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]]
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return answers[len(asked) - 1]

    port = server.server_port
    error = error_of(
        f"http://allowed.example:{port}/redirect?to=http://rebinding.example:{port}/",
        allowed_hosts=["allowed.example"],
        resolve=resolve,
    )
    assert error.code == "url_blocked"
    assert asked == [("allowed.example", port), ("rebinding.example", port)]
    assert server.seen == [(f"allowed.example:{port}", f"/redirect?to=http://rebinding.example:{port}/")]


def test_rebinding_after_the_check_changes_nothing(server: Server) -> None:
    """The resolver is not asked again between the check and the connection."""
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        # First an address that counts as public (but is routed nowhere), loopback ever after.
        return ["3ffe::1"] if len(asked) == 1 else ["127.0.0.1"]

    error = error_of(f"http://rebind.example:{server.server_port}/", resolve=resolve, timeout_seconds=0.2)
    assert error.code in {"url_timeout", "url_unreachable"}
    assert asked == ["rebind.example"]
    assert server.seen == []


def test_one_closed_address_among_open_ones_blocks() -> None:
    """Every address of a name is checked, not just the first."""
    error = error_of("http://mixed.example/", resolve=lambda *_: ["8.8.8.8", "192.168.0.1"])
    assert error.code == "url_blocked"
    assert "192.168" not in error.message


def test_second_address_is_tried_where_the_first_is_dead(server: Server) -> None:
    """A name with a dead address and a live one is reached."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert port != server.server_port
    body = fetch(
        f"http://two.example:{server.server_port}/",
        allowed_hosts=["two.example"],
        max_bytes=MAX_BYTES,
        resolve=lambda *_: ["127.0.0.2", "127.0.0.1"],
    )
    assert body == b"image bytes"


def test_body_over_the_limit_is_refused(server: Server) -> None:
    """A body is cut off at the limit, announced or not; one of exactly the limit passes."""
    for path in ("/long", "/endless"):
        error = error_of(base(server) + path, allowed_hosts=LOCAL)
        assert error.code == "url_too_large"
        assert "longer than 100000 bytes" in error.message
    assert len(fetch(f"{base(server)}/long", allowed_hosts=LOCAL, max_bytes=MAX_BYTES + 1)) == MAX_BYTES + 1


def test_content_length_that_lies(server: Server) -> None:
    """A length announced too short ends the body there; one too long is an error."""
    assert fetch(f"{base(server)}/lying-short", allowed_hosts=LOCAL, max_bytes=MAX_BYTES) == b"abc"
    error = error_of(f"{base(server)}/lying-long", allowed_hosts=LOCAL)
    assert error.code == "url_unreachable"


def test_compressed_body_is_refused(server: Server) -> None:
    """A gzip bomb is refused unread: compression was not asked for."""
    error = error_of(f"{base(server)}/gzip", allowed_hosts=LOCAL)
    assert error.code == "url_status"
    assert "compressed" in error.message


def test_other_status_is_an_error(server: Server) -> None:
    """An answer that is not a success is no image."""
    error = error_of(f"{base(server)}/missing?token=x", allowed_hosts=LOCAL)
    assert (error.code, error.message) == (
        "url_status",
        f"{base(server)}/missing: the host answered with status 404",
    )


def trickle(connection: socket.socket, byte: bytes, head: bytes = b"") -> None:
    connection.sendall(head)
    stop = time.monotonic() + 5
    while time.monotonic() < stop:
        connection.sendall(byte)
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"."),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_trickle_of_bytes_does_not_outlast_the_deadline(head: bytes, byte: bytes) -> None:
    """The time limit is for everything together: a byte now and then does not extend it."""
    if b"X-A" in byte:
        byte = b"X"  # one header line that never ends
    with talking(lambda connection: trickle(connection, byte, head)) as port:
        started = time.monotonic()
        error = error_of(f"http://127.0.0.1:{port}/", allowed_hosts=LOCAL, timeout_seconds=0.3)
        assert error.code == "url_timeout"
        assert time.monotonic() - started < 2
    assert "no answer within 0.3 s" in error.message


def test_names_are_resolved_by_the_system(server: Server) -> None:
    """Without a resolver of the caller's own, names are the operating system's, closed or allowed alike."""
    url = f"http://localhost:{server.server_port}/"
    assert fetch(url, allowed_hosts=["localhost"], max_bytes=MAX_BYTES) == b"image bytes"
    assert error_of(url).code == "url_blocked"


def test_name_that_does_not_resolve_is_unreachable() -> None:
    """A resolver's error is an error about the name."""

    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    error = error_of("http://nowhere.example/", resolve=resolve)
    assert (error.code, error.message) == (
        "url_unreachable",
        "http://nowhere.example/: the host name has no address",
    )


def test_late_resolver_does_not_outlast_the_deadline() -> None:
    """A name server that does not answer is given up on."""
    release = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        release.wait(5)
        return []

    try:
        assert error_of("http://slow.example/", resolve=resolve, timeout_seconds=0.1).code == "url_timeout"
    finally:
        release.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff\x00 garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
    ],
)
def test_what_is_no_web_server_is_unreachable(answer: bytes) -> None:
    """Whatever a host answers with that is not HTTP is one kind of error."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(answer)

    with talking(talk) as port:
        assert error_of(f"http://127.0.0.1:{port}/", allowed_hosts=LOCAL).code == "url_unreachable"


@pytest.mark.parametrize("location", [b"http://[", b"http://10.0.0.1\xff/", b"http://a b/", b"\\\\10.0.0.1/"])
def test_redirect_to_nonsense_is_blocked(location: bytes) -> None:
    """A Location that is no clean URL is an error of the host's, whatever its bytes."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")

    with talking(talk) as port:
        assert error_of(f"http://127.0.0.1:{port}/", allowed_hosts=LOCAL).code == "url_blocked"


def make_certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    path = make_certificate(tmp_path, "dogs.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    url_fetch._tls_context.cache_clear()
    with serving(context) as server:
        yield server
    url_fetch._tls_context.cache_clear()


def test_certificate_is_verified_for_the_name(tls_server: Server) -> None:
    """Connecting to a checked address, the certificate still has to be the name's."""

    def get(name: str) -> bytes:
        return fetch(
            f"https://{name}:{tls_server.server_port}/",
            allowed_hosts=["dogs.example", "cats.example"],
            max_bytes=MAX_BYTES,
            resolve=lambda *_: ["127.0.0.1"],
        )

    assert get("dogs.example") == b"image bytes"
    with pytest.raises(UrlError, match="no trusted TLS connection") as caught:
        get("cats.example")
    assert caught.value.code == "url_unreachable"


def test_tls_handshake_that_hangs_times_out() -> None:
    """A host that does not finish the handshake is given up on."""
    release = threading.Event()
    with talking(lambda _: release.wait(5)) as port:
        error = error_of(f"https://127.0.0.1:{port}/", allowed_hosts=LOCAL, timeout_seconds=0.2)
        release.set()
    assert error.code == "url_timeout"
