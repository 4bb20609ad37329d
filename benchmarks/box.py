"""What a box costs at each size: seconds a step, planes, maps a second, and the share of the memory's bandwidth.

    .venv/bin/python benchmarks/box.py [--particles 64 128] [--bandwidth 3350]

On a GPU try 256 and 512 (meshes of 512 and 1024); 1024 needs about 100 GB. `--bandwidth` is that of the memory,
in GB/s. The least that a step must move, with every array read or written once, is: positions, velocities and pulls of
the particles (60 bytes each), eight cells of one density and of three forces for each particle (160 bytes), and the
mesh nine times (density, its transform, the potential there and back, three forces: 36 bytes a cell).
"""

import argparse
import datetime
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wlbook.common import random
from wlbook.simulation import lens_planes, lensing, memory, nbody, sources
from wlbook.simulation.cosmology import FIDUCIAL, Cosmology

STEPS, MAPS, PIXELS = 12, 128, 256


def timed(function: Callable[[], Any], repeats: int = 2) -> float:
    """Seconds of the best of some calls, after one that compiles."""
    jax.block_until_ready(function())
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        best = min(best, time.perf_counter() - start)
    return best


def measure(particles: int, *, pixels: int = PIXELS, n_maps: int = MAPS, repeats: int = 2) -> dict[str, float]:
    """Seconds of a step and of a box, maps a second, and the least that a step moves [GB]."""
    cosmo, galaxies, mesh = Cosmology(*FIDUCIAL), sources.at(1.0), 2 * particles
    shape = {"box": 240.0, "particles": particles}
    cone = lens_planes.light_cone(cosmo, box=240.0, steps=STEPS, source_redshift=1.0)
    state = nbody.initial(cosmo, **shape, scale_factor=cone.scale_factors[0], seed=1)

    def gravity() -> Any:
        *_, last = nbody.evolve(cosmo, *state, box=240.0, mesh=mesh, scale_factors=cone.scale_factors)
        return last[1]

    def whole() -> Any:
        return lens_planes.lens_planes(cosmo, **shape, steps=STEPS, source_redshift=1.0, seed=1)

    step = timed(gravity, repeats) / STEPS
    del state
    made = whole()

    def maps() -> Any:
        return lensing.convergence(made, galaxies, side=3.5, pixels=pixels, n_maps=n_maps, key=random.key(1))

    box, look = timed(lambda: whole().surface, repeats), timed(maps, repeats)
    least = (particles**3 * (60 + 160) + mesh**3 * 36) / 1e9
    return {"seconds a step": step, "seconds a box": box, "maps a second": n_maps / look, "least GB a step": least}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--particles", type=int, nargs="+", default=[64, 128])
    options.add_argument("--bandwidth", type=float, help="of the memory [GB/s]")
    chosen = options.parse_args()
    memory.reuse()
    device = jax.devices()[0]
    print(
        f"{datetime.date.today()}  {device.device_kind}, JAX {jax.__version__}; {STEPS} steps, maps of {PIXELS}^2 rays"
    )
    print("particles  mesh   s a step  s a box  maps a s  least GB a step  share of bandwidth")
    for n in chosen.particles:
        step, box, rate, least = measure(n).values()
        share = f"{least / step / chosen.bandwidth:.1%}" if chosen.bandwidth else "give --bandwidth"
        print(f"{n:>7}^3 {2 * n:>5}^3 {step:9.3f} {box:8.2f} {rate:9.0f} {least:16.2f}  {share}", flush=True)


if __name__ == "__main__":
    main()
