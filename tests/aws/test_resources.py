"""What the library made: listed with its cost, and swept away, together and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from fake_aws import ACCOUNT, REGION, answer, refusal

from sagemaker_dogbreed import AccountError
from sagemaker_dogbreed.aws.leftovers.resources import resources
from sagemaker_dogbreed.aws.leftovers.sweep import sweep
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.local.service import LocalSageMaker
from sagemaker_dogbreed.requests.tags import Origin

ROLE = f"arn:aws:iam::{ACCOUNT}:role/dogs"
NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
NEVER = object()


class PriceList:
    """A price list of two instance types."""

    def usd_per_hour(self, instance_type, use, region):
        """Return the price of an endpoint's instance, or of a training job's."""
        known = {("ml.m5.large", "Hosting"): 0.25, ("ml.g5.xlarge", "Training"): 1.5}
        return known.get((instance_type, use)) if region == REGION else None


def _tags(expires):
    return Origin(run="run", spec_hash="0" * 16, expires=None if expires is NEVER else expires).tags({})


def _model(clients, name, tags):
    container = {"Image": "image", "ModelDataUrl": "s3://photos/model.tar.gz"}
    clients.sagemaker.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=tags
    )


def _config(clients, name, model, tags, instance_type="ml.m5.large", instance_count=2):
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": instance_type,
        "InitialInstanceCount": instance_count,
    }
    clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags)


def _endpoint(clients, name, config, tags):
    clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)


def _deployment(clients, name, expires=NEVER, **config):
    tags = _tags(expires) if expires is not None else []
    _model(clients, name, tags)
    _config(clients, name, name, tags, **config)
    _endpoint(clients, name, name, tags)


def _left(clients):
    sagemaker = clients.sagemaker
    return (
        sorted(each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]),
        sorted(each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        sorted(each["ModelName"] for each in sagemaker.list_models()["Models"]),
    )


def _sweep(clients, **options):
    return sweep(clients, prices=PriceList(), region=REGION, **{"now": NOW, "dry_run": False, **options})


def _names(report):
    return [(each.kind, each.name) for each in report.swept]


ALL_OF_OLD = [("endpoint", "old"), ("endpoint config", "old"), ("model", "old")]


def test_the_list_has_what_is_ours_and_what_it_costs(clients):
    """Two instances cost twice; config and model nothing; what has no tag of ours is not listed."""
    _deployment(clients, "dogs", NOW)
    _deployment(clients, "theirs", None)
    _deployment(clients, "odd", instance_type="ml.c5.large")
    found = {(each.kind, each.name): each for each in resources(clients, prices=PriceList(), region=REGION)}
    kinds = ("endpoint", "endpoint config", "model")
    assert set(found) == {(kind, name) for kind in kinds for name in ("dogs", "odd")}
    dogs = found["endpoint", "dogs"]
    assert (dogs.instance_type, dogs.instance_count, dogs.usd_per_hour) == ("ml.m5.large", 2, 0.5)
    assert (dogs.status, dogs.expires) == ("InService", NOW)
    assert dogs.tags["sagemaker-dogbreed:run"] == "run"
    text = "endpoint dogs (InService, 2 x ml.m5.large, 0.5000 USD/h, expires 2026-05-01 12:00 UTC)"
    assert str(dogs) == text
    assert (found["model", "dogs"].usd_per_hour, str(found["model", "odd"])) == (0, "model odd")
    assert found["endpoint", "odd"].usd_per_hour is None


def _jobs(clients, *, statuses, warm=()):
    """Have SageMaker list training jobs: by status, and those with a warm pool."""

    def summary(name, status, **more):
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}"
        job = {"TrainingJobName": name, "TrainingJobArn": arn, "TrainingJobStatus": status}
        return {**job, "CreationTime": NOW - HOUR, **more}

    def listed(request):
        if request.get("WarmPoolStatusEquals"):
            return {
                "TrainingJobSummaries": [
                    summary(name, "Completed", WarmPoolStatus={"Status": status}) for name, status in warm
                ]
            }
        # As some services do, all are returned, whatever was asked for.
        return {"TrainingJobSummaries": [summary(*each) for each in statuses.items()]}

    def described(_request):
        return {"ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2}}

    answer(clients, "ListTrainingJobs", listed)
    answer(clients, "DescribeTrainingJob", described)
    answer(clients, "ListTags", lambda _request: {"Tags": _tags(NEVER)})


def test_jobs_that_run_and_warm_pools_cost_money(clients):
    """Jobs that have ended do not, nor do pools that another job uses or that are gone."""
    _jobs(
        clients,
        statuses={"a": "InProgress", "b": "Stopping", "c": "Completed", "d": "Failed"},
        warm=[("c", "Available"), ("d", "Terminated"), ("e", "InUse")],
    )
    found = resources(clients, prices=PriceList(), region=REGION)
    assert [(each.kind, each.name, each.usd_per_hour) for each in found] == [
        ("training job", "a", 3.0),
        ("training job", "b", 3.0),
        ("warm pool", "c", 3.0),
    ]


def _tuning_jobs(clients, **statuses):
    def listed(request):
        return {
            "HyperParameterTuningJobSummaries": [
                {
                    "HyperParameterTuningJobName": name,
                    "HyperParameterTuningJobArn": (
                        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/{name}"
                    ),
                    "HyperParameterTuningJobStatus": status,
                    "CreationTime": NOW - HOUR,
                }
                for name, status in statuses.items()
                if status == request["StatusEquals"]
            ]
        }

    answer(clients, "ListHyperParameterTuningJobs", listed)


def test_a_tuning_job_costs_what_its_trials_do(clients):
    """It is listed while it runs, and costs nothing beside them."""
    _jobs(clients, statuses={"search-001-0a": "InProgress"})
    _tuning_jobs(clients, search="InProgress", ending="Stopping", ended="Completed")
    found = resources(clients, prices=PriceList(), region=REGION)
    assert [(each.kind, each.name, each.status, each.usd_per_hour) for each in found] == [
        ("tuning job", "search", "InProgress", 0),
        ("tuning job", "ending", "Stopping", 0),
        ("training job", "search-001-0a", "InProgress", 3.0),
    ]


def test_a_tuning_job_is_stopped_before_its_trials(clients):
    """In the other order it would start new ones; without being asked a sweep stops none."""
    calls = []
    for operation in ("StopTrainingJob", "StopHyperParameterTuningJob"):
        answer(clients, operation, lambda request: calls.extend(request.values()) or {})
    _jobs(clients, statuses={"search-001-0a": "InProgress"})
    _tuning_jobs(clients, search="InProgress")
    assert _sweep(clients, older_than=HOUR).swept == ()
    shown = _sweep(clients, older_than=HOUR, stop_jobs=True, dry_run=True)
    assert str(shown).startswith("would stop tuning job search (InProgress)")
    assert calls == []
    report = _sweep(clients, older_than=HOUR, stop_jobs=True)
    assert calls == ["search", "search-001-0a"]
    assert str(report).startswith("stopped tuning job search")


def test_jobs_are_stopped_only_when_that_is_asked(clients):
    """A warm pool is ended by taking its time away."""
    calls = []
    for operation in ("StopTrainingJob", "UpdateTrainingJob"):
        answer(clients, operation, lambda request: calls.append(request) or {})
    _jobs(clients, statuses={"a": "InProgress"}, warm=[("c", "Available")])
    assert _sweep(clients, older_than=HOUR).swept == ()
    assert calls == []
    assert _names(_sweep(clients, older_than=HOUR, stop_jobs=True)) == [
        ("training job", "a"),
        ("warm pool", "c"),
    ]
    assert calls == [
        {"TrainingJobName": "a"},
        {"TrainingJobName": "c", "ResourceConfig": {"KeepAlivePeriodInSeconds": 0}},
    ]


def test_by_default_a_sweep_only_tells(clients):
    """It says what it would delete, and what that costs."""
    _deployment(clients, "old", NOW)
    report = sweep(clients, prices=PriceList(), region=REGION, now=NOW)
    assert report.dry_run
    assert _names(report) == ALL_OF_OLD
    assert str(report).startswith("would delete endpoint old (InService, 2 x ml.m5.large, 0.5000 USD/h")
    assert _left(clients) == (["old"], ["old"], ["old"])


def test_what_has_expired_goes_together(clients):
    """Endpoint, config and model; what has not expired, never does, or is not ours stays."""
    _deployment(clients, "old", NOW)
    _deployment(clients, "young", NOW + HOUR)
    _deployment(clients, "lasting")
    _deployment(clients, "theirs", None)
    assert _names(_sweep(clients)) == ALL_OF_OLD
    assert _left(clients) == (["lasting", "theirs", "young"],) * 3
    assert str(_sweep(clients)) == "nothing to delete"


def test_what_is_older_than_given_goes_whether_it_expires_or_not(clients):
    """Only what is ours, though."""
    _deployment(clients, "lasting")
    _deployment(clients, "theirs", None)
    created = clients.sagemaker.describe_endpoint(EndpointName="lasting")["CreationTime"]
    assert _sweep(clients, now=created + HOUR, older_than=2 * HOUR).swept == ()
    assert len(_sweep(clients, now=created + 3 * HOUR, older_than=2 * HOUR).swept) == 3
    assert _left(clients) == (["theirs"],) * 3


def test_parts_go_with_their_endpoint_whatever_their_own_age(clients):
    """Nothing is left that only the endpoint used."""
    _model(clients, "old", _tags(NEVER))
    _config(clients, "old", "old", _tags(NOW + HOUR))
    _endpoint(clients, "old", "old", _tags(NOW))
    assert _names(_sweep(clients)) == ALL_OF_OLD
    assert _left(clients) == ([], [], [])


def test_expiry_can_be_passed_over(clients):
    """Age alone decides then."""
    _deployment(clients, "old", NOW)
    assert _sweep(clients, expired=False).swept == ()


@pytest.mark.parametrize("tags", [[], _tags(NEVER)])
def test_a_config_and_model_that_another_endpoint_uses_stay(clients, tags):
    """Whoever's that endpoint is; once it is gone, they go too."""
    _deployment(clients, "old", NOW)
    _endpoint(clients, "other", "old", tags)
    assert _names(_sweep(clients)) == [("endpoint", "old")]
    assert _left(clients) == (["other"], ["old"], ["old"])
    clients.sagemaker.delete_endpoint(EndpointName="other")
    assert _names(_sweep(clients)) == ALL_OF_OLD[1:]


def test_a_model_that_another_config_names_stays(clients):
    """Also where that config is in no use at this time."""
    _deployment(clients, "old", NOW)
    _config(clients, "other", "old", [])
    assert _names(_sweep(clients)) == ALL_OF_OLD[:2]
    assert _left(clients) == ([], ["other"], ["old"])


def test_a_model_of_somebody_elses_stays(clients):
    """An endpoint of ours may serve it; it is not ours to delete."""
    _model(clients, "theirs", [])
    _config(clients, "old", "theirs", _tags(NOW))
    _endpoint(clients, "old", "old", _tags(NOW))
    assert _names(_sweep(clients)) == ALL_OF_OLD[:2]
    assert _left(clients) == ([], [], ["theirs"])


def test_parts_without_an_endpoint_go_by_their_own_age(clients):
    """What an interrupted deployment left is found."""
    _model(clients, "lost", _tags(NOW))
    _model(clients, "new", _tags(NOW + HOUR))
    _config(clients, "lost", "lost", _tags(NOW))
    assert _names(_sweep(clients)) == [("endpoint config", "lost"), ("model", "lost")]
    assert _left(clients) == ([], [], ["new"])


def test_one_failure_is_reported_and_the_others_go(clients):
    """The parts of an endpoint that stays are left with it."""
    _deployment(clients, "old", NOW)
    _deployment(clients, "older", NOW - HOUR)

    def refuse(request):
        return refusal("sagemaker:DeleteEndpoint") if request["EndpointName"] == "older" else None

    answer(clients, "DeleteEndpoint", refuse)
    report = _sweep(clients)
    assert _names(report) == ALL_OF_OLD
    assert [(each.kind, each.name) for each, _ in report.failures] == [
        ("endpoint", "older"),
        ("endpoint config", "older"),
        ("model", "older"),
    ]
    assert "the permission sagemaker:DeleteEndpoint is missing" in report.failures[0][1]
    assert report.failures[1][1] == "endpoint 'older' is still there and uses it"
    assert "left model older: endpoint config 'older' is still there" in str(report)
    assert _left(clients) == (["older"],) * 3


def test_what_is_gone_already_is_no_failure(clients):
    """Somebody else may sweep at the same time."""
    _deployment(clients, "old", NOW)
    gone = {"Error": {"Code": "ValidationException", "Message": "Could not find model"}}
    answer(clients, "DeleteModel", lambda _request: gone)
    assert _sweep(clients).failures == ()


def test_where_the_use_of_parts_cannot_be_told_the_endpoint_goes_alone(clients):
    """What costs money is deleted; what may be in use is left, and reported."""
    _deployment(clients, "old", NOW)
    answer(clients, "DescribeEndpointConfig", lambda _request: refusal("sagemaker:DescribeEndpointConfig"))
    report = _sweep(clients)
    assert _names(report) == ALL_OF_OLD[:1]
    assert report.swept[0].usd_per_hour is None
    assert [(each.kind, each.name) for each, _ in report.failures] == ALL_OF_OLD[1:]
    assert "sagemaker:DescribeEndpointConfig" in report.failures[0][1]
    assert _left(clients) == ([], ["old"], ["old"])


def test_without_the_right_to_list_the_permission_is_named(clients):
    """Nothing is said to be nothing that could not be looked at."""
    _deployment(clients, "old", NOW)
    answer(clients, "ListTags", lambda _request: refusal("sagemaker:ListTags"))
    with pytest.raises(AccountError, match=r"cannot be listed: the permission sagemaker:ListTags is missing"):
        resources(clients, prices=PriceList(), region=REGION)


def test_an_endpoint_that_vanishes_while_it_is_listed_is_passed_over(clients):
    """Lists are of a moment ago."""
    _deployment(clients, "dogs")
    gone = {"Error": {"Code": "ValidationException", "Message": "Could not find it"}}
    answer(clients, "ListTags", lambda request: gone if "/dogs" in request["ResourceArn"] else None)
    assert resources(clients, prices=PriceList(), region=REGION) == []


def test_an_endpoint_that_is_being_deleted_is_left_to_it(clients):
    """It is listed, not deleted again, and uses its config no longer."""
    _deployment(clients, "old", NOW)
    arn = clients.sagemaker.describe_endpoint(EndpointName="old")["EndpointArn"]
    summary = {"EndpointName": "old", "EndpointArn": arn, "EndpointStatus": "Deleting", "CreationTime": NOW}
    answer(clients, "ListEndpoints", lambda _request: {"Endpoints": [summary]})
    answer(clients, "DescribeEndpoint", lambda _request: {**summary, "EndpointConfigName": "old"})
    assert _names(_sweep(clients)) == ALL_OF_OLD[1:]


def test_every_page_is_read(clients):
    """More than SageMaker lists at once."""
    for number in range(103):
        _model(clients, f"m-{number}", _tags(NOW))
    assert len(resources(clients, prices=PriceList(), region=REGION)) == 103


def test_the_local_sagemaker_is_swept_alike(tmp_path):
    """The same calls list and delete what is on this machine."""
    service = LocalSageMaker(tmp_path / "root")
    (tmp_path / "model.tar.gz").write_bytes(b"")
    service.store.put_file(tmp_path / "model.tar.gz", "s3://photos/model.tar.gz")
    clients = Clients(service.boto_session)
    for name, expires in (("old", NOW), ("young", NOW + HOUR)):
        _model(clients, name, _tags(expires))
        _config(clients, name, name, _tags(expires), instance_count=1)
    report = _sweep(clients)
    assert _names(report) == ALL_OF_OLD[1:]
    assert report.failures == ()
    assert _left(clients) == ([], ["young"], ["young"])
