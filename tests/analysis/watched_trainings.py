"""Histories and evaluations as trainings leave them, in any shape that plots and reports must bear."""

from __future__ import annotations

import base64
import io
import math
import random

from PIL import Image

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import (
    Epoch,
    Phases,
    Resume,
    Span,
    Start,
    Step,
    System,
    Tensor,
    Tensors,
)

BEGAN = 1_750_000_000.0
HOSTILE = "<script>alert('x')</script>\"&$\\frac{1}$\x00\x1b\u202e\udcff|"
"""A name that breaks HTML, XML, formulas of matplotlib and UTF-8, where it can."""


def tensor(kind="gradient", norm=1.0, update=None, not_finite=0, layer="Linear"):
    return Tensor(
        kind=kind,
        layer=layer,
        elements=100,
        mean=0.0,
        mean_abs=0.1,
        std=0.1,
        minimum=-1.0,
        maximum=1.0,
        norm=norm,
        zeros=0.0,
        low=-0.1,
        high=0.1,
        not_finite=not_finite,
        update=update,
    )


def training(*, epochs=8, steps=40, layers=2, gpus=1, resumed_after=None, seed=0) -> History:
    """A training that learns, then overfits a little; every twentieth step is slow."""
    draw = random.Random(seed)
    records, time = [], BEGAN
    settings = {
        "processors": 4,
        "device": "cuda" if gpus else "cpu",
        "num_workers": 0,
        "pin_memory": False,
        "torch": "2.8.0",
        "learning_rate": "0.001",
    }
    records.append(Start(time=time, node="rank-0", settings=settings))
    time += 12
    records.append(Span(time=time, node="rank-0", name="initialization", seconds=12))
    for epoch in range(1, epochs + 1):
        began = time
        for step in range((epoch - 1) * steps, epoch * steps):
            loss = 2.2 * math.exp(-step / (1.6 * steps)) + 0.15 + draw.random() * 0.3
            total = 0.4 * math.exp(draw.gauss(0, 0.06)) * (4 if step % 55 == 54 else 1)
            time += total
            records.append(
                Step(
                    time=time,
                    step=step,
                    epoch=epoch,
                    loss=loss,
                    top_1=max(0.0, min(1.0, 1 - loss / 2.5)),
                    learning_rate=0.001,
                    images=32,
                )
            )
            parts = {"data": 0.8, "copy": 0.02, "forward": 0.05, "backward": 0.08, "optimizer": 0.02}
            parts = {name: share * total for name, share in parts.items()}
            records.append(
                Phases(time=time, node="rank-0", mode="train", step=step, total=total, parts=parts)
            )
            if step % 5 == 0:
                records.append(Tensors(time=time, step=step, tensors=tensors(layers, step, draw)))
        records.append(Span(time=time, node="rank-0", name="train", seconds=time - began))
        for step in range(8):
            time += 0.3
            parts = {"data": 0.25, "copy": 0.01, "forward": 0.03}
            records.append(
                Phases(time=time, node="rank-0", mode="evaluate", step=step, total=0.3, parts=parts)
            )
        records.append(Span(time=time, node="rank-0", name="evaluation", seconds=2.4))
        train = 2.2 * math.exp(-epoch / 1.6) + 0.25
        valid = train + 0.05 + 0.02 * max(0, epoch - 5) ** 2
        measures = {
            "train_loss": train,
            "train_top_1": 1 - train / 3,
            "valid_loss": valid,
            "valid_top_1": 1 - valid / 3,
        }
        records.append(Epoch(time=time, epoch=epoch, step=epoch * steps - 1, measures=measures))
        time += 1
        records.append(Span(time=time, node="rank-0", name="checkpoint", seconds=1))
        if epoch == resumed_after:
            time += 300
            records.append(Start(time=time, node="rank-0", settings=settings))
            records.append(Resume(time=time, epoch=epoch, step=epoch * steps))
    records.append(Span(time=time + 4, node="rank-0", name="test", seconds=4))
    records += [each for each in machine(BEGAN, time + 4, gpus, draw) if running(each.time, records)]
    return History.of(sorted(records, key=lambda record: record.time))


def running(time, records):
    """Whether the job ran at a time: not between the last checkpoint before a resumption and that."""
    for resume in (record for record in records if isinstance(record, Resume)):
        if resume.time - 300 < time < resume.time:
            return False
    return True


def tensors(layers, step, draw):
    found = {}
    for number in range(layers):
        name = f"backbone.layer{number}.weight" if number < layers - 1 else "head.0.weight"
        norm = 10 ** (draw.gauss(0, 0.15) - number * 0.2) * math.exp(-step / 300)
        found[f"weight/{name}"] = tensor("weight", norm=5.0, update=10 ** draw.gauss(-3, 0.2))
        found[f"gradient/{name}"] = tensor("gradient", norm=norm)
        found[f"gradient/{name.removesuffix('weight')}bias"] = tensor("gradient", norm=norm / 10)
    return found


def machine(begin, end, gpus, draw):
    for number in range(int((end - begin) * 2)):
        busy = 60 + 35 * math.sin(number / 40) * draw.random()
        yield System(
            time=begin + number / 2,
            node="rank-0",
            cpu=tuple(min(100.0, busy * draw.uniform(0.4, 1.4)) for _ in range(4)),
            io_wait=draw.random() * 8,
            memory=40 + number / 100,
            own_memory=2e9,
            disk_read=abs(draw.gauss(3e7, 2e7)),
            disk_write=abs(draw.gauss(1e6, 1e6)),
            network_in=abs(draw.gauss(2e5, 1e5)),
            network_out=abs(draw.gauss(1e5, 1e5)),
            gpu=(draw.random() * 6,) * gpus,
            gpu_memory=(21.0,) * gpus,
        )


def one_step() -> History:
    """A training that was killed after its first step."""
    return History.of(
        [
            Start(time=BEGAN, node="rank-0", settings={}),
            Step(time=BEGAN, step=0, epoch=1, loss=2.0, top_1=0.1, learning_rate=0.1, images=8),
            Tensors(time=BEGAN, step=0, tensors={"gradient/head.weight": tensor()}),
            Phases(time=BEGAN, node="rank-0", mode="train", step=0, total=0.1, parts={"data": 0.05}),
            next(machine(BEGAN, BEGAN + 1, 0, random.Random(0))),
        ]
    )


def broken() -> History:
    """A training in which no number is a number."""
    nan = math.nan
    records = [
        Step(time=BEGAN + n, step=n, epoch=1, loss=nan, top_1=nan, learning_rate=nan, images=8)
        for n in range(3)
    ]
    records += [
        Tensors(
            time=BEGAN + n,
            step=n,
            tensors={
                f"gradient/{HOSTILE}": tensor(norm=nan, not_finite=100),
                f"weight/{HOSTILE}": tensor("weight", norm=nan, update=nan, not_finite=100),
            },
        )
        for n in range(3)
    ]
    records.append(Epoch(time=BEGAN + 3, epoch=1, step=2, measures={"train_loss": nan, "valid_loss": nan}))
    records.append(
        Phases(time=BEGAN + 3, node="rank-0", mode="train", step=2, total=nan, parts={"data": nan})
    )
    records.append(Span(time=BEGAN + 3, node="rank-0", name=HOSTILE, seconds=nan))
    records += [
        System(
            time=BEGAN + n,
            node="rank-0",
            cpu=(nan,),
            io_wait=nan,
            memory=nan,
            own_memory=nan,
            disk_read=nan,
            disk_write=nan,
            network_in=nan,
            network_out=nan,
            gpu=(nan,),
            gpu_memory=(nan,),
        )
        for n in range(3)
    ]
    return History.of(records)


def picture(color, size=(128, 96)):
    """A thumbnail as an evaluation has it."""
    content = io.BytesIO()
    Image.new("RGB", size, color).save(content, format="JPEG")
    return base64.b64encode(content.getvalue()).decode()


def image(true="beagle", predicted="pug", file="beagle/a.jpg", thumbnail=None, loss=3.2):
    return {
        "file": file,
        "true": true,
        "predicted": predicted,
        "confidence": 0.93,
        "true_probability": 0.04,
        "loss": loss,
        "thumbnail": thumbnail,
    }


def evaluation(names=("beagle", "pug", "whippet"), *, images=40, seed=0):
    """An evaluation of so many images of each class, as evaluation.json has it."""
    draw = random.Random(seed)
    size, cells = len(names), {}
    for true in range(size):
        for _ in range(images // 5):
            other = (true + draw.choice([1, 1, 1, 2])) % size
            if other != true:
                cells[true, other] = cells.get((true, other), 0) + 1
    missed = [sum(n for (true, _), n in cells.items() if true == each) for each in range(size)]
    said = [sum(n for (_, other), n in cells.items() if other == each) for each in range(size)]
    pairs = sorted(cells.items(), key=lambda item: -item[1])[:6]
    shade = [picture((60 + 30 * n, 90, 160), (128, 60 + 15 * n)) for n in range(5)]
    return {
        "images": size * images,
        "loss": 0.61,
        "top_1": 1 - sum(missed) / max(1, size * images),
        "calibration_error": 0.043,
        "calibration": [],
        "class_count": size,
        "classes": [
            {
                "name": name,
                "images": images,
                "predicted": images - missed[n] + said[n],
                "right": images - missed[n],
                "precision": (images - missed[n]) / max(1, images - missed[n] + said[n]),
                "recall": (images - missed[n]) / images if images else None,
            }
            for n, name in enumerate(names)
        ],
        "confusion": [[true, other, count] for (true, other), count in cells.items()],
        "worst": [
            image(names[n % size], names[(n + 1) % size], f"{names[n % size]}/{n}.jpg", shade[n % 5])
            for n in range(7)
        ]
        + [image(names[0], names[-1], None, None)],
        "confused": [
            {
                "true": names[true],
                "predicted": names[other],
                "images": count,
                "examples": [
                    image(names[true], names[other], f"{names[true]}/{n}.jpg", shade[n]) for n in range(3)
                ],
            }
            for (true, other), count in pairs
        ],
    }
