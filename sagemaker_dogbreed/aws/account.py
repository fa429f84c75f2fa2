"""Whose account is used, and in which region."""

from __future__ import annotations

import attrs

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import reported


@attrs.frozen(kw_only=True)
class Account:
    """The account, region and partition (``aws``, ``aws-cn``, ...) that calls go to, and who calls."""

    account_id: str
    region: str
    partition: str = "aws"
    caller_arn: str = ""

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and region.

        >>> Account(account_id="123456789012", region="eu-west-1").arn("sagemaker", "endpoint/dogs")
        'arn:aws:sagemaker:eu-west-1:123456789012:endpoint/dogs'
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def identify(clients: Clients) -> Account:
    """Ask STS whose credentials are in use.

    Raises:
        AccountError: There are no credentials or no region, or AWS refuses them.
    """
    with reported(AccountError, "whose AWS credentials are in use cannot be told"):
        sts = clients.client("sts")
        answer = sts.get_caller_identity()
    caller = str(answer.get("Arn", ""))
    parts = caller.split(":")
    if len(parts) < 6 or not answer.get("Account"):
        raise AccountError(f"AWS does not say whose credentials are in use; it answers {caller!r}")
    return Account(
        account_id=str(answer["Account"]),
        region=sts.meta.region_name,
        partition=parts[1],
        caller_arn=caller,
    )
