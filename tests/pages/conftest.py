"""nbval runs the pages as the book does, from an empty store that the pages of one run share, in the book's order."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from wlbook.runner import pages, runs

_temporary: list[Path] = []


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("nbval", default=False):
        return
    folder = Path(tempfile.mkdtemp(prefix="wlbook-nbval-"))
    _temporary.append(folder)
    run = runs.plan("demo", [])
    told = {"profile": "demo", "run": "nbval", "page": "", "parameters": run.parameters}
    (folder / "run.json").write_text(json.dumps(told))
    os.environ.update(
        WLBOOK_STORE=str(folder / "store"),
        WLBOOK_RECORDS=str(folder / "records"),
        WLBOOK_RUN=str(folder / "run.json"),
        WLBOOK_PROFILE="demo",
        WLBOOK_PROGRESS="",
        OPENBLAS_NUM_THREADS="1",
        XLA_FLAGS=pages.xla_flags(),
        MPLBACKEND="module://matplotlib_inline.backend_inline",
        IPYTHONDIR=str(folder / "ipython"),
        JUPYTER_RUNTIME_DIR=str(folder / "jupyter"),
    )


def pytest_unconfigure() -> None:
    for folder in _temporary:
        shutil.rmtree(folder, ignore_errors=True)
