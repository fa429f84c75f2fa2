"""Asks an endpoint what an image shows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

from sagemaker_dogbreed.analysis.prediction import ClassProbability, Prediction
from sagemaker_dogbreed.errors import EndpointError, InvocationError, WaitTimeoutError
from sagemaker_dogbreed.jobs.calls import explain, reported, with_fresh_credentials
from sagemaker_dogbreed.jobs.endpoint_removal import DELETION_SECONDS, EndpointRemoval
from sagemaker_dogbreed.jobs.failure import endpoint_failure
from sagemaker_dogbreed.jobs.logs import LogReader
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS
from sagemaker_dogbreed.payload import Payload, Picture, payload
from sagemaker_dogbreed.requests.names import NAME_RULE, is_resource_name

if TYPE_CHECKING:
    from types import TracebackType

FAILED_STATUSES = ("Failed", "OutOfService", "UpdateRollbackFailed")


class Predictor:
    """A handle on an endpoint; made by ``Session.deploy`` and ``Session.predictor``.

    As a context manager it waits for the endpoint and deletes it, its config and its model at the end.
    """

    def __init__(self, endpoint_name: str, clients: Any, poller: Poller) -> None:
        if not is_resource_name(endpoint_name):
            raise EndpointError(f"{endpoint_name!r} is not the name of an endpoint: {NAME_RULE}")
        self.endpoint_name = endpoint_name
        self._clients = clients
        self._poller = poller
        self._in_service = False

    def __repr__(self) -> str:
        return f"Predictor({self.endpoint_name!r})"

    def describe(self) -> dict[str, Any]:
        """Return DescribeEndpoint's answer as it is.

        Raises:
            EndpointError: There is no endpoint of this name, or SageMaker refuses to tell.
        """
        with self._reported("cannot be described"):
            return with_fresh_credentials(self._clients, self._described)

    @property
    def status(self) -> str:
        """Creating, InService, Updating, Failed, Deleting, ..."""
        return _status(self.describe())

    def wait(self, timeout_seconds: float | None = None) -> Self:
        """Wait until the endpoint is in service, and return the handle.

        Credentials that expire and connections that drop do not end the wait; see ``Poller``.

        Raises:
            EndpointFailedError: It did not come into service; with SageMaker's reason, the last lines of
                its log and the next step.
            WaitTimeoutError: The time passed, or AWS refused the credentials for too long; SageMaker goes
                on trying.
            EndpointError: A permission is missing, or there is no such endpoint.
        """
        name = self.endpoint_name
        with self._reported("cannot be watched"):
            for answer in self._poller.watch(
                f"endpoint {name!r}",
                self._described,
                timeout_seconds,
                reconnect=self._clients.reconnect,
                again=f"session.predictor({name!r}).wait()",
            ):
                if _status(answer) in FAILED_STATUSES:
                    raise endpoint_failure(name, answer, LogReader.of_endpoint(self._clients, name))
                if _status(answer) == "InService":
                    break
        self._in_service = True
        return self

    @overload
    def predict(self, picture: Picture) -> Prediction: ...  # type: ignore[overload-overlap]  # str is a sequence
    @overload
    def predict(self, picture: Sequence[Picture] | Iterator[Picture]) -> list[Prediction]: ...

    def predict(self, picture: Any) -> Prediction | list[Prediction]:
        """Classify a picture, or each of several; waits for the endpoint first if it must.

        Args:
            picture: A file's path, an http(s) URL (the endpoint fetches it), encoded bytes, an open
                binary file or a PIL image; or a list or an iterator of these.

        Raises:
            InvocationError: A picture cannot be read, or the endpoint refused it or failed; the
                message names the picture.
            EndpointFailedError: The endpoint did not come into service.
        """
        single = isinstance(picture, (str, bytes, bytearray, memoryview)) or hasattr(picture, "read")
        many = isinstance(picture, (Sequence, Iterator)) and not single
        payloads = [payload(each) for each in picture] if many else [payload(picture)]
        if not self._in_service:
            self.wait()
        predictions = [self._invoke(each) for each in payloads]
        return predictions if many else predictions[0]

    def delete(self) -> None:
        """Delete the endpoint, its config and its model; what is gone already is passed over.

        Returns when the endpoint is gone, so that its name is free again. An endpoint that is still being
        created is deleted as soon as SageMaker lets it, which takes some minutes.

        Raises:
            EndpointError: SageMaker refused; ``remaining`` names what is left.
            WaitTimeoutError: SageMaker accepted, but had not finished after an hour.
        """
        name = self.endpoint_name
        removal = EndpointRemoval(name)
        self._in_service = False
        with self._reported("cannot be deleted"):
            try:
                self._poller.wait(
                    f"deleting endpoint {name!r}",
                    lambda: removal.advance(self._clients.sagemaker),
                    DELETION_SECONDS,
                    reconnect=self._clients.reconnect,
                    again=f"session.predictor({name!r}).delete()",
                )
            except WaitTimeoutError:
                if removal.is_accepted:
                    raise
        removal.check()

    def __enter__(self) -> Self:
        try:
            return self.wait()
        except BaseException:
            self.delete()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()

    def _invoke(self, request: Payload) -> Prediction:
        def send() -> bytes:
            answer = self._clients.runtime.invoke_endpoint(
                EndpointName=self.endpoint_name,
                ContentType=request.content_type,
                Accept="application/json",
                Body=request.body,
            )
            body: bytes = answer["Body"].read()
            return body

        try:
            body = with_fresh_credentials(self._clients, send)
        except AWS_ERRORS as error:
            raise _refusal(self.endpoint_name, request.what, error) from error
        return _read_answer(self.endpoint_name, body)

    def _described(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._clients.sagemaker.describe_endpoint(EndpointName=self.endpoint_name)
        return answer

    def _reported(self, what: str) -> contextlib.AbstractContextManager[None]:
        return reported(
            EndpointError,
            f"endpoint {self.endpoint_name!r} {what}",
            missing=f"there is no endpoint {self.endpoint_name!r}; is this the right session?",
        )


def _status(answer: Mapping[str, Any]) -> str:
    return str(answer.get("EndpointStatus") or "Unknown")


def _refusal(endpoint_name: str, what: str, error: Exception) -> InvocationError:
    # Connection errors have a response too: None.
    response: Any = getattr(error, "response", None) or {}
    status = response.get("OriginalStatusCode")
    if status is None:
        return InvocationError(f"endpoint {endpoint_name!r} did not answer for {what}: {explain(error)}")
    message, code = response.get("OriginalMessage", ""), None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        # AWS's serving toolkit lets a traceback follow.
        details = json.JSONDecoder().raw_decode(message)[0]["error"]
        message, code = str(details["message"]), str(details["code"])
    return InvocationError(
        f"endpoint {endpoint_name!r} answered {status} for {what}: {message}", status=status, code=code
    )


def _read_answer(endpoint_name: str, body: bytes) -> Prediction:
    try:
        rows = json.loads(body)["predictions"]
        classes = tuple(ClassProbability(str(row["class_name"]), float(row["probability"])) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise InvocationError(
            f"endpoint {endpoint_name!r} answered with something else than predictions: {body[:200]!r}. "
            "Was its model trained by this library?"
        ) from error
    return Prediction(classes)
