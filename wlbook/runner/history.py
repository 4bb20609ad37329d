"""What was made, from what, and whether it still holds: the answers of `wlbook why`, `list` and `gc`."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from wlbook.runner import chapters, pages
from wlbook.runner.fingerprint import sha256, source_file
from wlbook.runner.pages import Executed
from wlbook.runner.runs import Run
from wlbook.runner.store import Store


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
    ran = run.folder / "run.json"
    key = json.loads(ran.read_text())["pages"].get(page) if ran.is_file() else None
    if key is None or (manifest := store.manifest(f"page.{page}", key)) is None:
        return None
    executed = Executed.load(store.root / f"page.{page}" / key / "payload")
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


def unused(store: Store, root: Path) -> list[Path]:
    """Folders of the store that no run under `build/` uses, directly or through what it uses; and what was damaged.

    What `wlbook simulate` made counts as used by the run it was made for.
    """
    keys: set[str] = set()
    for path in root.glob("build/*/run.json"):
        for page, key in json.loads(path.read_text())["pages"].items():
            keys.add(key)
            payload = store.root / f"page.{page}" / key / "payload"
            if (payload / "page.json").is_file():
                keys |= {use["key"] for use in Executed.load(payload).used}
    keys.update(*(json.loads(path.read_text()) for path in root.glob("build/*/simulated.json")))
    manifests = {manifest["key"]: manifest for manifest in store.manifests()}
    waiting = keys
    while waiting:
        waiting = {key for one in waiting for key in manifests.get(one, {}).get("upstream", [])} - keys
        keys |= waiting
    folders = [path for path in sorted(store.root.glob("*/*")) if path.is_dir()]
    free = (path for path in folders if path.parent.name != "locks" and path.name not in keys)
    return [path for path in free if not _in_work(store, path)]


def _in_work(store: Store, path: Path) -> bool:
    """Whether another process is making this right now."""
    if not path.name.endswith(".partial"):
        return False
    lock = filelock.FileLock(store.root / "locks" / f"{path.parent.name}-{path.name.removesuffix('.partial')}.lock")
    try:
        with lock.acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True


def size(path: Path) -> int:
    """Bytes below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def remove(path: Path) -> None:
    """Remove a result: out of sight in one step, then for good."""
    aside = path.with_name(f".{path.name}.removed")
    path.rename(aside)
    shutil.rmtree(aside)
