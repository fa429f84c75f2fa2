"""What a request to the endpoint may say, and what is said when it cannot be answered."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.container.urls import AllowedHosts, UrlError, parse_url

MAX_JSON_BYTES = 1_000_000
MAX_URLS = 32
CUSTOM_ATTRIBUTES_HEADER = "X-Amzn-SageMaker-Custom-Attributes"
_MEGA = 1_000_000

# AWS's serving toolkit answers with an error's own status only where the error is of its base class;
# any other becomes a 500. Where the toolkit is what runs us, its module is loaded already.
_ToolkitError: Any = getattr(
    sys.modules.get("sagemaker_inference.errors"), "BaseInferenceToolkitError", Exception
)


class RequestError(_ToolkitError):  # type: ignore[misc]  # the base class depends on who serves
    """A request that is not answered; ``status`` is the HTTP status, ``code`` says why to a program."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        Exception.__init__(self, status, code, reason)
        self.status, self.code, self.reason = status, code, reason
        # As the toolkit calls them; it answers with the message and, from the next line on, a traceback.
        self.status_code, self.phrase, self.message = status, code, json.dumps(self.to_json())

    def __str__(self) -> str:
        return self.reason

    def to_json(self) -> dict[str, dict[str, str]]:
        """Return the error as the answer's JSON values."""
        return {"error": {"code": self.code, "message": self.reason}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """How the endpoint answers, from ``SAGEMAKER_DOGBREED_*`` environment variables."""

    top_k: int = 5
    allowed_url_hosts: tuple[str, ...] = ()
    max_pixels: int = 50 * _MEGA

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> ServingSettings:
        """Read ``..._TOP_K``, ``..._ALLOWED_URL_HOSTS`` (comma separated) and ``..._MAX_MEGAPIXELS``.

        Raises:
            ValueError: A variable's value is not acceptable; the message names it.
        """
        environ = os.environ if environ is None else environ
        hosts = tuple(
            host.strip()
            for host in environ.get("SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS", "").split(",")
            if host.strip()
        )
        try:
            AllowedHosts(hosts)
        except ValueError as error:
            raise ValueError(f"SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS: {error}") from None
        return cls(
            top_k=_whole_number(environ, "SAGEMAKER_DOGBREED_TOP_K", cls.top_k, 100_000),
            allowed_url_hosts=hosts,
            max_pixels=_MEGA
            * _whole_number(environ, "SAGEMAKER_DOGBREED_MAX_MEGAPIXELS", cls.max_pixels // _MEGA, 1000),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """Encoded images to classify; ``urls`` is where they are (empty: in the body).

    ``several`` tells a request for ``urls``, whose answer is a list, from one for a single image.
    """

    images: tuple[bytes, ...] = ()
    urls: tuple[str, ...] = ()
    several: bool = False
    top_k: int | None = None

    @property
    def shown_urls(self) -> tuple[str, ...] | None:
        """The URLs without their queries, where the answer is to name them."""
        return tuple(parse_url(url).shown for url in self.urls) if self.several else None

    def place(self, index: int) -> str:
        """Return the beginning of a message about one image."""
        if self.several:
            return f"urls[{index}]: "
        return "url: " if self.urls else ""


def media_type(header: str | None) -> str:
    """Return a Content-Type or Accept value without its parameters, in lower case."""
    return (header or "").partition(";")[0].strip().lower()


def accepts_json(accept: str | None) -> bool:
    """Tell whether an Accept header, missing ones included, lets JSON be the answer."""
    if not (accept or "").strip():
        return True
    return any(
        media_type(choice) in {"application/json", "application/*", "*/*"}
        and not re.search(r";\s*q\s*=\s*0(\.0*)?\s*(;|$)", choice)
        for choice in (accept or "").split(",")
    )


def read_json(data: bytes) -> ImageRequest:
    """Read a JSON request; its images are still to be fetched.

    Raises:
        RequestError: The JSON is malformed, too long, or its fields are not those of a request.
    """
    if len(data) > MAX_JSON_BYTES:
        raise RequestError(413, "body_too_large", f"a JSON request has at most {MAX_JSON_BYTES} bytes")
    if not data.strip():
        raise RequestError(400, "empty_body", "the request has no body: JSON with url or urls was expected")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        raise RequestError(400, "malformed_json", "the body is not JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise _bad_fields('the JSON must be an object such as {"url": "https://..."}')
    unknown = sorted(set(fields) - {"url", "urls", "top_k"})
    if unknown:
        raise _bad_fields(f"there is no field {unknown[0][:50]!r}; there are url, urls and top_k")
    if ("url" in fields) == ("urls" in fields):
        raise _bad_fields("the JSON must have either url or urls")
    several = "urls" in fields
    places = fields["urls"] if several else [fields["url"]]
    if not isinstance(places, list) or not 1 <= len(places) <= MAX_URLS:
        raise _bad_fields(f"urls must be a list of 1 to {MAX_URLS} URLs")
    top_k = _top_k(fields["top_k"]) if "top_k" in fields else None
    request = ImageRequest(urls=tuple(places), several=several, top_k=top_k)
    for index, place in enumerate(places):
        if not isinstance(place, str):
            raise _bad_fields(f"{request.place(index)}a URL is a text")
        try:
            parse_url(place)
        except UrlError as error:
            raise RequestError(400, error.code, request.place(index) + error.message) from None
    return request


def top_k_attribute(context: Any) -> int | None:
    """Read ``top_k=3`` from the request's custom attributes; whatever else is there is not ours.

    ``context`` is TorchServe's, or anything with its ``get_all_request_header(index)``.

    Raises:
        RequestError: ``top_k`` is there but is not a whole number from 1.
    """
    read_headers = getattr(context, "get_all_request_header", None)
    try:
        headers = dict(read_headers(0)) if read_headers else {}
    except Exception:  # a context that was made without a request
        return None
    for name, value in headers.items():
        if str(name).lower() == CUSTOM_ATTRIBUTES_HEADER.lower():
            found = re.search(r"(?:^|[,;\s])top_k\s*=\s*([^,;\s]*)", str(value))
            if found is None:
                return None
            return _top_k(int(found[1]) if re.fullmatch(r"[0-9]{1,9}", found[1], re.ASCII) else found[1])
    return None


def _top_k(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _bad_fields("top_k must be a whole number from 1")
    return value


def _bad_fields(message: str) -> RequestError:
    return RequestError(400, "bad_request", message)


def _whole_number(environ: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    text = environ.get(name, str(default)).strip()
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not 1 <= int(text) <= maximum:
        raise ValueError(f"{name} must be a whole number from 1 to {maximum}, got {text!r}")
    return int(text)
