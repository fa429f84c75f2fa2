"""Which images, where they come from and how they are divided."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.compute import NAME_PATTERN
from sagemaker_dogbreed.specs.validation import number, path_text, spec, text, text_mapping, text_validator

SEVERITIES = ("error", "warning", "ignore")

CHECKS: Mapping[str, str] = {
    "unreadable_image": "error",
    "truncated_image": "error",
    "too_many_pixels": "error",
    "empty_class": "error",
    "class_missing_in_split": "error",
    "class_not_in_train": "error",
    "empty_split": "error",  # stays an error whatever a spec says
    "name_collision": "error",
    "unsafe_name": "error",
    "nested_folder": "error",
    "stray_folder": "error",
    "duplicate_across_splits": "warning",
    "duplicate_across_classes": "warning",
    "wrong_extension": "warning",
    "unsupported_file": "warning",
    "stray_file": "warning",
    "class_imbalance": "warning",
    "small_class": "warning",
}
"""What the inspection looks for, and how severe each kind of finding is by default."""


def _known_check(field: str, kind: str, severity: str) -> None:
    if kind not in CHECKS:
        raise SpecError(f"{field} has no check {kind!r}; there are: {', '.join(CHECKS)}")
    if severity not in SEVERITIES:
        raise SpecError(f"{field}: {kind} must be one of {', '.join(SEVERITIES)}; got {severity!r}")


@attrs.frozen(kw_only=True)
class SplitSpec:
    """How a flat tree of class folders is divided; a tree with train/valid/test is left as it is.

    The split is stratified (every class is divided in these proportions) and depends on nothing but
    the seed, the class and the file names.

    >>> SplitSpec(valid=0.2, test=0.2, seed=7).valid
    0.2
    """

    valid: float = number("share of validation images", default=0.15, minimum=0.01, maximum=0.9)
    test: float = number("share of test images", default=0.15, minimum=0.01, maximum=0.9)
    seed: int = number("seed of the division", default=0, minimum=0, whole=True)

    def __attrs_post_init__(self) -> None:
        if self.valid + self.test > 0.95:
            raise SpecError(
                f"valid ({self.valid}) and test ({self.test}) leave less than 5 % of the images for training"
            )


def _without_secrets(source: str) -> str:
    """Return a source's repr without a URL's user, password and query, which may be a signature."""
    parts = urlsplit(source)
    if parts.scheme.lower() not in ("http", "https"):
        return repr(source)
    host = parts.netloc.rpartition("@")[2]
    return repr(f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else ""))


@attrs.frozen(kw_only=True)
class DatasetSpec:
    """A data set: a folder, a zip or tar file, or an http(s) URL of one.

    >>> DatasetSpec(source="dogImages.zip").dataset_name
    'dogImages'
    """

    source: str = attrs.field(
        converter=path_text,
        validator=text_validator(),
        repr=_without_secrets,
        metadata={"help": "folder, zip or tar file, or http(s) URL of one"},
    )
    name: str | None = text(
        "name of the data set; default: taken from the source", default=None, pattern=NAME_PATTERN,
        example="dog-images",
    )  # fmt: skip
    bucket: str | None = text(
        "S3 bucket; default: the session's",
        default=None,
        pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        example="my-bucket",
    )
    prefix: str = text(
        "key prefix in the bucket; data set versions lie beneath it",
        default="data",
        pattern=r"(?!.*(^|/)\.{1,2}(/|$))[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*/?",
        example="data/dogs",
    )
    split: SplitSpec = spec("division of a tree that is not divided yet", SplitSpec, factory=SplitSpec)
    sha256: str | None = text(
        "expected SHA-256 of the archive, 64 hex digits", default=None, pattern="[0-9a-fA-F]{64}"
    )
    checks: Mapping[str, str] = text_mapping(
        "severity (error, warning, ignore) of kinds of findings", _known_check
    )
    max_files: int = number("files an archive may hold", default=1_000_000, minimum=1, whole=True)
    max_total_gb: float = number("GB an archive may unpack to", default=200.0, minimum=0.000001)
    max_image_megapixels: float = number(
        "megapixels an image may have", default=100.0, minimum=0.001, maximum=200
    )
    shard_size_mb: int | None = number(
        "MB of the tar files that images are packed into, for data sets of very many small ones; "
        "default: every image is an object",
        default=None,
        minimum=1,
        maximum=5_000,
        whole=True,
    )

    @property
    def is_url(self) -> bool:
        """Whether the source is an http(s) URL."""
        return self.source.lower().startswith(("http://", "https://"))

    @property
    def dataset_name(self) -> str:
        """The data set's name: given, or taken from the source."""
        if self.name is not None:
            return self.name
        path = urlsplit(self.source).path if self.is_url else self.source
        stem = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
        for suffix in (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"):
            if stem.lower().endswith(suffix):
                stem = stem[: -len(suffix)]
                break
        cleaned = "-".join(
            filter(None, ("".join(c if c.isascii() and c.isalnum() else " " for c in stem)).split())
        )
        return cleaned[:63].strip("-") or "dataset"

    def severity(self, check: str) -> str:
        """Return how severe a kind of finding is: error, warning or ignore."""
        return self.checks.get(check, CHECKS[check])
