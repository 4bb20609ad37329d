"""Processes that this one starts: they end with it, whatever ends it short of `kill -9`."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def started(command: list[str], **given: Any) -> Iterator[subprocess.Popen[str]]:
    """A process and all that it starts: they end with the block, at once if it fails or is interrupted."""
    processes = []
    try:
        with uninterrupted():
            processes.append(subprocess.Popen(command, start_new_session=True, **given))
        yield processes[0]
    except BaseException:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        for process in processes:
            with process:
                pass  # closes its pipes and waits


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals wait until the block has ended: a process that is just being started would be lost."""
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in ours:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


@contextlib.contextmanager
def kernels(said: Path) -> Iterator[type]:
    """What starts kernels; those that papermill leaves, interrupted as it starts one, are ended when all is over.

    What their processes themselves say, beside the pages' outputs, goes to the file `said`: ipykernel 7.4 ends with a
    traceback now and then.
    """
    from jupyter_client.manager import AsyncKernelManager

    begun = []

    class Kernels(AsyncKernelManager):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            begun.append(self)

        async def _async_launch_kernel(self, *command: Any, **given: Any) -> None:
            with uninterrupted(), said.open("ab") as stream:
                await super()._async_launch_kernel(*command, **given, stderr=stream)

    try:
        yield Kernels
    finally:
        for one in begun:
            if process := getattr(one.provisioner, "process", None):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
