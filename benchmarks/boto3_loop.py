"""The loop that most programs upload a folder with: ``boto3_loop.py FOLDER BUCKET ENDPOINT``."""

from __future__ import annotations

import sys
from pathlib import Path

import boto3


def main() -> None:
    """Upload all files below the folder, one after the other."""
    folder, bucket, endpoint = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    s3 = boto3.client("s3", endpoint_url=endpoint)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        s3.upload_file(str(path), bucket, f"dogs/{path.relative_to(folder).as_posix()}")


if __name__ == "__main__":
    main()
