"""nbval runs the pages as the book does, from an empty store that the pages of one run share, in the book's order."""

import contextlib
import json
import math
import os
import queue
import time
from typing import Any

import nbval.kernel
import nbval.plugin
import pytest

from wlbook.runner import pages, runs, scratch

_end = contextlib.ExitStack()


class _Kernel(nbval.kernel.RunningKernel):
    """A kernel whose death is told within a second; nbval 0.11 waits for it as long as a cell may take."""

    def get_message(self, stream: str, timeout: float | None = None) -> Any:
        until = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            try:
                return super().get_message(stream, max(0.0, min(1.0, until - time.monotonic())))
            except queue.Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died (killed, or out of memory)") from None
                if time.monotonic() >= until:
                    raise


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("nbval", default=False):
        return
    nbval.plugin.RunningKernel = _Kernel
    folder = _end.enter_context(scratch.folder())
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
    _end.close()
