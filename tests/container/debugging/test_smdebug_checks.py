"""Whether smdebug works here, and what it can be asked to record."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sagemaker_dogbreed.container.debugging.smdebug_checks import (
    SmdebugError,
    check_collections,
    check_installed,
)


def test_this_environment_has_versions_that_work():
    """The debugger extra fits itself."""
    check_installed()


def test_a_version_that_does_not_work_is_named_with_those_that_do(tmp_path, monkeypatch):
    """Numpy has lost what smdebug writes with; the message says what is needed, and how to get it."""
    folder = tmp_path / "numpy-2.4.6.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.4.6\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SmdebugError, match=r"numpy 2\.4\.6 does not fit\. It needs") as caught:
        check_installed()
    for pin in (
        "smdebug==1.0.34",
        "numpy<2.3",
        "protobuf==3.20.3",
        "pyinstrument==3.4.2",
        "pandas",
        "psutil",
    ):
        assert f"'{pin}'" in str(caught.value)
    assert "sagemaker-dogbreed[debugger]" in str(caught.value)
    assert ("'setuptools<81'" in str(caught.value)) == (sys.version_info >= (3, 12))


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    """Where nothing is installed, all of it is."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(SmdebugError, match="smdebug is not installed; numpy is not installed"):
        check_installed()


def test_asking_loads_nothing_heavy():
    """The library asks before it starts a job, without torch, numpy and smdebug."""
    script = (
        "import sys\n"
        "from sagemaker_dogbreed.container.debugging.smdebug_checks import check_installed\n"
        "check_installed()\n"
        "print(sorted({'torch', 'numpy', 'smdebug'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"save_interval": "10", "start_step": "0", "end_step": "99"},
        {"train.save_interval": "1", "eval.save_steps": "1, 2,3"},
        {"reductions": "mean,abs_max, l2_norm,abs_l1_norm", "save_histogram": "False"},
        {"include_regex": "relu_input, (tanh|sigmoid)_output"},
    ],
)
def test_parameters_of_smdebugs_are_accepted(parameters):
    """They are those of AWS's documentation, for any collection."""
    check_collections({"gradients": parameters})


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        (
            "gradients",
            {"save_intervall": "10"},
            r"gradients\.save_intervall: '10' is not acceptable",
        ),
        ("gradients", {"save_interval": "0"}, "'0' is not acceptable"),
        ("gradients", {"save_interval": "-1"}, "'-1' is not acceptable"),
        ("gradients", {"save_interval": "9" * 5000}, "not acceptable"),
        ("gradients", {"save_interval": 10}, "10 is not acceptable"),
        ("gradients", {"save_interval": "10.0"}, "not acceptable"),
        ("gradients", {"test.save_interval": "1"}, "not acceptable"),
        ("gradients", {".save_interval": "1"}, "not acceptable"),
        ("gradients", {"eval.reductions": "mean"}, "not acceptable"),
        ("gradients", {"save_steps": "1,"}, "not acceptable"),
        ("gradients", {"reductions": "median"}, "not acceptable"),
        ("gradients", {"save_histogram": "perhaps"}, "not acceptable"),
        ("relus", {"include_regex": "relu_output("}, "not acceptable"),
        ("relus", {"include_regex": " "}, "not acceptable"),
        ("relus", {}, r"collections\.relus: .* another one needs include_regex"),
    ],
)
def test_what_smdebug_would_pass_over_is_refused(name, parameters, words):
    """Unknown parameters, unusable values, and collections with nothing in them."""
    with pytest.raises(SmdebugError, match=words):
        check_collections({name: parameters})
