"""SageMaker's four serving functions, for a classifier of images.

AWS's PyTorch serving container and the bundled `serving` module both call these. A request is one
image, or JSON that says where images are::

    {"url": "https://example.com/dog.jpg", "top_k": 3}
    {"urls": ["https://example.com/1.jpg", "https://example.com/2.jpg"]}

The answer to one image is ``{"predictions": [{"class_name": ..., "probability": ...}, ...], "model":
{...}}``, most probable first; to ``urls`` it is ``{"results": [{"url": ..., "predictions": [...]},
...], "model": {...}}``.
"""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from sagemaker_dogbreed.container import artifact, images, url_fetch, urls
from sagemaker_dogbreed.container.invocation import (
    ImageRequest,
    RequestError,
    ServingSettings,
    accepts_json,
    media_type,
    read_json,
    top_k_attribute,
)

IMAGE_TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/bmp",
    "image/gif",
    "image/tiff",
    "application/x-image",
)
JSON_TYPE = "application/json"
MAX_URL_BODY_BYTES = 25 * 1024 * 1024
"""How long one fetched image may be; with several in one request, their share of 200 MiB if less."""

_MAX_URL_BYTES_TOGETHER = 200 * 1024 * 1024
# 32 images, 8 at a time, at most 10 s each: done within the 60 s that SageMaker waits for an answer.
_FETCHES_AT_ONCE = 8
_FETCH_SECONDS = 10.0


def model_fn(model_dir: str) -> artifact.LoadedModel:
    """Load the model artifact, onto a GPU where there is one.

    Raises:
        ArtifactError: The artifact cannot be used.
        ValueError: A setting in the environment is not acceptable.
    """
    ServingSettings.from_environ()  # a bad setting stops the start, not every request
    model = artifact.load(Path(model_dir))
    if torch.cuda.is_available():
        model.module.to("cuda")
    return model


def input_fn(body: bytes | bytearray | str, content_type: str | None, context: Any = None) -> ImageRequest:
    """Read a request; images named by URL are fetched here.

    Raises:
        RequestError: The request is not one that can be answered.
    """
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    kind = media_type(content_type)
    if kind == JSON_TYPE:
        request = read_json(data)
        settings = ServingSettings.from_environ()
        return dataclasses.replace(
            request,
            images=_fetch_all(request, settings),
            top_k=request.top_k or top_k_attribute(context),
        )
    if kind in IMAGE_TYPES or kind == "image/jpg":
        if not data:
            raise RequestError(400, "empty_body", "the request has no body: an image was expected")
        return ImageRequest(images=(data,), top_k=top_k_attribute(context))
    got = f"content type {kind!r} is not read here" if kind else "the request has no content type"
    accepted = ", ".join((*IMAGE_TYPES, JSON_TYPE))
    raise RequestError(415, "unsupported_content_type", f"{got}; send one of {accepted}")


def predict_fn(request: ImageRequest, model: artifact.LoadedModel, context: Any = None) -> dict[str, Any]:  # noqa: ARG001  (part of the contract)
    """Classify the images of a request; return the answer as JSON values.

    Raises:
        RequestError: An image cannot be used (422), or the model's output cannot (500).
    """
    settings = ServingSettings.from_environ()
    transform = model.preprocessing.evaluation_transform()
    # One image at a time is decoded and shrunk: many large ones together would not fit into memory.
    inputs = []
    for index, data in enumerate(request.images):
        try:
            image = images.open_rgb(
                data, max_pixels=settings.max_pixels, least_side=model.preprocessing.least_side
            )
            inputs.append(transform(image))
        except images.ImageError as error:
            raise RequestError(422, error.code, request.place(index) + error.message) from error
    device = next(model.module.parameters()).device
    with torch.inference_mode():
        logits = model.module(torch.stack(inputs).to(device))
    if not bool(torch.isfinite(logits).all()):
        raise RequestError(
            500, "model_failure", "the model's output is not finite; its weights are damaged or diverged"
        )
    probabilities = torch.softmax(logits.float(), dim=1).cpu()
    top_k = request.top_k or settings.top_k
    ranked = [_ranked(row, model.class_names, top_k) for row in probabilities]
    about = {"name": model.card.get("job_name") or None, "classes": len(model.class_names)}
    if request.shown_urls is None:
        return {"predictions": ranked[0], "model": about}
    results = [
        {"url": url, "predictions": predictions}
        for url, predictions in zip(request.shown_urls, ranked, strict=True)
    ]
    return {"results": results, "model": about}


def output_fn(prediction: dict[str, Any], accept: str | None, context: Any = None) -> tuple[str, str]:  # noqa: ARG001  (part of the contract)
    """Write the answer as strict JSON; return it with its content type.

    Raises:
        RequestError: 406: the client does not accept JSON.
    """
    if not accepts_json(accept):
        raise RequestError(
            406, "not_acceptable", f"answers are {JSON_TYPE}; the request does not accept that"
        )
    return json.dumps(prediction, allow_nan=False), JSON_TYPE


def _ranked(probabilities: torch.Tensor, class_names: tuple[str, ...], top_k: int) -> list[dict[str, Any]]:
    values, indices = probabilities.sort(descending=True, stable=True)  # stable: ties in class order
    return [
        {"class_name": class_names[index], "probability": value}
        for value, index in zip(values[:top_k].tolist(), indices[:top_k].tolist(), strict=True)
    ]


def _fetch_all(request: ImageRequest, settings: ServingSettings) -> tuple[bytes, ...]:
    max_bytes = min(MAX_URL_BODY_BYTES, _MAX_URL_BYTES_TOGETHER // len(request.urls))

    def fetch(index: int) -> bytes:
        try:
            return url_fetch.fetch(
                request.urls[index],
                allowed_hosts=settings.allowed_url_hosts,
                max_bytes=max_bytes,
                timeout_seconds=_FETCH_SECONDS,
            )
        except urls.UrlError as error:
            status = 400 if error.code == "url_invalid" else 422
            raise RequestError(status, error.code, request.place(index) + error.message) from error

    pool = ThreadPoolExecutor(min(_FETCHES_AT_ONCE, len(request.urls)), thread_name_prefix="fetch")
    try:
        return tuple(pool.map(fetch, range(len(request.urls))))
    finally:
        pool.shutdown(cancel_futures=True)
