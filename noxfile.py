"""The project's chores: `nox -s tests`, `nox -s lint`, `nox -s types`, `nox -s slow`."""

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"


def install(session: nox.Session) -> None:
    session.install("-c", "constraints.txt", "-e", ".[test]")


@nox.session
def tests(session: nox.Session) -> None:
    """Every unmarked test."""
    install(session)
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take minutes."""
    install(session)
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting, by ruff."""
    install(session)
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by mypy in strict mode."""
    install(session)
    session.run("mypy")
