"""The package as a whole: what it exports, what it loads, what it ships."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sagemaker_dogbreed

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sagemaker_dogbreed"
CONTAINER_MAY_IMPORT = {
    "torch",
    "torchvision",
    "numpy",
    "openvino",
    "optuna",
    "PIL",
    "psutil",
    "pynvml",
    "requests",
    "urllib3",
    "safetensors",
    "uvicorn",
}
"""safetensors where a weights file is of that kind, uvicorn where the app is run."""


def _imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def _loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_else():
    """The import itself loads no dependency and none of our own rooms."""
    loaded = _loaded_by("import sagemaker_dogbreed")
    heavy = {
        "attr",
        "attrs",
        "boto3",
        "botocore",
        "cattrs",
        "numpy",
        "PIL",
        "requests",
        "torch",
        "tqdm",
        "yaml",
    }
    assert loaded & heavy == set()
    assert {name for name in loaded if name.startswith("sagemaker_dogbreed.")} == set()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "from sagemaker_dogbreed import WorkflowSpec",
            {"boto3", "botocore", "cattrs", "yaml", "PIL", "torch"},
        ),
        ("from sagemaker_dogbreed import Workflow", {"torch", "torchvision", "sagemaker", "PIL"}),
        ("from sagemaker_dogbreed.config.files import load", {"boto3", "torch", "PIL"}),
        ("import sagemaker_dogbreed.cli", {"boto3", "botocore", "torch", "yaml", "PIL"}),
    ],
)
def test_rooms_load_only_what_they_need(statement, absent):
    """Specs need no boto3, sessions no torch, the command line neither until it runs."""
    assert _loaded_by(statement) & absent == set()


def test_all_is_sorted_and_importable():
    """Every public name can be imported, and the list is the whole of it."""
    assert sorted(sagemaker_dogbreed.__all__) == sagemaker_dogbreed.__all__
    for name in sagemaker_dogbreed.__all__:
        assert getattr(sagemaker_dogbreed, name) is not None
    assert dir(sagemaker_dogbreed) == sagemaker_dogbreed.__all__
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        _ = sagemaker_dogbreed.Sesion


def test_type_checkers_see_the_names_that_are_loaded():
    """The imports for type checkers and the table for run time list the same names and rooms."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    declared = {
        (node.module.removeprefix("sagemaker_dogbreed."), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sagemaker_dogbreed.")
        for alias in node.names
    }
    table = {(room, name) for room, names in sagemaker_dogbreed._ROOMS.items() for name in names}
    assert declared == table


def test_container_code_needs_only_what_containers_have():
    """The container rooms import themselves, the standard library and the few packages named."""
    for path in sorted((PACKAGE / "container").rglob("*.py")):
        for module in _imported_by(path):
            top = module.partition(".")[0]
            if top == "sagemaker_dogbreed":
                assert module.startswith("sagemaker_dogbreed.container"), (path.name, module)
            else:
                assert top in CONTAINER_MAY_IMPORT | set(sys.stdlib_module_names), (path.name, module)


def test_hyperparameters_and_metrics_need_the_standard_library_only():
    """Specs use both rooms, so they must load without torch."""
    for name in ("hparams", "metrics"):
        tops = {module.partition(".")[0] for module in _imported_by(PACKAGE / "container" / f"{name}.py")}
        assert tops <= set(sys.stdlib_module_names)


def test_every_room_is_small():
    """No file of the package is over 300 lines."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_every_public_name_has_a_docstring():
    """Modules, and the classes and functions they define in public, say what they are."""
    missing = []
    for info in pkgutil.walk_packages([str(PACKAGE)], "sagemaker_dogbreed."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        if not module.__doc__:
            missing.append(info.name)
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", None) == info.name and isinstance(
                value, type | type(_imported_by)
            )
            if ours and not name.startswith("_") and not value.__doc__:
                missing.append(f"{info.name}.{name}")
    assert missing == []


def test_ci_runs_the_readmes_commands():
    """The commands that the README gives a newcomer are, letter by letter, the ones CI runs."""
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [command.rpartition(" ")[2] for command in commands] == ["quickstart", "tests"]
    assert set(commands) <= set((ROOT / ".ci" / "run").read_text().splitlines())
