"""Jobs that are killed or stopped, and go on."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from training_jobs import Job, arguments

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.container import artifact

ENDLESS = arguments(epochs=10_000, patience=0)


pytestmark = pytest.mark.usefixtures("one_thread")


def wait_for(process, *words: str) -> None:
    """Read the process's log up to the line with each word in turn."""
    for word in words:
        for line in process.stdout:
            if word in line:
                break
        else:
            pytest.fail(f"no {word!r} in the log; {process.stderr.read()}")


def test_killed_stopped_and_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    """SIGKILL loses at most the epoch at hand, SIGTERM leaves a model, and the numbers stay the same."""
    tree, job = packaging.stage(tmp_path / "tree"), Job(tmp_path / "job")

    killed = job.start(tree, *ENDLESS)
    wait_for(killed, "Epoch 2/10000 - took")
    killed.kill()
    killed.communicate(timeout=60)
    assert any(job.checkpoints.iterdir())
    assert not job.model.exists()

    # The signal reaches the worker processes too, as when a whole process group is stopped.
    stopped = job.start(tree, *ENDLESS, "--num_workers", "2")
    wait_for(stopped, "Resuming after epoch", "- took")
    os.killpg(stopped.pid, signal.SIGTERM)
    log, errors = stopped.communicate(timeout=60)
    assert (stopped.returncode, errors) == (0, "")
    assert "Stop requested" in log
    history = job.result("history")["epochs"]
    model_at_stop = artifact.load(job.model)
    assert model_at_stop.card["metrics"]["valid_loss"] == min(epoch["valid_loss"] for epoch in history)
    assert "test_loss" not in model_at_stop.card["metrics"]

    whole = Job(tmp_path / "whole")
    assert whole.run_here(monkeypatch, epochs=len(history), patience=0) == 0
    assert whole.result("history")["epochs"] == history
    assert job.run_here(monkeypatch, epochs=len(history), patience=0) == 0
    assert job.result("metrics") == whole.result("metrics")
    one, other = artifact.load(job.model).module.state_dict(), artifact.load(whole.model).module.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_stopping_before_the_first_epoch_is_complete(tmp_path, monkeypatch, capfd):
    """There is nothing to keep then, which is no failure."""
    job = Job(tmp_path / "job")
    install = signal.signal

    def install_and_send(number, handler):
        previous = install(number, handler)
        os.kill(os.getpid(), number)
        return previous

    monkeypatch.setattr(signal, "signal", install_and_send)
    assert job.run_here(monkeypatch) == 0
    monkeypatch.undo()
    assert "Stopped before the first epoch was complete" in capfd.readouterr().out
    assert not job.model.exists()
    assert not (job.output / "failure").exists()
