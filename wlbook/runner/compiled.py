"""What JAX compiled, shared by processes that never see each other's half-written files."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from wlbook.runner import scratch


@contextlib.contextmanager
def lent(root: Path) -> Iterator[dict[str, str]]:
    """The environment of a process that may use what others in this clone compiled; it gives back if it ends well.

    JAX 0.10 writes an entry of its compilation cache in place and never again: a reader at that moment, or after a
    full disk, gets a part of it, with a warning each time. So each process writes to a folder of its own, in which
    the shared entries are links, and new ones are moved over whole.
    """
    shared = root / "build" / "compiled"
    shared.mkdir(parents=True, exist_ok=True)
    with scratch.folder() as own:
        for entry in os.scandir(shared):
            if not entry.name.startswith("."):
                (own / entry.name).symlink_to(Path(entry).resolve())
        yield {
            "JAX_COMPILATION_CACHE_DIR": str(own),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        for entry in own.iterdir():
            with contextlib.suppress(OSError):  # on a full disk it will be compiled again: no reason to lose a page
                _give_back(entry, shared)


def _give_back(entry: Path, shared: Path) -> None:
    if entry.is_symlink():
        return
    if entry.is_dir():  # XLA's own notes, of a graphics processor
        shutil.copytree(entry, shared / entry.name, dirs_exist_ok=True)
        return
    aside = shared / f".{entry.name}.{os.getpid()}"
    try:
        shutil.copyfile(entry, aside)
        aside.replace(shared / entry.name)
    finally:
        aside.unlink(missing_ok=True)
