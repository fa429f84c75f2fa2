"""Asks an endpoint what an image shows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

from botocore.exceptions import ClientError

from sagemaker_dogbreed.analysis.prediction import ClassProbability, Prediction
from sagemaker_dogbreed.errors import EndpointError, EndpointFailedError, InvocationError
from sagemaker_dogbreed.jobs.endpoint import delete_endpoint, is_gone
from sagemaker_dogbreed.jobs.missing import is_missing
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.payload import Payload, Picture, payload
from sagemaker_dogbreed.requests.names import NAME_RULE, is_resource_name

if TYPE_CHECKING:
    from types import TracebackType

DELETION_SECONDS = 300.0


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
        try:
            answer: dict[str, Any] = self._clients.sagemaker.describe_endpoint(
                EndpointName=self.endpoint_name
            )
        except ClientError as error:
            if is_missing(error):
                raise EndpointError(
                    f"there is no endpoint {self.endpoint_name!r}; is this the right session?"
                ) from error
            raise EndpointError(f"endpoint {self.endpoint_name!r} cannot be described: {error}") from error
        return answer

    @property
    def status(self) -> str:
        """Creating, InService, Updating, Failed, Deleting, ..."""
        return str(self.describe()["EndpointStatus"])

    def wait(self, timeout_seconds: float | None = None) -> Self:
        """Wait until the endpoint is in service, and return the handle.

        Raises:
            EndpointFailedError: It did not come into service; with SageMaker's reason.
            WaitTimeoutError: The time passed; SageMaker goes on trying.
        """

        def in_service() -> bool:
            answer = self.describe()
            if answer["EndpointStatus"] in ("Failed", "OutOfService"):
                raise EndpointFailedError(
                    f"endpoint {self.endpoint_name!r} is {answer['EndpointStatus']}: "
                    f"{answer.get('FailureReason', 'no reason given')}"
                )
            return bool(answer["EndpointStatus"] == "InService")

        self._poller.wait(f"endpoint {self.endpoint_name!r}", in_service, timeout_seconds)
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

        Returns when the endpoint is gone, so that its name is free again.

        Raises:
            EndpointError: SageMaker refused.
            WaitTimeoutError: SageMaker accepted, but had not finished after five minutes.
        """
        sagemaker, name = self._clients.sagemaker, self.endpoint_name
        delete_endpoint(sagemaker, name)
        self._in_service = False
        self._poller.wait(f"deleting endpoint {name!r}", lambda: is_gone(sagemaker, name), DELETION_SECONDS)

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
        try:
            answer = self._clients.runtime.invoke_endpoint(
                EndpointName=self.endpoint_name,
                ContentType=request.content_type,
                Accept="application/json",
                Body=request.body,
            )
        except ClientError as error:
            raise _refusal(self.endpoint_name, request.what, error) from error
        return _read_answer(self.endpoint_name, answer["Body"].read())


def _refusal(endpoint_name: str, what: str, error: ClientError) -> InvocationError:
    response: dict[str, Any] = dict(error.response)
    status = response.get("OriginalStatusCode")
    if status is None:
        return InvocationError(f"endpoint {endpoint_name!r} did not answer for {what}: {error}")
    message, code = response.get("OriginalMessage", ""), None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        details = json.loads(message)["error"]
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
