"""The four serving functions: what they read, what they answer, what they refuse."""

from __future__ import annotations

import contextlib
import io
import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sagemaker_dogbreed.container import artifact
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.inference import IMAGE_TYPES, input_fn, model_fn, output_fn, predict_fn
from sagemaker_dogbreed.container.invocation import (
    ImageRequest,
    RequestError,
    ServingSettings,
    accepts_json,
    media_type,
    read_json,
)
from sagemaker_dogbreed.container.model import build
from sagemaker_dogbreed.container.preprocessing import Preprocessing

COLORS = ("red", "green", "blue")


def encode(image: Image.Image, image_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format)
    return buffer.getvalue()


def picture(color: str, image_format: str = "PNG") -> bytes:
    return encode(Image.new("RGB", (40, 40), color), image_format)


class ColorModel(torch.nn.Module):
    """Scores an image's red, green and blue by their mean, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean(dim=(2, 3)) * self.factor


def color_model(factor: float = 4.0, class_names: tuple[str, ...] = COLORS) -> artifact.LoadedModel:
    preprocessing = Preprocessing(
        image_size=8, resize_size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), interpolation="bilinear"
    )
    module: Any = ColorModel(factor)
    return artifact.LoadedModel(
        module=module, class_names=class_names, preprocessing=preprocessing, card={"job_name": "colors-1"}
    )


def refusal_of(body: Any, content_type: str | None, context: Any = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        input_fn(body, content_type, context)
    return caught.value


class Context:
    """A request's context as TorchServe gives it."""

    def __init__(self, **headers: str) -> None:
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def get_all_request_header(self, index: int) -> dict[str, str]:
        return self._headers


@contextlib.contextmanager
def image_server(**files: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path.partition("?")[0].strip("/"))
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS", "127.0.0.1")


@pytest.mark.parametrize(
    ("content_type", "image_format"),
    [
        ("image/jpeg", "JPEG"),
        ("IMAGE/JPG", "JPEG"),
        ("image/png; charset=binary", "PNG"),
        ("image/webp", "WEBP"),
        ("image/bmp", "BMP"),
        ("image/gif", "GIF"),
        ("image/tiff", "TIFF"),
        ("Application/X-Image", "PNG"),
    ],
)
def test_image_body_is_classified(content_type: str, image_format: str) -> None:
    """An image of each type gives the classes, most probable first, with softmax's probabilities."""
    request = input_fn(bytearray(picture("blue", image_format)), content_type)
    answer = predict_fn(request, color_model())
    assert answer["predictions"][0]["class_name"] == "blue"
    assert answer["model"] == {"name": "colors-1", "classes": 3}
    probabilities = [item["probability"] for item in answer["predictions"]]
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[0] == pytest.approx(math.exp(4) / (math.exp(4) + 2), rel=0.01)


def test_ties_are_in_class_order() -> None:
    """Classes of equal probability come in the order of the class names."""
    answer = predict_fn(input_fn(picture("white"), "image/png"), color_model())
    assert [item["class_name"] for item in answer["predictions"]] == list(COLORS)


@pytest.mark.parametrize("content_type", [None, "", "text/csv", "application/x-npy", "image/svg+xml", "json"])
def test_other_content_type_is_refused_with_what_is_accepted(content_type: str | None) -> None:
    """A content type that is not read is a 415 that lists those that are."""
    error = refusal_of(picture("red"), content_type)
    assert (error.status, error.code) == (415, "unsupported_content_type")
    assert all(name in error.reason for name in (*IMAGE_TYPES, "application/json"))


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/json"])
@pytest.mark.parametrize("body", [b"", ""])
def test_empty_body_is_refused(body: bytes | str, content_type: str) -> None:
    """A request without a body is malformed."""
    error = refusal_of(body, content_type)
    assert (error.status, error.code) == (400, "empty_body")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no image", "not_an_image"),
        (picture("red", "JPEG")[:-200], "truncated_image"),
        (b"%PDF-1.7", "unsupported_format"),
    ],
)
def test_unusable_image_is_refused(body: bytes, code: str) -> None:
    """Bytes that are no usable image are a 422 with the decoder's code."""
    request = input_fn(body, "image/jpeg")
    with pytest.raises(RequestError) as caught:
        predict_fn(request, color_model())
    assert (caught.value.status, caught.value.code) == (422, code)


def test_pixel_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image above SAGEMAKER_DOGBREED_MAX_MEGAPIXELS is refused."""
    request = input_fn(encode(Image.new("L", (1100, 1000))), "image/png")
    assert predict_fn(request, color_model())["predictions"]
    monkeypatch.setenv("SAGEMAKER_DOGBREED_MAX_MEGAPIXELS", "1")
    with pytest.raises(RequestError, match="at most 1 million") as caught:
        predict_fn(request, color_model())
    assert caught.value.code == "too_many_pixels"


@pytest.mark.parametrize("as_text", [True, False])
def test_url_is_fetched_and_classified(loopback_allowed: None, as_text: bool) -> None:
    """JSON with a url is answered like that image's bytes; a body may arrive as text."""
    with image_server(dog=picture("green")) as base:
        body = json.dumps({"url": f"{base}/dog?key=secret", "top_k": 1})
        request = input_fn(body if as_text else body.encode(), "application/json; charset=UTF-8")
    answer = predict_fn(request, color_model())
    assert [item["class_name"] for item in answer["predictions"]] == ["green"]
    assert set(answer) == {"predictions", "model"}


def test_urls_are_answered_in_order_without_queries(loopback_allowed: None) -> None:
    """JSON with urls gives one result each, in order, named without what may be secret."""
    pictures = {color: picture(color) for color in COLORS}
    with image_server(**pictures) as base:
        asked = [*COLORS, *COLORS[::-1]]
        body = json.dumps({"urls": [f"{base}/{color}?key=secret" for color in asked]})
        answer = predict_fn(input_fn(body, "application/json"), color_model())
    assert [result["url"] for result in answer["results"]] == [f"{base}/{color}" for color in asked]
    assert [result["predictions"][0]["class_name"] for result in answer["results"]] == asked


def test_problem_with_one_of_several_urls_names_it(loopback_allowed: None) -> None:
    """An error about an item of urls says which one."""
    with image_server(red=picture("red"), text=b"a text") as base:
        missing = refusal_of(json.dumps({"urls": [f"{base}/red", f"{base}/none"]}), "application/json")
        request = input_fn(json.dumps({"urls": [f"{base}/red", f"{base}/text"]}), "application/json")
    with pytest.raises(RequestError) as caught:
        predict_fn(request, color_model())
    blocked = refusal_of('{"urls": ["http://127.0.0.1/", "http://10.0.0.1/"]}', "application/json")
    assert (missing.status, missing.code) == (422, "url_status")
    assert missing.reason == f"urls[1]: {base}/none: the host answered with status 404"
    assert (caught.value.status, caught.value.code) == (422, "not_an_image")
    assert caught.value.reason.startswith("urls[1]: the data is not an image")
    assert blocked.status == 422


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://169.254.169.254/latest/", "http://[::1]/", "http://0x7f000001/"]
)
def test_internal_urls_are_blocked_by_default(url: str) -> None:
    """Without an allow-list, loopback and metadata addresses are closed to requests."""
    error = refusal_of(json.dumps({"url": url}), "application/json")
    assert (error.status, error.code) == (422, "url_blocked")
    assert error.reason.startswith("url: http://")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "malformed_json"),
        (b"\xff\xfe\xfa", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"top_k": ' + b"9" * 5000 + b"}", "malformed_json"),
        (b"[]", "bad_request"),
        (b'"http://a.example/"', "bad_request"),
        (b"{}", "bad_request"),
        (b'{"uri": "http://a.example/"}', "bad_request"),
        (b'{"url": "http://a.example/", "urls": []}', "bad_request"),
        (b'{"url": 3}', "bad_request"),
        (b'{"url": null}', "bad_request"),
        (b'{"urls": "http://a.example/"}', "bad_request"),
        (b'{"urls": []}', "bad_request"),
        (b'{"urls": [null]}', "bad_request"),
        (json.dumps({"urls": ["http://a.example/"] * 33}).encode(), "bad_request"),
        (b'{"url": "http://a.example/", "top_k": 0}', "bad_request"),
        (b'{"url": "http://a.example/", "top_k": true}', "bad_request"),
        (b'{"url": "http://a.example/", "top_k": "3"}', "bad_request"),
        (b'{"url": "http://a.example/", "top_k": 1.5}', "bad_request"),
        (b'{"url": "file:///etc/passwd"}', "url_invalid"),
        (b'{"url": "http://user:pass@a.example/"}', "url_invalid"),
        (b'{"url": "\\ud800"}', "url_invalid"),
        (b'{"urls": ["http://a.example/", ""]}', "url_invalid"),
    ],
)
def test_bad_json_is_refused(body: bytes, code: str) -> None:
    """JSON that is malformed or says something else than a request is a 400 that says what."""
    error = refusal_of(body, "application/json")
    assert (error.status, error.code) == (400, code)
    assert error.to_json() == {"error": {"code": code, "message": error.reason}}
    assert "pass@" not in error.reason


def test_long_json_is_refused() -> None:
    """A JSON body over its limit is not parsed."""
    error = refusal_of(b" " * 1_000_001, "application/json")
    assert (error.status, error.code) == (413, "body_too_large")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
REQUEST_LIKE = st.fixed_dictionaries({}, optional=dict.fromkeys(("url", "urls", "top_k", "x"), JSON_VALUES))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(JSON_VALUES, REQUEST_LIKE).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
)
def test_any_json_is_read_or_refused(body: bytes) -> None:
    """Whatever the JSON, it is a request or a 400."""
    try:
        request = read_json(body)
    except RequestError as error:
        assert error.status == 400  # noqa: PT017  (either outcome is right)
    else:
        assert request.urls


def test_top_k_comes_from_json_header_or_setting(
    loopback_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON's top_k goes before the custom attributes', that before the environment's; 5 is the default."""
    names = tuple("abcdefg")
    attributes = Context(**{"x-amzn-sagemaker-custom-attributes": "trace-1, top_k=3"})

    def count(body: bytes | str, content_type: str, context: Any = None) -> int:
        request = input_fn(body, content_type, context)
        model = color_model(class_names=names)
        model.module.forward = lambda batch: torch.zeros(len(batch), len(names))
        return len(predict_fn(request, model)["predictions"])

    with image_server(red=picture("red")) as base:
        body = json.dumps({"url": f"{base}/red", "top_k": 2})
        assert count(body, "application/json", attributes) == 2
    assert count(picture("red"), "image/png", attributes) == 3
    assert count(picture("red"), "image/png", Context()) == 5
    monkeypatch.setenv("SAGEMAKER_DOGBREED_TOP_K", "100")
    assert count(picture("red"), "image/png") == len(names)


@pytest.mark.parametrize("value", ["top_k=0", "top_k=", "top_k=x", "top_k=-1", "top_k=\u0663", "a;top_k=1e3"])
def test_bad_top_k_attribute_is_refused(value: str) -> None:
    """A top_k attribute that is no whole number from 1 is a 400."""
    error = refusal_of(picture("red"), "image/png", Context(X_Amzn_SageMaker_Custom_Attributes=value))
    assert (error.status, error.code) == (400, "bad_request")


@pytest.mark.parametrize("context", [object(), Context(), Context(x_amzn_sagemaker_custom_attributes="id=7")])
def test_contexts_without_our_attribute_are_fine(context: Any) -> None:
    """A context of another server, or attributes of another purpose, change nothing."""
    assert input_fn(picture("red"), "image/png", context).top_k is None


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_broken_model_is_an_honest_server_error(factor: float) -> None:
    """Outputs that are not finite are the model's failure, not an answer."""
    with pytest.raises(RequestError, match="not finite") as caught:
        predict_fn(input_fn(picture("red"), "image/png"), color_model(factor))
    assert (caught.value.status, caught.value.code) == (500, "model_failure")


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        (None, True),
        ("", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("*/*", True),
        ("application/*;q=0.5", True),
        ("text/html, application/xml;q=0.9, */*;q=0.8", True),
        ("text/csv", False),
        ("image/*, text/html", False),
        ("application/json;q=0", False),
        ("application/json;q=0.01", True),
    ],
)
def test_accept_header(accept: str | None, accepted: bool) -> None:
    """JSON is given where it is accepted, alone, in a list or by a wildcard; else the answer is 406."""
    assert accepts_json(accept) == accepted
    if accepted:
        assert output_fn({"predictions": []}, accept) == ('{"predictions": []}', "application/json")
    else:
        with pytest.raises(RequestError) as caught:
            output_fn({}, accept)
        assert (caught.value.status, caught.value.code) == (406, "not_acceptable")


def test_output_is_strict_json() -> None:
    """NaN, which is no JSON, is never written."""
    with pytest.raises(ValueError, match="JSON"):
        output_fn({"probability": math.nan}, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_DOGBREED_TOP_K", "0"),
        ("SAGEMAKER_DOGBREED_TOP_K", "many"),
        ("SAGEMAKER_DOGBREED_MAX_MEGAPIXELS", "1.5"),
        ("SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS", "good.example, http://bad.example/"),
    ],
)
def test_bad_setting_stops_the_start(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is not acceptable is an error that names it, before any model is loaded."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name):
        model_fn(str(tmp_path))


def test_settings_are_read() -> None:
    """The settings are what the environment says, and have defaults."""
    environ = {
        "SAGEMAKER_DOGBREED_TOP_K": "3",
        "SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS": " a.example, b.example:8080 ,",
        "SAGEMAKER_DOGBREED_MAX_MEGAPIXELS": "2",
    }
    assert ServingSettings.from_environ(environ) == ServingSettings(
        top_k=3, allowed_url_hosts=("a.example", "b.example:8080"), max_pixels=2_000_000
    )
    assert ServingSettings.from_environ({}) == ServingSettings(
        top_k=5, allowed_url_hosts=(), max_pixels=50_000_000
    )


def test_trained_artifact_is_served(tmp_path: Path) -> None:
    """An artifact as training writes it loads and answers with its own class names."""
    hyperparameters = Hyperparameters(
        backbone="shufflenet_v2_x0_5", weights="none", finetune="full", head="mlp", head_units=8
    )
    torch.manual_seed(0)
    module = build(hyperparameters, 4, 64)
    names = ["akita", "beagle", "collie", "dalmatian"]
    artifact.save(
        tmp_path,
        module,
        class_names=names,
        preprocessing=Preprocessing.for_backbone("shufflenet_v2_x0_5", 64),
        hyperparameters=hyperparameters,
        metrics={},
    )
    model = model_fn(str(tmp_path))
    data = encode(Image.effect_noise((90, 70), 80).convert("RGB"))
    answer = predict_fn(input_fn(data, "image/png"), model)
    expected = model.module(model.preprocessing.evaluation_transform()(Image.open(io.BytesIO(data)))[None])
    probabilities = torch.softmax(expected, dim=1)[0].tolist()
    found = {item["class_name"]: item["probability"] for item in answer["predictions"]}
    assert found == pytest.approx(dict(zip(names, probabilities, strict=True)), rel=1e-4)
    assert answer["model"] == {"name": None, "classes": 4}
    assert json.loads(output_fn(answer, "*/*")[0]) == answer


def test_errors_are_of_the_toolkits_kind_where_it_serves_us(tmp_path: Path) -> None:
    """Under AWS's serving toolkit a RequestError is its base error, which it answers with our status."""
    package = tmp_path / "sagemaker_inference"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text(
        "class BaseInferenceToolkitError(Exception):\n"
        "    def __init__(self, status_code, message, phrase):\n"
        "        self.status_code, self.message, self.phrase = status_code, message, phrase\n"
    )
    script = (
        "from sagemaker_inference.errors import BaseInferenceToolkitError\n"
        "from sagemaker_dogbreed.container.invocation import RequestError\n"
        "error = RequestError(415, 'code', 'reason')\n"
        "assert isinstance(error, BaseInferenceToolkitError)\n"
        "print(error.status_code, error.phrase, error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == '415 code {"error": {"code": "code", "message": "reason"}}\n'


def test_request_without_urls_places_nothing() -> None:
    """A message about an image in the body needs no place; media types lose parameters and case."""
    assert ImageRequest(images=(b"x",)).place(0) == ""
    assert media_type(" Image/PNG ;q=1") == "image/png"
