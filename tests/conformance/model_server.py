"""Stands in for TorchServe, whose place it takes between HTTP and AWS's inference toolkit.

Run with the environment of a CreateModel request: ``python model_server.py MODEL_DIR``. It prints its
port when the model is loaded. The toolkit's handler is asked as TorchServe's worker asks it, one request
at a time: one context for the life of the model, whose ``request_processor`` changes with each request.
"""

from __future__ import annotations

import http.server
import sys
from collections.abc import Mapping
from typing import Any

from sagemaker_pytorch_serving_container.handler_service import HandlerService


class RequestProcessor:
    """One request's headers, and what is answered to it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self.status = 200
        self.content_type = "text/plain"

    def get_request_properties(self) -> Mapping[str, str]:
        """Return the headers."""
        return self._headers


class Context:
    """What the model server tells its handler, by TorchServe's names."""

    def __init__(self, model_dir: str) -> None:
        self.model_name = "model"
        self.system_properties: dict[str, Any] = {"model_dir": model_dir, "gpu_id": None}
        self.request_processor = [RequestProcessor({})]

    def get_all_request_header(self, index: int) -> Mapping[str, str]:
        """Return the headers of a request."""
        return self.request_processor[index].get_request_properties()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Note the status."""
        self.request_processor[idx].status = code

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Note the content type."""
        self.request_processor[idx].content_type = value


def serve(model_dir: str) -> None:
    """Load the model and answer until the process is ended."""
    context, service = Context(model_dir), HandlerService()
    service.initialize(context)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            processor = RequestProcessor(dict(self.headers.items()))
            context.request_processor = [processor]
            (answer,) = service.handle([{"body": body}], context)
            content = answer.encode() if isinstance(answer, str) else bytes(answer)
            self.send_response(processor.status)
            self.send_header("Content-Type", processor.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)  # noqa: T201 - read by who started it
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
