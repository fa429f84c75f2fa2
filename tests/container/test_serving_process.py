"""The bundled model server as a process: its start, its life over HTTP, its end."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from served_model import GOOD, Reply

from sagemaker_dogbreed.container import source
from sagemaker_dogbreed.container.application import MAX_BODY_BYTES
from sagemaker_dogbreed.container.serving import load_handlers, model_dir_from_environ, port_from_environ


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/opt/ml/model"),
        ({"SAGEMAKER_BASE_DIR": "/base"}, "/base/model"),
        ({"SAGEMAKER_BASE_DIR": "/base", "SM_MODEL_DIR": "/own"}, "/own"),
    ],
)
def test_model_folder_comes_from_the_environment(environ: dict[str, str], expected: str) -> None:
    """No container path is hard-coded where the environment names another."""
    assert model_dir_from_environ(environ) == Path(expected)


@pytest.mark.parametrize("text", ["http", "", "-1", "65536", "8080 ", "\u0664"])
def test_bad_port_is_named(text: str) -> None:
    """A port that is none is an error that names the variable."""
    assert port_from_environ({}) == 8080
    with pytest.raises(ValueError, match="SAGEMAKER_BIND_TO_PORT"):
        port_from_environ({"SAGEMAKER_BIND_TO_PORT": text})


def test_missing_script_is_named(tmp_path: Path) -> None:
    """A serving script that is not there, or is no Python, is an error that names it."""
    (tmp_path / "notes.txt").write_text("")
    for name in ("inference.py", "notes.txt"):
        with pytest.raises(FileNotFoundError, match=name):
            load_handlers(name, tmp_path)


@dataclasses.dataclass(frozen=True)
class ServerProcess:
    process: subprocess.Popen[str]
    port: int

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def wait_for_ping(self, status: int, seconds: float = 60) -> None:
        stop = time.monotonic() + seconds
        while time.monotonic() < stop:
            with contextlib.suppress(OSError):
                if self.request("GET", "/ping").status == status:
                    return
            assert self.process.poll() is None
            time.sleep(0.05)
        raise AssertionError(f"no ping with status {status}")


@contextlib.contextmanager
def server_process(code: Path, model: Path, **environ: str) -> Iterator[ServerProcess]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settled = {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_DOGBREED_BIND_HOST": "127.0.0.1",
        "SM_MODEL_DIR": str(model),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "sagemaker_dogbreed.container.serving"],
        cwd=code,
        env={**os.environ, **settled, **environ},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield ServerProcess(process, port)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    source.write_files(source.serving_files(), folder)
    return folder


def test_staged_tree_serves_until_sigterm(code: Path, model_dir: Path) -> None:
    """The tree that is shipped serves over HTTP, survives rude clients, and ends at SIGTERM."""
    with server_process(code, model_dir) as server:
        server.wait_for_ping(200)
        good = server.request("POST", "/invocations", GOOD, Content_Type="image/jpeg")
        assert good.status == 200
        assert len(good.json["predictions"]) == 3

        long = server.request("POST", "/invocations", bytes(MAX_BODY_BYTES + 1), Content_Type="image/jpeg")
        assert (long.status, long.json["error"]["code"]) == (413, "body_too_large")
        chunked = server.request("POST", "/invocations", iter([bytes(2**20)] * 26), Content_Type="image/jpeg")
        assert chunked.status == 413

        for rude in (
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\nabc",
            b"\x00\xff not http\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(rude)

        again = server.request("POST", "/invocations", GOOD, Content_Type="image/jpeg")
        assert again.json == good.json
        server.process.send_signal(signal.SIGTERM)
        _, log = server.process.communicate(timeout=30)
        assert server.process.returncode == 0
        assert log.count("POST /invocations 200") == 2
        assert "Traceback" not in log


def test_server_is_not_ready_before_nor_gone_during_a_request(
    code: Path, model_dir: Path, tmp_path: Path
) -> None:
    """While model_fn is at work the server answers 503; at SIGTERM the request under way is finished."""
    (code / "slow.py").write_text(
        "import pathlib, time\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "def wait_for(name):\n"
        "    while not (folder / name).exists():\n"
        "        time.sleep(0.01)\n"
        "def model_fn(model_dir):\n"
        "    wait_for('load')\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    (folder / 'started').touch()\n"
        "    wait_for('finish')\n"
        "    return '\"done\"'\n"
    )
    with server_process(code, model_dir, SAGEMAKER_PROGRAM="slow.py") as server:
        server.wait_for_ping(503)
        (tmp_path / "load").touch()
        server.wait_for_ping(200)
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(server.request, "POST", "/invocations", b"x")
            while not (tmp_path / "started").exists():
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            (tmp_path / "finish").touch()
            assert (reply.result(20).status, reply.result().body) == (200, b'"done"')
        server.process.communicate(timeout=30)
        assert server.process.returncode == 0


def test_model_that_cannot_be_loaded_ends_the_process(code: Path, tmp_path: Path) -> None:
    """Without a usable model the process fails, and its last line says why."""
    (tmp_path / "empty").mkdir()
    with server_process(code, tmp_path / "empty") as server:
        _, log = server.process.communicate(timeout=60)
        assert server.process.returncode == 1
        assert log.splitlines()[-1].startswith("serving failed: ArtifactError: ")
        assert "model.json" in log.splitlines()[-1]


def test_missing_uvicorn_is_explained(code: Path, model_dir: Path) -> None:
    """Without uvicorn the process fails with the command that installs it."""
    (code / "uvicorn.py").write_text("raise ImportError('not here')\n")
    with server_process(code, model_dir) as server:
        _, log = server.process.communicate(timeout=60)
        assert server.process.returncode == 1
        assert log.splitlines()[-1] == (
            "serving failed: the package uvicorn is missing; install it with: pip install uvicorn"
        )
