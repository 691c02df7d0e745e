"""The chores of the project, such as tests and reports; `nox -l` lists them."""

import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "venv"

KEPT = ("table.md", "results.json", "run.json", "figures/rows.png")
"""Files of each table's run that are committed in `reports/`; all others are made again by `nox -s reports`."""
COMPLETE = Path("outputs/reports")
"""Folder with all files of the tables; continuous integration keeps it as an artifact."""
BASELINE = "baseline.json"
"""Name of the baseline's file in `reports/`, which the chore `baseline` writes."""
HISTORY = ("--git", f"reports/{BASELINE}", "--margin", "time_ratio=300%")
"""Arguments of `python -m bench.history` for the baseline of every commit that changed it."""


def install(session: nox.Session, extras: str = "test,cluster") -> None:
    session.install("-c", "constraints.txt", "-e", f".[{extras}]")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test that is neither marked slow nor marked gpu."""
    install(session)
    session.run("pytest", "-m", "not slow and not gpu", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes."""
    install(session)
    session.run("pytest", "-n", "0", "-m", "slow", *session.posargs)


def keep_reports(complete: Path, kept: Path) -> None:
    """Replace the files of a folder, except the baseline, by those files of a run of all tables that are committed.

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
    """Change one place of the numerics at a time, run the tests each time, and print the share of missed changes."""
    install(session, "test,mutation")
    # One thread, since each mutant is tested in a process that is forked after the imports.
    session.run("mutmut", "run", *session.posargs, env={"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"})
    session.run("python", "-m", "tests.mutation")


@nox.session
def reports(session: nox.Session) -> None:
    """Make the mini profile's tables in outputs/reports, and copy the files that are committed into reports/."""
    install(session, "tables")
    session.run("python", "-m", "bench", "experiment=all_tables", f"out={COMPLETE}", "overwrite=true")
    keep_reports(COMPLETE, Path("reports"))
    session.run("python", "-m", "bench.history", *HISTORY, "--out", str(COMPLETE))


@nox.session
def api(session: nox.Session) -> None:
    """Write docs/api.md from the docstrings; with `-- --check`, only say whether it is up to date."""
    session.run("python", "docs/make_api.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site in outputs/site, without a network, and check its links."""
    install(session, "docs")
    environment = {"NO_MKDOCS_2_WARNING": "1"}  # a note of the theme's authors, which the build log does not need
    session.run("mkdocs", "build", "--config-file", "docs/site/mkdocs.yml", env=environment)
    session.run("python", "docs/site/check.py", "outputs/site")


@nox.session
def regression(session: nox.Session) -> None:
    """Make the regression tables and compare them with reports/baseline.json."""
    install(session, "tables")
    session.run("python", "-m", "bench", "experiment=regression", *session.posargs)


@nox.session
def baseline(session: nox.Session) -> None:
    """Make the regression tables and write them to reports/baseline.json; read its diff before you commit it."""
    install(session, "tables")
    out = f"{session.create_tmp()}/regression"
    session.run("python", "-m", "bench", "experiment=regression", "gate.against=null", f"out={out}")
    session.run("python", "-m", "bench.compare", out, "reports/baseline.json", "--update")


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks, which compare speed and memory with other packages, and print their tables."""
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
    """Check style and formatting with ruff."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy in strict mode."""
    install(session)
    session.run("mypy")
