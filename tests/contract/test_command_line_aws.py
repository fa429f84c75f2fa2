"""The command line on AWS: what it prints, and what it takes care of."""

from __future__ import annotations

import json

import boto3
import pytest

from sagemaker_dogbreed.cli import main

pytestmark = pytest.mark.filterwarnings("default::sagemaker_dogbreed.ImagePatchWarning")

CONFIG = """
dataset: {{source: {photos}}}
training: {{name: by-line, compute: {{max_runtime_seconds: 3600}}}}
endpoint: {{name: by-line, expires_hours: 2}}
"""


@pytest.fixture
def config(aws, photos, tmp_path):
    """A configuration file, in an empty account where an ml.m5 costs what it costs."""
    aws.reset()
    for_price = {
        "product": {
            "attributes": {
                "regionCode": "us-east-1",
                "instanceName": "ml.m5.xlarge",
                "component": "Training",
                "locationType": "AWS Region",
            }
        },
        "terms": {
            "OnDemand": {
                "a": {"priceDimensions": {"b": {"unit": "Hrs", "pricePerUnit": {"USD": "0.2300000000"}}}}
            }
        },
    }
    aws.answers["GetProducts"] = lambda body: (
        200,
        json.dumps({"PriceList": [json.dumps(for_price)] if b"m5.xlarge" in body else []}).encode(),
    )
    path = tmp_path / "job.yaml"
    path.write_text(CONFIG.format(photos=photos))
    return str(path)


@pytest.fixture
def command(tmp_path):
    """Run a command on AWS with the caches of this test; returns the exit code."""
    return lambda *words: main(["--root", str(tmp_path / "root"), "--aws", *words])


def test_a_plan_tells_what_is_known_of_the_cost(config, command, capsys):
    """The plan has instance-hours and the price where there is one, and says unknown where there is none."""
    assert command("plan", config) == 0
    printed, told = capsys.readouterr()
    assert told.startswith(
        "warning: AWS's patches of the inference image of PyTorch 2.6.0 ended on 2026-06-30"
    )
    assert "training job: 1 x ml.m5.xlarge, 1.00 h at most, 0.2300 USD/h each: 0.23 USD at most" in printed
    assert "endpoint: 1 x ml.m5.large, 2.00 h at most, price unknown: unknown" in printed
    assert "in all: unknown" in printed
    assert "<execution role>" in printed


def test_a_budget_stops_what_may_cost_more(aws, config, command, capsys):
    """Beyond the budget, or where the price is unknown, nothing is uploaded and nothing submitted."""
    assert command("role", config) == 0
    assert command("run", config, "--set", "endpoint=null", "--max-cost", "0.2") == 1
    assert "more than max_cost (0.20 USD) may be spent" in capsys.readouterr().err
    assert command("run", config, "--max-cost", "1000") == 1
    assert "cannot be told" in capsys.readouterr().err
    assert not {"PutObject", "CreateTrainingJob"} & {call.operation for call in aws.calls}
    assert command("run", config, "--set", "endpoint=null", "--max-cost", "0.24") == 0
    assert "CreateTrainingJob" in {call.operation for call in aws.calls}


def test_the_role_and_its_policy_are_made_for_the_configuration(config, command, capsys):
    """The policy names the bucket's prefixes, the role has it, and preflight finds the role in order."""
    assert command("policy", config) == 0
    policy = json.loads(capsys.readouterr().out)
    assert "s3:*" not in json.dumps(policy)
    assert command("preflight", config) == 1
    assert "no execution role is known" in capsys.readouterr().err
    assert command("role", config) == 0
    arn = capsys.readouterr().out.strip()
    assert arn == "arn:aws:iam::123456789012:role/sagemaker-dogbreed"
    assert main(["--aws", "--role", "sagemaker-dogbreed", "preflight", config]) == 0
    assert f"SageMaker may take on {arn}" in capsys.readouterr().out


def test_a_run_is_listed_and_swept(config, command, capsys, tmp_path):
    """What a run leaves is listed with its expiry; a sweep shows it, and deletes only when told to."""
    root = str(tmp_path / "root")
    assert command("role", config) == 0
    aws = ["--root", root, "--aws", "--role", "sagemaker-dogbreed"]
    assert main([*aws, "run", config]) == 0
    printed = capsys.readouterr().out
    assert "Delete it:" in printed
    assert "-m sagemaker_dogbreed --aws" in printed
    assert "--role sagemaker-dogbreed delete by-line" in printed
    assert main([*aws, "resources"]) == 0
    assert "by-line" in capsys.readouterr().out
    assert main([*aws, "sweep"]) == 0
    assert "nothing to delete" in capsys.readouterr().out
    assert main([*aws, "sweep", "--older-than", "0"]) == 0
    assert "Nothing was deleted; add --yes" in capsys.readouterr().out
    assert main([*aws, "sweep", "--older-than", "0", "--yes"]) == 0
    assert "deleted endpoint by-line" in capsys.readouterr().out
    assert main([*aws, "resources"]) == 0
    assert "nothing of the library's is there" in capsys.readouterr().out


def test_what_is_about_aws_needs_the_word(capsys, tmp_path):
    """A role or a region without --aws is refused: nobody is to pay by accident, or not to by another."""
    assert main(["--root", str(tmp_path), "--region", "eu-west-1", "list"]) == 1
    assert "--region is about AWS; add --aws" in capsys.readouterr().err


@pytest.mark.parametrize("hours", ["nan", "inf", "1e300", "-1", "soon"])
def test_hours_that_are_none_are_wrong_usage(hours, capsys):
    """A duration that cannot be is told by the parser, with the command's usage."""
    with pytest.raises(SystemExit) as caught:
        main(["sweep", f"--older-than={hours}"])
    assert caught.value.code == 2
    assert "--older-than" in capsys.readouterr().err


def test_orphans_of_a_name_can_be_deleted(aws, config, command, capsys):
    """A config or model without its endpoint is in the way of the name, and the command takes it away."""
    client = boto3.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/dogs"
    client.create_model(ModelName="orphan", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"})
    assert command("delete", "orphan") == 0
    assert client.list_models()["Models"] == []
    capsys.readouterr()
    assert command("delete", "orphan") == 1
    assert "there is no endpoint 'orphan', nor a config or model so named" in capsys.readouterr().err


def test_no_credentials_and_no_region_are_told_in_a_line(tmp_path, monkeypatch, capsys):
    """Every command says what is missing and how to give it, without a stack trace."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert main(["--root", str(tmp_path), "--aws", "list"]) == 1
    assert "no AWS region is set" in capsys.readouterr().err
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert main(["--root", str(tmp_path), "--aws", "list"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "credentials" in told


def test_a_search_is_run_read_and_stopped(config, command, capsys):
    """The command tune prints the trials and how to train with the best; trials and stop take the name."""
    assert command("role", config) == 0
    search = ["--set", "tuning.max_jobs=2", "--set", "tuning.name=search"]
    assert command("tune", config) == 1
    assert "there is no tuning in the specs" in capsys.readouterr().err
    assert command("tune", config, *search, "--max-cost", "0.40") == 1
    assert "tuning job: 1 x ml.m5.xlarge, 2.00 h at most" in capsys.readouterr().err
    assert command("tune", config, *search, "--max-cost", "0.50") == 0
    printed = capsys.readouterr().out
    name = next(word for word in printed.split() if word.startswith("search-"))
    assert f"{name}-002-0a  Completed  0.02           8           0.5" in printed
    assert "--set tuning=null --set training.learning_rate=0.02 --set training.batch_size=8" in printed
    assert command("trials", name) == 0
    printed, told = capsys.readouterr()
    assert told == f"Tuning job {name} is Completed\n"
    assert printed.splitlines()[0].split()[:2] == ["trial", "status"]
    assert command("stop", name) == 0
    assert capsys.readouterr().out == f"Tuning job {name} is Completed\n"
    assert command("list") == 0
    assert f"tuning job    Completed   {name}" in capsys.readouterr().out
    assert command("stop", "nope") == 1
    assert "there is no training job 'nope'" in capsys.readouterr().err
