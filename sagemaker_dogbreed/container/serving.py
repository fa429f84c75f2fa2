"""The bundled model server: SageMaker's hosting contract over the four serving functions.

Run as ``python -m sagemaker_dogbreed.container.serving`` in the folder that holds ``inference.py``.
AWS's PyTorch image brings a server of its own; this one serves on a machine without AWS, and in
images that have none. https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagemaker_dogbreed.container.application import Application

_GRACE_SECONDS = 25  # SageMaker kills 30 s after SIGTERM


def create_app(model_dir: Path, handlers: ModuleType) -> Application:
    """Return the ASGI application that serves a model; its ``load()`` is still to be called.

    ``handlers`` has the serving functions; one that it lacks is the bundled one.
    """
    from sagemaker_dogbreed.container.application import Application

    return Application(model_dir, handlers)


def model_dir_from_environ(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the unpacked model artifact is: ``SM_MODEL_DIR``, or the base folder's ``model``."""
    environ = os.environ if environ is None else environ
    return Path(environ.get("SM_MODEL_DIR") or Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model")


def port_from_environ(environ: Mapping[str, str] | None = None) -> int:
    """Return the port to serve on: ``SAGEMAKER_BIND_TO_PORT``, or 8080.

    Raises:
        ValueError: The variable is not a port number.
    """
    environ = os.environ if environ is None else environ
    text = environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise ValueError(f"SAGEMAKER_BIND_TO_PORT must be a port number, got {text!r}")
    return int(text)


def load_handlers(program: str, folder: Path) -> ModuleType:
    """Import the serving functions' module from its file.

    Raises:
        FileNotFoundError: There is no such file.
    """
    path = folder / program
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; SAGEMAKER_PROGRAM names the serving script")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} is not a Python file; SAGEMAKER_PROGRAM names the serving script")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main(argv: Sequence[str] = ()) -> int:  # noqa: ARG001  (everything comes from the environment)
    """Serve until SIGTERM; return 0, or 1 where the model could not be loaded."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        import uvicorn
    except ImportError:
        return _failure("the package uvicorn is missing; install it with: pip install uvicorn")
    try:
        port = port_from_environ()
        handlers = load_handlers(os.environ.get("SAGEMAKER_PROGRAM", "inference.py"), Path.cwd())
    except Exception as error:
        logging.getLogger(__name__).exception("The serving script could not be loaded")
        return _failure(f"{type(error).__name__}: {error}")
    app = create_app(model_dir_from_environ(), handlers)
    config = uvicorn.Config(
        app,
        host=os.environ.get("SAGEMAKER_DOGBREED_BIND_HOST", "0.0.0.0"),  # noqa: S104  (a container's port)
        port=port,
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    reasons: list[str] = []

    def load() -> None:
        try:
            app.load()
        except BaseException as error:
            logging.getLogger(__name__).exception("The model could not be loaded")
            reasons.append(f"{type(error).__name__}: {error}")
            server.should_exit = True

    def stop(_signal: int, _frame: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal again when it is done; that must not end us before we return.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=load, name="load", daemon=True).start()
    server.run()
    return _failure(reasons[0]) if reasons else 0


def _failure(reason: str) -> int:
    sys.stderr.write("serving failed: " + " ".join(reason.split()) + "\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
