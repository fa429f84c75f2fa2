"""The bundled model server: over ASGI for its answers, as a process for its life."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from served_model import GOOD, NAMES, Reply

from sagemaker_dogbreed.container import artifact, inference
from sagemaker_dogbreed.container.application import MAX_BODY_BYTES, Application
from sagemaker_dogbreed.container.serving import (
    create_app,
)


def call(
    app: Application,
    body: bytes | Sequence[bytes] = b"",
    *,
    method: str = "POST",
    path: str = "/invocations",
    headers: Mapping[str, str] | None = None,
    disconnect: bool = False,
) -> Reply | None:
    """Make one request over ASGI; None where nothing was answered."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": disconnect or index + 1 < len(chunks)}
        for index, chunk in enumerate(chunks)
    ]
    if disconnect:
        events.append({"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    asyncio.run(app(scope, receive, send))
    if not sent:
        return None
    start, content = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(answered["content-length"]) == len(content["body"])
    return Reply(start["status"], answered, content["body"])


def post(app: Application, body: bytes, content_type: str, **headers: str) -> Reply:
    reply = call(
        app,
        body,
        headers={"content-type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}},
    )
    assert reply is not None
    return reply


def handlers_with(**functions: Callable[..., Any]) -> ModuleType:
    module = ModuleType("handlers")
    for name, function in functions.items():
        setattr(module, name, function)
    return module


def loaded(model_dir: Path, handlers: ModuleType = inference) -> Application:
    app = create_app(model_dir, handlers)
    app.load()
    return app


@pytest.fixture(scope="module")
def app(model_dir: Path) -> Application:
    return loaded(model_dir)


def test_ping_answers_only_once_the_model_is_loaded(model_dir: Path) -> None:
    """/ping and invocations are 503 before the model is loaded; /ping is 200 after."""
    app = create_app(model_dir, inference)
    assert [call(app, method="GET", path="/ping").status, post(app, GOOD, "image/jpeg").status] == [503, 503]
    app.load()
    assert call(app, method="GET", path="/ping").status == 200


def test_image_is_answered(app: Application) -> None:
    """A good image is 200 with JSON that names every class."""
    reply = post(app, GOOD, "image/jpeg")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert sorted(item["class_name"] for item in reply.json["predictions"]) == list(NAMES)
    assert reply.json["model"] == {"name": "dogs-1", "classes": 3}


def test_body_in_many_pieces_is_put_together(app: Application) -> None:
    """A body that arrives in pieces is the same body."""
    pieces = [GOOD[start : start + 100] for start in range(0, len(GOOD), 100)]
    reply = call(app, pieces, headers={"content-type": "image/jpeg"})
    assert reply is not None
    assert reply.json == post(app, GOOD, "image/jpeg").json


def test_custom_attributes_reach_the_handlers(app: Application) -> None:
    """top_k in the custom attributes limits the answer."""
    reply = post(app, GOOD, "image/jpeg", x_amzn_sagemaker_custom_attributes="top_k=1")
    assert len(reply.json["predictions"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("POST", "/invocations/", 404, "not_found"),
        ("GET", "/ping/../secret\n", 404, "not_found"),
        ("GET", "/invocations", 405, "method_not_allowed"),
        ("POST", "/ping", 405, "method_not_allowed"),
    ],
)
def test_other_routes_are_refused(app: Application, method: str, path: str, status: int, code: str) -> None:
    """Unknown paths and wrong methods are JSON errors."""
    reply = call(app, method=method, path=path)
    assert reply is not None
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    if status == 405:
        assert reply.headers["allow"] == {"/ping": "GET", "/invocations": "POST"}[path]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (GOOD, {}, 415, "unsupported_content_type"),
        (GOOD, {"content-type": "text/plain"}, 415, "unsupported_content_type"),
        (b"", {"content-type": "image/png"}, 400, "empty_body"),
        (b"text", {"content-type": "image/png"}, 422, "not_an_image"),
        (GOOD[:500], {"content-type": "image/jpeg"}, 422, "truncated_image"),
        (b"{", {"content-type": "application/json"}, 400, "malformed_json"),
        (b'{"url": "http://10.0.0.1/"}', {"content-type": "application/json"}, 422, "url_blocked"),
        (GOOD, {"content-type": "image/jpeg", "accept": "text/csv"}, 406, "not_acceptable"),
    ],
)
def test_bad_requests_have_their_status(
    app: Application, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """What is wrong with a request is its status, a code and a sentence, in JSON."""
    reply = call(app, body, headers=headers)
    assert reply is not None
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    assert reply.json["error"]["message"]


def test_body_over_the_limit_is_413(app: Application) -> None:
    """A body over the limit is refused by what it announces, and by what arrives if that lies."""
    headers = {"content-type": "image/jpeg"}
    piece = bytes(MAX_BODY_BYTES // 4)
    announced = call(app, b"x", headers={**headers, "content-length": str(MAX_BODY_BYTES + 1)})
    lying = call(app, [*[piece] * 4, b"x", b"more"], headers={**headers, "content-length": "3"})
    endless = call(app, [piece] * 100, headers=headers)
    exact = call(app, [piece] * 4, headers=headers)
    statuses = [reply.status for reply in (announced, lying, endless, exact) if reply is not None]
    assert statuses == [413, 413, 413, 422]


def test_client_that_leaves_gets_no_answer(app: Application) -> None:
    """A client that goes away while sending is forgotten; the next one is served."""
    assert call(app, GOOD[:100], headers={"content-type": "image/jpeg"}, disconnect=True) is None
    assert post(app, GOOD, "image/jpeg").status == 200


@pytest.mark.parametrize("failure", [ValueError("secret detail"), SystemExit(3), KeyboardInterrupt()])
def test_failing_handler_is_500_and_the_worker_lives(
    model_dir: Path, failure: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """An unforeseen error is a 500 without its details, which go to the log; the next request is served."""
    failures = [failure]

    def predict_fn(request: Any, model: Any) -> Any:
        if failures:
            raise failures.pop()
        return inference.predict_fn(request, model)

    app = loaded(model_dir, handlers_with(predict_fn=predict_fn))
    reply = post(app, GOOD, "image/jpeg")
    assert (reply.status, reply.json["error"]["code"]) == (500, "internal")
    assert b"secret" not in reply.body
    assert "Traceback" in caplog.text
    assert post(app, GOOD, "image/jpeg").status == 200
    assert call(app, method="GET", path="/ping").status == 200


def test_too_many_requests_at_once_are_told_so(model_dir: Path) -> None:
    """Requests beyond what is held at once get a 503 at once; those held are all answered."""
    release = threading.Event()

    def transform_fn(model: Any, body: bytes, content_type: str, accept: str) -> str:
        release.wait(20)
        return "1"

    app = loaded(model_dir, handlers_with(model_fn=lambda model_dir: None, transform_fn=transform_fn))

    async def flood() -> list[int]:
        statuses: list[int] = []

        async def one() -> None:
            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b"x"}

            async def send(event: Any) -> None:
                if "status" in event:
                    statuses.append(event["status"])
                    release.set()

            scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": []}
            await app(scope, receive, send)

        await asyncio.gather(*(one() for _ in range(70)))
        return statuses

    statuses = asyncio.run(flood())
    assert statuses[:6] == [503] * 6
    assert statuses[6:] == [200] * 64


def test_broken_accelerator_fails_the_ping(model_dir: Path) -> None:
    """After an error that leaves the GPU unusable, /ping says so, so that the container is replaced."""

    def predict_fn(request: Any, model: Any) -> Any:
        raise torch.AcceleratorError("device-side assert")

    app = loaded(model_dir, handlers_with(predict_fn=predict_fn))
    assert post(app, GOOD, "image/jpeg").status == 500
    assert call(app, method="GET", path="/ping").status == 503


def test_model_without_finite_output_is_its_own_error(model_dir: Path) -> None:
    """A diverged model is a 500 that says so, in strict JSON."""

    def model_fn(model_dir: str) -> artifact.LoadedModel:
        model = inference.model_fn(model_dir)
        for parameter in model.module.parameters():
            parameter.fill_(float("nan"))
        return model

    reply = post(loaded(model_dir, handlers_with(model_fn=model_fn)), GOOD, "image/jpeg")
    assert (reply.status, reply.json["error"]["code"]) == (500, "model_failure")


def test_own_handlers_are_called_as_the_toolkit_does(model_dir: Path) -> None:
    """A user's functions may take a context or not, and transform_fn stands for the other three."""

    def model_fn(model_dir: str) -> str:
        return "model"

    def transform_fn(model: str, body: bytes, content_type: str, accept: str, context: Any) -> Any:
        wanted = context.get_request_header(0, "X-Wanted")
        return f"{model} {body.decode()} {content_type} {accept} {wanted}", "text/plain"

    app = loaded(model_dir, handlers_with(model_fn=model_fn, transform_fn=transform_fn))
    reply = post(app, b"body", "text/csv", x_wanted="yes")
    assert reply.headers["content-type"] == "text/plain"
    assert reply.body == b"model body text/csv application/json yes"


def test_answer_without_content_type_takes_the_accepted_one(model_dir: Path) -> None:
    """Where output_fn returns the body only, it is of the type that was asked for."""
    app = loaded(model_dir, handlers_with(output_fn=lambda prediction, accept: b"a,b"))
    assert post(app, GOOD, "image/jpeg", accept="text/csv").headers["content-type"] == "text/csv"


def test_one_log_line_per_request(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    """The log has method, path, status and time, nothing of the body, and one line whatever the path."""
    with caplog.at_level("INFO"):
        post(app, b'{"url": "http://10.0.0.1/secret"}', "application/json")
        call(app, method="GET", path="/a\nb" + "c" * 500)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("POST /invocations 422 ")
    assert lines[1].startswith("GET /a%0Abccc")
    assert max(map(len, lines)) < 150


def test_other_protocols_are_not_served(app: Application) -> None:
    """A websocket is refused."""
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(app({"type": "websocket"}, None, None))


STATUSES = {200, 400, 413, 415, 422}
BODIES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=50).map(lambda tail: GOOD[:200] + tail),
    st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4)).map(
        lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] + 1 :]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["url", "urls", "top_k", "x"]), inner, max_size=3)
        ),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["127.0.0.1", "[::1]", "0", "169.254.169.254", "a b", "\ud800"]).map(
        lambda host: json.dumps({"url": f"http://{host}/x"}).encode()
    ),
)
CONTENT_TYPES = st.one_of(
    st.sampled_from(["image/jpeg", "application/json", "application/x-image", "IMAGE/PNG;a=b", ""]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(BODIES, CONTENT_TYPES, st.sampled_from(["", "top_k=2", "top_k=x", "trace"]))
def test_no_request_is_a_server_error(
    app: Application, body: bytes, content_type: str, attributes: str
) -> None:
    """Whatever is sent, the answer is JSON with a status of the client's making, never a 500."""
    reply = post(app, body, content_type, x_amzn_sagemaker_custom_attributes=attributes)
    assert reply.status in STATUSES
    assert ("error" in reply.json) == (reply.status != 200)


def test_good_request_is_served_after_all_that(app: Application) -> None:
    """The application that was fuzzed still answers."""
    assert post(app, GOOD, "image/jpeg").status == 200
