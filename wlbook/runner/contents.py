"""What files and folders outside the book hold, as a hash, remembered until size, time or inode change."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from wlbook.common.progress import progress

_SETTLED = 2e9  # a file that changed so recently [ns] may change again without a new time: it is not remembered
_LARGE = 2**28  # bytes from which on hashing is worth a bar


def digest(paths: Iterable[Path], root: Path) -> str:
    """A hash of names and contents, equal for equal contents wherever they lie.

    Args:
        paths: files, and folders whose files all count but for hidden ones.
        root: the repository, which remembers.
    """
    memory, whole = root / "build" / "contents", hashlib.sha256()
    for path in paths:
        files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if _counts(one, path))
        for name, found in zip(files, _hashes(path, files, memory), strict=True):
            label = name.relative_to(path).as_posix() if name != path else ""
            whole.update(f"{label}\0{found}\0".encode())
    return whole.hexdigest()


def _counts(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)


def _hashes(path: Path, files: list[Path], memory: Path) -> list[str]:
    """The hash of each file, from memory where nothing about it has changed."""
    kept = memory / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]}.json"
    known: dict[str, list] = {}
    with contextlib.suppress(OSError, ValueError):
        known = dict(json.loads(kept.read_text(encoding="utf-8")))
    stats = {str(file): file.stat() for file in files}
    marks = {name: [stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats.items()}
    fresh = [name for name, mark in marks.items() if not _remembered(known.get(name), mark)]
    shown = sum(marks[name][0] for name in fresh) >= _LARGE
    for name in progress(fresh, "hashing", total=len(fresh), unit="file") if shown else fresh:
        with Path(name).open("rb") as stream:
            known[name] = [*marks[name], hashlib.file_digest(stream, "sha256").hexdigest()]
    now = time.time_ns()
    lasting = {name: known[name] for name in marks if now - max(marks[name][1], 0) > _SETTLED}
    if fresh and lasting:
        _write(kept, json.dumps(lasting))
    return [known[name][3] for name in marks]


def _remembered(entry: object, mark: list[int]) -> bool:
    return isinstance(entry, list) and entry[:3] == mark and len(entry) == 4 and isinstance(entry[3], str)


def _write(path: Path, text: str) -> None:
    """Aside, then in place; a memory that cannot be written is done without."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
