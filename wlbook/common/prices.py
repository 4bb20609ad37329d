"""What chapter 1's boxes take, told before the first is made: memory that is not there is refused, days are named."""

import os
from collections.abc import Mapping
from typing import Any

#: Bytes for a particle that are in use at once, on a mesh of eight cells a particle (`nbody.evolve`): its position and
#: velocity (24), the density (32), two kernels (32), and six components of pulls (192). The peak is higher, by some
#: three times at 256 particles a side.
_PARTICLE = 280
_SECONDS = 4.1e-7  # a particle and step: 104 boxes of 128^3 in 12 steps took 16 to 20 minutes on two cores
_LONG = 3600.0  # seconds from which on they are told


def of_maps(
    maps: Mapping[str, Any], *, ladder: bool, gpu: bool = False, memory: float | int | None = None
) -> str | None:
    """One line about the time of chapter 1's boxes, if that is an hour or more and can be told.

    Args:
        maps: that chapter's parameters.
        ladder: whether its convergence ladder is climbed too.
        gpu: whether boxes are made on an accelerator, whose memory and speed are not known here.
        memory: of this machine [bytes], by default what it has.

    Raises:
        ValueError: naming parameters that ask for more memory than there is.
    """
    needed = {"particles", "steps", "n_models", "n_fiducial", "n_maps", "pixels"}
    if maps.get("source") != "simulate" or not needed <= maps.keys():
        return None
    there = _memory() if memory is None else memory
    boxes = 2 * maps["n_models"] + maps["n_fiducial"] + maps.get("n_second", 0)
    bins = 4 if maps.get("sources") == "stage-iii" else 1
    kept = 2 * 4 * boxes * maps["n_maps"] * bins * maps["pixels"] ** 2  # one by one, and put together
    if kept > there:
        much = f"{boxes:,} boxes with n_maps = {maps['n_maps']} of pixels = {maps['pixels']}"
        raise ValueError(f"01_data.n_maps: {much} need {_gb(kept)} of memory, {_gb(there)} are there")
    finest, name = maps["particles"], "particles"
    if ladder and maps["rungs"] >= 2 and 2 * finest <= maps["finest"]:
        finest, name = 2 * finest, "finest"
    if not gpu and _PARTICLE * finest**3 > there:
        need = f"boxes of {finest:,}^3 particles need at least {_gb(_PARTICLE * finest**3)} of memory"
        raise ValueError(f"01_data.{name} = {maps[name]}: {need}, {_gb(there)} are there")
    seconds = _SECONDS * boxes * maps["steps"] * maps["particles"] ** 3
    if gpu or seconds < _LONG:
        return None
    hours = seconds / 3600
    told = f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:,.0f} days"
    size = f"{boxes:,} boxes of {maps['particles']}^3 particles in {maps['steps']} steps"
    return f"01_data: {size} take some {told} on two cores, but for those that the store has; `simulate --shard` helps"


def _memory() -> float:
    """What this machine has [bytes]; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _gb(size: float | int) -> str:
    return f"{size / 1e9:,.0f} GB"
