"""A folder per result: what was computed once is read back, checked, and never computed twice.

`Store().make(function, **inputs)` returns `function(**inputs)`. The result lies in `<root>/<stage>/<key>/` beside a
manifest; the key hashes the stage's name, its inputs, the keys of the results it was given, and the source of every
`wlbook` module that the function imports. A result is written aside and renamed into place whole, under a lock, so a
killed run leaves nothing half-written and two runs share their work. Reading compares sizes and hashes: a damaged
result is named, set aside and made again. A result that is removed or replaced while it is read is read again.

Stores below it ($WLBOOK_STORE_BASE) are read and never written to. A store whose folder others may write to is shared:
what is made in it can be used and replaced by the same people.
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
import stat
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import filelock

from wlbook.runner import cache_keys, refusals
from wlbook.runner import formats as payloads
from wlbook.runner.cache_keys import canonical, key_of
from wlbook.runner.environment import store_folder, tell, tell_runner
from wlbook.runner.integrity import DamagedError, MovedError, hashes, recent, settled, verify
from wlbook.runner.leases import Lease, of_run
from wlbook.runner.process import Clock, Cost, device, peak_memory

T = TypeVar("T")

_PACKAGES = ("numpy", "jax", "jaxlib", "equinox", "optax", "pyccl", "xarray", "zarr")


class StoreError(RuntimeError):
    """The store cannot be used: not writable, or no space left. The message is one line meant for people."""


class StoreWarning(UserWarning):
    """Something in the store was wrong and has been put right."""


class Store:
    """Results on disk, by what they were made from.

    Args:
        root: a folder; by default $WLBOOK_STORE, else `build/store` of the book.
        bases: stores to read from what this one lacks; by default those in $WLBOOK_STORE_BASE, colons between them.
    """

    def __init__(self, root: str | Path | None = None, bases: Sequence[str | Path] | None = None) -> None:
        self.root = Path(root).absolute() if root else store_folder()
        below = filter(None, os.environ.get("WLBOOK_STORE_BASE", "").split(os.pathsep)) if bases is None else bases
        self.bases = [path for path in (Path(one).absolute() for one in below) if path != self.root]
        self._lease = Lease(self.root)
        self._started = time.perf_counter()
        self._clock = Clock()
        self._used: dict[tuple[str, str], float] = {}
        self._known: dict[int, tuple[weakref.ref[Any], str, str]] = {}

    def make(self, function: Callable[..., T], /, **inputs: Any) -> T:
        """The value of `function(**inputs)`, read from the store or computed and kept there.

        That is a Dataset, an array, a dict of arrays, a JSON value, or an object of a
        type listed in `formats.OBJECTS`; it is read back from disk each time, its arrays read-only.

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
        self.keep([key])
        with contextlib.suppress(DamagedError, FileNotFoundError):
            return self._read(stage, key)
        with self.lock(f"{stage}-{key}"):
            for _ in range(10):
                try:
                    return self._read(stage, key)
                except FileNotFoundError:
                    pass
                except DamagedError as damage:
                    self._set_aside(stage, key, str(damage))
                self._write(function, stage, key, what, inputs)
                with contextlib.suppress(DamagedError, FileNotFoundError):
                    return self._read(stage, key, made=True)
        raise StoreError(f"store = {self.root}: {stage}/{key} was made, but something keeps removing or changing it")

    def keep(self, keys: Iterable[str]) -> None:
        """Note that this process is going to use these results."""
        for key in keys:
            self._lease.note(key, self._mode(0o666))

    def read(self, stage: str, key: str) -> Any:
        """The value of one result; None if it is not there, or damaged."""
        with contextlib.suppress(DamagedError, FileNotFoundError):
            return self._read(stage, key)

    def belongs_to(self, clone: Path, run: str) -> Lease:
        """The lease of a run, a part of which this process is from now on: what it uses is kept for that run."""
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self._lease = of_run(self.root, clone, run, self._mode(0o666))
        return self._lease

    @property
    def lease(self) -> str:
        """Under which name this process notes what it uses: $WLBOOK_LEASE for other processes of the same run."""
        return self._lease.name

    def check(self) -> None:
        """Raise StoreError now, rather than after an hour of work, if the store cannot be written to."""
        with explained(self.root):
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
        for root in (self.root, *self.bases):
            for path in sorted(root.glob("*/*/manifest.json")):
                with contextlib.suppress(DamagedError, OSError):
                    if path.parts[-3] != "damaged" and not path.parts[-2].endswith(".partial"):
                        yield self._manifest(path.parent)

    def manifest(self, stage: str, key: str) -> dict[str, Any] | None:
        """The manifest of one result; None if it is not there, or damaged."""
        for root in (self.root, *self.bases):
            with contextlib.suppress(DamagedError, OSError):
                return self._manifest(root / stage / key)

    def find(self, name: str) -> Path:
        """A file of the store: the own one, or that of the first store below that has it."""
        return next(
            (root / name for root in self.bases if not (self.root / name).is_file() and (root / name).is_file()),
            self.root / name,
        )

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float = -1.0) -> Iterator[None]:
        """Hold the lock of this name against every other process; the system frees it if this one dies.

        With a `timeout` [s] it may be a filelock.Timeout.
        """
        with explained(self.root):
            path = self.root / "locks" / f"{name}.lock"
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists()
            held = filelock.FileLock(path, mode=self._mode(0o666)).acquire(timeout=timeout)
            if fresh:
                self._share(path.parent, path)
        with held:
            yield

    def _mode(self, full: int) -> int:
        """What others may do with a new file, as a mode: the same as with the store's folder."""
        return full & (0o755 | stat.S_IMODE(self.root.stat().st_mode)) if self.root.exists() else full & 0o755

    def _share(self, *paths: Path) -> None:
        """Let those who may write to the store's folder replace and remove these."""
        others = stat.S_IMODE(self.root.stat().st_mode) & 0o022
        for path in paths if others else ():
            with contextlib.suppress(PermissionError):  # of another user, who has shared it
                path.chmod(stat.S_IMODE(path.stat().st_mode) | others)

    def _write(
        self, function: Callable[..., Any], stage: str, key: str, what: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> None:
        folder = self.root / stage / key
        partial = folder.with_suffix(".partial")
        aside, checkpoint = partial / "result", partial / "checkpoint"
        with explained(self.root):
            shutil.rmtree(aside, ignore_errors=True)
            partial.mkdir(parents=True, exist_ok=True)
            self._share(folder.parent, partial)
            if "checkpoint" in inspect.signature(function).parameters:
                checkpoint.mkdir(exist_ok=True)
                self._share(checkpoint)
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
                        f"payload/{name}": {"size": (aside / "payload" / name).stat().st_size, "sha256": digest}
                        for name, digest in hashes(aside / "payload")
                    },
                    "versions": _versions(),
                    "device": device(),
                    "seed": inputs.get("seed") if isinstance(inputs.get("seed"), int) else None,
                    "seconds": round(taken(), 3),
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                manifest["digest"] = _digest(manifest)
                (aside / "manifest.json").write_text(json.dumps(manifest, indent=1))
                self._share(aside, *aside.rglob("*"))
                aside.rename(folder)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                if not checkpoint.is_dir() or not any(checkpoint.iterdir()):
                    shutil.rmtree(partial, ignore_errors=True)
                raise
        shutil.rmtree(partial, ignore_errors=True)

    def _manifest(self, folder: Path) -> dict[str, Any]:
        """The manifest of a result, which must be that of this very folder."""
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            whole = isinstance(manifest, dict) and manifest.get("digest") == _digest(manifest)
        except (FileNotFoundError, NotADirectoryError):
            if folder.exists() or folder.is_symlink():
                raise DamagedError("manifest.json is missing") from None
            raise FileNotFoundError(folder) from None
        except OSError as error:
            raise DamagedError(f"manifest.json cannot be read ({error.strerror})") from None
        except (ValueError, RecursionError):
            raise DamagedError("manifest.json is unreadable") from None
        if not whole:
            raise DamagedError("manifest.json was changed")
        if (manifest["stage"], manifest["key"]) != folder.parts[-2:]:
            raise DamagedError(f"it is the result {manifest['stage']}/{manifest['key']}")
        return manifest

    def _read(self, stage: str, key: str, *, made: bool = False) -> Any:
        """The value of a result, from the first store that has it whole."""
        problem: Exception = FileNotFoundError(self.root / stage / key)
        for root in (self.root, *self.bases):
            try:
                manifest, value, parts = self._read_whole(root / stage / key)
                break
            except DamagedError as damage:
                if root == self.root:
                    problem = damage
                else:
                    tell(f"damaged: {root / stage / key}: {damage}; it is done without")
            except FileNotFoundError:
                pass
        else:
            raise problem
        for part, item in parts.items():
            forget = functools.partial(self._known.pop, id(item))  # given the dead reference, as pop's default
            with contextlib.suppress(TypeError):  # what cannot be referred to weakly is known by its content
                self._known[id(item)] = (weakref.ref(item, forget), key, part)
        self._used[stage, key] = manifest["seconds"]
        tell_runner({"stage": stage, "key": key, "seconds": manifest["seconds"], "made": made})
        return value

    def _read_whole(self, folder: Path) -> tuple[dict[str, Any], Any, dict[str, Any]]:
        """Manifest, value and parts of a result that stayed the same from before its first byte to after its last."""
        for _ in range(100):
            try:
                with settled(folder) as entries:
                    manifest = self._manifest(folder)
                    verify(folder, manifest["files"], entries)
                    value, parts = payloads.load(folder / "payload", manifest["payload"])
                    if recent(entries):
                        verify(folder, manifest["files"], entries)
                return manifest, value, parts
            except payloads.ForeignError as error:
                raise DamagedError(str(error)) from None
            except MovedError:
                continue
        raise StoreError(f"store = {self.root}: {folder} changes faster than it can be read")

    def _set_aside(self, stage: str, key: str, why: str) -> None:
        with explained(self.root):
            (self.root / "damaged").mkdir(exist_ok=True)
            self._share(self.root / "damaged")
            to = self.root / "damaged" / f"{stage}-{key}-{time.time_ns()}"
            with contextlib.suppress(FileNotFoundError):
                (self.root / stage / key).rename(to)
        note = f"damaged: {stage}/{key}: {why}; set aside in {to}, made again"
        if not tell_runner({"note": note}):
            warnings.warn(note, StoreWarning, stacklevel=4)


def _digest(manifest: dict[str, Any]) -> str:
    rest = {name: value for name, value in manifest.items() if name != "digest"}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@contextlib.contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in refusals.FULL:
            raise StoreError(refusals.full(error, root)) from error
        about = str(error.filename or "")
        ours = about.startswith(str(root)) or str(root).startswith(about)
        if ours and error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EPERM):
            why = f"cannot be written to ({error.strerror}); set WLBOOK_STORE to a folder that can"
            raise StoreError(f"store = {root}: {why}") from error
        raise
