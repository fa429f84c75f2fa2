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
CONFORMANCE_CONSTRAINTS = ".ci/conformance-constraints.txt"


def install(
    session: nox.Session, *extras: str, groups: tuple[str, ...] = (), constraints: str = CONSTRAINTS
) -> None:
    """Install the package, editable, with extras and dependency groups at the tested versions."""
    package = f".[{','.join(extras)}]" if extras else "."
    requirements = nox.project.dependency_groups(PROJECT, *groups) if groups else ()
    session.install("--constraint", constraints, "--editable", package, *requirements)


@nox.session
def quickstart(session: nox.Session) -> None:
    """Draw a data set, train, deploy and predict on this machine."""
    install(session, "local")
    session.run("python", "examples/quickstart.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test; with ``-- PATH`` only some."""
    install(session, "local", "aws", "debugger", groups=("tests",))
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "2")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(default=False)
def conformance(session: nox.Session) -> None:
    """Carry the library's requests out with AWS's own container code."""
    install(session, "local", "aws", groups=("conformance",), constraints=CONFORMANCE_CONSTRAINTS)
    session.run("pytest", *(session.posargs or ["tests/conformance"]))


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
def bench(session: nox.Session) -> None:
    """Time uploads, training, tuning and debugging against the usual tools and the reference project's way.

    With ``-- sync``, ``-- training``, ``-- recipe`` or ``-- debugging`` and arguments, only that:
    ``-- training --look``.
    """
    install(session, "aws", "local", "openvino", "debugger", groups=("bench",))
    name, *arguments = session.posargs or ("",)
    for benchmark in (name,) if name else ("sync", "training", "recipe", "debugging"):
        session.run("python", f"benchmarks/{benchmark}.py", *arguments)


@nox.session(default=False)
def constraints(session: nox.Session) -> None:
    """Resolve all extras and groups anew and write the constraints files."""
    session.install("uv")
    options = ["--universal", "--upgrade", "--no-header", "--no-annotate", "--python-version", "3.11"]
    resolve = ["uv", "pip", "compile", "pyproject.toml", *options]
    groups = [
        part
        for group in PROJECT["dependency-groups"]
        if group != "conformance"
        for part in ("--group", group)
    ]
    session.run(*resolve, *groups, "--all-extras", "-o", CONSTRAINTS)
    extras = ["--extra", "local", "--extra", "aws"]
    session.run(*resolve, "--group", "conformance", *extras, "-o", CONFORMANCE_CONSTRAINTS)
