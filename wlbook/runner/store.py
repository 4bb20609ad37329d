"""A folder per result: what was computed once is read back, checked, and never computed twice.

`Store().make(function, **inputs)` returns `function(**inputs)`. The result lies in `<root>/<stage>/<key>/` beside a
manifest; the key hashes the stage's name, its inputs, the keys of the results it was given, and the source of every
`wlbook` module that the function imports. A result is written aside and renamed into place whole, under a lock, so a
killed run leaves nothing half-written and two runs share their work. Reading compares sizes and hashes: a damaged
result is named, set aside and made again.
"""

import contextlib
import errno
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import shutil
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import filelock

from wlbook.common.progress import progress
from wlbook.runner import cache_keys
from wlbook.runner import formats as payloads
from wlbook.runner.cache_keys import canonical, key_of
from wlbook.runner.environment import repository, tell_runner
from wlbook.runner.fingerprint import sha256
from wlbook.runner.process import Clock, Cost, device, peak_memory

T = TypeVar("T")

_PACKAGES = ("numpy", "jax", "jaxlib", "equinox", "optax", "pyccl", "xarray", "zarr")


class StoreError(RuntimeError):
    """The store cannot be used: not writable, or no space left. The message is one line meant for people."""


class StoreWarning(UserWarning):
    """Something in the store was wrong and has been put right."""


class _DamagedError(Exception):
    """A stored result differs from what its manifest promises."""


class Store:
    """Results on disk, by what they were made from; the default is $WLBOOK_STORE, else `build/store` of the book."""

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root or os.environ.get("WLBOOK_STORE") or repository() / "build" / "store").absolute()
        self._started = time.perf_counter()
        self._clock = Clock()
        self._used: dict[tuple[str, str], float] = {}
        self._known: dict[int, tuple[weakref.ref[Any], str, str]] = {}

    def make(self, function: Callable[..., T], /, **inputs: Any) -> T:
        """The value of `function(**inputs)`, read from the store or computed and kept there.

        That is a Dataset, an array, a dict of arrays, a JSON value, or an object with `save(folder)` and
        `load(folder)`; it is read back from disk each time, its arrays read-only.

        Args:
            function: a function of a module, or a `functools.partial` of one; it must depend on its inputs only.
                A keyword `checkpoint` of it receives a folder (Path) that survives a kill and goes once the result is
                kept: it is for going on from there and never part of the key.
            inputs: None, numbers, text, lists, dicts, arrays, datasets, Equinox modules and dataclasses, functions
                and partials. Whatever came out of this store is known by its key.
        """
        while isinstance(function, functools.partial):
            if function.args:
                raise ValueError(f"function = {function}: give its arguments by name")
            function, inputs = function.func, {**function.keywords, **inputs}
        return self.obtain(self.describe(function, **inputs), function, inputs)

    def describe(self, function: Callable[..., Any], /, **inputs: Any) -> dict[str, Any]:
        """What the key of `make(function, **inputs)` is the hash of: stage, inputs, upstream keys, fingerprint."""
        return cache_keys.describe(function, inputs, self._origin)

    def _origin(self, value: Any) -> tuple[str, str] | None:
        """The key of the stored result that this very object is, and which part of it; None for any other object."""
        known = self._known.get(id(value))
        return known[1:] if known is not None and known[0]() is value else None

    def obtain(self, what: Mapping[str, Any], function: Callable[..., T], inputs: Mapping[str, Any]) -> T:
        """The stored value described by `what`, or `function(**inputs)`, kept; for a caller that knows its own inputs.

        In `what` stand stage, inputs, upstream and fingerprint: whatever the value depends on, as JSON.
        """
        stage, key = what["stage"], key_of(what)
        with contextlib.suppress(_DamagedError, FileNotFoundError):
            return self._read(stage, key)
        with self.lock(f"{stage}-{key}"):
            try:
                return self._read(stage, key)
            except FileNotFoundError:
                pass
            except _DamagedError as damage:
                self._set_aside(stage, key, str(damage))
            self._write(function, stage, key, what, inputs)
            return self._read(stage, key, trust=True)

    def check(self) -> None:
        """Raise StoreError now, rather than after an hour of work, if the store cannot be written to."""
        with _explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()

    def cost(self) -> Cost:
        """What this process cost so far, with the results it used."""
        stages = dict.fromkeys((stage for stage, _ in self._used), 0.0)
        for (stage, _), seconds in self._used.items():
            stages[stage] += seconds
        own = time.perf_counter() - self._started - self._clock.total
        return Cost(device(), own, stages, peak_memory(), os.environ.get("WLBOOK_PROFILE", "demo"))

    def manifests(self) -> Iterator[dict[str, Any]]:
        """The manifests of all results kept whole, unreadable ones left out."""
        for path in sorted(self.root.glob("*/*/manifest.json")):
            stage, key = path.parts[-3:-1]
            if not key.endswith(".partial") and stage != "damaged" and (manifest := self.manifest(stage, key)):
                yield manifest

    def manifest(self, stage: str, key: str) -> dict[str, Any] | None:
        """The manifest of one result; None if it is not there, or damaged."""
        with contextlib.suppress(_DamagedError, FileNotFoundError):
            return self._manifest(self._folder(stage, key))

    def _folder(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of this name against every other process; the system frees it if this one dies."""
        with _explained(self.root):
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            held = filelock.FileLock(self.root / "locks" / f"{name}.lock").acquire()
        with held:
            yield

    def _write(
        self, function: Callable[..., Any], stage: str, key: str, what: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> None:
        folder = self._folder(stage, key)
        partial = folder.with_suffix(".partial")
        aside, checkpoint = partial / "result", partial / "checkpoint"
        with _explained(self.root):
            shutil.rmtree(aside, ignore_errors=True)
            partial.mkdir(parents=True, exist_ok=True)
            if "checkpoint" in inspect.signature(function).parameters:
                checkpoint.mkdir(exist_ok=True)
                inputs = {**inputs, "checkpoint": checkpoint}
            try:
                with self._clock.running() as taken:
                    value = function(**inputs)
                (aside / "payload").mkdir(parents=True)
                payload = payloads.save(value, aside / "payload", stage)
                manifest = {
                    **what,
                    "key": key,
                    "payload": payload,
                    "files": {
                        str(path.relative_to(aside)): {"size": path.stat().st_size, "sha256": sha256(path)}
                        for path in _files(aside / "payload")
                    },
                    "versions": _versions(),
                    "device": device(),
                    "seed": inputs.get("seed") if isinstance(inputs.get("seed"), int) else None,
                    "seconds": round(taken(), 3),
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                manifest["digest"] = _digest(manifest)
                (aside / "manifest.json").write_text(json.dumps(manifest, indent=1))
                aside.rename(folder)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                if not checkpoint.is_dir() or not any(checkpoint.iterdir()):
                    shutil.rmtree(partial, ignore_errors=True)
                raise
        shutil.rmtree(partial, ignore_errors=True)

    def _manifest(self, folder: Path) -> dict[str, Any]:
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
        except FileNotFoundError:
            if folder.is_dir():
                raise _DamagedError("manifest.json is missing") from None
            raise
        except ValueError:
            raise _DamagedError("manifest.json is unreadable") from None
        if not isinstance(manifest, dict) or manifest.get("digest") != _digest(manifest):
            raise _DamagedError("manifest.json was changed")
        return manifest

    def _read(self, stage: str, key: str, *, trust: bool = False) -> Any:
        folder = self._folder(stage, key)
        try:
            manifest = self._manifest(folder)
            if not trust:
                _verify(folder, manifest["files"], stage)
            value, parts = payloads.load(folder / "payload", manifest["payload"])
        except NotADirectoryError:
            raise FileNotFoundError(folder) from None
        except FileNotFoundError:
            if folder.is_dir():
                raise _DamagedError("files are missing") from None
            raise
        for part, item in parts.items():
            forget = functools.partial(self._known.pop, id(item))  # given the dead reference, as pop's default
            with contextlib.suppress(TypeError):  # what cannot be referred to weakly is known by its content
                self._known[id(item)] = (weakref.ref(item, forget), key, part)
        self._used[stage, key] = manifest["seconds"]
        tell_runner({"stage": stage, "key": key, "seconds": manifest["seconds"], "made": trust})
        return value

    def _set_aside(self, stage: str, key: str, why: str) -> None:
        with _explained(self.root):
            (self.root / "damaged").mkdir(exist_ok=True)
            to = self.root / "damaged" / f"{stage}-{key}-{time.time_ns()}"
            self._folder(stage, key).rename(to)
        note = f"damaged: {stage}/{key}: {why}; set aside in {to}, made again"
        if not tell_runner({"note": note}):
            warnings.warn(note, StoreWarning, stacklevel=4)


def _digest(manifest: dict[str, Any]) -> str:
    rest = {name: value for name, value in manifest.items() if name != "digest"}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _verify(folder: Path, files: dict[str, Any], stage: str) -> None:
    if {str(path.relative_to(folder)) for path in _files(folder / "payload")} != set(files):
        raise _DamagedError("files are missing or were added")
    large = sum(file["size"] for file in files.values()) > 2**31
    for name, file in progress(files.items(), f"checking {stage}", unit="file") if large else files.items():
        if (size := (folder / name).stat().st_size) != file["size"]:
            raise _DamagedError(f"{name} has {size} bytes instead of {file['size']}")
        if sha256(folder / name) != file["sha256"]:
            raise _DamagedError(f"{name} has other bytes than were written")


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            why = "no space left; free some (`wlbook gc`) or set WLBOOK_STORE to another disk"
            raise StoreError(f"store = {root}: {why}") from error
        about = str(error.filename or "")
        ours = about.startswith(str(root)) or str(root).startswith(about)
        if ours and error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EPERM):
            why = f"cannot be written to ({error.strerror}); set WLBOOK_STORE to a folder that can"
            raise StoreError(f"store = {root}: {why}") from error
        raise
