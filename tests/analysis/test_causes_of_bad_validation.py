"""Where training and validation part, and where they only seem to."""

from __future__ import annotations

import dataclasses

import pytest
from diagnosed_cases import CLASSES, curves, diagnosis_of, epochs, found, names, start, steps

UNTOLD = {"label_smoothing": 0.0, "augmentation": "none", "weight_decay": 0.0, "class_names": CLASSES}
HEALTHY = {
    "one epoch of a head": ([1.299], [0.654], [0.48], [0.725]),
    "two epochs of a whole network": ([2.165, 1.602], [4.177, 1.956], [0.246, 0.468], [0.117, 0.383]),
    "three epochs of a whole network": (
        [2.333, 1.654, 1.439], [2.256, 2.035, 1.628], [0.236, 0.382, 0.489], [0.233, 0.3, 0.367],
    ),
    "the best epoch is the last": (
        [1.413, 0.606, 0.337, 0.254], [0.831, 0.661, 0.683, 0.627],
        [0.42, 0.76, 0.86, 0.94], [0.625, 0.75, 0.75, 0.75],
    ),
    "one epoch above the best": (
        [1.659, 0.886, 0.496, 0.334], [1.08, 0.926, 0.718, 0.799],
        [0.353, 0.687, 0.807, 0.9], [0.55, 0.65, 0.7, 0.7],
    ),
    "a whole network that jumps": (
        [2.165, 1.602, 1.236, 0.992, 0.786], [4.177, 1.956, 0.865, 1.098, 0.58],
        [0.246, 0.468, 0.529, 0.639, 0.739], [0.117, 0.383, 0.65, 0.617, 0.817],
    ),
    "twelve epochs of a head": (
        [1.299, 0.462, 0.296, 0.191, 0.172, 0.139, 0.103, 0.089, 0.075, 0.066, 0.057, 0.052],
        [0.654, 0.483, 0.442, 0.478, 0.415, 0.419, 0.413, 0.412, 0.411, 0.404, 0.417, 0.423],
        [0.48, 0.84, 0.927, 0.933, 0.953, 0.96, 0.987, 0.993, 1.0, 0.993, 1.0, 1.0],
        [0.725, 0.8, 0.825, 0.8, 0.825, 0.85, 0.85, 0.875, 0.875, 0.875, 0.875, 0.875],
    ),
}  # fmt: skip
"""Losses and shares of trainings with which nothing is wrong."""

SOFTENED = (
    [1.327, 0.502, 0.358, 0.255, 0.239, 0.226, 0.206, 0.212, 0.205],
    [0.665, 0.487, 0.484, 0.454, 0.471, 0.494, 0.531, 0.513, 0.546],
    [0.493, 0.82, 0.893, 0.947, 0.96, 0.973, 0.98, 0.98, 0.98],
    [0.725, 0.825, 0.825, 0.85, 0.85, 0.775, 0.8, 0.825, 0.8],
)  # whose validation loss rises by a tenth, until patience ends it
RISING = (
    [2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01],
    [1.9, 1.2, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3],
)
SHUFFLED = (
    [2.022, 1.607, 1.266, 1.02, 0.845, 0.705, 0.643, 0.564],
    [2.501, 2.355, 2.46, 2.417, 2.477, 2.576, 2.604, 2.585],
    [0.213, 0.347, 0.527, 0.633, 0.72, 0.813, 0.813, 0.893],
    [0.15, 0.125, 0.075, 0.1, 0.075, 0.1, 0.05, 0.225],
)


@pytest.mark.parametrize("course", HEALTHY)
def test_a_healthy_training_is_accused_of_nothing(course):
    """Rules find a gap between the losses, which there is in each training; it does no harm here."""
    diagnosis = diagnosis_of(
        start(patience=5, **UNTOLD), epochs(curves(*HEALTHY[course])), rules=found("Overfit", "Overtraining")
    )
    assert diagnosis.causes == ()
    assert len(diagnosis.harmless) == 2


def test_in_the_middle_of_a_training_nothing_is_accused_either():
    """Whatever the epoch that a healthy training has come to."""
    for course in HEALTHY.values():
        for length in range(1, len(course[0])):
            half = [values[:length] for values in course]
            diagnosis = diagnosis_of(
                start(patience=5, **UNTOLD), epochs(curves(*half)), rules=found("Overfit")
            )
            assert diagnosis.causes == (), (course, length)


def test_a_rise_that_patience_ends_is_low():
    """The best epoch is kept: there is little to win, and with a small gap nothing to regularize."""
    diagnosis = diagnosis_of(
        start(patience=5, **UNTOLD), epochs(curves(*SOFTENED)), rules=found("Overfit", "Overtraining")
    )
    assert names(diagnosis) == ["overfitting"]
    assert diagnosis.causes[0].level == "low"
    assert diagnosis.changes == {}
    assert "epochs: 4 would do as well" in diagnosis.causes[0].advice[0]


def test_a_rise_without_patience_asks_for_it():
    """What is certain to help where training and validation were alike at the best epoch is to end there."""
    diagnosis = diagnosis_of(
        start(patience=0, **UNTOLD),
        epochs(curves(*RISING, [0.3, 0.6, 0.8, 0.9, 0.95, 0.97, 0.99, 1.0], [0.3, *[0.6] * 7])),
        rules=found("Overfit", "Overtraining"),
    )
    assert names(diagnosis) == ["overfitting"]
    assert diagnosis.causes[0].level == "high"
    assert diagnosis.changes == {"patience": 5}


def test_a_large_gap_at_the_best_epoch_asks_for_more_varied_images():
    """Two changes at a time, the most certain ones."""
    diagnosis = diagnosis_of(
        start(patience=0, **UNTOLD),
        epochs(curves(*RISING, [0.3, 0.9, *[0.95] * 6], [0.3, *[0.6] * 7])),
        rules=found("Overfit"),
    )
    assert diagnosis.changes == {"patience": 5, "augmentation": "flip_crop"}
    assert "Top-1 of training was 30 points above" in diagnosis.causes[0].evidence[2]


def test_on_kept_features_views_are_what_varies():
    """Images pass the backbone once, so that augmentation alone changes nothing."""
    diagnosis = diagnosis_of(
        start(on_features=True, views=1, augmentation="none"),
        epochs(curves([0.5, 0.1, 0.05], [1.0, 1.5, 2.0], [0.9, 1.0, 1.0], [0.6, 0.6, 0.6])),
    )
    assert diagnosis.changes == {"views": 4}


def test_the_severity_is_what_validation_lost():
    """A tenth more is little, twice as much is a lot."""
    severities = [
        diagnosis_of(start(patience=0), epochs(curves([1.0, 0.5, 0.2], [0.5, last, last]))).causes[0].severity
        for last in (0.56, 0.7, 1.0)
    ]
    assert severities == sorted(severities)
    assert severities[0] < 0.3 < 0.5 <= severities[-1]


def test_a_huge_gap_counts_where_validation_stands_still():
    """For several epochs, in loss and top-1; not while top-1 still becomes better."""
    train, valid, shares = [1.0, 0.5, *[0.1] * 5], [1.5, 1.3, *[1.31] * 5], [0.5, 0.9, *[1.0] * 5]
    stalled = diagnosis_of(start(), epochs(curves(train, valid, shares, [0.3, 0.5, *[0.5] * 5])))
    assert names(stalled) == ["overfitting"]
    assert stalled.causes[0].level == "low"
    better = [0.3, 0.5, 0.5, 0.52, 0.54, 0.56, 0.58]
    assert diagnosis_of(start(), epochs(curves(train, valid, shares, better))).causes == ()


def test_without_validation_nothing_is_learned_by_heart():
    """A rule's finding alone is told as such."""
    assert names(diagnosis_of(rules=found("Overfit"))) == ["rule_Overfit"]


def test_validation_that_never_beats_guessing_has_wrong_labels():
    """It accounts for all that looks like overfitting."""
    diagnosis = diagnosis_of(
        start(patience=20), epochs(curves(*SHUFFLED), labels=(30,) * 5),
        rules=found("Overfit", "Overtraining"),
    )  # fmt: skip
    assert names(diagnosis) == ["validation_guesses"]
    assert "guessing among 5 classes gives 1.61" in diagnosis.causes[0].evidence[1]
    assert diagnosis.changes == {}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_few_epochs_of_guessing_are_no_wrong_labels(length):
    """Batch normalization can keep validation there at first."""
    first = [values[:length] for values in SHUFFLED]
    diagnosis = diagnosis_of(epochs(curves(*first), labels=(30,) * 5))
    assert "validation_guesses" not in names(diagnosis)


def test_validation_that_begins_badly_and_learns_is_no_wrong_label():
    """Rare classes are learned late."""
    diagnosis = diagnosis_of(
        epochs(
            curves(
                [1.603, 1.159, 0.649, 0.393, 0.205],
                [5.052, 4.499, 2.817, 1.779, 1.651],
                [0.447, 0.789, 0.816, 0.947, 0.947],
                [0.2, 0.2, 0.2, 0.225, 0.225],
            ),
            labels=(30, 2, 2, 2, 2),
        )
    )
    assert "validation_guesses" not in names(diagnosis)


def test_random_weights_that_are_perfect_at_once_are_suspicious():
    """Four classes, all right after one epoch: not so with a backbone that has seen dogs before."""
    course = epochs(curves([1.0, 0.5], [0.1, 0.0], [0.9, 1.0], [1.0, 1.0]))
    diagnosis = diagnosis_of(start(class_names=CLASSES, weights="none"), course)
    assert names(diagnosis) == ["leaked_labels"]
    assert diagnosis.causes[0].level == "medium"
    assert diagnosis_of(start(class_names=CLASSES, weights="imagenet"), course).causes == ()


@pytest.mark.parametrize(("mixup", "expected"), [(0.0, ["leaked_labels"]), (0.4, [])])
def test_a_test_split_far_better_than_training_is_suspicious(mixup, expected):
    """Unless training's images are blends."""
    measures = curves([1.0, 0.9, 0.9], [0.9, 0.8, 0.8], [0.4, 0.5, 0.5], [0.4, 0.5, 0.5])
    measures[-1]["test_top_1"] = 0.95
    diagnosis = diagnosis_of(start(mixup=mixup), epochs(measures, labels=(100,) * 4))
    assert names(diagnosis) == expected
    assert [cause.level for cause in diagnosis.causes] == ["high"] * len(expected)


def test_before_the_third_epoch_training_is_an_average_of_its_beginning():
    """One epoch of 10 steps has a low top-1, however well it ends."""
    for shares in ([0.48], [0.3, 0.5]):
        course = curves([1.0] * len(shares), [0.6] * len(shares), shares, [0.95] * len(shares))
        assert diagnosis_of(start(), epochs(course)).causes == ()


def test_the_end_of_an_epoch_is_what_validation_is_compared_with():
    """Training that is as good in its last steps has learned during the epoch."""
    course = epochs(curves([1.0, 0.9, 0.8], [0.6, 0.5, 0.4], [0.3, 0.4, 0.5], [0.9, 0.92, 0.95]))
    assert names(diagnosis_of(start(), course)) == ["leaked_labels"]
    learned = [2.0 - number / 20 for number in range(30)]
    late = [late_step(each, top_1=0.9) for each in steps(learned)]
    assert diagnosis_of(start(), late, course).causes == ()


def late_step(step, **changes):
    """A step of the third epoch with other values."""
    return dataclasses.replace(step, epoch=3, **changes)
