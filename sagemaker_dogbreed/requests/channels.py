"""``InputDataConfig``: where the files of a training job's channels are, and how they get there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Channel:
    """One input channel: an ``s3://`` prefix with all that is beneath it, or a manifest's URI.

    A manifest (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html)
    lists objects; a job gets these and no others.
    """

    uri: str
    is_manifest: bool = False


def input_data_config(channels: Mapping[str, Channel], input_mode: str) -> list[dict[str, Any]]:
    """Return the request's ``InputDataConfig``; every instance gets all files of every channel.

    >>> input_data_config({"train": Channel(uri="s3://b/train/")}, "FastFile")[0]["InputMode"]
    'FastFile'
    """
    return [
        {
            "ChannelName": name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "ManifestFile" if channel.is_manifest else "S3Prefix",
                    "S3Uri": channel.uri,
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "InputMode": input_mode,
        }
        for name, channel in channels.items()
    ]
