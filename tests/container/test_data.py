"""Images of the channels, as batches."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from training_jobs import CLASSES, QUICK, draw_channel

from sagemaker_dogbreed.container.data import DataError, load_splits
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.preprocessing import Preprocessing

PREPROCESSING = Preprocessing.for_backbone("squeezenet1_1", 32)


@pytest.fixture
def channels(tmp_path):
    return {name: draw_channel(tmp_path / name, 3) for name in ("train", "valid", "test")}


def splits_of(channels, **changes):
    return load_splits(channels, Hyperparameters(**{**QUICK, **changes}), PREPROCESSING)[0]


def all_batches(split, epoch):
    images, labels = zip(*split.batches(epoch), strict=True)
    return torch.cat(images), torch.cat(labels)


def test_classes_and_labels(channels):
    """Classes are train's folders in order; validation images come in order, with their class's number."""
    (channels["train"] / ".ipynb_checkpoints").mkdir()
    (channels["train"] / "red" / "notes.txt").write_text("not an image")
    (channels["train"] / "red" / ".hidden.png").write_text("neither")
    (channels["train"] / "LICENSE").touch()
    splits, classes = load_splits(channels, Hyperparameters(**QUICK), PREPROCESSING)
    assert classes == CLASSES
    images, labels = all_batches(splits["valid"], 0)
    assert images.shape == (9, 3, 32, 32)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(splits["train"].sampler) == 9


def test_a_split_may_lack_classes(channels):
    """A class without test images keeps its number."""
    for path in (channels["test"] / "green").iterdir():
        path.unlink()
    (channels["test"] / "green").rmdir()
    assert all_batches(splits_of(channels)["test"], 0)[1].tolist() == [0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_a_function_of_seed_and_number(channels, workers):
    """Order and random changes repeat for the same epoch, whatever ran before and whoever loads."""
    reference = all_batches(splits_of(channels)["train"], 2)
    torch.manual_seed(99)
    split = splits_of(channels, num_workers=workers)["train"]
    other_epoch = all_batches(split, 1)
    again = all_batches(split, 2)
    assert torch.equal(again[0], reference[0])
    assert torch.equal(again[1], reference[1])
    assert not torch.equal(other_epoch[0], reference[0])
    assert not torch.equal(all_batches(splits_of(channels, seed=1)["train"], 2)[0], reference[0])


def test_loading_leaves_the_random_state_alone(channels):
    """What the network draws (dropout) does not depend on the images loaded before."""
    split = splits_of(channels)["train"]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    split.loader.dataset[next(iter(split.sampler))]
    assert torch.equal(torch.rand(1), expected)


def test_augmentation_is_for_training_only(channels):
    """Validation images are the same in every epoch; so are training images with augmentation: none."""
    splits = splits_of(channels)
    assert torch.equal(all_batches(splits["valid"], 1)[0], all_batches(splits["valid"], 2)[0])
    plain = splits_of(channels, augmentation="none", finetune="head")["train"]
    one, two = (all_batches(plain, epoch)[0].flatten(1).sum(1).sort().values for epoch in (1, 2))
    assert torch.equal(one, two)


def test_a_lone_last_image_is_left_out_of_training(channels):
    """Batch normalization cannot train on one image, so nine images make two batches of four."""
    splits = splits_of(channels)
    assert len(all_batches(splits["train"], 1)[1]) == 8
    assert len(all_batches(splits["valid"], 1)[1]) == 9
    assert len(all_batches(splits_of(channels, finetune="head")["train"], 1)[1]) == 9


@pytest.mark.parametrize("workers", [None, 0, 3, 64])
def test_no_warnings(channels, workers):
    """Whatever number of processes is asked for, the log stays clean."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = splits_of(channels, num_workers=workers)
    expected = 0 if workers is None else workers  # so few images need no processes
    assert splits["train"].loader.num_workers == expected


def test_many_images_get_processes(tmp_path):
    """By default loading is spread over the processors."""
    folder = draw_channel(tmp_path / "train", 1)
    for number in range(100):
        (folder / "red" / f"x{number}.png").touch()
    channels = dict.fromkeys(("train", "valid", "test"), folder)
    count = splits_of(channels, num_workers=None)["train"].loader.num_workers
    processors = torch.multiprocessing.cpu_count()
    assert count == 0 if processors == 1 else 0 <= count <= 8


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no data"), (b"not an image", "not an image"), (b"\x89PNG\r\n\x1a\n cut", "damaged")],
)
def test_a_broken_image_is_named(channels, workers, content, message):
    """The error names channel and file, also when a worker process met it."""
    path = channels["train"] / "red" / "1.png"
    path.write_bytes(content)
    split = splits_of(channels, num_workers=workers)["train"]
    with pytest.raises(
        DataError, match=f"channel train: .*red/1.png: .*{message}.*; repair or remove the file"
    ):
        all_batches(split, 1)


def test_worker_processes_outlive_a_signal_to_the_group(channels):
    """The main process decides when loading ends; a worker that gets SIGTERM or SIGINT loads on."""
    split = splits_of(channels, num_workers=1, batch_size=1)["valid"]
    batches = split.batches()
    next(batches)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(batches)) == 8


def test_images_of_every_mode_become_rgb(channels):
    """Gray, palette and transparent images are loaded like others."""
    for number, mode in enumerate(("L", "P", "RGBA")):
        pixels = np.full((40, 40), 200, dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(channels["valid"] / "blue" / f"{number}.png")
    assert all_batches(splits_of(channels)["valid"], 0)[0].shape == (9, 3, 32, 32)


def test_channels_that_cannot_be_used(channels, tmp_path):
    """Each message names the channel, folder or class that is wrong."""
    empty = tmp_path / "empty"
    empty.mkdir()
    one_class = draw_channel(tmp_path / "one", 1, ("red",))
    more = draw_channel(tmp_path / "more", 1, ("blue", "red", "violet"))
    hollow = draw_channel(tmp_path / "hollow", 1)
    (hollow / "green" / "0.png").unlink()
    for change, message in (
        ({"train": empty}, "must hold a folder for each of two or more classes, found 0"),
        ({"train": one_class}, "found 1"),
        ({"train": tmp_path / "nowhere"}, "nowhere cannot be read: No such file"),
        ({"train": hollow}, "green holds no images"),
        ({"valid": empty}, r"channel valid \(.*empty\) holds no images in class folders"),
        ({"test": more}, "channel test has the class 'violet', which channel train does not have"),
    ):
        with pytest.raises(DataError, match=message):
            splits_of({**channels, **change})
    with pytest.raises(DataError, match="input channels valid, test missing"):
        splits_of({"train": channels["train"]})
    with pytest.raises(DataError, match="input channel test missing"):
        splits_of({name: channels[name] for name in ("train", "valid")})
