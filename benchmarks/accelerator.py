"""Everything an accelerator must show, in one call: what it is, agrees, repeats, how fast it is, and two pages on it.

    python benchmarks/accelerator.py RESULTS.json [--minutes 8] [--parts device agree ...] [--small]
    python benchmarks/accelerator.py RESULTS.json --show

Each part is a process of its own with a time limit; what it found goes into RESULTS.json when it ends, well or not. The
same command again goes on: parts that ended well are left alone. `--small` rehearses all of it at sizes for a CPU.

- device: what it is, and what it reaches at best: copying memory, and multiplying matrices.
- agree: a box, statistics, a network and attributions here and on the CPU, from the same inputs; and here again with
  products in full float32 ("highest") instead of the device's own choice. Numbers are differences over the rms.
- twice: the same in two processes.
- gravity: as in `box.py`, with the rays of maps of 512^2 pixels; the step is compared with copying.
- training: the loop's maps a second, as in `training.py`.
- statistics, saliency: maps a second, as in the scripts of these names.
- network, attribution: chapters 3 and 4 as a book runs them, on chapter 1's maps and from an empty store, as large as
  fits into the time left by what was measured: what they recorded and printed.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose statistics.py would hide Python's

import numpy as np  # noqa: E402  (after the path)

Found = Iterator[tuple[str, Any]]  # what a part found, by name, as it goes


class Job:
    """What a part is told: its sizes, when all must end, and what the parts before it found."""

    def __init__(self, results: Path, small: bool, end: float):
        self.results, self.small, self.end = results, small, end
        self.work = Path(tempfile.gettempdir()) / f"wlbook-accelerator-{results.stem}"
        self.work.mkdir(parents=True, exist_ok=True)

    def known(self, part: str, *names: str, default: float) -> float:
        """A number that a part before this one found."""
        value: Any = read(self.results).get(part, {})
        for name in names:
            value = value.get(name, {}) if isinstance(value, dict) else {}
        return float(value) if isinstance(value, int | float) else default


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(path: Path, value: Any) -> None:
    """A reader finds the old text or the new one, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1), encoding="utf-8")
    aside.replace(path)


def beside(name: str) -> Any:
    """A script of this folder as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peak_memory() -> float:
    """Of the device, in this process [GiB]; 0 where it does not tell."""
    import jax

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**30


# What it is


def device(job: Job) -> Found:
    import jax
    import jax.numpy as jnp

    one = jax.devices()[0]
    yield "kind", one.device_kind
    yield "devices", len(jax.devices())
    installed = sorted((one.name, one.version) for one in importlib.metadata.distributions() if "jax" in one.name)
    yield "versions", {"Python": platform.python_version(), **dict(installed)}
    yield "GiB for JAX", (one.memory_stats() or {}).get("bytes_limit", 0) / 2**30
    yield "cores", len(os.sched_getaffinity(0))
    if one.platform == "gpu":
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        yield "nvidia-smi", subprocess.run(query, capture_output=True, text=True).stdout.strip()
        from wlbook.runner import pages

        yield "pages are told", pages.device_class()

    timed = beside("box").timed
    numbers = jnp.zeros(2**22 if job.small else 2**30, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    yield "copying GB a second", 2 * numbers.nbytes / timed(lambda: copy(numbers), 5) / 1e9
    del numbers
    n = 512 if job.small else 8192
    for precision in ("bfloat16", "float32"):
        matrix = jnp.ones((n, n), precision)
        product = jax.jit(jnp.matmul)
        yield f"products TFLOP a second, {precision}", 2 * n**3 / timed(lambda: product(matrix, matrix), 5) / 1e12  # noqa: B023


# The same numbers as elsewhere, and again


def arrays(small: bool) -> Iterator[dict[str, np.ndarray]]:
    """One of everything, from inputs that NumPy draws: what there is so far, more each time."""
    import jax

    from wlbook import saliency
    from wlbook.common import random
    from wlbook.network import architectures, trainer, training
    from wlbook.network.configuration import Training
    from wlbook.simulation.boxes import Box, Universe, simulate_box
    from wlbook.simulation.survey import Survey
    from wlbook.statistics import vectors

    found: dict[str, np.ndarray] = {}
    particles, pixels, steps = (32, 64, 6) if small else (64, 64, 30)
    box = Box(pixels=pixels, n_maps=8, particles=particles)
    found["box"] = simulate_box(box, Universe(0.26, 0.8, -1, "fiducial", 1))["kappa"].to_numpy()
    yield found

    draw = np.random.default_rng(1)
    white = np.fft.rfft2(draw.normal(size=(32, 1, pixels, pixels)))
    wave = np.hypot(np.fft.fftfreq(pixels)[:, None], np.fft.rfftfreq(pixels)) + 1 / pixels
    rough = np.fft.irfft2(white / wave, s=(pixels, pixels))
    kappa = (0.012 * (np.exp(rough / rough.std()) - 1.6) / 2).astype(np.float32)
    survey, at = Survey(), {"side": 3.5, "seed": 1}
    numbers = {name: 8 for name in vectors.NAMES if name not in ("moments", "scattering")}
    bins = vectors.binning(kappa, survey, numbers, **at)
    measured = vectors.measure(kappa, survey, bins, **at, names=vectors.DEFAULT if small else vectors.NAMES)
    found |= {f"statistics, {name}": value for name, value in measured.items()}
    yield found

    model = architectures.Compact(key=jax.random.key(1))
    shown, wanted = kappa / kappa.std(), draw.normal(size=(len(kappa), 2)).astype(np.float32)
    found["network, answers"] = training.predict(model, shown, copies=8)

    def error(weights: Any) -> Any:
        return ((jax.vmap(weights)(shown) - wanted) ** 2).mean()

    import equinox as eqx

    found["network, gradient of a step"] = flat(eqx.filter_jit(eqx.filter_grad(error))(model))
    yield found
    for method in (saliency.gradient, saliency.integrated_gradients, saliency.lrp):
        found[f"attribution, {method.__name__}"] = saliency.over_maps(method, model, shown, 0)
    settings = Training(steps=steps, batch=16)

    def look(maps: Any, key: Any) -> Any:
        return maps + 0.5 * jax.random.normal(key, maps.shape)

    learnt, history = trainer.run(model, shown, wanted, settings, observe=look, key=random.key(1))
    found[f"training, weights after {steps} steps"] = flat(learnt)
    found["training, losses"] = history["loss"]
    yield found


def flat(tree: Any) -> np.ndarray:
    import equinox as eqx
    import jax

    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))])


ENVIRONMENTS = {
    "here": {},
    "again": {},
    "highest": {"JAX_DEFAULT_MATMUL_PRECISION": "highest"},
    "CPU": {"JAX_PLATFORMS": "cpu"},
}


def made(job: Job, names: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """`arrays` of some environments, those that are not there yet made side by side."""
    files = {name: job.work / f"{name}.npz" for name in names}
    command = [sys.executable, __file__, str(job.results), "--arrays"]
    running = {}
    for name, path in files.items():
        if not path.is_file():
            environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", **ENVIRONMENTS[name]}
            arguments = [*command, str(path), *(["--small"] if job.small else [])]
            running[name] = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
    end = time.time() + (180 if job.small else PARTS["agree"][1] - 15)
    for process in running.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0, end - time.time()))
        process.kill()  # what it has written until then counts
    return {name: dict(np.load(path)) for name, path in files.items() if path.is_file()}


def difference(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """The largest and the rms difference, over the rms of the second."""
    apart, size = np.abs(one.astype(np.float64) - other), np.sqrt(np.mean(other.astype(np.float64) ** 2))
    return {"largest": float(apart.max() / size), "rms": float(np.sqrt(np.mean(apart**2)) / size)}


def agree(job: Job) -> Found:
    found = made(job, list(ENVIRONMENTS))
    for one, other in (("here", "CPU"), ("highest", "CPU"), ("here", "highest")):
        if one in found and other in found:
            both = [name for name in found[one] if name in found[other]]
            yield f"{one} - {other}", {name: difference(found[one][name], found[other][name]) for name in both}
    if missing := [name for name in ENVIRONMENTS if name not in found]:
        raise RuntimeError(f"no arrays from: {', '.join(missing)}")


def twice(job: Job) -> Found:
    here, again = made(job, ["here", "again"]).values()
    both = [name for name in here if name in again]
    same = [name for name in both if here[name].tobytes() == again[name].tobytes()]
    yield "same bytes", ", ".join(same) or "none"
    for name in both:
        if name not in same:
            yield name, difference(again[name], here[name])


# How fast it is


def gravity(job: Job, particles: int) -> Found:
    from wlbook.simulation import memory

    memory.reuse()
    sizes = {"pixels": 64, "n_maps": 4} if job.small else {"pixels": 512, "n_maps": 64}
    particles = particles // 8 if job.small else particles
    found = beside("box").measure(particles, **sizes, repeats=2 if particles < 300 else 1)
    yield from found.items()
    if copying := job.known("device", "copying GB a second", default=0):
        yield "share of copying", found["least GB a step"] / found["seconds a step"] / copying
    yield "peak GiB", peak_memory()


TRAININGS = [  # network, pixels, maps a step, precision, bins; those first that pages are sized by
    ("Ribli18", 512, 32, "bfloat16", 1),
    ("Ribli18", 512, 32, "float32", 1),
    ("Ribli18", 512, 128, "bfloat16", 1),
    *(("Compact", pixels, 32, precision, 1) for pixels in (64, 256) for precision in ("bfloat16", "float32")),
    *(("DeepLSS", 128, 32, precision, 4) for precision in ("bfloat16", "float32")),
    ("Ribli18", 512, 128, "float32", 1),
]


def called(name: str, pixels: int, batch: int, precision: str, bins: int) -> str:
    return f"{name}, {batch} x {bins} x {pixels}^2, {precision}"


def training(job: Job) -> Found:
    throughput = beside("training").throughput
    for name, pixels, batch, precision, bins in TRAININGS:
        size, some, steps = (max(32, pixels // 8), 4, 2) if job.small else (pixels, batch, 200)
        try:
            found = throughput(name, some, size, steps, precision=precision, bins=bins)
        except Exception as error:  # one that does not fit must not cost the others
            found = {"error": str(error)[:300]}
        yield called(name, pixels, batch, precision, bins), found
        yield "peak GiB", peak_memory()


def statistics(job: Job) -> Found:
    script = beside("statistics")
    from wlbook.simulation.survey import Survey
    from wlbook.statistics import vectors

    maps = script.noisy_maps(*((4, 64) if job.small else (256, 512)))[:, None]
    numbers = {name: 8 for name in vectors.NAMES if name not in ("moments", "scattering")}
    settings = {"survey": Survey(), "side": script.SIDE, "seed": 1}
    settings["bins"] = vectors.binning(maps[:64], settings["survey"], numbers, side=script.SIDE, seed=1)
    sets = {"the usual three": vectors.DEFAULT, "all": vectors.NAMES} | {name: [name] for name in vectors.NAMES}
    for what, names in sets.items():
        seconds = beside("box").timed(lambda names=names: vectors.measure(maps, **settings, names=names), 1)
        yield f"{what}, maps a second", len(maps) / seconds


def saliency(job: Job) -> Found:
    rates = beside("saliency").rates
    for name, maps, pixels in (("Ribli18", 16, 512), ("Compact", 64, 64)):
        maps, size, seconds = (2, 64, 0.0) if job.small else (maps, pixels, 0.5)
        for method, rate in rates(name, maps, size, None, seconds):
            yield f"{name}, {pixels}^2, {method}, maps a second", rate
    yield "peak GiB", peak_memory()


# Two pages


def profile(job: Job) -> tuple[Path, dict[str, Any]]:
    """A profile that fits into the time left; the one chosen first is kept, so that both pages share their results."""
    path, chosen = job.work / "accelerator.yml", job.work / "accelerator.json"
    if path.is_file():
        return path, read(chosen)
    box = job.known("gravity 256", "seconds a box", default=2.0)
    maps = job.known("gravity 256", "maps a second", default=200.0)
    rate = job.known("training", called(*TRAININGS[0]), "maps a second", default=2000.0)
    left = job.end - time.time()
    # Half is for compiling and for what pages do beside; the other half goes to maps and networks.
    compute = left - min(0.5 * left, 150)
    a_box = box + 64 / maps + 1.5
    n_models = int(np.clip(0.35 * compute / (2 * a_box), 16, 40))

    def steps(share: float, faster: float = 1.0) -> int:
        wanted = int(share * compute * rate * faster / 32)
        return max(100, wanted // 2000 * 2000 or wanted // 100 * 100)  # pieces of a hundred steps: compiled once

    values = {
        "01_data": {
            "n_models": n_models, "n_maps": 64, "n_fiducial": 2, "particles": 256, "pixels": 512, "side": 3.5,
        },
        "03_network": {
            "architecture": "Ribli18", "width": 32, "precision": "bfloat16", "n_seeds": 1, "steps": steps(0.4),
            "noiseless_steps": steps(0.15), "small_steps": min(200, steps(0.01, faster=3.5)),
        },
        "04_saliency": {"n_seeds": 1, "n_maps": 64, "n_few": 8},
    }  # fmt: skip
    if job.small:
        values["01_data"] |= {"n_models": 8, "n_maps": 8, "particles": 32, "pixels": 32}
        values["03_network"] |= {"width": 4, "steps": 20, "noiseless_steps": 20, "small_steps": 20, "batch": 16}
        values["04_saliency"] |= {"n_maps": 8, "n_few": 2, "steps": 2}
    path.write_text(json.dumps(values), encoding="utf-8")  # JSON is YAML
    write(chosen, values)
    return path, values


class Kept(contextlib.nullcontext[Path]):
    """A page's working folder that stays, so that a page that is stopped leaves what it has reached."""


def page(job: Job, chapter: str) -> Found:
    from wlbook.runner import build, pages, runs

    os.environ["WLBOOK_STORE"] = str(job.work / "store")
    os.environ["PYTHONOPTIMIZE"] = "1"  # what pages assert holds at the profile `demo`
    kept = job.work / chapter
    kept.mkdir(exist_ok=True)
    pages.scratch.folder = lambda: Kept(Path(tempfile.mkdtemp(prefix="wlbook-", dir=kept)))
    path, values = profile(job)
    yield "profile", values
    run = runs.plan(str(path), [], chapter=chapter)
    started = time.time()
    try:
        done = build.execute(run, [chapter], lambda line: print(line.strip(), flush=True))[chapter]
    except pages.PageError:
        log = run.folder / "logs" / f"{chapter}.log"
        yield "traceback", log.read_text(encoding="utf-8").splitlines()[-25:] if log.is_file() else []
        raise
    yield "seconds", time.time() - started
    yield "of the page itself", done.seconds
    yield "claims", done.records
    yield "numbers", glued(json.loads(done.notebook))
    yield "notes", done.notes


def glued(notebook: dict[str, Any]) -> dict[str, str]:
    """The numbers of a page's prose by name."""
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name:
                found[name] = "".join(next(iter(output["data"].values()))).strip("'\"")
    return found


def left_behind(job: Job, part: str, ended: bool) -> dict[str, Any]:
    """What the store holds, and what a page that did not end had reached: its claims, and its cells."""
    stages: dict[str, dict[str, float]] = {}
    for path in sorted((job.work / "store").glob("*/*/manifest.json")):
        manifest = read(path)
        stage = stages.setdefault(manifest["stage"], {"results": 0, "seconds": 0.0})
        stage["results"] += 1
        stage["seconds"] += manifest["seconds"]
    found: dict[str, Any] = {"stored": stages}
    if ended:
        return found
    for folder in (job.work / CHAPTERS[part]).glob("wlbook-*"):
        found["claims so far"] = {one.stem: read(one) for one in folder.glob("records/[!.]*.json")}
        cells = read(folder / "out.ipynb").get("cells", [])
        found["cells run"] = sum(bool(cell.get("execution_count")) for cell in cells)
        found["numbers so far"] = glued({"cells": cells})
        printed = (output.get("text", "") for cell in cells for output in cell.get("outputs", []))
        found["printed so far"] = ["".join(text)[-500:] for text in printed if text]
    return found


# All of it

CHAPTERS = {"network": "03_network", "attribution": "04_saliency"}
PARTS: dict[str, tuple[Callable[[Job], Found], float]] = {  # and how long it may take [s]
    "device": (device, 40),
    "agree": (agree, 100),
    "twice": (twice, 45),
    "gravity 256": (lambda job: gravity(job, 256), 45),
    "gravity 512": (lambda job: gravity(job, 512), 60),
    "training": (training, 80),
    "statistics": (statistics, 30),
    "saliency": (saliency, 35),
    "network": (lambda job: page(job, CHAPTERS["network"]), 600),
    "attribution": (lambda job: page(job, CHAPTERS["attribution"]), 600),
}
PAGES = {"network": 0.6, "attribution": 1.0}  # which share of the time left they may take


def run_part(job: Job, part: str) -> None:
    """Run a part in a process of its own and note what it found."""
    left = job.end - time.time()
    limit = left * PAGES[part] if part in PAGES else min(PARTS[part][1], left)
    limit = max(limit, 200) if job.small else limit
    if limit < 10:
        print(f"{part}: no time left", flush=True)
        return
    print(f"{part}: at most {limit:.0f} s, {left:.0f} s left", flush=True)
    partial, log = job.work / f"{part}.json", job.work / f"{part}.log"
    partial.unlink(missing_ok=True)
    command = [sys.executable, __file__, str(job.results), "--child", part, "--end", str(job.end)]
    started, error = time.time(), ""
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, *(["--small"] if job.small else [])], stderr=stream, start_new_session=True
        )
        try:
            if process.wait(limit):
                error = f"exit status {process.returncode}"
        except subprocess.TimeoutExpired:
            error = f"stopped after {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    found = {**read(partial), "seconds in all": round(time.time() - started, 1)}
    if part in PAGES:
        found |= left_behind(job, part, ended=not error)
    if error:
        found["error"] = [error, *log.read_text(errors="replace").splitlines()[-12:]]
    write(job.results, {**read(job.results), part: found})
    print(
        f"{part}: {error or 'done'}, {found['seconds in all']} s", *found.get("error", [])[1:], sep="\n  ", flush=True
    )


def child(job: Job, part: str) -> None:
    """The part itself; what it finds is noted as it goes."""
    found: dict[str, Any] = {}
    for name, value in PARTS[part][0](job):
        found[name] = value
        write(job.work / f"{part}.json", found)
        print(f"  {name}: {json.dumps(value)[:150]}", flush=True)


def show(value: Any, depth: int = 0) -> None:
    """A table of what was found."""
    for name, one in value.items():
        plain = isinstance(one, dict) and all(isinstance(number, int | float) for number in one.values())
        numbers = plain and 0 < len(one) <= 4
        if isinstance(one, dict) and not numbers:
            print(f"{'  ' * depth}{name}")
            show(one, depth + 1)
        elif isinstance(one, list):
            print(f"{'  ' * depth}{name}", *one, sep=f"\n{'  ' * depth}  ")
        else:
            row = "   ".join(f"{key} {number:.4g}" for key, number in one.items()) if numbers else one
            text = f"{row:.4g}" if isinstance(row, float) else str(row)
            print(f"{'  ' * depth}{name:<{52 - 2 * depth}} {text}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=Path)
    options.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    options.add_argument("--minutes", type=float, default=8.0, help="when to stop")
    options.add_argument("--small", action="store_true", help="a rehearsal for a CPU")
    options.add_argument("--show", action="store_true", help="print what the file holds, and no more")
    for inner in ("--child", "--arrays", "--end"):
        options.add_argument(inner, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    end = float(chosen.end) if chosen.end else time.time() + 60 * chosen.minutes
    job = Job(chosen.results.resolve(), chosen.small, end)
    if chosen.child:
        return child(job, chosen.child)
    if chosen.arrays:
        for found in arrays(chosen.small):
            aside = Path(chosen.arrays).with_suffix(".part.npz")
            np.savez(aside, **found)  # pyright: ignore[reportArgumentType]
            aside.rename(chosen.arrays)
        return None
    if not chosen.show:
        os.environ |= {
            "JAX_COMPILATION_CACHE_DIR": str(job.work / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
            "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONUNBUFFERED": "1",
        }
        for part in chosen.parts:
            before = read(job.results).get(part)
            if before and "error" not in before:
                print(f"{part}: there already", flush=True)
            else:
                run_part(job, part)
    show(read(job.results))


if __name__ == "__main__":
    main()
