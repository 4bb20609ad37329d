"""Who uses what of a store: each process writes down the keys of results before it looks for them.

A run of a clone has a folder of leases in the store, with a file for each of its processes. When the run ends well,
one list of what it consists of takes their place. `wlbook gc` takes nothing that a lease names. A lease lasts as long
as the run's folder does; where that cannot be seen from here, it lasts until somebody removes it.
"""

import contextlib
import hashlib
import math
import os
import platform
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wlbook.runner.environment import DamagedFileError, load_json, write_json
from wlbook.runner.scratch import lives

BY_HAND = "by-hand"  # the lease of processes outside any run
_KEY = 32  # letters of a key
_FORGOTTEN = 86400.0  # a process on a machine that cannot be seen from here counts for so long [s]


class About(NamedTuple):
    """Whose a lease is."""

    clone: str  # the repository's folder
    run: str  # folder under its `build/`
    host: str
    user: str

    def __str__(self) -> str:
        return f"{self.clone}, run {self.run} ({self.user} on {self.host})"


class Lease:
    """What one process of a run uses of a store; without a run it is one opened by hand."""

    def __init__(self, store: Path, name: str = "") -> None:
        self.folder = store / "leases" / (name or os.environ.get("WLBOOK_LEASE") or BY_HAND)
        self._file = self.folder / f"{platform.node()}-{os.getpid()}-{time.time_ns()}"
        self._noted: set[str] = set()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The lease's folder in the store, for other processes of this run: $WLBOOK_LEASE."""
        return self.folder.name

    def note(self, key: str, mode: int) -> None:
        """Write down, in a file of this mode, that this process is going to use a result; if it may not, nothing."""
        with self._lock, contextlib.suppress(OSError):
            if key not in self._noted:
                if not self._noted:
                    _make(self.folder, mode)
                stream = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.fchmod(stream, mode)
                    os.write(stream, f"{key}\n".encode())
                finally:
                    os.close(stream)
                self._noted.add(key)

    def settle(self, keys: Iterable[str]) -> None:
        """The run has ended well: it consists of these, whatever its processes looked at on the way."""
        ended = [path for path in _processes(self.folder) if path == self._file or not _lives(path)]
        write_json(self.folder / "kept.json", sorted(keys))
        for path in ended:
            path.unlink(missing_ok=True)
        self._noted.clear()


def _make(folder: Path, mode: int) -> None:
    """A folder of leases, open to those whom the mode of its files lets write."""
    for path in (folder.parent, folder):
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            path.chmod(mode | 0o700 | (mode & 0o044) >> 2 | (mode & 0o022) >> 1)


def of_run(store: Path, clone: Path, run: str, mode: int) -> Lease:
    """The lease of a run, its owner written down; `mode` is that of the files it makes."""
    about = About(str(clone), run, platform.node(), _user(os.getuid()))
    lease = Lease(store, _name(clone, run))
    _make(lease.folder, mode)
    if _about(lease.folder) != about:
        write_json(lease.folder / "about.json", about._asdict())
    return lease


class Leases:
    """All leases of a store, read again as they grow.

    Args:
        store: the store's folder.
        forget: leases of runs that cannot be seen from here end after so many days without use.
    """

    def __init__(self, store: Path, forget: float = math.inf) -> None:
        self.root = store / "leases"
        self.forget = 86400 * forget
        self._read: dict[Path, tuple[int, set[str]]] = {}

    def owners(self) -> dict[About, set[str]]:
        """The keys that each run may use. A lease that says nothing readable is a DamagedFileError."""
        found: dict[About, set[str]] = {}
        for folder in self._folders():
            about = _about(folder) or About("?", folder.name, "?", "?")
            keys = found.setdefault(about, set())
            for path in _processes(folder):
                if self._counts(path):
                    keys |= self._keys(path)
            if self._holds(folder):
                keys |= set(load_json(folder / "kept.json", list, _all_keys) or ())
        return {about: keys for about, keys in found.items() if keys}

    def settled(self, clone: Path, run: str) -> bool:
        """Whether a run's lease says what it consists of."""
        with contextlib.suppress(DamagedFileError):
            return load_json(self.root / _name(clone, run) / "kept.json", list, _all_keys) is not None
        return False

    def named(self) -> set[str]:
        """The keys that anybody may use."""
        return set().union(*self.owners().values())

    def void(self) -> Iterator[Path]:
        """Folders of leases whose runs are gone, and files of ended processes that belonged to no run."""
        for folder in self._folders():
            processes = list(_processes(folder))
            if folder.name == BY_HAND:
                yield from (path for path in processes if not self._counts(path))
            elif not self._holds(folder) and not any(self._counts(path) for path in processes):
                yield folder

    def _folders(self) -> list[Path]:
        return [path for path in sorted(self.root.glob("*")) if path.is_dir()]

    def _holds(self, folder: Path) -> bool:
        """Whether a run's lease is in force: its folder is there, or cannot be seen from here."""
        if folder.name == BY_HAND:
            return False
        about = _about(folder)
        if about is not None and about.host == platform.node():
            try:
                (Path(about.clone) / "build" / about.run).stat()
            except FileNotFoundError:
                return False
            except OSError:  # not ours to look into
                return True
            return True
        return _idle(folder) < self.forget

    def _counts(self, path: Path) -> bool:
        """Whether a process may still use what it noted; a run that was killed goes on from there."""
        return self._holds(path.parent) or _lives(path)

    def _keys(self, path: Path) -> set[str]:
        start, known = self._read.get(path, (0, set()))
        with contextlib.suppress(OSError), path.open("rb") as stream:
            stream.seek(start)
            whole = stream.read().rpartition(b"\n")[0]
            known |= {line.decode(errors="replace") for line in whole.split(b"\n") if len(line) == _KEY}
            self._read[path] = (start + len(whole) + 1 if whole else start, known)
        return known


def _name(clone: Path, run: str) -> str:
    return hashlib.sha256(f"{platform.node()}\0{clone}\0{run}".encode()).hexdigest()[:16]


def _processes(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.suffix != ".json" and not path.name.startswith("."):
                yield path


def _about(folder: Path) -> About | None:
    with contextlib.suppress(DamagedFileError):
        known: dict[str, Any] = load_json(folder / "about.json", dict) or {}
        if known.keys() == set(About._fields):
            return About(**{name: str(value) for name, value in known.items()})
    return None


def _all_keys(values: list[Any]) -> bool:
    return all(isinstance(key, str) and len(key) == _KEY for key in values)


def _idle(path: Path) -> float:
    """Seconds since a file, or anything in a folder, was written."""
    times = [0.0]
    for one in (path, *path.glob("*")):
        with contextlib.suppress(OSError):
            times.append(one.stat().st_mtime)
    return time.time() - max(times)


def _lives(path: Path) -> bool:
    """Whether the process that writes a file runs; on another machine, whether it wrote within a day."""
    host, _, number = path.name.rpartition("-")[0].rpartition("-")
    if host != platform.node():
        return _idle(path) < _FORGOTTEN
    return number.isdecimal() and len(number) < 10 and lives(int(number))


def _user(uid: int) -> str:
    import pwd

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
