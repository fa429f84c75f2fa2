"""The source that runs in containers, as files: shipped to training jobs and with every model.

Standard library only, so that packing it needs no torch.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

TRAIN_SCRIPT = f'''"""Starts training."""
from {_PACKAGE.name}.container.train import main

if __name__ == "__main__":
    raise SystemExit(main())
'''
INFERENCE_SCRIPT = f'''"""Answers for SageMaker's inference toolkit."""
from {_PACKAGE.name}.container.inference import input_fn, model_fn, output_fn, predict_fn  # noqa: F401
'''


def library_version() -> str:
    """Return the version of the package this source belongs to."""
    return str(vars(sys.modules[_PACKAGE.name])["__version__"])


def package_files() -> dict[str, bytes]:
    """Return the package's ``__init__`` and its container modules, by path, sorted."""
    paths = [_PACKAGE / "__init__.py", *sorted((_PACKAGE / "container").rglob("*.py"))]
    return {path.relative_to(_PACKAGE.parent).as_posix(): path.read_bytes() for path in paths}


def serving_files() -> dict[str, bytes]:
    """Return what a model artifact's ``code`` folder holds, by path."""
    return {"inference.py": INFERENCE_SCRIPT.encode(), **package_files()}


def digest(files: Mapping[str, bytes]) -> str:
    """Return a SHA-256 over names and contents that does not depend on their order."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return total.hexdigest()


def write_files(files: Mapping[str, bytes], destination: Path) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = destination / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
