"""What S3 answers: objects in memory, and the operations that transfer tools ask of them.

Any bucket exists and every request is let in. What is not here is answered with 501.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from s3_messages import Answer, Refusal, Request, document

PAGE = 1000
_KEPT_HEADERS = ("content-type", "content-encoding", "cache-control")


@dataclass(slots=True)
class _Object:
    size: int
    etag: str
    modified: float
    body: bytes | None
    headers: dict[str, str]


class Objects:
    """The objects of all buckets, and the operations on them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._buckets: dict[str, dict[str, _Object]] = {}
        self._uploads: dict[str, dict[int, _Object]] = {}
        self._serial = itertools.count(1)

    def answer(self, request: Request) -> Answer:
        """Carry out one request."""
        try:
            operation = self._operation(request)
            return operation(request)
        except Refusal as refusal:
            return refusal.answer()

    def _operation(self, request: Request) -> Callable[[Request], Answer]:
        query = request.query
        match request.method, bool(request.key):
            case "PUT", True if "partNumber" in query:
                return self._put_part
            case "PUT", True if "x-amz-copy-source" in request.headers:
                return self._copy
            case "PUT", True:
                return self._put
            case (("GET" | "HEAD"), True) if not query.keys() - {"x-id", "partNumber"}:
                return self._get
            case "DELETE", True if "uploadId" in query:
                return self._abort_upload
            case "DELETE", True:
                return self._delete
            case "POST", True if "uploads" in query:
                return self._create_upload
            case "POST", True if "uploadId" in query:
                return self._complete_upload
            case "POST", False if "delete" in query:
                return self._delete_many
            case "GET", False if query.get("list-type") == "2":
                return self._list
            case (("HEAD" | "PUT"), False) if not query and request.bucket:
                return lambda _request: Answer(headers={"x-amz-bucket-region": "us-east-1"})
            case "GET", False if "location" in query:
                return lambda _request: document("", "LocationConstraint")
        raise Refusal(501, "NotImplemented", f"{request.method} with {sorted(query)} is not implemented")

    def _objects(self, request: Request) -> dict[str, _Object]:
        return self._buckets.setdefault(request.bucket, {})

    def _found(self, request: Request, key: str | None = None) -> _Object:
        try:
            return self._objects(request)[request.key if key is None else key]
        except KeyError:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.") from None

    def _received(self, request: Request) -> _Object:
        """Return the body of a request as an object."""
        body = request.body
        md5 = body.digests.get("md5")
        etag = md5.digest().hex() if md5 else f"{next(self._serial):032x}"
        given = request.headers | body.trailers
        headers = {
            name: value
            for name, value in given.items()
            if name in _KEPT_HEADERS or name.startswith(("x-amz-meta-", "x-amz-checksum-"))
        }
        headers.pop("x-amz-checksum-algorithm", None)
        encodings = [part.strip() for part in headers.pop("content-encoding", "").split(",")]
        if left := [part for part in encodings if part not in {"", "aws-chunked"}]:
            headers["content-encoding"] = ",".join(left)
        return _Object(
            body.size, etag, time.time(), None if body.parts is None else b"".join(body.parts), headers
        )

    def _put(self, request: Request) -> Answer:
        objects = self._objects(request)
        if request.headers.get("if-none-match") == "*" and request.key in objects:
            raise Refusal(412, "PreconditionFailed", "The object exists.")
        if (wanted := request.headers.get("if-match")) and wanted.strip('"') != self._found(request).etag:
            raise Refusal(412, "PreconditionFailed", "The object is another.")
        stored = objects[request.key] = self._received(request)
        return Answer(headers={"ETag": f'"{stored.etag}"'} | _checksums(stored))

    def _copy(self, request: Request) -> Answer:
        bucket, _, key = unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        source = self._buckets.get(bucket, {}).get(key)
        if source is None:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.")
        copy = _Object(source.size, source.etag, time.time(), source.body, dict(source.headers))
        self._objects(request)[request.key] = copy
        fields = f"<ETag>&quot;{copy.etag}&quot;</ETag><LastModified>{_iso(copy)}</LastModified>"
        return document(fields, "CopyObjectResult")

    def _get(self, request: Request) -> Answer:
        stored = self._found(request)
        headers = {
            "ETag": f'"{stored.etag}"',
            "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(stored.modified)),
            "Accept-Ranges": "bytes",
        } | {name: value for name, value in stored.headers.items() if not name.startswith("x-amz-checksum-")}
        if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers |= _checksums(stored)
        if request.method == "HEAD":
            return Answer(headers=headers, length=stored.size)
        if stored.body is None:
            raise Refusal(501, "NotImplemented", "The body of this object was discarded.")
        unit, _, asked = request.headers.get("range", "").partition("=")
        if unit != "bytes":
            return Answer(headers=headers, body=stored.body)
        first, _, last = asked.partition("-")
        start = int(first) if first else max(0, stored.size - int(last))
        end = min(int(last) if first and last else stored.size - 1, stored.size - 1)
        if start > end:
            raise Refusal(416, "InvalidRange", "The requested range is not satisfiable")
        headers["Content-Range"] = f"bytes {start}-{end}/{stored.size}"
        # A checksum is of the whole object; S3 leaves it out of a part.
        headers = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")}
        return Answer(206, headers, stored.body[start : end + 1])

    def _delete(self, request: Request) -> Answer:
        self._objects(request).pop(request.key, None)
        return Answer(204)

    def _delete_many(self, request: Request) -> Answer:
        asked = ET.fromstring(b"".join(request.body.parts or ()))
        keys = [node.text or "" for node in asked.iter() if node.tag.rpartition("}")[2] == "Key"]
        for key in keys:
            self._objects(request).pop(key, None)
        quiet = any(node.tag.rpartition("}")[2] == "Quiet" and node.text == "true" for node in asked.iter())
        deleted = "" if quiet else "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return document(deleted, "DeleteResult")

    def _list(self, request: Request) -> Answer:
        query, objects = request.query, self._objects(request)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        size = min(int(query.get("max-keys", PAGE)), PAGE)
        shown = quote if query.get("encoding-type") == "url" else escape
        entries: dict[str, str] = {}  # keys and common prefixes, in the order of keys
        truncated = False
        for key in sorted(key for key in objects if key > after and key.startswith(prefix)):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            name = prefix + head + delimiter if found else key
            if name in entries or (found and name <= after):
                continue
            if len(entries) == size:
                truncated = True
                break
            stored = objects[key]
            entries[name] = (
                f"<CommonPrefixes><Prefix>{shown(name)}</Prefix></CommonPrefixes>"
                if found
                else f"<Contents><Key>{shown(key)}</Key><LastModified>{_iso(stored)}</LastModified>"
                f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        fields = [
            f"<Name>{request.bucket}</Name><Prefix>{shown(prefix)}</Prefix><KeyCount>{len(entries)}</KeyCount>",
            f"<MaxKeys>{size}</MaxKeys><IsTruncated>{str(truncated).lower()}</IsTruncated>",
        ]
        if "encoding-type" in query:
            fields.append("<EncodingType>url</EncodingType>")
        if delimiter:
            fields.append(f"<Delimiter>{shown(delimiter)}</Delimiter>")
        if truncated:
            # The last name is the place to go on from; after a common prefix, none of its keys is left.
            last = next(reversed(entries))
            token = (
                last + "\U0010ffff"
                if delimiter and last.endswith(delimiter) and last not in objects
                else last
            )
            fields.append(f"<NextContinuationToken>{escape(token)}</NextContinuationToken>")
        return document("".join([*fields, *entries.values()]), "ListBucketResult")

    def _create_upload(self, request: Request) -> Answer:
        upload = f"upload{next(self._serial)}"
        self._uploads[upload] = {}
        fields = (
            f"<Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key><UploadId>{upload}</UploadId>"
        )
        return document(fields, "InitiateMultipartUploadResult")

    def _upload(self, request: Request) -> dict[int, _Object]:
        try:
            return self._uploads[request.query["uploadId"]]
        except KeyError:
            raise Refusal(404, "NoSuchUpload", "The specified multipart upload does not exist.") from None

    def _put_part(self, request: Request) -> Answer:
        parts = self._upload(request)
        part = parts[int(request.query["partNumber"])] = self._received(request)
        return Answer(headers={"ETag": f'"{part.etag}"'} | _checksums(part))

    def _complete_upload(self, request: Request) -> Answer:
        parts = [part for _number, part in sorted(self._upload(request).items())]
        del self._uploads[request.query["uploadId"]]
        bodies = [part.body for part in parts]
        joined = None if any(body is None for body in bodies) else b"".join(body or b"" for body in bodies)
        md5 = hashlib.md5(
            b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False
        ).hexdigest()
        stored = _Object(sum(part.size for part in parts), f"{md5}-{len(parts)}", time.time(), joined, {})
        self._objects(request)[request.key] = stored
        fields = (
            f"<Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag>"
        )
        return document(fields, "CompleteMultipartUploadResult")

    def _abort_upload(self, request: Request) -> Answer:
        self._upload(request)
        del self._uploads[request.query["uploadId"]]
        return Answer(204)


def _checksums(stored: _Object) -> dict[str, str]:
    return {name: value for name, value in stored.headers.items() if name.startswith("x-amz-checksum-")}


def _iso(stored: _Object) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stored.modified))
