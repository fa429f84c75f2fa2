"""Downloads that survive dropped connections and never leave a wrong file behind."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sagemaker_dogbreed.data.connection_trouble import connection_trouble, tls_trouble
from sagemaker_dogbreed.data.locking import exclusive
from sagemaker_dogbreed.data.partial import Partial
from sagemaker_dogbreed.errors import DownloadError

if TYPE_CHECKING:
    import requests

ATTEMPTS = 5
"""Attempts in a row that may fail; one that brought at least a MiB starts the count anew."""

_MEBIBYTE = 1 << 20
_LONGEST_WAIT = 60.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_ADVICE = {
    401: "Check the user name and password in the URL",
    403: "Check that the URL may be read; a presigned URL may have expired",
    404: "Check the URL",
    410: "Check the URL",
}


class _AttemptError(Exception):
    """The attempt failed in a way that another one may not."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def shown(url: str) -> str:
    """Return a URL without what may be secret: user name, password, query and fragment.

    >>> shown("https://me:secret@example.com/dogs.zip?X-Amz-Signature=abc")
    'https://example.com/dogs.zip'
    """
    scheme, _, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def download(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    verify: Callable[[Path], None],
    progress: bool = True,
    sleep: Callable[[float], None] = time.sleep,
    timeout: float = 60.0,
) -> None:
    """Download an http(s) URL to ``target``, unless a file that passes ``verify`` is there already.

    The bytes gather in ``<target>.part``; a later call continues it if the server still has the same
    file. ``target`` appears in one step, complete and verified. Two processes that want the same
    target take turns.

    Args:
        url: What to download; user name and password in it are sent as basic authentication.
        target: The file to make; missing parent folders are made as well.
        max_bytes: Bytes the file may have.
        verify: Raises DownloadError if the file is not what was wanted; it is then removed.
        progress: Whether to draw a progress bar.
        sleep: Waits between attempts; seconds.
        timeout: Seconds without a byte after which the connection counts as lost.

    Raises:
        DownloadError: It could not be had; the message shows the URL without secrets.
    """
    try:
        with exclusive(target):
            if target.exists() and _still_good(target, verify):
                return
            partial = Partial(target)
            _gather(url, partial, max_bytes=max_bytes, progress=progress, sleep=sleep, timeout=timeout)
            try:
                verify(partial.path)
            except DownloadError:
                partial.discard()
                raise
            partial.finish()
    except OSError as error:
        raise DownloadError(
            f"{shown(url)} cannot be saved as {str(target)!r}: {error.strerror or error}. "
            "Make room or choose another cache folder; the download then continues where it stopped"
        ) from None  # an error of the HTTP client in the chain could show the whole URL


def _still_good(target: Path, verify: Callable[[Path], None]) -> bool:
    try:
        verify(target)
    except DownloadError:
        target.unlink()
        return False
    return True


def _gather(
    url: str,
    partial: Partial,
    *,
    max_bytes: int,
    progress: bool,
    sleep: Callable[[float], None],
    timeout: float,
) -> None:
    """Try until the partial file is complete or too many attempts in a row have failed."""
    import requests

    failures, best = 0, partial.size
    with requests.Session() as session:
        while True:
            try:
                return _attempt(
                    session, url, partial, max_bytes=max_bytes, progress=progress, timeout=timeout
                )
            except _AttemptError as trouble:
                failures = 1 if partial.size - best >= _MEBIBYTE else failures + 1
                best = max(best, partial.size)
                if failures >= ATTEMPTS:
                    kept = "; what has arrived is kept" if partial.size else ""
                    raise DownloadError(
                        f"{shown(url)} could not be downloaded after {ATTEMPTS} attempts: {trouble}. "
                        f"Check the URL and the network, or try again later{kept}"
                    ) from None
                sleep(min(max(trouble.wait, 2.0 ** (failures - 1)), _LONGEST_WAIT))


def _attempt(
    session: requests.Session,
    url: str,
    partial: Partial,
    *,
    max_bytes: int,
    progress: bool,
    timeout: float,
) -> None:
    """Request what is missing and append it; return once the file is complete."""
    import requests
    import urllib3

    headers = {"Accept-Encoding": "identity", **partial.range_headers()}
    try:
        with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
            if not _accept(response, url, partial, asked_for_rest="Range" in headers):
                return
            _append(response, url, partial, max_bytes=max_bytes, progress=progress)
    except requests.exceptions.SSLError as error:
        raise DownloadError(
            f"{shown(url)} cannot be downloaded: {tls_trouble(error, _host(error, url))}"
        ) from None
    except requests.exceptions.InvalidSchema:
        raise DownloadError(f"{shown(url)} redirects to an address that is neither http nor https") from None
    except requests.exceptions.TooManyRedirects:
        raise DownloadError(f"{shown(url)} redirects without end") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise _AttemptError(f"timed out: {_host(error, url)} was silent for {timeout:g} seconds") from None
    except ValueError:  # requests' InvalidURL among them
        raise DownloadError(f"{shown(url)} is not a valid URL") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _AttemptError(connection_trouble(error, _host(error, url))) from None


def _host(error: Exception, url: str) -> str:
    """Return the host that an error is about, which after a redirect is not that of ``url``."""
    request = getattr(error, "request", None)
    return urlsplit(shown(getattr(request, "url", None) or url)).netloc


def _accept(response: requests.Response, url: str, partial: Partial, *, asked_for_rest: bool) -> bool:
    """Return whether the response's body is to be appended; False if nothing is missing any more."""
    status = response.status_code
    if status == 200:
        partial.start(response.headers)
        return True
    if asked_for_rest and status in (206, 416):
        if partial.is_continued_by(response.headers):
            return status == 206
        partial.discard()
        raise _AttemptError("the file on the server has changed")
    if status in _TRY_AGAIN:
        wait = response.headers.get("Retry-After", "")
        raise _AttemptError(f"the server answered {status}", float(wait) if wait.isdecimal() else 0.0)
    advice = _ADVICE.get(status, "Check the URL in a browser")
    raise DownloadError(f"{shown(url)} cannot be downloaded: the server answered {status}. {advice}")


def _append(
    response: requests.Response, url: str, partial: Partial, *, max_bytes: int, progress: bool
) -> None:
    """Append the body to the partial file and check its length."""
    from tqdm.auto import tqdm

    size, length = partial.size, response.headers.get("Content-Length", "")
    total = size + int(length) if length.isdecimal() else None
    too_large = f"{shown(url)} is larger than max_total_gb allows ({max_bytes:,} bytes)"
    if total is not None and total > max_bytes:
        partial.discard()
        raise DownloadError(too_large)
    name = urlsplit(shown(url)).path.rpartition("/")[2] or "download"
    bar = tqdm(total=total, initial=size, unit="B", unit_scale=True, desc=name, disable=not progress)
    with bar, partial.path.open("ab") as file:
        # The raw bytes: what a server compressed on its own is kept as it would be by curl.
        for chunk in response.raw.stream(1 << 18, decode_content=False):
            size += len(chunk)
            if size > max_bytes:
                partial.discard()
                raise DownloadError(too_large)
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and size != total:
        raise _AttemptError(f"{total:,} bytes were announced, but {size:,} came")
