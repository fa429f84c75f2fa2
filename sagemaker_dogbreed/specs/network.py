"""Where the containers of a job or an endpoint may connect to."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.validation import flag, texts


@attrs.frozen(kw_only=True)
class NetworkSpec:
    """A VPC to run in, or no network at all.

    >>> NetworkSpec(subnets=["subnet-0a"], security_group_ids=["sg-0b"]).isolation
    False
    """

    subnets: Sequence[str] = texts(
        "subnets of the VPC", pattern=r"[-0-9a-zA-Z]{1,32}", example="subnet-0a1b2c3d"
    )
    security_group_ids: Sequence[str] = texts(
        "security groups of the VPC", pattern=r"[-0-9a-zA-Z]{1,32}", example="sg-0a1b2c3d"
    )
    isolation: bool = flag("cut containers off from all networks", default=False)
    encrypt_traffic: bool = flag("encrypt what training instances tell each other", default=False)

    def __attrs_post_init__(self) -> None:
        if bool(self.subnets) != bool(self.security_group_ids):
            raise SpecError("subnets and security_group_ids belong together: give both or neither")
        if len(self.subnets) > 16:
            raise SpecError(f"subnets must be 16 at most, got {len(self.subnets)}")
        if len(self.security_group_ids) > 5:
            raise SpecError(f"security_group_ids must be 5 at most, got {len(self.security_group_ids)}")
