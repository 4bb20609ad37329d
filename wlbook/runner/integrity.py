"""A result's folder is read as one: what lies there is what was written, from the first byte read to the last."""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wlbook.common.progress import progress
from wlbook.runner.fingerprint import sha256


class DamagedError(Exception):
    """A stored result differs from what its manifest promises."""


class MovedError(Exception):
    """A result was removed, replaced or damaged while it was read."""


Entries = dict[str, tuple[int, ...]]  # path below a folder -> what changes when it does


def _entries(folder: Path) -> Entries:
    """Everything below a result's folder, which itself is "/". Links and devices are damage."""
    found: Entries = {}

    def note(path: str, name: str) -> None:
        one = os.lstat(path)
        if stat.S_ISDIR(one.st_mode):
            found[f"{name}/"] = (one.st_ino, one.st_mtime_ns, one.st_ctime_ns)
            for entry in sorted(os.listdir(path)):  # noqa: PTH208 (a Path for each file takes ten times as long)
                note(f"{path}/{entry}", f"{name}/{entry}" if name else entry)
        elif stat.S_ISREG(one.st_mode):
            found[name] = (one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns)
        else:
            raise DamagedError(f"{name or 'it'} is neither a file nor a folder")

    note(str(folder), "")
    return found


@contextlib.contextmanager
def settled(folder: Path) -> Iterator[Entries]:
    """What lies in a folder. If any of it has changed when the block ends, that is a MovedError, whatever else was.

    While it lasts, `unread` does not get the folder.
    """
    with _held(folder, fcntl.LOCK_SH) as inode:
        entries = _present(folder)
        if inode not in (0, entries.get("/", (0,))[0]):
            raise MovedError(folder)
        failed: Exception | None = None
        try:
            yield entries
        except Exception as error:
            failed = error
        try:
            same = _present(folder) == entries
        except (FileNotFoundError, DamagedError):
            same = False
        if not same:
            raise MovedError(folder) from failed
        if failed is not None:
            raise failed


@contextlib.contextmanager
def unread(folder: Path) -> Iterator[bool]:
    """Whether nobody reads a folder; while the block lasts, nobody begins to."""
    with _held(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as inode:
        yield inode >= 0


@contextlib.contextmanager
def _held(folder: Path, how: int) -> Iterator[int]:
    """Lock a folder; its inode, -1 if another process has it, 0 where there is nothing that can be locked."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError:  # a file, a link, not to be read: whoever looks into it will say so
        yield 0
        return
    try:
        try:
            fcntl.flock(handle, how)
            inode = os.fstat(handle).st_ino
        except BlockingIOError:
            inode = -1
        except OSError:  # a file system without locks
            inode = 0
        yield inode
    finally:
        os.close(handle)


def recent(entries: Entries) -> bool:
    """Whether a file was written so lately that the clock of files, a slow one, may not tell the next change."""
    return time.time_ns() - max(times[2] for name, times in entries.items() if not name.endswith("/")) < 1e8


def _present(folder: Path) -> Entries:
    """Its entries; FileNotFoundError if it is not there at all, DamagedError for what is no folder of plain files."""
    for _ in range(100):
        try:
            return _entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            if not os.path.lexists(folder):
                raise FileNotFoundError(folder) from None
        except OSError as error:
            raise DamagedError(f"it cannot be read ({error.strerror})") from None
    raise DamagedError("its files come and go")


def hashes(folder: Path) -> Iterator[tuple[str, str]]:
    """The files below a folder with their hashes, in order of their names."""
    for name in _entries(folder):
        if not name.endswith("/"):
            yield name, sha256(folder / name)


def verify(folder: Path, files: dict[str, Any], entries: Entries) -> None:
    """Raise DamagedError unless a result's files are those that its manifest lists."""
    there = {name for name in entries if name.startswith("payload/") and not name.endswith("/")}
    if there != set(files):
        raise DamagedError("files are missing or were added")
    large = sum(file["size"] for file in files.values()) > 2**31
    for name, file in (
        progress(files.items(), f"checking {folder.parent.name}", unit="file") if large else files.items()
    ):
        if (size := entries[name][1]) != file["size"]:
            raise DamagedError(f"{name} has {size} bytes instead of {file['size']}")
        try:
            digest = sha256(folder / name)
        except OSError as error:
            raise DamagedError(f"{name} cannot be read ({error.strerror})") from None
        if digest != file["sha256"]:
            raise DamagedError(f"{name} has other bytes than were written")
