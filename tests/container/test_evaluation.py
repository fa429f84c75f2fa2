"""What is said of a test split's images, collected batch by batch."""

from __future__ import annotations

import base64
import io
import json
import math
import threading

import pytest
import torch
from PIL import Image

from sagemaker_dogbreed.container import evaluation as room
from sagemaker_dogbreed.container.data import UNCOUNTED
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.evaluation import Evaluation
from sagemaker_dogbreed.container.thumbnails import thumbnail

NAMES = ("beagle", "pug", "whippet")


def scores_for(predicted, classes=3, confidence=0.8):
    """Logits whose softmax gives the predicted class the confidence, and the rest evenly to the others."""
    rest = (1 - confidence) / (classes - 1)
    rows = torch.full((len(predicted), classes), math.log(rest))
    rows[torch.arange(len(predicted)), torch.tensor(predicted, dtype=torch.long)] = math.log(confidence)
    return rows


def evaluated(labels, predicted, *, confidence=0.8, files=(), names=NAMES):
    evaluation = Evaluation(names, files)
    evaluation.add(scores_for(predicted, len(names), confidence), torch.tensor(labels))
    return evaluation.summary()


def test_counts_by_class_and_by_pair():
    """Precision, recall and the cells of the confusion matrix are those counted by hand."""
    summary = evaluated([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2])
    assert summary["images"] == 6
    assert summary["top_1"] == 0.5
    assert summary["confusion"] == [[0, 1, 2], [1, 0, 1]]
    beagle, pug, whippet = summary["classes"]
    assert beagle == {
        "name": "beagle",
        "images": 3,
        "predicted": 2,
        "right": 1,
        "precision": 0.5,
        "recall": pytest.approx(1 / 3),
    }
    assert (pug["precision"], pug["recall"]) == (pytest.approx(1 / 3), 0.5)
    assert (whippet["precision"], whippet["recall"]) == (1.0, 1.0)


def test_rates_of_nothing_are_none():
    """A class that neither occurs nor is predicted has no precision and no recall."""
    summary = evaluated([0], [0])
    assert summary["classes"][1]["precision"] is None
    assert summary["classes"][1]["recall"] is None


def test_no_images_are_an_evaluation_too():
    """Without images there are classes and no numbers, and it can be written."""
    summary = Evaluation(NAMES).summary()
    assert (summary["images"], summary["loss"], summary["calibration_error"]) == (0, None, None)
    json.dumps(summary, allow_nan=False)


def test_losses_are_cross_entropy():
    """The mean loss is torch's, and the worst image has the highest of all."""
    scores, labels = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    evaluation = Evaluation(NAMES)
    for start in (0, 8, 16):
        evaluation.add(scores[start : start + 8], labels[start : start + 8])
    losses = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
    summary = evaluation.summary()
    assert summary["loss"] == pytest.approx(float(losses.mean()))
    assert [image["loss"] for image in summary["worst"]] == pytest.approx(
        sorted(losses.tolist(), reverse=True)[:12]
    )
    worst = summary["worst"][0]
    assert worst["true_probability"] == pytest.approx(math.exp(-worst["loss"]))


@pytest.mark.parametrize(("right", "error"), [(8, 0.0), (4, 0.4)])
def test_calibration_error(right, error):
    """Said with 80 %, ten images are well calibrated where eight are right, and off by 0.4 where four are."""
    summary = evaluated([0] * right + [1] * (10 - right), [0] * 10)
    assert summary["calibration_error"] == pytest.approx(error, abs=1e-6)
    assert summary["calibration"] == [
        {"confidence": pytest.approx(0.8), "accuracy": right / 10, "images": 10}
    ]


def test_images_have_names_and_upright_thumbnails(tmp_path):
    """A picture that EXIF turns comes out turned, 128 pixels long, and without what its file says else."""
    files = []
    for name in ("one", "two"):
        path = tmp_path / "pug" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        picture = Image.new("RGB", (400, 200), "red")
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(path, exif=exif, comment=b"private")
        files.append(path)
    files[1].unlink()
    summary = evaluated([1, 1], [0, 0], files=files)
    one, two = sorted(summary["worst"], key=lambda image: image["file"])
    assert (one["file"], two["file"]) == ("pug/one.jpg", "pug/two.jpg")
    content = base64.b64decode(one["thumbnail"], validate=True)
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.size) == ("JPEG", (64, 128))
    assert b"private" not in content
    assert two["thumbnail"] is None


def test_bytes_that_are_no_image_have_no_thumbnail(tmp_path):
    """Neither text nor a folder is an image, and neither is an error."""
    (tmp_path / "text.jpg").write_text("no image")
    assert thumbnail(tmp_path / "text.jpg") is None
    assert thumbnail(tmp_path) is None


def test_images_have_no_names_where_the_files_are_others(tmp_path):
    """Where there is not one file for each image, none is named: it might be another's name."""
    summary = evaluated([1, 1], [0, 0], files=[tmp_path / "one.jpg"])
    assert [image["file"] for image in summary["worst"]] == [None, None]


def test_confused_pairs_are_the_most_frequent_with_their_worst_images(tmp_path):
    """Pairs come by their count, and their examples by loss."""
    files = [tmp_path / f"{number}.jpg" for number in range(7)]
    evaluation = Evaluation(NAMES, files)
    labels = [0, 0, 0, 0, 0, 1, 2]
    for label, predicted, confidence in zip(
        labels, [1, 1, 1, 1, 0, 2, 2], [0.5, 0.6, 0.9, 0.7, 0.9, 0.99, 0.9], strict=True
    ):
        evaluation.add(scores_for([predicted], confidence=confidence), torch.tensor([label]))
    first, second = evaluation.summary()["confused"]
    assert (first["true"], first["predicted"], first["images"]) == ("beagle", "pug", 4)
    assert [image["file"].rpartition("/")[2] for image in first["examples"]] == ["2.jpg", "3.jpg", "1.jpg"]
    assert (second["true"], second["predicted"], second["images"]) == ("pug", "whippet", 1)


def test_its_size_is_bounded():
    """Of very many classes and errors those with the most are kept, and cells only of classes kept."""
    classes = room.MOST_CLASSES + 500
    names = [f"{'breed ' * 100}{number}" for number in range(classes)]
    generator = torch.Generator().manual_seed(0)
    labels, scores = torch.randint(classes, (14_000,), generator=generator), None
    evaluation = Evaluation(names)
    for part in labels.split(1000):
        scores = torch.rand(len(part), classes, generator=generator)
        evaluation.add(scores, part)
    summary = evaluation.summary()
    assert (summary["class_count"], len(summary["classes"])) == (classes, room.MOST_CLASSES)
    assert 5_000 < len(summary["confusion"]) <= room.MOST_CELLS
    assert max(max(cell[:2]) for cell in summary["confusion"]) < room.MOST_CLASSES
    assert len(json.dumps(summary)) < 1_000_000


def test_of_many_classes_those_with_errors_are_kept():
    """The only class with errors is the last of very many, and is in the table."""
    classes = room.MOST_CLASSES + 2
    evaluation = Evaluation([str(number) for number in range(classes)])
    evaluation.add(torch.eye(classes)[[0, 1, 2]], torch.tensor([0, 1, classes - 1]))
    rows, cells = (evaluation.summary()[key] for key in ("classes", "confusion"))
    assert [row["name"] for row in rows][-1] == str(classes - 1)
    assert cells == [[len(rows) - 1, 2, 1]]


def test_names_that_are_no_text_are_written(tmp_path):
    """A folder's name that is not UTF-8 can be written; scores that are no numbers count as 0 or as large."""
    evaluation = Evaluation(["pug\udcff", "beagle"], [tmp_path / "\udcff.jpg"])
    evaluation.add(torch.tensor([[math.nan, math.inf]]), torch.tensor([0]))
    evaluation.write(tmp_path / "output" / "evaluation.json")
    written = json.loads((tmp_path / "output" / "evaluation.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in written["classes"]] == ["pug?", "beagle"]
    assert written["worst"][0]["loss"] > 1e20


class _Meeting:
    """Sums over ranks that are threads of this process."""

    def __init__(self, size):
        self.barrier, self.values = threading.Barrier(size), [[] for _ in range(size)]

    def sum(self, rank, values):
        self.values[rank] = values
        self.barrier.wait(timeout=30)
        return [sum(column) for column in zip(*self.values, strict=True)]


def test_ranks_see_together_what_one_sees_alone(tmp_path):
    """Each rank adds its shares of batches; every rank's summary is that of one process alone."""
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(7, 3, generator=generator), torch.randint(3, (7,), generator=generator)
    files = [tmp_path / f"{number}.jpg" for number in range(7)]
    alone = Evaluation(NAMES, files)
    alone.add(scores, labels)
    meeting, found = _Meeting(2), {}

    class Met(Ranks):
        def sum(self, values):
            return meeting.sum(self.rank, values)

    def work(rank):
        ranks = Met(rank=rank, size=2)
        evaluation = Evaluation(NAMES, files, ranks)
        for batch in (slice(0, 3), slice(3, 6), slice(6, 7)):
            share, share_labels = ranks.share(scores[batch]), ranks.share(labels[batch])
            if not len(share):
                share, share_labels = scores[batch][:1], torch.tensor([UNCOUNTED])
            evaluation.add(share, share_labels, images=len(scores[batch]))
        found[rank] = evaluation.summary()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: alone.summary(), 1: alone.summary()}
