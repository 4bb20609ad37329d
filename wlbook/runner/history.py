"""What was made, from what, and whether it still holds: the answers of `wlbook why`, `list` and `gc`."""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from wlbook.runner import chapters, pages, runs
from wlbook.runner.environment import DamagedFileError, load_json
from wlbook.runner.fingerprint import sha256, source_file
from wlbook.runner.integrity import unread
from wlbook.runner.leases import Leases
from wlbook.runner.pages import Executed
from wlbook.runner.runs import Run
from wlbook.runner.store import Store, explained


def source_changes(recorded: Mapping[str, str]) -> list[str]:
    """The modules of a fingerprint whose sources differ today, as paths for people."""
    changed = []
    for module, digest in recorded.items():
        path = source_file(module)
        if path is None:
            changed.append(f"{module.replace('.', '/')}.py")
        elif sha256(path) != digest:
            changed.append("/".join(path.parts[-module.count(".") - 1 :]))
    return changed


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """What differs between two JSON values, a line each: `name: before -> now`."""
    if isinstance(before, dict) and isinstance(now, dict):
        changes = _changed(before, now, "nothing")
        return [line for key, old, new in changes for line in differences(old, new, f"{name}.{key}".lstrip("."))]
    return [] if before == now else [f"{name}: {before} -> {now}"]


def _changed(before: dict[str, Any], now: dict[str, Any], nothing: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """The names under which two dicts differ, with what the first and the second hold there."""
    for name in before | now:
        old, new = before.get(name, nothing), now.get(name, nothing)
        if old != new:
            yield name, old, new


def why(run: Run, page: str, store: Store, records: Mapping[str, Any]) -> list[str]:
    """What changed since a page last ran in this run, and which stored results are made again because of it.

    Lines for people, the first one the verdict; `records` are those of the pages before it in this run.
    """
    if (ran := _last(run, page, store, records)) is None:
        return [f"{page}: has not run yet in run {run.name}"]
    manifest, executed, now = ran
    causes = [f"{path} was edited" for path in source_changes(manifest["fingerprint"])]
    added = now["fingerprint"].keys() - manifest["fingerprint"]
    causes += [f"{name.replace('.', '/')}.py is imported now" for name in added]
    told = {
        "source": f"the chapter's text ({run.source(page).name}) was edited",
        "lock": "requirements.lock changed: other versions of what we depend on",
    }
    settings: dict[str, tuple[Any, Any]] = {}
    for name, old, new in _changed(manifest["inputs"], now["inputs"]):
        if name.startswith("parameters"):
            for parameter, a, b in _changed(old or {}, new or {}):
                settings[parameter] = (a, b)
                causes.append(f"parameter {parameter}{name.removeprefix('parameters')}: {a!r} -> {b!r}")
        elif name == "files":
            causes += [
                f"{path} was edited" if a else f"{path} is read now"
                for path, a, b in _changed(old or {}, new or {})
                if b
            ]
        elif name == "records":
            causes += [f"record of {line}" for line in differences(old or {}, new or {})]
        else:
            causes.append(told.get(name) or (f"{name} was edited" if "/" in name else f"{name}: {old} -> {new}"))
    if not causes:
        return [f"{page}: nothing changed since it ran on {manifest['created']} in run {run.name}; it is reused"]
    lines = [f"{page}: runs again in run {run.name}, because", *(f"  {cause}" for cause in causes)]
    return lines + _stored(store, executed.used, settings)


def _last(run: Run, page: str, store: Store, records: Mapping[str, Any]) -> tuple[Any, Executed, Any] | None:
    """How a page last ran in this run: its manifest, what it left, and what it would be made from now."""
    key = runs.last(run.folder)["pages"].get(page)
    if key is None or (manifest := store.manifest(f"page.{page}", key)) is None:
        return None
    if (executed := store.read(f"page.{page}", key)) is None:
        return None
    return manifest, executed, pages.describe(run, page, records, executed.needs)


def _stored(store: Store, used: Iterable[Mapping[str, Any]], settings: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Which results a page used are made again: their sources, settings or what they came from changed."""
    again: dict[str, str] = {}
    kept: Counter[str] = Counter()
    for use in used:
        if (manifest := store.manifest(use["stage"], use["key"])) is None:
            again[use["key"]] = f"{use['stage']}: it is not in the store any more"
            continue
        reasons = [f"{path} was edited" for path in source_changes(manifest["fingerprint"])]
        held = ((name, *two) for name, two in settings.items() if _holds(manifest["inputs"], name, two[0]))
        reasons += [f"{name}: {old!r} -> {new!r}" for name, old, new in held]
        if any(key in again for key in manifest["upstream"]):
            reasons.append("what it is made from is made again")
        if reasons:
            again[use["key"]] = f"{use['stage']}: {', '.join(reasons)}"
        else:
            kept[use["stage"]] += 1
    lines = ["made again of what is stored:" if again else "nothing stored is made again"]
    lines += [f"  {reason}{f' ({n} of them)' if n > 1 else ''}" for reason, n in Counter(again.values()).items()]
    if kept:
        lines.append("reused: " + ", ".join(f"{stage} ({n})" for stage, n in kept.items()))
    return lines


def _holds(inputs: Any, name: str, value: Any) -> bool:
    """Whether an input of this name had this value, at any depth."""
    if isinstance(inputs, dict):
        return any((key == name and item == value) or _holds(item, name, value) for key, item in inputs.items())
    return isinstance(inputs, list) and any(_holds(item, name, value) for item in inputs)


class State(NamedTuple):
    """One line of `wlbook list`."""

    page: str
    title: str
    state: str
    when: str
    seconds: float | None


def states(run: Run, store: Store) -> list[State]:
    """Every page that runs, with its state in a run: fresh, stale or never run."""
    records: dict[str, Any] = {}
    found = []
    for page in chapters.names(run.root):
        title, ran = chapters.read(page, run.root).title, _last(run, page, store, records)
        if ran is None:
            found.append(State(page, title, "never run", "", None))
            continue
        manifest, executed, now = ran
        fresh = all(manifest[name] == now[name] for name in ("inputs", "fingerprint"))
        cost = executed.seconds + sum(use["seconds"] for use in executed.used)
        found.append(State(page, title, "fresh" if fresh else "stale", manifest["created"], cost))
        records |= executed.records
    return found


class Usage(NamedTuple):
    """Who uses what of a store, as far as can be told."""

    keys: set[str]  # of results that runs consist of, or may go on from, with all that these were made from
    owners: dict[str, int]  # a run, for people -> how many results it uses
    unknown: list[str]  # why it cannot be told what some runs use
    here: bool  # whether any of the runs is one of this clone


def usage(store: Store, root: Path, leases: Leases) -> Usage:
    """What the runs of a clone and everybody's leases say."""
    keys: set[str] = set()
    owners: dict[str, int] = {}
    unknown: list[str] = []
    here = False
    try:
        for about, leased in leases.owners().items():
            keys |= leased
            owners[str(about)] = len(leased)
            here |= about.clone == str(root)
    except DamagedFileError as damage:
        unknown.append(str(damage))
    for path in sorted(root.glob("build/*/run.json")) + sorted(root.glob("build/*/.run.json.damaged.*")):
        here = True
        try:
            told = load_json(path, dict, runs.whole)
        except DamagedFileError as damage:
            if not leases.settled(root, path.parent.name):
                unknown.append(str(damage))
        else:
            keys |= runs.consists_of(told) if told else set()
    manifests = {manifest["key"]: manifest for manifest in store.manifests()}
    waiting = keys
    while waiting:
        waiting = {key for one in waiting for key in manifests.get(one, {}).get("upstream", [])} - keys
        keys |= waiting
    return Usage(keys, owners, unknown, here)


def unused(store: Store, used: Usage, days: float = 0.0) -> list[Path]:
    """Folders of a store that nobody uses, older than so many days; what was damaged; leftovers of killed processes."""
    free = []
    for path in sorted(store.root.glob("*/*")):
        if path.parent.name in ("locks", "leases", "needs") or not (path.is_dir() or path.parent.name == "damaged"):
            continue
        left = path.name.startswith(".") or path.name.endswith(".partial") or path.parent.name == "damaged"
        young = time.time() - path.lstat().st_mtime < 86400 * days
        if not young and _key(path) not in used.keys and (left or not used.unknown):
            free.append(path)
    return free


def _key(path: Path) -> str:
    """The key of the result that a folder holds, or held, or will hold."""
    return path.name.removeprefix(".").removesuffix(".removed").removesuffix(".partial")


def size(path: Path) -> int:
    """Bytes of a file, or below a folder."""
    return sum(file.lstat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def owner(path: Path) -> str:
    """The name of the user whose a folder is."""
    try:
        return path.owner()
    except KeyError:
        return str(path.lstat().st_uid)


def remove(store: Store, path: Path, leases: Leases) -> bool:
    """Remove a folder of a store, out of sight in one step; False if somebody makes, reads or leases it after all."""
    aside = path.with_name(f".{path.name.removeprefix('.').removesuffix('.removed')}.removed")
    try:
        with store.lock(f"{path.parent.name}-{_key(path)}", timeout=0.0), explained(store.root), unread(path) as free:
            if not free:
                return False
            if path != aside:
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
            if path != aside and _leased(leases, _key(path)):
                aside.rename(path)
                return False
    except (filelock.Timeout, FileNotFoundError):
        return False
    with explained(store.root):
        shutil.rmtree(aside) if aside.is_dir() and not aside.is_symlink() else aside.unlink()
    return True


def _leased(leases: Leases, key: str) -> bool:
    try:
        return key in leases.named()
    except DamagedFileError:  # since it was last read: whose it is cannot be told any more
        return True


def forget(leases: Leases) -> None:
    """Remove the leases of runs and processes that are gone."""
    for path in leases.void():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
