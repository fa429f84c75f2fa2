"""The public API as its users write it; checked by mypy, never run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import assert_type

import sagemaker_dogbreed as sdb

session = sdb.Session.local()
dataset = session.upload(sdb.DatasetSpec(source="dogImages.zip", split=sdb.SplitSpec(valid=0.1)))
assert_type(dataset, sdb.Dataset)
assert_type(dataset.report, sdb.InspectionReport | None)

training = sdb.TrainingSpec(
    backbone="resnet50", epochs=20, compute=sdb.ComputeSpec(instance_type="ml.g5.xlarge")
)
assert_type(training.with_hyperparameters({"learning_rate": 0.01}), sdb.TrainingSpec)

job = session.train(training, dataset)
assert_type(job, sdb.TrainingJob)
assert_type(job.wait(timeout_seconds=3600), sdb.TrainingJob)
assert_type(job.result(), sdb.TrainingResult)
assert_type(job.model, sdb.ModelArtifact)

with session.deploy(sdb.EndpointSpec(allowed_url_hosts=["images.internal"]), job.model) as predictor:
    assert_type(predictor, sdb.Predictor)
    assert_type(predictor.predict("https://example.com/dog.jpg"), sdb.Prediction)
    assert_type(predictor.predict(Path("dog.jpg")).top(3).class_name, str)
    assert_type(predictor.predict([b"...", "dog.jpg"]), list[sdb.Prediction])

tuning = sdb.TuningSpec(
    objective="test_loss",
    ranges={
        "learning_rate": sdb.ContinuousRange(min=0.001, max=0.1),
        "epochs": sdb.IntegerRange(min=1, max=9),
        "batch_size": sdb.CategoricalRange(values=[32, 64]),
    },
)
search = session.tune(tuning, training, dataset, max_cost=5.0)
Search = sdb.TuningJob | sdb.SingleJobTuning
assert_type(search, Search)
assert_type(search.wait(timeout_seconds=3600, progress=False), Search)
assert_type(session.tuning_job("dogs").stop().results, sdb.TuningResults)
assert_type(search.results.best, sdb.Trial | None)
assert_type(search.best_model, sdb.ModelArtifact)
assert_type(training.with_hyperparameters(search.best_hyperparameters), sdb.TrainingSpec)
assert_type([trial.value for trial in search.results], list[float | None])
workflow = sdb.Workflow.from_yaml("dogbreed.yaml", overrides={"training.epochs": 3})
assert_type(workflow.run(session), sdb.WorkflowResult)
assert_type(workflow.tune(session), Search)
workflow = sdb.Workflow(
    sdb.WorkflowSpec(dataset=sdb.DatasetSpec(source="photos"), training=training, tuning=tuning)
)

on_aws = sdb.Session.aws(role="dogs", bucket="my-bucket", region="eu-west-1", profile="work")
assert_type(on_aws, sdb.Session)
spot = sdb.ComputeSpec(spot=True, instance_count=2, distribution="torchrun")
inside = sdb.NetworkSpec(subnets=["subnet-0a"], security_group_ids=["sg-0b"])
training = sdb.TrainingSpec(compute=spot, network=inside, tags={"team": "dogs"}, input_source="manifest")
report = on_aws.preflight(training=training, endpoint=sdb.EndpointSpec(expires_hours=8))
assert_type(report, sdb.PreflightReport)
report.raise_for_errors()
assert_type(on_aws.ensure_role(training=training), str)
assert_type(on_aws.costs(training=training), tuple[sdb.CostEstimate, ...])
assert_type(on_aws.train(training, dataset, max_cost=5.0), sdb.TrainingJob)
assert_type(on_aws.dataset("s3://my-bucket/data/dogs/0a/manifest.json"), sdb.Dataset)
assert_type(on_aws.resources(), list[sdb.Resource])
assert_type(on_aws.sweep(older_than=dt.timedelta(days=1), dry_run=False), sdb.SweepReport)
assert_type(workflow.plan(on_aws), sdb.Plan)

watched = sdb.TrainingSpec(
    debugger=sdb.DebuggerSpec(
        rules=["Overfit", sdb.RuleSpec(name="VanishingGradient", on_trigger="stop")],
        rule_file="my_rules.py",
    ),
    profiler=None,
)


@sdb.rule("TooConfident", on="epoch")
def too_confident(history: sdb.History, *, share: float = 0.99) -> str | None:
    return None if history.epochs[-1].measures["train_top_1"] < share else "all training images are right"


finished = session.training_job("dogs")
assert_type(finished.history(), sdb.History)
assert_type(finished.rules(["Overfit"]), list[sdb.RuleStatus])
assert_type(finished.profile(), sdb.Profile)
assert_type(finished.diagnosis(), sdb.Diagnosis)
assert_type(finished.diagnosis().applied_to(watched), sdb.TrainingSpec)
assert_type(finished.evaluation(), sdb.Evaluation | None)
assert_type(sdb.diagnose(sdb.read_profiler_report(finished.report())), sdb.Diagnosis)
