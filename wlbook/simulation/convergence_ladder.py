"""The convergence ladder: one box made again with one thing changed, and what that does to its power spectrum."""

import contextlib
import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from wlbook.common import checks
from wlbook.simulation.boxes import Box

RUNGS: dict[str, dict[str, Any]] = {
    "half the particles a side": {"particles": 0.5},
    "twice the particles a side": {"particles": 2},
    "twice the steps": {"steps": 2},
    "planes half as thick": {"planes_per_step": 2},
    "straight rays (Born)": {"method": "born"},
}
WIDER = "a box a quarter wider"  # its waves are others: to be compared as the mean over several boxes


def rung(name: str, box: Box) -> Box:
    """A box with one thing changed.

    Named in RUNGS, WIDER, or "as in the book". In one universe boxes have the same waves at every resolution, so that
    ratios of their spectra are almost free of noise. The wider box has particles as far apart, and up to 330 Mpc/h
    planes about as thick: only waves that did not fit in before are new.
    """
    if name == WIDER:
        particles = 2 * round(0.625 * box.particles)
        return dataclasses.replace(box, particles=particles, box=box.box * particles / box.particles)
    change = {
        key: value if isinstance(value, str) else round(value * getattr(box, key))
        for key, value in RUNGS.get(name, {}).items()
    }
    return dataclasses.replace(box, **change)


def ladder(box: Box, rungs: int, *, finest: int) -> dict[str, Box]:
    """A box "as in the book", and again for each of the first `rungs` of RUNGS, by name.

    A rung that asks for more than `finest` particles a side is left out, as is one that leaves a box too few.
    """
    found = {"as in the book": box}
    for name in list(RUNGS)[:rungs]:
        if round(box.particles * RUNGS[name].get("particles", 1)) <= finest:
            with contextlib.suppress(ValueError):  # half of few particles, or an odd half
                found[name] = rung(name, box)
    return found


def ratio_of_means(
    changed: Float[np.ndarray, "other ell"], plain: Float[np.ndarray, "box ell"]
) -> tuple[Float[np.ndarray, " ell"], Float[np.ndarray, " ell"]]:
    """Ratio of two means over boxes that have nothing in common, and its standard error from the scatter of boxes."""
    for name, boxes in (("changed", changed), ("plain", plain)):
        checks.at_least(f"boxes of {name}", len(boxes), 2)
    relative = [one.var(axis=0, ddof=1) / len(one) / one.mean(axis=0) ** 2 for one in (changed, plain)]
    ratio = changed.mean(axis=0) / plain.mean(axis=0)
    return ratio, ratio * np.sqrt(relative[0] + relative[1])
