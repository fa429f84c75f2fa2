"""CreateModel requests of the library, carried out by AWS's inference toolkit."""

from __future__ import annotations

import functools
import http.server
import io
import json
import shutil
import threading

import pytest
from botocore.exceptions import ClientError
from hosting import in_service, stand_in, torchserve
from PIL import Image
from transfers import get_file

import sagemaker_dogbreed as sdb

# AWS's newest image for PyTorch inference is past its patches, which the library says at every deploy.
pytestmark = pytest.mark.filterwarnings("ignore::sagemaker_dogbreed.errors.ImagePatchWarning")


@pytest.fixture(scope="module")
def picture(photos):
    """A photo as JPEG bytes."""
    encoded = io.BytesIO()
    Image.open(min(photos.rglob("*.jpg"))).save(encoded, "JPEG")
    return encoded.getvalue()


@pytest.fixture(scope="module")
def served(picture, tmp_path_factory):
    """The photo over HTTP on this machine; gives ``host:port``."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "dog.jpg").write_bytes(picture)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def spec(served):
    """The endpoint's spec, on AWS and here."""
    return sdb.EndpointSpec(top_k=2, allowed_url_hosts=[served])


@pytest.fixture(scope="module")
def create_model(requests, spec, outcome):
    """The CreateModel request for the trained model."""
    return requests.deploy(spec, outcome)


@pytest.fixture(scope="module", params=[stand_in, torchserve], ids=["handler", "torchserve"])
def container(request, create_model, cloud, tmp_path_factory):
    """AWS's container code with the trained model, in service: its handler alone, and with TorchServe."""
    if request.param is torchserve and shutil.which("java") is None:
        pytest.skip("TorchServe is a Java program, and there is no java here")
    with in_service(create_model, tmp_path_factory.mktemp("hosting"), cloud, request.param) as running:
        yield running


@pytest.fixture(scope="module")
def local_predictor(outcome, spec, cloud, tmp_path_factory):
    """The same model and spec on the local SageMaker."""
    session = sdb.Session.local(tmp_path_factory.mktemp("local"))
    archive = get_file(cloud.s3, outcome.artifact_uri, tmp_path_factory.mktemp("artifact") / "model.tar.gz")
    session.store.put_file(archive, "s3://local/model.tar.gz")
    with session.deploy(spec, sdb.ModelArtifact(uri="s3://local/model.tar.gz")) as predictor:
        yield predictor


def classes(answer):
    """Return an answer's classes with their probabilities."""
    assert (answer.status, answer.content_type) == (200, "application/json"), answer.body.decode()
    return {row["class_name"]: row["probability"] for row in json.loads(answer.body)["predictions"]}


def test_a_picture_is_answered_as_by_the_local_sagemaker(container, local_predictor, picture):
    """The same model gives the same classes in the same order, with the same probabilities."""
    local = local_predictor.predict(picture).classes
    answer = container.invoke(picture, "image/jpeg")
    assert classes(answer) == pytest.approx({row.class_name: row.probability for row in local}, abs=1e-6)
    assert list(classes(answer)) == [row.class_name for row in local]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_a_url_is_fetched_by_the_endpoint(container, picture, served, content_type):
    """A picture by its URL is answered as its bytes are."""
    body = json.dumps({"url": f"http://{served}/dog.jpg"}).encode()
    assert classes(container.invoke(body, content_type)) == classes(container.invoke(picture, "image/jpeg"))


def test_a_large_picture_is_answered_too(container):
    """AWS's model server takes what SageMaker lets through, not only the 6.5 MB that are its default."""
    encoded = io.BytesIO()
    Image.new("RGB", (1800, 1600), "tan").save(encoded, "BMP")
    assert len(encoded.getvalue()) > 6_553_500
    assert len(classes(container.invoke(encoded.getvalue(), "image/bmp"))) == 2


def test_custom_attributes_reach_the_serving_functions(container, picture):
    """``top_k`` of one request holds for that request only."""
    chosen = container.invoke(picture, "image/jpeg", X_Amzn_SageMaker_Custom_Attributes="top_k=1")
    assert len(classes(chosen)) == 1
    assert len(classes(container.invoke(picture, "image/jpeg"))) == 2


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        (b"no picture", "image/jpeg", "*/*", 422),
        (b"", "image/jpeg", "*/*", 400),
        (b"{", "application/json", "*/*", 400),
        (b'{"url": "http://192.168.7.7/dog.jpg"}', "application/json", "*/*", 422),
        (b"1,2", "text/csv", "*/*", 415),
        (None, "image/jpeg", "text/csv", 406),
    ],
)
def test_a_request_that_cannot_be_answered_is_the_callers_fault(
    container, local_predictor, picture, body, content_type, accept, status
):
    """The status is 4xx, and the text begins with all that the local SageMaker answers."""
    body = picture if body is None else body
    answer = container.invoke(body, content_type, Accept=accept)
    assert answer.status == status, answer.body.decode()
    with pytest.raises(ClientError) as caught:
        local_predictor._clients.runtime.invoke_endpoint(
            EndpointName=local_predictor.endpoint_name, Body=body, ContentType=content_type, Accept=accept
        )
    local = caught.value.response
    assert local["OriginalStatusCode"] == status
    assert answer.body.decode().startswith(local["OriginalMessage"])
