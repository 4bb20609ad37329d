"""Temporary folders that go when their process ends; those of killed processes go when the next one begins."""

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder of this process, below $TMPDIR."""
    _sweep()
    path = Path(tempfile.mkdtemp(prefix=f"wlbook-{os.getpid()}-{_system()}-"))
    try:
        yield path
    finally:
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:  # it may have been interrupted
            shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _sweep() -> None:
    """Remove the folders of this user's processes that ended on this system without removing them."""
    for entry in os.scandir(tempfile.gettempdir()):
        found = re.fullmatch(r"wlbook-(\d{1,9})-([0-9a-f]{4})-\w+", entry.name)
        with contextlib.suppress(OSError):
            if found is None or found[2] != _system() or entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            if not lives(int(found[1])):
                shutil.rmtree(entry, ignore_errors=True)


def lives(process: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


@functools.cache
def _system() -> str:
    """Where process numbers mean the same: machines and containers may share a $TMPDIR."""
    space = Path("/proc/self/ns/pid")
    numbers = space.readlink() if space.is_symlink() else ""
    return hashlib.sha256(f"{platform.node()} {numbers}".encode()).hexdigest()[:4]
