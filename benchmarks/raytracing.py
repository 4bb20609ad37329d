"""Rays through the same planes: LensTools' RayTracer against ours, kappa compared ray by ray.

    .venv/bin/python benchmarks/raytracing.py [--maps 64] [--pixels 256]

One box is simulated and cut into planes, which are smoothed over 2 Mpc/h: LensTools reads a plane at the nearest cell,
so that rougher planes, or a coarser grid than the 4096^2 it gets here, would show its rounding and not its physics.
Both follow `pixels`^2 bundles with their distortion through all planes. LensTools gets one process for each core, each
with potentials in memory and without the cost of making them; ours gets the surface density, and its time includes the
potentials, shared by all maps. Each is timed three times, in turns, and the best time counts.
"""

import argparse
import datetime
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np  # noqa: E402  (after the thread limits)

SIDE, FINE, SMOOTHING = 3.5, 4096, 2.0  # [deg]; cells of LensTools' planes; [Mpc/h]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_tracer = None  # of each of LensTools' processes


def prepare(path: str) -> None:
    global _tracer
    import lenstools_reference as lenstools

    with np.load(path) as kept:
        _tracer = lenstools.tracer(kept["potentials"], kept["distance"], float(kept["box"]), float(kept["far"]))


def theirs(pixels: int) -> np.ndarray:
    import lenstools_reference as lenstools

    return lenstools.traced_convergence(_tracer, SIDE, pixels)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--maps", type=int, default=64)
    options.add_argument("--pixels", type=int, default=256)
    chosen = options.parse_args()

    import jax
    import jax.numpy as jnp
    import lenstools_reference as lenstools

    from wlbook.common import random
    from wlbook.simulation import lens_planes, lensing, memory, sources
    from wlbook.simulation.cosmology import FIDUCIAL, Cosmology

    memory.reuse()
    cosmo, galaxies, key = Cosmology(*FIDUCIAL), sources.at(1.0), random.key(2)
    far = float(galaxies.distances(cosmo)[0])
    planes = lens_planes.lens_planes(cosmo, box=240.0, particles=64, steps=12, source_redshift=1.0, seed=1)
    n = planes.surface.shape[-1]
    k = 2 * np.pi / planes.box * np.hypot(np.fft.fftfreq(n, 1 / n)[:, None], np.fft.rfftfreq(n, 1 / n))
    filtered = jnp.fft.rfft2(planes.surface) * np.where(k > 0, np.exp(-0.5 * (SMOOTHING * k) ** 2), 0)
    planes = planes._replace(surface=jnp.fft.irfft2(filtered, s=(n, n)))
    strength = lensing.strength(cosmo, planes.scale_factor) * planes.box**2 / planes.distance
    path = lensing.recycle(len(planes.distance), planes.surface.shape[1], 1, key)
    potentials = [
        lenstools.potential(
            np.asarray(planes.surface[i, path.slab[i, 0]]),
            strength=strength[i],
            shift=np.asarray(path.shift[i, 0], np.float64),
            flip=np.asarray(path.flip[i, 0], np.float64),
            corner=chi * np.radians(SIDE) / 2 / planes.box,
            fine=FINE,
        )
        for i, chi in enumerate(planes.distance)
    ]

    def ours(method: str) -> np.ndarray:
        settings = {"side": SIDE, "pixels": chosen.pixels, "n_maps": chosen.maps, "key": key}
        return np.asarray(lensing.convergence(planes, galaxies, method=method, **settings))[:, 0]

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/planes.npz"
        np.savez(file, potentials=potentials, distance=planes.distance, box=planes.box, far=far)
        # New processes rather than forks: a fork with JAX's threads in it can hang.
        with multiprocessing.get_context("spawn").Pool(CORES, prepare, (file,)) as pool:
            expected = pool.map(theirs, [chosen.pixels] * CORES, chunksize=1)[0]
            found, straight = ours("multi-plane")[0], ours("born")[0]
            times: dict[str, float] = {}
            rivals = {
                "LensTools": lambda: pool.map(theirs, [chosen.pixels] * chosen.maps, chunksize=1),
                "multi-plane": lambda: ours("multi-plane"),
                "Born": lambda: ours("born"),
            }
            for name, run in [*rivals.items()] * 3:
                start = time.perf_counter()
                run()
                times[name] = min(times.get(name, np.inf), time.perf_counter() - start)

    difference = [np.median(np.abs(one - expected)) / expected.std() for one in (found, straight)]
    assert difference[0] < 0.01, f"kappa differs by {difference[0]:.1%} of its standard deviation"
    device = jax.devices()[0]
    print(f"{datetime.date.today()}  {device.device_kind} x {CORES} cores, {platform.machine()}, JAX {jax.__version__}")
    print(f"{chosen.maps} maps of {chosen.pixels}^2 rays through {len(planes.distance)} planes of {n}^2")
    print(f"kappa against LensTools: {difference[0]:.2%} of its standard deviation (median); Born: {difference[1]:.2%}")
    print(f"LensTools, {CORES} processes   {1e3 * times['LensTools'] / chosen.maps:8.2f} ms a map")
    print(f"wlbook, multi-plane    {1e3 * times['multi-plane'] / chosen.maps:8.2f} ms a map")
    print(f"wlbook, Born           {1e3 * times['Born'] / chosen.maps:8.2f} ms a map")
    print(f"ratio, multi-plane     {times['LensTools'] / times['multi-plane']:8.2f}")


if __name__ == "__main__":
    main()
