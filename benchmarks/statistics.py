"""Summary statistics of 256 noisy maps of 512^2 pixels: ours, LensTools' C code, and wl-stats-torch's starlets.

    .venv/bin/python benchmarks/statistics.py [--maps 256] [--pixels 512]
    .rivals/bin/python benchmarks/statistics.py     # with wl-stats-torch too: `make rivals` sets that up

First the power spectrum, peaks and Minkowski functionals against LensTools, then starlet peaks and l1-norms against
wl-stats-torch; a rival that is not installed is left out. Rivals get one process for each core, ours is one process
with one thread for each core. All get the same maps in memory and the same bins; ours and wl-stats-torch work in
float32. Each is timed three times, in turns, and the best time counts. Results must agree: spectrum and functionals
within 1e-4, peaks exactly; starlet peaks but for 1 in 10,000 (ties), l1-norms within 1e-3. Last, maps a
second for each statistic of ours. On a machine with an accelerator ours runs there: JAX chooses the device.
"""

import argparse
import datetime
import functools
import importlib.util
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

import numpy as np  # noqa: E402  (after the thread limits)

SIDE = 3.5
ELL_EDGES = np.geomspace(200.0, 25000.0, 21)
EDGES = np.linspace(-0.03, 0.05, 21)
SCALES = 4
HEIGHTS = np.linspace(-2.0, 6.0, 33)  # in standard deviations of the noise of each scale
SIGMA = 0.01
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_shared: np.ndarray  # the maps, inherited by the rivals' processes without a copy


def noisy_maps(number: int, pixels: int) -> np.ndarray:
    """White noise, a little smooth: each pixel is the sum of itself and two neighbours."""
    white = np.random.default_rng(1).normal(size=(number, pixels, pixels)).astype(np.float32)
    return (SIGMA * (white + np.roll(white, 1, -1) + np.roll(white, 1, -2))).astype(np.float32)


def lenstools(index: int) -> tuple[np.ndarray, ...]:
    import lenstools_reference as reference

    image = _shared[index]
    return (
        reference.auto_spectrum(image, SIDE, ELL_EDGES),
        reference.peak_counts(image, EDGES),
        reference.minkowski_functionals(image, EDGES),
    )


@functools.cache
def _torch_statistics(noise: tuple[float, ...]) -> tuple[Any, Any]:
    import torch
    from wl_stats_torch import WLStatistics

    torch.set_num_threads(1)
    tool = WLStatistics(SCALES + 1, device=torch.device("cpu"), dtype=torch.float32)
    return tool, SIGMA * torch.tensor(noise)[:, None, None]


def wl_stats_torch(index: int, noise: tuple[float, ...]) -> tuple[np.ndarray, ...]:
    """Their transform, peaks and l1-norms, with one noise level a scale: their own map of it would cost more."""
    import torch

    tool, levels = _torch_statistics(noise)
    coefficients = tool.starlet(torch.from_numpy(_shared[index])[None, None])[0]
    tool.snr_coeffs = coefficients / levels
    bins = {"min_snr": float(HEIGHTS[0]), "max_snr": float(HEIGHTS[-1]), "n_bins": len(HEIGHTS) - 1}
    peaks = tool.compute_wavelet_peak_counts(**bins)[1]
    norms = tool.compute_wavelet_l1_norms(**bins)[1]
    return np.stack([p.numpy() for p in peaks]), np.stack([n.numpy() for n in norms])


def best_of_three(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float, Any, Any]:
    """Best times of both, in turns, and what they found."""
    times, found = [np.inf, np.inf], [None, None]
    for _ in range(3):
        for which, work in enumerate((ours, theirs)):
            start = time.perf_counter()
            found[which] = work()
            times[which] = min(times[which], time.perf_counter() - start)
    return *times, *found


def report(what: str, rival: str, maps: int, ours: float, theirs: float) -> None:
    print(f"\n{maps} maps: {what}; results agree")
    print(f"  {rival + f', {CORES} processes':<28} {theirs:7.2f} s {maps / theirs:8.1f} maps/s")
    print(f"  {'wlbook':<28} {ours:7.2f} s {maps / ours:8.1f} maps/s")
    print(f"  {'ratio':<28} {theirs / ours:7.2f}", flush=True)


def against_lenstools(pool: Any, statistics: Any, maps: np.ndarray) -> None:
    calls = three(statistics)

    def ours() -> list[np.ndarray]:
        return [np.asarray(call(maps))[:, 0] for call in calls.values()]

    ours()  # compiles
    our_time, their_time, found, expected = best_of_three(
        ours, lambda: pool.map(lenstools, range(len(maps)), chunksize=8)
    )
    spectrum, peaks, functionals = (np.stack(values) for values in zip(*expected, strict=True))
    assert np.allclose(found[0], spectrum, rtol=1e-4), "spectra differ"
    assert np.array_equal(found[1], peaks.round(6)), "peaks differ"
    scale = np.abs(functionals).max(axis=(0, 2), keepdims=True)
    assert np.abs((found[2] - functionals) / scale).max() < 1e-4, "Minkowski functionals differ"
    report("spectrum + peaks + Minkowski", "LensTools", len(maps), our_time, their_time)


def against_wl_stats_torch(pool: Any, statistics: Any, maps: np.ndarray) -> None:
    noise = statistics.starlet_noise(SCALES)
    bins = {"edges": HEIGHTS, "scales": SCALES, "units": SIGMA * noise, "boundary": "reflect"}

    def ours() -> tuple[np.ndarray, ...]:
        found = statistics.starlet_peaks(maps, **bins), statistics.starlet_l1(maps, **bins)
        return np.asarray(found[0])[:, 0], np.asarray(found[1])[:, 0] * maps[0, 0].size

    ours()
    work = functools.partial(wl_stats_torch, noise=tuple(noise.tolist()))
    our_time, their_time, found, expected = best_of_three(ours, lambda: pool.map(work, range(len(maps)), chunksize=8))
    peaks, norms = (np.stack(values) for values in zip(*expected, strict=True))
    assert np.abs(found[0] - peaks).sum() < 1e-4 * peaks.sum(), "starlet peaks differ"
    assert np.abs(found[1] - norms).max() < 1e-3 * norms.max(), "l1-norms differ"
    report("starlet peaks + l1-norms", "wl-stats-torch", len(maps), our_time, their_time)


def three(statistics: Any) -> dict[str, Callable[[np.ndarray], Any]]:
    return {
        "power spectrum": functools.partial(statistics.power_spectrum, side=SIDE, ell_edges=ELL_EDGES),
        "peaks": functools.partial(statistics.peak_counts, edges=EDGES),
        "Minkowski": functools.partial(statistics.minkowski_functionals, edges=EDGES),
    }


def alone(statistics: Any, maps: np.ndarray) -> None:
    """Maps a second of each statistic, and of all of a data vector at once, masked and not."""
    starlets = {"edges": HEIGHTS, "scales": SCALES, "units": SIGMA * statistics.starlet_noise(SCALES)}
    highest = 0.99 * 120 * maps.shape[-1] / SIDE
    calls = three(statistics) | {
        "minima": functools.partial(statistics.minima_counts, edges=EDGES),
        "histogram": functools.partial(statistics.pixel_histogram, edges=EDGES),
        "moments": statistics.moments,
        "starlet peaks": functools.partial(statistics.starlet_peaks, **starlets),
        "starlet l1": functools.partial(statistics.starlet_l1, **starlets),
        "bispectrum": functools.partial(statistics.bispectrum, side=SIDE, ell_edges=np.geomspace(200.0, highest, 9)),
        "scattering": statistics.scattering_transform,
    }
    mask = np.random.default_rng(2).random(maps.shape[-2:]) > 0.001  # stars: the starlets' widest scale has enough left
    some = maps[: max(CORES, len(maps) // 8)]
    print(f"\nmaps a second, each alone ({len(some)} maps)        whole    masked")
    for name, call in calls.items():
        rates = []
        for keywords in ({}, {"mask": mask}):
            np.asarray(call(some, **keywords))
            start = time.perf_counter()
            np.asarray(call(some, **keywords))
            rates.append(len(some) / (time.perf_counter() - start))
        print(f"  {name:<40} {rates[0]:8.1f}  {rates[1]:8.1f}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--maps", type=int, default=256)
    options.add_argument("--pixels", type=int, default=512)
    chosen = options.parse_args()

    global _shared
    _shared = noisy_maps(chosen.maps, chosen.pixels)
    has = {name: importlib.util.find_spec(name) is not None for name in ("lenstools", "wl_stats_torch")}

    # The processes start before JAX does: a fork with threads in it can hang.
    with multiprocessing.get_context("fork").Pool(CORES) as pool:
        if has["lenstools"]:
            pool.map(lenstools, range(CORES))
        import jax

        from wlbook import statistics

        device = jax.devices()[0]
        where = f"{platform.machine()}, {CORES} cores, JAX {jax.__version__}"
        print(f"{datetime.date.today()}  {device.device_kind} ({where}), {chosen.maps} maps of {chosen.pixels}^2")
        if has["lenstools"]:
            against_lenstools(pool, statistics, _shared[:, None])
        if has["wl_stats_torch"]:
            against_wl_stats_torch(pool, statistics, _shared[:, None])
    alone(statistics, _shared[:, None])
    print(f"\npeak memory of wlbook's process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
