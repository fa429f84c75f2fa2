"""Why a training learns badly, and what to change then."""

from __future__ import annotations

import math

import pytest
from diagnosed_cases import CLASSES, curves, diagnosis_of, epochs, found, names, start, steps, tensors

FALLING = [4.0 / (1 + number / 10) for number in range(100)]


def test_a_loss_that_is_no_number_lowers_the_learning_rate():
    """What explodes later is a matter of the steps, and accounts for whatever else the rules found."""
    diagnosis = diagnosis_of(
        start(learning_rate="0.5"),
        steps([1.4, 9.0, math.nan]),
        rules=found("ExplodingTensor", "LossNotDecreasing", "PoorWeightInitialization", "Overfit", "AllZero"),
    )
    assert names(diagnosis) == ["diverging"]
    assert diagnosis.changes == {"learning_rate": 0.05}
    assert "From step 2 on the loss is not finite." in diagnosis.causes[0].evidence


def test_a_loss_that_is_no_number_from_the_start_is_the_datas_fault():
    """Before the first step no learning rate has done anything."""
    diagnosis = diagnosis_of(start(learning_rate=0.5), steps([math.nan] * 5), rules=found("ExplodingTensor"))
    assert names(diagnosis) == ["not_finite_from_the_start"]
    assert diagnosis.changes == {}


def test_a_loss_that_rises_diverges_before_it_explodes():
    """Without a setting the learning rate is known from the steps."""
    diagnosis = diagnosis_of(steps([1.0 + number for number in range(30)], learning_rate=1.0))
    assert names(diagnosis) == ["diverging"]
    assert dict(diagnosis.causes[0].change) == {"learning_rate": (1.0, 0.1)}


@pytest.mark.parametrize(
    ("update", "learning_rate", "wanted"),
    [(0.5, 1.0, 0.01), (1e-8, 1e-7, 0.001), (0.001, 0.001, None)],
    ids=["too high", "too low", "usual"],
)
def test_a_loss_that_stays_tells_which_way_the_learning_rate_is_wrong(update, learning_rate, wanted):
    """Large updates ask for smaller steps, tiny ones for larger; usual ones for a look at the labels."""
    diagnosis = diagnosis_of(
        start(class_names=CLASSES, learning_rate=learning_rate),
        steps([1.386] * 40, top_1=0.25),
        tensors(0, weight__head={"update": update}),
        rules=found("LossNotDecreasing"),
    )
    assert names(diagnosis) == ["not_learning"]
    assert diagnosis.changes.get("learning_rate") == wanted


def test_a_loss_that_stays_low_has_learned():
    """The rule finds that nothing gets better; all was learned before."""
    diagnosis = diagnosis_of(steps(FALLING), rules=found("LossNotDecreasing"))
    assert diagnosis.causes == ()
    assert "the loss has fallen from" in diagnosis.harmless[0]


def test_a_frozen_random_backbone():
    """Random features are not worth a head."""
    diagnosis = diagnosis_of(
        start(weights="none", finetune="head"), steps([1.386] * 40), rules=found("LossNotDecreasing")
    )
    assert names(diagnosis) == ["frozen_random_backbone"]
    assert diagnosis.changes == {"weights": "imagenet"}


def test_weights_that_are_zero_at_first():
    """The rule's finding and the zero weights are told together."""
    diagnosis = diagnosis_of(
        start(class_names=CLASSES),
        steps([1.386] * 40, top_1=0.25),
        tensors(0, weight__head={"zeros": 1.0}),
        rules=found("PoorWeightInitialization", "AllZero", "DeadRelu", "LossNotDecreasing"),
    )
    assert names(diagnosis) == ["poor_initialization"]
    assert "All zero at first: head." in diagnosis.causes[0].evidence


def test_vanishing_gradients_name_the_layers():
    """Layers whose gradients are next to nothing are named."""
    diagnosis = diagnosis_of(
        steps(FALLING), tensors(0, gradient__first={"mean_abs": 1e-9}), rules=found("VanishingGradient")
    )
    assert names(diagnosis) == ["vanishing_gradients"]
    assert "Below 1e-07 in the last recorded step: first." in diagnosis.causes[0].evidence


def test_gradients_of_what_is_learned_may_vanish():
    """Where the loss is next to nothing, nothing is left to learn."""
    diagnosis = diagnosis_of(steps([1.0, 0.1, *[1e-6] * 40]), rules=found("VanishingGradient"))
    assert diagnosis.causes == ()
    assert "leaves nothing to learn" in diagnosis.harmless[0]


def test_saturated_units_account_for_vanishing_gradients():
    """The root is named, its effect is evidence."""
    diagnosis = diagnosis_of(steps(FALLING), rules=found("SaturatedActivation", "VanishingGradient"))
    assert names(diagnosis) == ["saturated"]


def test_dead_relus_name_the_layers():
    """Layers most of whose units are never active are named, with the share."""
    diagnosis = diagnosis_of(
        start(learning_rate=0.01),
        steps(FALLING),
        tensors(0, output__relu={"layer": "ReLU", "activity": (50.0,) * 20}),
        tensors(50, output__relu={"layer": "ReLU", "activity": (0.0,) * 15 + (50.0,) * 5}),
        rules=found("DeadRelu"),
    )
    assert names(diagnosis) == ["dead_relus"]
    assert diagnosis.changes == {"learning_rate": 0.001}
    assert any("relu (75 %)" in sentence for sentence in diagnosis.causes[0].evidence)


def test_relus_that_were_dead_at_first_began_so():
    """Then the steps are not to blame."""
    dead = {"layer": "ReLU", "activity": (0.0,) * 20}
    diagnosis = diagnosis_of(
        start(learning_rate=0.01),
        steps(FALLING),
        tensors(0, output__relu=dead),
        tensors(50, output__relu=dead),
        rules=found("DeadRelu", "PoorWeightInitialization"),
    )
    assert names(diagnosis) == ["dead_relus"]
    assert diagnosis.changes == {}


def test_a_loss_that_jumps_has_too_high_a_learning_rate():
    """Whatever comes of it, units that died among them."""
    diagnosis = diagnosis_of(
        start(learning_rate=2.0),
        steps([1.4, 800.0, *[1.4] * 40]),
        rules=found("DeadRelu", "PoorWeightInitialization", "VanishingGradient", "WeightUpdateRatio"),
    )
    assert names(diagnosis) == ["unstable"]
    assert diagnosis.changes == {"learning_rate": 0.02}


def test_tensors_that_are_zero_while_the_loss_falls_mean_no_harm():
    """A head that begins at zero learns all the same; one that does not learn is told."""
    assert diagnosis_of(steps(FALLING), rules=found("AllZero")).causes == ()
    assert names(diagnosis_of(rules=found("AllZero"))) == ["all_zero"]


def test_updates_that_are_too_large_though_the_loss_falls():
    """Then the step size is a cause of its own."""
    diagnosis = diagnosis_of(
        start(learning_rate=0.1),
        steps(FALLING),
        tensors(0, weight__head={"update": 0.5}),
        rules=found("WeightUpdateRatio"),
    )
    assert names(diagnosis) == ["step_size"]
    assert diagnosis.changes == {"learning_rate": 0.001}


def test_overtraining_asks_for_patience():
    """Ten epochs without a better one are ten too many."""
    diagnosis = diagnosis_of(
        start(patience=0), epochs(curves([1.0, 0.5, *[0.4] * 10], [1.0, 0.5, *[0.51] * 10])),
        rules=found("Overtraining"),
    )  # fmt: skip
    assert names(diagnosis) == ["overtraining"]
    assert diagnosis.changes == {"patience": 5}


def test_patience_that_ends_a_training_is_no_overtraining():
    """So many epochs after the best one is what was asked for."""
    diagnosis = diagnosis_of(
        start(patience=5), epochs(curves([1.0, 0.5, *[0.4] * 5], [1.0, 0.5, *[0.51] * 5])),
        rules=found("Overtraining"),
    )  # fmt: skip
    assert diagnosis.causes == ()
    assert "patience, which is 5, ends the training" in diagnosis.harmless[0]


def test_classes_with_few_images_get_more_weight():
    """Where rare classes are learned worse, they are to count the same."""
    diagnosis = diagnosis_of(
        start(class_weights="none"),
        epochs(curves([1.0], [1.0]), labels=(1000, 900, 20), errors=(50, 45, 18)),
        rules=found("ClassImbalance"),
    )
    assert names(diagnosis) == ["class_imbalance"]
    assert diagnosis.changes == {"class_weights": "balanced"}
    assert "50 times as many" in diagnosis.causes[0].evidence[1]
    assert (
        "Of the rare classes' training images 90 % were classified wrongly" in diagnosis.causes[0].evidence[2]
    )


def test_rare_classes_that_are_learned_well_are_no_cause():
    """Different counts alone do no harm."""
    diagnosis = diagnosis_of(epochs(curves([1.0], [1.0]), labels=(1000, 900, 20), errors=(50, 45, 1)))
    assert diagnosis.causes == ()


def test_one_class_is_told_before_all_else():
    """With one class there is nothing to learn."""
    diagnosis = diagnosis_of(
        start(class_names=CLASSES),
        epochs(curves([0.0], [0.0], [1.0], [1.0]), labels=(100, 0, 0, 0), errors=(0, 0, 0, 0)),
        rules=found("ClassImbalance", "VanishingGradient"),
    )
    assert names(diagnosis) == ["one_class"]
