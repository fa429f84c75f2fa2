"""From a folder of pictures to an answering endpoint, on this machine, in about two minutes.

Run it with ``nox -s quickstart``. It needs no account, no Docker and no download: the pictures are
drawn here, and the network learns from scratch. That is honest work for cartoons; for photographs
start from pretrained weights (``weights="imagenet"`` with ``finetune="head"``, the defaults).
"""

from __future__ import annotations

import functools
import http.server
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sagemaker_dogbreed as sdb

BREEDS = ("corgi", "dachshund", "dalmatian", "husky", "poodle", "pug")
SHEET = Path("quickstart-predictions.png")
MODEL = Path("quickstart-model.tar.gz")


def main() -> None:
    """Run data set, upload, training, deployment and prediction, and print a summary."""
    start = time.monotonic()
    session = sdb.Session.local()
    with tempfile.TemporaryDirectory() as folder:
        photos = sdb.draw_cartoon_dogs(
            Path(folder) / "cartoon-dogs", breeds=BREEDS, images_per_breed=200, image_size=96
        )

        step("1. Data set: checked, split and uploaded")
        dataset = session.upload(sdb.DatasetSpec(source=str(photos)))
        print(dataset.report)

        step("2. Training job: no pretrained weights, every layer learns")
        training = sdb.TrainingSpec(
            backbone="shufflenet_v2_x0_5",
            weights="none",
            finetune="full",
            head="linear",
            image_size=64,
            epochs=25,
            batch_size=32,
            learning_rate=0.003,
            patience=10,
        )
        job = session.train(training, dataset)
        try:
            result = job.wait(logs=True).result()
        except KeyboardInterrupt:
            job.stop()
            raise SystemExit(f"interrupted; training job {job.name} is being stopped") from None

        step("3. Endpoint: the trained model, answering over HTTP")
        unseen = {breed: sdb.draw_dog(breed, seed=12345, image_size=256) for breed in dataset.classes}
        pictures = Path(folder) / "unseen"
        pictures.mkdir()
        for breed, picture in unseen.items():
            picture.save(pictures / f"{breed}.png")
        with serve(pictures) as address:
            # An endpoint fetches images from public addresses only, unless a host is named.
            endpoint = sdb.EndpointSpec(allowed_url_hosts=[address])
            with session.deploy(endpoint, job.model) as predictor:
                breed = dataset.classes[0]
                print("by file:", predictor.predict(pictures / f"{breed}.png").top(3))
                print("by URL: ", predictor.predict(f"http://{address}/{breed}.png").top(3))
                predictions = predictor.predict(list(unseen.values()))

    sheet = sdb.draw_predictions(list(unseen.values()), predictions, true_classes=list(unseen))
    sheet.save(SHEET)

    step("Summary")
    right = sum(each.class_name == breed for each, breed in zip(predictions, unseen, strict=True))
    print(
        f"Breeds:            {len(dataset.classes)} (by chance {1 / len(dataset.classes):.1%} would be right)"
    )
    print(f"Test accuracy:     {result.metrics['Test Top-1']:.1%} on pictures held out from training")
    print(f"Dogs drawn anew:   {right} of {len(unseen)} recognized by the endpoint")
    print("Pretrained:        no; these are cartoons, so expect other numbers on photographs")
    print(f"Picture:           {SHEET.resolve()}")
    print(f"Model artifact:    {session.download(job.model, MODEL).resolve()}")
    print(f"Time:              {time.monotonic() - start:.0f} s; the endpoint is deleted")


def step(title: str) -> None:
    """Print a headline."""
    print(f"\n== {title}", flush=True)


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP on this machine while the block runs; yields ``host:port``."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a log line for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


if __name__ == "__main__":
    main()
