"""Spectrum, peaks and Minkowski functionals of 256 noisy maps of 512^2 pixels: ours against LensTools' C code.

    .venv/bin/python benchmarks/statistics.py [--maps 256] [--pixels 512]

LensTools gets one process for each core, ours one process with one thread for each core; both get the same maps in
memory, the same bins and, for ours, float32. Each is timed three times, in turns, and the best time counts. Results
must agree: spectrum and functionals within 1e-4, peaks exactly.
"""

import argparse
import datetime
import functools
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np  # noqa: E402  (after the thread limits)

SIDE = 3.5
ELL_EDGES = np.geomspace(200.0, 25000.0, 21)
EDGES = np.linspace(-0.03, 0.05, 21)
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_shared: np.ndarray  # the maps, inherited by the processes of LensTools without a copy


def theirs(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import lenstools_reference as lenstools

    image = _shared[index]
    return (
        lenstools.auto_spectrum(image, SIDE, ELL_EDGES),
        lenstools.peak_counts(image, EDGES),
        lenstools.minkowski_functionals(image, EDGES),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--maps", type=int, default=256)
    options.add_argument("--pixels", type=int, default=512)
    chosen = options.parse_args()

    global _shared
    draw = np.random.default_rng(1)
    white = draw.normal(size=(chosen.maps, chosen.pixels, chosen.pixels)).astype(np.float32)
    # Noisy and a little smooth: half of each pixel is its neighbours' mean.
    _shared = (0.01 * (white + np.roll(white, 1, -1) + np.roll(white, 1, -2))).astype(np.float32)

    # The processes start before JAX does: a fork with threads in it can hang.
    with multiprocessing.get_context("fork").Pool(CORES) as pool:
        pool.map(theirs, range(CORES))
        import jax

        from wlbook import statistics

        statistic = {
            "power spectrum": functools.partial(statistics.power_spectrum, side=SIDE, ell_edges=ELL_EDGES),
            "peaks": functools.partial(statistics.peak_counts, edges=EDGES),
            "Minkowski": functools.partial(statistics.minkowski_functionals, edges=EDGES),
        }

        def ours(names=tuple(statistic)) -> list[np.ndarray]:
            maps = _shared[:, None]
            blocks = np.array_split(maps, max(CORES, -(-len(maps) // 16)))

            def block(images: np.ndarray) -> list[np.ndarray]:
                placed = jax.device_put(images)
                return [np.asarray(statistic[name](placed)) for name in names]

            with ThreadPoolExecutor(CORES if jax.default_backend() == "cpu" else 1) as threads:
                parts = list(threads.map(block, blocks))
            return [np.concatenate(values) for values in zip(*parts, strict=True)]

        ours()  # compiles
        their_time, our_time = np.inf, np.inf
        for _ in range(3):
            start = time.perf_counter()
            found = ours()
            our_time = min(our_time, time.perf_counter() - start)
            start = time.perf_counter()
            expected = pool.map(theirs, range(chosen.maps), chunksize=8)
            their_time = min(their_time, time.perf_counter() - start)

        single = {}
        for name in statistic:
            start = time.perf_counter()
            ours((name,))
            single[name] = chosen.maps / (time.perf_counter() - start)

    spectrum, peaks, functionals = (np.stack(values) for values in zip(*expected, strict=True))
    assert np.allclose(found[0][:, 0], spectrum, rtol=1e-4), "spectra differ"
    assert np.array_equal(found[1][:, 0], peaks.round(6)), "peaks differ"
    scale = np.abs(functionals).max(axis=(0, 2), keepdims=True)
    assert np.abs((found[2][:, 0] - functionals) / scale).max() < 1e-4, "Minkowski functionals differ"

    device = jax.devices()[0]
    print(f"{datetime.date.today()}  {device.device_kind} x {CORES} cores, {platform.machine()}, JAX {jax.__version__}")
    print(f"{chosen.maps} maps of {chosen.pixels}^2: spectrum + peaks + Minkowski, results equal")
    print(f"LensTools, {CORES} processes   {their_time:7.2f} s   {chosen.maps / their_time:7.0f} maps/s")
    print(f"wlbook                 {our_time:7.2f} s   {chosen.maps / our_time:7.0f} maps/s")
    print(f"ratio                  {their_time / our_time:7.2f}")
    for name, rate in single.items():
        print(f"  {name:<20} {rate:7.0f} maps/s")


if __name__ == "__main__":
    main()
