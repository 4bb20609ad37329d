"""What the operating system refuses, as one line for people: where, the numbers that matter, what helps."""

import errno
import os
import resource
import tempfile
from pathlib import Path

from wlbook.runner.environment import repository, store_folder

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BARRED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP),
    *(errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.ENOLCK),
)
_HELP = {
    "store": "free some (`wlbook gc`) or set WLBOOK_STORE to another disk",
    "build": "free some",
    "TMPDIR": "free some or set TMPDIR to another disk",
}


def refused(error: Exception) -> str | None:
    """The line for what a disk or the system refuses; None for any other error, which is a mistake of ours."""
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL:
        return full(error)
    if error.errno in _BARRED:
        return f"{error.filename or 'a file'}: cannot be used ({error.strerror})"
    return None


def full(error: OSError, store: Path | None = None) -> str:
    """The line for an error of `FULL`; where no file is named, the disk with the least space is meant."""
    places = {
        "store": store or store_folder(),
        "build": repository() / "build",
        "TMPDIR": Path(tempfile.gettempdir()),
    }
    named = [name for name, path in places.items() if Path(str(error.filename or "")).is_relative_to(path)]
    if error.errno == errno.EFBIG:
        name = (named or list(places))[0]
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        numbers = f"a file may have {amount(limit)} at most, see ulimit -f"
    else:
        name = (named or sorted(places, key=lambda name: _free(places[name])))[0]
        numbers = f"{amount(_free(places[name]))} free now, of {amount(_size(places[name]))}"
    return f"{name} = {places[name]}: no space left ({numbers}); {_HELP[name]}"


def amount(size: int) -> str:
    """A number of bytes as people read it."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _disk(path: Path) -> os.statvfs_result:
    while not path.exists():
        path = path.parent
    return os.statvfs(path)


def _size(path: Path) -> int:
    disk = _disk(path)
    return disk.f_frsize * disk.f_blocks


def _free(path: Path) -> int:
    """Bytes that a new file may have; none if there can be no new file."""
    disk = _disk(path)
    return 0 if disk.f_files and not disk.f_favail else disk.f_frsize * disk.f_bavail
