"""Forces of one particle mesh: JaxPM against ours, in one process; and how long a box spends on its planes.

    make rivals && .rivals/bin/python benchmarks/gravity.py [--particles 128]

Both get the same particles, one a cell and displaced as at redshift zero, on a mesh of as many cells, and both use the
plain kernel -1 / k^2 with four-point differences and clouds in cells. Each is timed seven times, in turns, and the best
time counts. The box is then run as the book runs it: the gravity alone, with the density of its sharpened particles
looked at whenever light crosses, and with planes cut from it.
"""

import argparse
import datetime
import os
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
from jaxpm.pm import pm_forces

from wlbook.simulation import lens_planes, memory, nbody
from wlbook.simulation.cosmology import FIDUCIAL, Cosmology


def best(functions: dict, repeats: int) -> dict[str, float]:
    times = dict.fromkeys(functions, np.inf)
    for function in functions.values():
        jax.block_until_ready(function())
    for name, function in [*functions.items()] * repeats:
        start = time.perf_counter()
        jax.block_until_ready(function())
        times[name] = min(times[name], time.perf_counter() - start)
    return times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--particles", type=int, default=128)
    n = options.parse_args().particles
    memory.reuse()  # by this process, so also for JaxPM
    cosmo, box = Cosmology(*FIDUCIAL), 240.0
    positions, _ = nbody.initial(cosmo, box=box, particles=n, scale_factor=0.5, seed=1)
    cells = positions * (n / box)  # JaxPM counts in cells
    squared = sum(one**2 for one in nbody.wavenumbers(n, float(n)))
    kernel = jnp.where(squared > 0, 1 / jnp.where(squared > 0, squared, 1), 0)

    def ours():
        return nbody.read(nbody.pull([kernel], nbody.density_contrast(cells, n, float(n)), float(n)), cells, float(n))

    theirs_compiled = jax.jit(lambda some: pm_forces(some.reshape(n, n, n, 3), mesh_shape=(n, n, n)))
    times = best({"JaxPM": lambda: theirs_compiled(cells), "wlbook": ours}, 7)
    expected = np.asarray(theirs_compiled(cells)).reshape(-1, 3)
    difference = np.sqrt(np.mean((np.asarray(ours()) - expected) ** 2) / np.mean(expected**2))
    assert difference < 1e-3, f"forces differ by {difference:.1e}"

    cone = lens_planes.light_cone(cosmo, box=box, steps=12, source_redshift=1.0)
    state = nbody.initial(cosmo, box=box, particles=n, scale_factor=cone.scale_factors[0], seed=1)

    def gravity():
        *_, last = nbody.evolve(cosmo, *state, box=box, mesh=2 * n, scale_factors=cone.scale_factors)
        return last[1]

    def looked_at():
        looks = nbody.evolve(cosmo, *state, box=box, mesh=2 * n, scale_factors=cone.scale_factors, look=cone.early)
        for _, last in looks:
            jax.block_until_ready(last)
        return last

    def with_planes():
        return lens_planes.lens_planes(cosmo, box=box, particles=n, steps=12, source_redshift=1.0, seed=1).surface

    def start():
        return nbody.initial(cosmo, box=box, particles=n, scale_factor=cone.scale_factors[0], seed=1)

    stages = {"start": start, "gravity": gravity, "looked at": looked_at, "with planes": with_planes}
    box_times = best(stages, 3)
    whole = box_times["with planes"]
    sharpened = (box_times["looked at"] - box_times["gravity"]) / whole
    projected = (whole - box_times["start"] - box_times["looked at"]) / whole
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = jax.devices()[0]
    print(f"{datetime.date.today()}  {device.device_kind} x {cores} cores, {platform.machine()}, JAX {jax.__version__}")
    print(f"forces on {n}^3 particles, mesh {n}^3; they differ by {difference:.1e} (relative rms)")
    print(f"JaxPM   {1e3 * times['JaxPM']:8.1f} ms")
    print(f"wlbook  {1e3 * times['wlbook']:8.1f} ms")
    print(f"ratio   {times['JaxPM'] / times['wlbook']:8.2f}")
    print(f"a box of {n}^3 particles, mesh {2 * n}^3, 12 steps: {whole:.1f} s")
    print(f"of that, sharpening and painting {sharpened:.0%}, projecting onto planes and cleaning them {projected:.0%}")


if __name__ == "__main__":
    main()
