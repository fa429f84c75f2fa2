"""What went wrong at S3, in words: the object, the cause and the way out."""

from __future__ import annotations

import re

from sagemaker_dogbreed.errors import StoreError

DAMAGED = frozenset(
    {
        "BadDigest",
        "InvalidDigest",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
        "RequestTimeout",
    }
)
"""S3's codes for a body that did not arrive as it was sent; sending it once more is the cure."""

_REGION = "the bucket is in another region than the session{where}; use the bucket's region"
_EXPIRED = "the credentials have expired; renew them (aws sso login, say) and repeat the call"
_REFUSED = "S3 does not know these credentials; check the profile and the access key"
_BUSY = "S3 asks to slow down, and did so at every attempt; repeat the call later"
_CAUSES = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidToken": _REFUSED,
    "InvalidAccessKeyId": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "NoSuchBucket": "there is no such bucket; check its name, or create it",
    "NoSuchKey": "there is no such object",
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "TooManyRequests": _BUSY,
    "InternalError": "S3 failed internally at every attempt; repeat the call later",
    "PreconditionFailed": "it was replaced meanwhile; repeat the call",
    "QuotaExceeded": "the bucket is full",
}
_BY_STATUS = {
    "301": "PermanentRedirect",
    "307": "TemporaryRedirect",
    "401": "InvalidAccessKeyId",
    "403": "AccessDenied",
    "404": "NoSuchKey",
    "412": "PreconditionFailed",
    "429": "TooManyRequests",
    "503": "ServiceUnavailable",
}


def error_code(error: BaseException) -> str:
    """Return S3's code of an error from obstore or botocore (``AccessDenied``); empty if it has none."""
    response = getattr(error, "response", None)  # botocore's ClientError
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        return _BY_STATUS.get(code, code)
    text = str(error)
    if found := re.search(r"<Code>([\w.]{1,80})</Code>", text):
        return found[1]
    if "redirect without LOCATION" in text:
        return "PermanentRedirect"
    # An answer to HEAD has no body.
    status = re.search(r"status code: (\d{3})", text)
    if status is None:
        return ""
    code = _BY_STATUS.get(status[1], "")
    return code or ("InternalError" if status[1].startswith("5") else f"HTTP {status[1]}")


def store_error(error: BaseException, action: str, permission: str) -> StoreError:
    """Return the error that tells what could not be done, why, and the way out.

    Args:
        error: What obstore or botocore raised.
        action: What was to be done, with the object's URI: ``store x as s3://b/x``.
        permission: What IAM calls the permission for it: ``s3:PutObject``.
    """
    return StoreError(f"cannot {action}: {_cause(error, permission)}")


def _cause(error: BaseException, permission: str) -> str:
    code, told = error_code(error), _told(error)
    if code in DAMAGED:
        return (
            f"it arrived damaged at every attempt ({code}); something on the way to S3 changes what is sent"
        )
    if code.startswith("KMS."):
        return f"the KMS key cannot be used ({code}: {told})"
    if code == "AccessDenied":
        needed = permission
        if "kms" in told.lower():
            needed = "kms:Decrypt" if permission == "s3:GetObject" else "kms:GenerateDataKey and kms:Decrypt"
        detail = f" (S3 says: {told})" if told else ""
        return f"access denied; the user or role needs the permission {needed}{detail}"
    if code in _CAUSES:
        region = re.search(r"<Region>([\w-]{1,30})</Region>|expecting '([\w-]{1,30})'", str(error))
        return _CAUSES[code].format(where=f" ({region[1] or region[2]})" if region else "")
    if code:
        return f"{code}: {told}" if told else code
    text = str(error).partition("\n\nDebug source:")
    if re.search(r"HTTP error|EndpointConnectionError|Could not connect|timed? ?out", text[0], re.IGNORECASE):
        reason = re.search(r'message: "([^"]{1,120})"', text[2])
        detail = f" ({reason[1]})" if reason else ""
        return f"the connection to S3 failed at every attempt{detail}; check network, proxy and endpoint"
    return text[0].strip() or type(error).__name__


def _told(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Message", ""))[:500]
    found = re.search(r"<Message>([^<]{1,500})</Message>", str(error))
    return found[1] if found else ""
