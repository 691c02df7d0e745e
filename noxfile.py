"""The project's chores: `nox -l` lists them."""

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"

KEPT = ("table.md", "results.json", "run.json", "figures/rows.png")
"""Files of each table's run that are committed in `reports/`; all others are made again by `nox -s reports`."""
COMPLETE = Path("outputs/reports")
"""All files of the tables; continuous integration keeps them as an artifact."""
BASELINE = "baseline.json"
"""File in `reports/` that another chore writes."""


def install(session: nox.Session) -> None:
    session.install("-c", "constraints.txt", "-e", ".[test,cluster]")


@nox.session
def tests(session: nox.Session) -> None:
    """Every unmarked test."""
    install(session)
    session.run("pytest", "-m", "not slow and not gpu", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes."""
    install(session)
    session.run("pytest", "-n", "0", "-m", "slow", *session.posargs)


def keep_reports(complete: Path, kept: Path) -> None:
    """Replace everything but the baseline in a folder by the files to commit of a complete run of all tables.

    Args:
        complete: the folder that `experiment=all_tables` left.
        kept: the folder to commit, such as `reports/`.
    """
    kept.mkdir(exist_ok=True)
    for old in kept.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != BASELINE:
            old.unlink()
    shutil.copy(complete / "run.json", kept)
    for table in sorted(path.parent for path in complete.glob("*/results.json")):
        for name in KEPT:
            if (table / name).is_file():  # Tables 7 and 8 have no figure
                target = kept / table.name / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(table / name, target)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the numerics in one small place at a time, see which changes the tests let pass, and print the shares."""
    session.install("-c", "constraints.txt", "-e", ".[test,mutation]")
    # One thread, since each mutant is tested in a process that is forked after the imports.
    session.run("mutmut", "run", *session.posargs, env={"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"})
    session.run("python", "-m", "tests.mutation")


@nox.session
def reports(session: nox.Session) -> None:
    """Make the mini profile's tables in outputs/reports, and copy those that are committed into reports/."""
    install(session)
    session.run("python", "-m", "bench", "experiment=all_tables", f"out={COMPLETE}", "overwrite=true")
    keep_reports(COMPLETE, Path("reports"))


@nox.session
def api(session: nox.Session) -> None:
    """Write docs/api.md from the docstrings; with `-- --check`, only say whether it is up to date."""
    session.run("python", "docs/make_api.py", *session.posargs)


@nox.session
def regression(session: nox.Session) -> None:
    """Make the regression tables and compare them with reports/baseline.json."""
    install(session)
    session.run("python", "-m", "bench", "experiment=regression", *session.posargs)


@nox.session
def baseline(session: nox.Session) -> None:
    """Make the regression tables and write them to reports/baseline.json; read its diff before you commit it."""
    install(session)
    out = f"{session.create_tmp()}/regression"
    session.run("python", "-m", "bench", "experiment=regression", "gate.against=null", f"out={out}")
    session.run("python", "-m", "bench.compare", out, "reports/baseline.json", "--update")


@nox.session
def bench(session: nox.Session) -> None:
    """Speed beside peers, into benchmarks/."""
    install(session)
    session.run("python", "benchmarks/decoders.py")
    session.run("python", "benchmarks/training_step.py")
    session.run("python", "benchmarks/training_step.py", "--bf16")
    for name in ("scoring", "frechet", "resize", "growth", "overhead", "memory"):
        session.run("python", f"benchmarks/{name}.py", env={"OMP_NUM_THREADS": "1"})


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests that need CUDA, and measure the GPU into benchmarks/README.md."""
    install(session)
    session.run("pytest", "-n", "0", "-m", "gpu", *session.posargs)
    session.run("python", "benchmarks/gpu.py", "--small")
    session.run("python", "benchmarks/gpu.py", "--write")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting, by ruff."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, by mypy in strict mode."""
    install(session)
    session.run("mypy")
