"""Checkpoints on disk."""

from __future__ import annotations

import pytest
import torch

from sagemaker_dogbreed.container.checkpoint import Checkpoint, CheckpointError, CheckpointStore

CONFIGURATION = {"learning_rate": "0.001", "epochs": "3", "class_names": ["a", "b"]}


def checkpoint(epoch: int) -> Checkpoint:
    model = {"weight": torch.full((3,), float(epoch))}
    return Checkpoint(
        epoch=epoch,
        model=model,
        optimizer={
            "state": {0: {"step": torch.tensor(1.0)}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}],
        },
        best_epoch=1,
        best_loss=0.5,
        best_model=model,
        history=({"epoch": 1, "train_loss": 0.25},),
    )


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def store(tmp_path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints", CONFIGURATION)


def test_there_is_none_at_first(store):
    """Without a folder, and with an empty one, training begins anew."""
    assert store.load() is None
    store.folder.mkdir()
    assert store.load() is None


def test_what_is_saved_is_loaded(store):
    """The newest checkpoint comes back with every field; two are kept and nothing else."""
    for epoch in (9, 10, 11):
        store.save(checkpoint(epoch))
    loaded = store.load()
    assert (loaded.epoch, loaded.best_epoch, loaded.best_loss) == (11, 1, 0.5)
    assert torch.equal(loaded.model["weight"], torch.full((3,), 11.0))
    assert loaded.optimizer == checkpoint(11).optimizer
    assert list(loaded.history) == [{"epoch": 1, "train_loss": 0.25}]
    assert [name[:17] for name in names(store.folder)] == ["checkpoint-00010-", "checkpoint-00011-"]


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_damaged_checkpoint_is_set_aside(store, capsys, damage):
    """The one before is used, the damaged one keeps its bytes under another name, and the log says so."""
    store.save(checkpoint(1))
    store.save(checkpoint(2))
    newest = store.folder / names(store.folder)[-1]
    content = bytearray(newest.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    newest.write_bytes({"cut short": content[:-20], "one bit": content, "empty": b""}[damage])
    assert store.load().epoch == 1
    assert names(store.folder)[-1] == f"{newest.name}.damaged"
    assert f"{newest} is damaged: set aside as {newest.name}.damaged" in capsys.readouterr().out
    assert store.load().epoch == 1


def test_a_fresh_start_when_all_are_damaged(store):
    """Training then begins anew."""
    store.save(checkpoint(1))
    (store.folder / names(store.folder)[0]).write_bytes(b"")
    assert store.load() is None


def test_files_of_others_are_left_alone(store):
    """Only our names are read and removed; a partly written file does not count."""
    store.folder.mkdir()
    (store.folder / ".checkpoint.partial").write_bytes(b"cut short")
    (store.folder / "notes.txt").touch()
    assert store.load() is None
    for epoch in (1, 2, 3):
        store.save(checkpoint(epoch))
    assert "notes.txt" in names(store.folder)
    assert ".checkpoint.partial" not in names(store.folder)


def test_another_configuration_is_refused(store):
    """The message says what differs and both ways out."""
    store.save(checkpoint(1))
    other = {"learning_rate": "0.1", "epochs": "3", "class_names": ["a", "c"], "head": "mlp"}
    with pytest.raises(CheckpointError) as caught:
        CheckpointStore(store.folder, other).load()
    message = str(caught.value)
    assert "class_names, head (was None, is mlp), learning_rate (was 0.001, is 0.1)" in message
    assert "empty" in message


def test_what_may_change(store):
    """More epochs, more patience and other worker processes go on from the same checkpoint."""
    store.save(checkpoint(1))
    changed = {**CONFIGURATION, "epochs": "30", "patience": "7", "num_workers": "2"}
    assert CheckpointStore(store.folder, changed).load().epoch == 1


def test_a_checkpoint_runs_no_code(store):
    """A file that pickles anything but plain values counts as damaged."""
    store.folder.mkdir()
    store.save(Checkpoint(epoch=1, optimizer={"hook": print}))
    assert store.load() is None
