"""The one door to every task: ``nox -s quickstart``, ``nox -s tests``, ``nox -l`` for the list."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typing", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
CONSTRAINTS = ".ci/constraints.txt"


def install(session: nox.Session, *extras: str, groups: tuple[str, ...] = ()) -> None:
    """Install the package, editable, with extras and dependency groups at the tested versions."""
    package = f".[{','.join(extras)}]" if extras else "."
    requirements = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install("--constraint", CONSTRAINTS, "--editable", package, *requirements)


@nox.session
def quickstart(session: nox.Session) -> None:
    """Draw a data set, train, deploy and predict on this machine."""
    install(session, "local")
    session.run("python", "examples/quickstart.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test; with ``-- PATH`` only some."""
    install(session, "local", "aws", groups=("tests",))
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "2")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and that imports point down the layers."""
    install(session, groups=("lint",))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, strictly: the package, and the public API as its users write it."""
    install(session, "local", "aws", groups=("tests", "typing"))
    session.run("mypy")


@nox.session(default=False)
def constraints(session: nox.Session) -> None:
    """Resolve all extras and groups anew and write the constraints file."""
    session.install("uv")
    groups = [part for group in PROJECT["dependency-groups"] for part in ("--group", group)]
    options = ["--universal", "--all-extras", "--upgrade", "--no-header", "--no-annotate"]
    python = ["--python-version", "3.11"]
    session.run("uv", "pip", "compile", "pyproject.toml", *groups, *options, *python, "-o", CONSTRAINTS)
