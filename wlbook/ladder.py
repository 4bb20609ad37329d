"""The convergence ladder: one box made again with one thing changed, and what that does to its power spectrum."""

from typing import Any

import numpy as np

from wlbook import maps, statistics

RUNGS = {
    "half the particles a side": {"particles": 0.5},
    "twice the particles a side": {"particles": 2},
    "twice the steps": {"steps": 2},
    "planes half as thick": {"planes_per_step": 2},
    "straight rays (Born)": {"method": "born"},
}


def rung(*, name: str, box: dict[str, Any], ell_edges: list[float]) -> np.ndarray:
    """Mean power spectrum [ell] of the first bin of a box's maps, made as `box` says but for one change.

    Boxes of one seed have the same waves at every resolution, so that ratios of these spectra are almost free of noise.

    Args:
        name: of RUNGS, or "as in the book".
        box: arguments of `maps.simulate_box`.
        ell_edges: edges of the bins.
    """
    changed = dict(box)
    for key, value in RUNGS.get(name, {}).items():
        changed[key] = value if isinstance(value, str) else round(value * changed.get(key, 1))
    kappa = maps.simulate_box(**changed)["kappa"].values[:, :1]
    return np.asarray(statistics.power_spectrum(kappa, side=changed["side"], ell_edges=ell_edges)).mean(axis=(0, 1))
