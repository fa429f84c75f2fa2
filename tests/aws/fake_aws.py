"""What the tests of the AWS rooms share: an account, and clients whose answers a test writes itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.stub import Stubber

from sagemaker_dogbreed.clients import Clients

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's
USER = f"arn:aws:iam::{ACCOUNT}:user/dog"


def boto_session(region: str = REGION) -> boto3.Session:
    """Return a session with credentials that no AWS knows."""
    return boto3.Session(region_name=region, aws_access_key_id="none", aws_secret_access_key="none")


class StubbedClients(Clients):
    """Clients that answer what a test says; a call that it did not expect fails."""

    def __init__(self) -> None:
        super().__init__(boto_session)
        self.stubs: dict[str, Stubber] = {}

    def stub(self, service: str, region: str | None = None) -> Stubber:
        """Return the stub behind a service's client."""
        if service not in self.stubs:
            self.stubs[service] = Stubber(self.client(service, region))
            self.stubs[service].activate()
        return self.stubs[service]


def deny(stub: Any, operation: str, action: str) -> None:
    """Have a stub refuse an operation, for want of a permission."""
    message = f"User: {USER} is not authorized to perform: {action}"
    stub.add_client_error(operation, "AccessDeniedException", message, http_status_code=403)


def answer_iam(
    clients: Clients,
    trusts: Mapping[str, Mapping[str, Any]],
    is_denied: Callable[[str, str, str], bool] = lambda principal, action, resource: False,
) -> list[tuple[str, str, str]]:
    """Have IAM know roles by their trust policies, and what is denied; return the questions it is asked.

    A question is a principal's ARN, an action and a resource.
    """
    asked: list[tuple[str, str, str]] = []

    def get_role(params: Mapping[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        name = params["body"]["RoleName"]
        if name not in trusts:
            error = {"Error": {"Code": "NoSuchEntity", "Message": "none"}}
            return SimpleNamespace(status_code=404), error
        role = {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}
        document = {"AssumeRolePolicyDocument": json.dumps(trusts[name])}
        return SimpleNamespace(status_code=200), {"Role": role | document}

    def simulate(params: Mapping[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        body = params["body"]
        actions = [body[key] for key in body if key.startswith("ActionNames.member")]
        resources = [body[key] for key in body if key.startswith("ResourceArns.member")]
        questions = [
            (body["PolicySourceArn"], action, resource) for action in actions for resource in resources
        ]
        asked.extend(questions)
        results = [
            {
                "EvalActionName": question[1],
                "EvalResourceName": question[2],
                "EvalDecision": "implicitDeny" if is_denied(*question) else "allowed",
            }
            for question in questions
        ]
        return SimpleNamespace(status_code=200), {"EvaluationResults": results}

    events = clients.client("iam").meta.events
    events.register("before-call.iam.GetRole", get_role)
    events.register("before-call.iam.SimulatePrincipalPolicy", simulate)
    return asked


def answer(
    clients: Clients, operation: str, reply: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> None:
    """Have SageMaker answer an operation with what ``reply`` makes of the request; None leaves it alone."""

    def handle(params: Mapping[str, Any], **_: Any) -> tuple[Any, dict[str, Any]] | None:
        parsed = reply(json.loads(params["body"]))
        status = 400 if parsed is not None and "Error" in parsed else 200
        return None if parsed is None else (SimpleNamespace(status_code=status), parsed)

    clients.sagemaker.meta.events.register(f"before-call.sagemaker.{operation}", handle)


def refusal(action: str) -> dict[str, Any]:
    """Return the answer to a call without permission."""
    message = f"User: {USER} is not authorized to perform: {action}"
    return {"Error": {"Code": "AccessDeniedException", "Message": message}}
