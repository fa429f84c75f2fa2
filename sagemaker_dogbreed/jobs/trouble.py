"""Tells AWS's bad days from its refusals: what kind of trouble an exception of botocore is."""

from __future__ import annotations

import re
from typing import Any, Literal

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,  # noqa: A004 - botocore's own: the base of what happens on the way to AWS
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

Kind = Literal["expired", "credentials", "connection", "busy", "denied", "missing", "refused"]
"""What an exception means.

``expired``: the credentials were good and are no more; ``credentials``: there are none, or none that AWS
knows; ``connection``: no answer came; ``busy``: throttled, or AWS's own failure (5xx); ``denied``: a
permission is missing; ``missing``: there is no such resource; ``refused``: anything else.
"""

AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
"""All that a call through boto3 raises once its parameters are right, and when they are not."""

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "UnrecognizedClientException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"}
_BUSY = {"InternalFailure", "InternalServerError", "RequestTimeout", "RequestTimeoutException", "SlowDown"}
_BUSY |= {"ServiceUnavailable", "ServiceUnavailableException", "TransientError"}
_THROTTLED = re.compile(r"Throttl|TooManyRequests|RequestLimitExceeded|BandwidthLimitExceeded")


def details(error: BaseException) -> tuple[str, str]:
    """Return the code and the message of AWS's answer; of other exceptions, the type and text."""
    if not isinstance(error, ClientError):
        return type(error).__name__, str(error)
    response: Any = error.response
    answered = response.get("Error") or {}
    return str(answered.get("Code", "Unknown")), str(answered.get("Message") or answered.get("message", ""))


def kind_of(error: BaseException) -> Kind:
    """Tell what an exception that a call raised means."""
    if isinstance(error, ClientError):
        return _kind_of_answer(error)
    # The kinds that are also connection errors of botocore's come first.
    if isinstance(error, (TokenRetrievalError, SSOError, LoginError, RefreshWithMFAUnsupportedError)):
        return "expired"
    if isinstance(error, (CredentialRetrievalError, MetadataRetrievalError)):
        return "expired"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, NoAuthTokenError)):
        return "credentials"
    if isinstance(error, (ProfileNotFound, ConfigNotFound, ConfigParseError)):
        return "credentials"
    if isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError, ResponseParserError)):
        return "connection"
    return "refused"


def is_missing(error: ClientError) -> bool:
    """Whether an error says that the resource does not exist."""
    code, message = details(error)
    if code in ("ResourceNotFound", "ResourceNotFoundException"):
        return True
    # Describe and delete calls have no code of their own for it.
    text = message.lower()
    return code == "ValidationException" and ("could not find" in text or "not found" in text)


def may_have_arrived(error: BaseException) -> bool:
    """Whether a request may have been carried out although its answer is an error, or none came.

    botocore sends a request again when its answer is lost; AWS then says that it is carried out already.
    """
    code, message = details(error)
    repeated = code in ("ResourceInUse", "ConflictException") or "already exist" in message
    return repeated or kind_of(error) in ("connection", "busy")


def _kind_of_answer(error: ClientError) -> Kind:
    code, message = details(error)
    response: Any = error.response
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _EXPIRED or (code == "InvalidSignatureException" and "expired" in message.lower()):
        return "expired"
    if code in _UNKNOWN:
        return "credentials"
    if code in _DENIED:
        return "denied"
    if is_missing(error):
        return "missing"
    if code in _BUSY or _THROTTLED.search(code) or (isinstance(status, int) and status >= 500):
        return "busy"
    return "refused"
