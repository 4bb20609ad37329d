"""A campaign of faults on a short book: damage, kills, company, removal, full disks. Nothing may be wrong or lost.

`make faults` runs all of it, about two hours on two cores. Each part prints a table of what was tried and how it ended;
the command fails if any of it ended badly. A seed makes the same choices again, though not at the same microseconds.
"""

import argparse
import collections
import contextlib
import functools
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "runner"), str(HERE.parent)]

import minibook  # noqa: E402
import numpy as np  # noqa: E402
import stages  # noqa: E402
import xarray as xr  # noqa: E402

from wlbook.common.progress import progress  # noqa: E402
from wlbook.runner import formats  # noqa: E402
from wlbook.runner.store import Store, StoreWarning  # noqa: E402

formats.OBJECTS.add(("stages", "Weights"))

GOOD = ("named and made good", "harmless", "one line", "same bytes", "right")
Counts = collections.Counter[tuple[str, str]]  # what was done, how it ended -> how often


# Damage to results


RESULTS: dict[str, tuple[Callable, dict]] = {
    "dataset": (stages.dataset, {"maps": 3}),
    "labelled": (stages.labelled, {"n": 40}),
    "array": (stages.array, {"n": 500}),
    "numbers": (stages.numbers, {"x": 1}),
    "weights": (stages.weights, {"n": 5}),
}


def equal(one, other) -> bool:
    if isinstance(one, xr.Dataset | xr.DataArray):
        return one.identical(other)
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def flip(draw: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes() or b"\0")
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut(draw: random.Random, path: Path) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(max(1, path.stat().st_size))])


def instead(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


def any_file(folder: Path, draw: random.Random) -> Path:
    return draw.choice(files(folder))


def chunk(folder: Path, draw: random.Random) -> Path:
    return draw.choice(files(folder / "payload"))


def swapped(draw: random.Random, path: Path, other: Path) -> None:
    instead(path, lambda to: shutil.copytree(other, to))


def moved_and_linked(draw: random.Random, path: Path) -> None:
    store = next(folder for folder in path.parents if folder.name == "store")
    away = store.with_name(f"away-{draw.random()}")
    shutil.move(path, away)
    path.symlink_to(away)


Damage = Callable[[random.Random, Path, Path], object]  # of the folder of a result, with that of another one

DAMAGES: dict[str, Damage] = {
    "bit flipped": lambda draw, folder, _: flip(draw, any_file(folder, draw)),
    "bit of the manifest flipped": lambda draw, folder, _: flip(draw, folder / "manifest.json"),
    "file cut": lambda draw, folder, _: cut(draw, any_file(folder, draw)),
    "file emptied": lambda draw, folder, _: any_file(folder, draw).write_bytes(b""),
    "file deleted": lambda draw, folder, _: any_file(folder, draw).unlink(),
    "chunk deleted": lambda draw, folder, _: chunk(folder, draw).unlink(),
    "chunk of another result": lambda draw, folder, other: shutil.copy(chunk(other, draw), chunk(folder, draw)),
    "payload of another result": lambda draw, folder, other: swapped(draw, folder / "payload", other / "payload"),
    "the whole of another result": swapped,
    "manifest of another result": lambda draw, folder, other: shutil.copy(other / "manifest.json", folder),
    "payload deleted": lambda draw, folder, _: shutil.rmtree(folder / "payload"),
    "emptied folder": lambda draw, folder, _: instead(folder, Path.mkdir),
    "file for the folder": lambda draw, folder, _: instead(folder, Path.touch),
    "folder for a file": lambda draw, folder, _: instead(any_file(folder, draw), Path.mkdir),
    "folder for the manifest": lambda draw, folder, _: instead(folder / "manifest.json", Path.mkdir),
    "file for the payload": lambda draw, folder, _: instead(folder / "payload", Path.touch),
    "file added": lambda draw, folder, _: (folder / "payload" / "more").write_text(""),
    "folder added": lambda draw, folder, _: (folder / "payload" / "more").mkdir(),
    "file added beside the payload": lambda draw, folder, _: (folder / "more").write_text(""),
    "link to the same bytes": lambda draw, folder, _: moved_and_linked(draw, any_file(folder, draw)),
    "folder moved out and linked": lambda draw, folder, _: moved_and_linked(draw, folder),
    "link to nowhere": lambda draw, folder, _: instead(folder, lambda path: path.symlink_to("nowhere")),
    "link to itself": lambda draw, folder, _: instead(folder, lambda path: path.symlink_to(path.name)),
    "pipe": lambda draw, folder, _: os.mkfifo(folder / "payload" / "pipe"),
    **{
        f"manifest holds {what}": lambda draw, folder, _, text=text: (folder / "manifest.json").write_bytes(text)
        for what, text in {
            "NaN": b'{"digest": "0", "seconds": NaN}',
            "brackets": b"[" * 100000,
            "a list": b"[]",
            "null": b"null",
            "nothing": b"",
            "other bytes": b"\xff\xfe\x00",
        }.items()
    },
}


def damages(draw: random.Random, work: Path, times: int) -> Counts:
    """Damage results, and read them again: the value is right, and the damage was told or did no harm."""
    counts: Counts = collections.Counter()
    store = Store(work / "store")
    right = {name: store.make(function, **inputs) for name, (function, inputs) in RESULTS.items()}
    for n in progress(range(times), "damaging results", total=times):
        kind = list(DAMAGES)[n % len(DAMAGES)]
        name, other = draw.sample(list(RESULTS), 2)
        (folder, beside) = (next((store.root / f"stages.{one}").glob("?" * 32)) for one in (name, other))
        DAMAGES[kind](draw, folder, beside)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                value = Store(store.root).make(RESULTS[name][0], **RESULTS[name][1])
            except Exception as error:
                counts[kind, f"raised {type(error).__name__}"] += 1
                shutil.rmtree(folder, ignore_errors=True)
                continue
        named = any(warning.category is StoreWarning and folder.name in str(warning.message) for warning in told)
        ended = "named and made good" if named else "harmless"
        counts[kind, ended if equal(value, right[name]) else "WRONG"] += 1
        shutil.rmtree(store.root / "damaged", ignore_errors=True)
        if ended == "harmless":  # what lies there may be odd still
            shutil.rmtree(folder)
            store.make(RESULTS[name][0], **RESULTS[name][1])
    return counts


# Damage to what the runner remembers


STATES = ("build/demo/run.json", "build/demo/records.json", "build/demo/drawn.json", "build/demo/costs.json",
          "build/store/needs/*.json", "build/store/leases/*/kept.json", "build/store/leases/*/about.json",
          "build/store/page.*/*/payload/page.json", "build/store/page.*/*/manifest.json", "build/demo/.lock",
          "build/contents/*.json")  # fmt: skip
STATE_DAMAGES: dict[str, Callable[[random.Random, Path], object]] = {
    "emptied": lambda draw, path: path.write_bytes(b""),
    "cut": cut,
    "bit flipped": flip,
    "null": lambda draw, path: path.write_text("null"),
    "a number": lambda draw, path: path.write_text("5"),
    "brackets": lambda draw, path: path.write_text("[" * 100000),
    "other JSON": lambda draw, path: path.write_text('{"pages": {"01_data": ["x"]}, "digest": 3}'),
    "other bytes": lambda draw, path: path.write_bytes(b"\xff\xfe\x00"),
    "a folder": lambda draw, path: instead(path, Path.mkdir),
    "deleted": lambda draw, path: path.unlink(),
}
RIGHT = "result 12.0"  # what the last page of the short book prints


def book(work: Path) -> Path:
    """The short book, built."""
    root = minibook.write(work / "book")
    minibook.wlbook(root, "build")
    return root


def states(draw: random.Random, work: Path, times: int) -> Counts:
    """Damage what runs write down, then look and build again: no traceback, the pages right, nothing made twice."""
    counts: Counts = collections.Counter()
    built = book(work / "built")
    for n in progress(range(times), "damaging notes", total=times):
        root = work / f"copy-{n}"
        shutil.copytree(built, root, symlinks=True)
        found = sorted(root.glob(STATES[n % len(STATES)]))
        if not found:
            shutil.rmtree(root)
            continue
        path, kind = draw.choice(found), draw.choice(list(STATE_DAMAGES))
        what = f"{re.sub(r'[0-9a-f]{16,}', 'KEY', str(path.relative_to(root / 'build')))}"
        STATE_DAMAGES[kind](draw, path)
        before, said, ended = len(minibook.log(root)), "", "harmless"
        for arguments in draw.sample([("list",), ("why", "02_network"), ("gc", "--dry-run"), ("gc",)], 2):
            said += finished(minibook.start(root, *arguments))[1]
        status, printed = finished(minibook.execute(root))
        said += printed
        if "Traceback" in said:
            ended = "TRACEBACK"
        elif status != 0 or RIGHT not in minibook.page(root, "02_network"):
            ended = "WRONG"
        elif len(minibook.log(root)) != before:
            ended = "MADE TWICE"
        elif "damaged" in said or "cannot be read" in said:
            ended = "named and made good"
        counts[what, ended] += 1
        if ended.isupper():
            print(f"{what}, {kind}: {ended}\n{said}", file=sys.stderr)
        shutil.rmtree(root)
    return counts


def finished(process: subprocess.Popen, seconds: float = 300.0) -> tuple[int, str]:
    output, errors = process.communicate(timeout=seconds)
    return process.returncode, output + errors


# Kills


def written(root: Path) -> dict[str, bytes]:
    """What a build leaves, but for what times and places stand in: executed pages, records, results."""
    found = {f"page {name}": minibook.page(root, name).encode() for name in ("01_data", "02_network")}
    for path in sorted((root / "build" / "store").glob("[!pl]*/*/payload/**/*")):
        if path.is_file():
            found["/".join(path.parts[-5:])] = path.read_bytes()
    return found | {"records": (root / "build" / "demo" / "records.json").read_bytes()}


def kills(draw: random.Random, work: Path, times: int) -> Counts:
    """Kill builds again and again; once one ends, it has left what an undisturbed one leaves, made once."""
    counts: Counts = collections.Counter()
    undisturbed = minibook.write(work / "undisturbed")
    finished(minibook.execute(undisturbed, BOX_SECONDS="0.3"))
    whole, wanted = written(undisturbed), sorted(minibook.log(undisturbed))
    done, bar = 0, progress(range(times), "killing", total=times)
    while done < times:
        root = minibook.write(work / f"killed-{done}")
        for _ in range(min(10, times - done)):
            process = minibook.execute(root, BOX_SECONDS="0.3")
            time.sleep(draw.uniform(0.1, 8.0))
            ended = process.poll() is not None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
            next(bar, None)
            if ended:
                break
        status, said = finished(minibook.execute(root))
        again = written(root) if status == 0 else {}
        same = {name: text for name, text in again.items() if not name.startswith("page")} == {
            name: text for name, text in whole.items() if not name.startswith("page")
        }
        right = status == 0 and same and RIGHT in minibook.page(root, "02_network")
        twice = collections.Counter(minibook.log(root)) - collections.Counter(wanted)
        kind = "kill -9 of a build"
        counts[kind, "same bytes" if right else "LOST" if status == 0 else "FAILED"] += 1
        counts["result begun again after a kill", "harmless"] += twice.total()
        if not right:
            print(said, file=sys.stderr)
        shutil.rmtree(root)
    return counts


# Company: runs, readers and removal on one store


def company(draw: random.Random, work: Path, minutes: float) -> Counts:
    """Runs of two clones with other settings on one store, while both clones remove what nobody uses, in a loop."""
    counts: Counts = collections.Counter()
    store, end = work / "store", time.monotonic() + 60 * minutes
    clones = [minibook.write(work / f"clone-{n}") for n in range(2)]
    shared = {"WLBOOK_STORE": str(store)}
    asked = [(clone, f"steps={steps}") for steps in range(1, 5) for clone in clones]
    stop = work / "stop"
    removers = [collecting(clone, store, stop) for clone in clones]
    rounds = 0
    while time.monotonic() < end or not rounds:
        rounds += 1
        seed = f"01_data.seed={10 * rounds}"
        started = [(one, minibook.execute(one[0], seed, one[1], **shared)) for one in asked]
        for (_, steps), process in started:
            status, said = finished(process, 900)
            right = "executed" in said or "reused" in said
            ended = "right" if status == 0 and right else "TRACEBACK" if "Traceback" in said else "FAILED"
            counts["run beside others and gc", ended] += 1
            if ended.isupper():
                print(f"{steps}: {status}\n{said}", file=sys.stderr)
        made = [line for clone in clones for line in minibook.log(clone)]
        expected = 3 * rounds + len({steps for _, steps in asked}) * rounds
        counts[
            "results made by all runs", "right" if len(made) == expected else f"MADE {len(made)} NOT {expected}"
        ] += 1
    stop.touch()
    for remover in removers:
        status, said = finished(remover)
        number = int(said.split()[0]) if status == 0 else 0
        counts["gc beside runs", "right" if status == 0 else "FAILED"] += number or 1
        if status:
            print(said, file=sys.stderr)
    return counts


def collecting(clone: Path, store: Path, stop: Path) -> subprocess.Popen:
    """A process that runs `wlbook gc` in a loop in a clone, and says how often it did; it fails as soon as one does."""
    code = f"""
import pathlib, subprocess, sys
n = 0
while not pathlib.Path({str(stop)!r}).exists():
    found = subprocess.run([sys.executable, "-m", "wlbook", "gc", "--all", "--yes"], capture_output=True, text=True)
    if found.returncode:
        sys.exit(found.stdout + found.stderr)
    n += 1
print(n)
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=clone,
        env=minibook.environment(clone, WLBOOK_STORE=str(store)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def readers(draw: random.Random, work: Path, times: int) -> Counts:
    """Read results again and again while they are removed, cut and renamed: each read gives the whole value."""
    store = work / "store"
    code = f"""
import sys, warnings
sys.path[:0] = {sys.path[:3]!r}
import faults
from wlbook.runner.store import Store
warnings.simplefilter("ignore")
right = {{name: function(**inputs) for name, (function, inputs) in faults.RESULTS.items()}}
for n in range({times} // len(right) // 2 + 1):
    for name, (function, inputs) in faults.RESULTS.items():
        try:
            value = Store({str(store)!r}).make(function, **inputs)
            print("right" if faults.equal(value, right[name]) else "WRONG", name)
        except Exception as error:
            print("RAISED", name, type(error).__name__, error)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WLBOOK_")}
    outputs = [work / f"reader-{n}" for n in range(2)]
    processes = []
    for path in outputs:
        with path.open("w") as stream:
            processes.append(subprocess.Popen([sys.executable, "-c", code], stdout=stream, env=environment))
    while any(process.poll() is None for process in processes):
        time.sleep(draw.uniform(0.0, 0.15))
        found = list(store.glob("stages.*/" + "?" * 32))
        for folder in draw.sample(found, min(1, len(found))):
            with contextlib.suppress(OSError, IndexError, ValueError):
                match draw.randrange(5):
                    case 0:
                        shutil.rmtree(folder)
                    case 1:
                        aside = folder.with_name(f"x{draw.random()}")
                        folder.rename(aside)
                        shutil.rmtree(aside)
                    case 2:
                        chunk(folder, draw).unlink()
                    case 3:
                        cut(draw, any_file(folder, draw))
                    case 4:
                        flip(draw, any_file(folder, draw))
    counts: Counts = collections.Counter()
    for line in "".join(path.read_text() for path in outputs).splitlines():
        ended, name, *_ = line.split()
        counts[f"read of {name} beside removal and damage", ended] += 1
        if ended != "right":
            print(line, file=sys.stderr)
    return counts


# Full disks


def full(draw: random.Random, work: Path, times: int) -> Counts:
    """Builds whose files may not grow beyond a limit, as on a full disk: one line, and the next build is right."""
    counts: Counts = collections.Counter()
    for n in progress(range(times), "filling disks", total=times):
        root = minibook.write(work / f"full-{n}")
        limit = 2 ** draw.randrange(6, 20)
        process = subprocess.Popen(
            [sys.executable, "-m", "wlbook", "run", "02_network"],
            cwd=root,
            env=minibook.environment(root),
            preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        status, said = finished(process)
        lines = [line for line in said.splitlines() if line.startswith("wlbook: ")]
        ended = (
            "harmless" if status == 0 else "one line" if len(lines) == 1 and "Traceback" not in said else "TRACEBACK"
        )
        status, again = finished(minibook.execute(root))
        if status or RIGHT not in minibook.page(root, "02_network"):
            ended = "WRONG"
        counts["build on a full disk", ended] += 1
        if ended.isupper():
            print(f"limit {limit}\n{said}\n{again}", file=sys.stderr)
        shutil.rmtree(root)
    return counts


# All of it


PARTS: dict[str, tuple[Callable[[random.Random, Path, float], Counts], float]] = {
    "damages": (damages, 300),
    "states": (states, 110),
    "readers": (readers, 2000),
    "kills": (kills, 200),
    "company": (company, 10),
    "full": (full, 20),
}  # what is done -> how, and how much of it: times, but minutes of company


def table(counts: Counts) -> str:
    """What was done and how it ended, as Markdown."""
    kinds = dict.fromkeys(what for what, _ in counts)
    rows = [(what, *(f"{n} {ended}" for (one, ended), n in sorted(counts.items()) if one == what)) for what in kinds]
    return "\n".join(
        ["| what was done | how it ended |", "|---|---|", *(f"| {w} | {', '.join(e)} |" for w, *e in rows)]
    )


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", choices=[*PARTS, []], help="by default all of them")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--share", type=float, default=1.0, help="how much of it, 1 for all")
    chosen = options.parse_args(arguments)
    bad = 0
    for name in chosen.parts or PARTS:
        run, amount = PARTS[name]
        with tempfile.TemporaryDirectory(prefix="wlbook-faults-") as folder:
            os.environ["STAGES_LOG"] = f"{folder}/log"
            started = time.monotonic()
            amount = amount * chosen.share if name == "company" else max(1, round(amount * chosen.share))
            counts = run(random.Random(f"{chosen.seed} {name}"), Path(folder), amount)
        print(f"\n{name}, {time.monotonic() - started:.0f} s\n\n{table(counts)}", flush=True)
        bad += sum(n for (_, ended), n in counts.items() if ended not in GOOD)
    print(f"\n{bad} ended badly" if bad else "\nnothing wrong, nothing lost, no traceback")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
