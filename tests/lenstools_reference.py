"""LensTools 1.2 (2021) under NumPy 2: the only place that imports it.

It asks for aliases that NumPy has since dropped, and its imports warn; both are its own affair, not ours.
"""

import contextlib
import io
import warnings

import numpy as np

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    warnings.simplefilter("ignore")
    for name, kind in {"complex": complex, "float": float, "int": int}.items():
        if name not in np.__dict__:
            setattr(np, name, kind)
    import astropy.units
    from lenstools import ConvergenceMap


def power_spectrum(kappa: np.ndarray, other: np.ndarray, side: float, ell_edges: np.ndarray) -> np.ndarray:
    """C_ell [sr] of two maps [y, x]."""
    first, second = (ConvergenceMap(m.astype(np.float64), side * astropy.units.deg) for m in (kappa, other))
    return first.cross(second, l_edges=ell_edges)[1]


def auto_spectrum(kappa: np.ndarray, side: float, ell_edges: np.ndarray) -> np.ndarray:
    """C_ell [sr] of one map [y, x], with a single Fourier transform."""
    return ConvergenceMap(kappa.astype(np.float64), side * astropy.units.deg).powerSpectrum(ell_edges)[1]


def peak_counts(kappa: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Peaks of one map [y, x] per bin: LensTools gives them per unit of height."""
    return ConvergenceMap(kappa.astype(np.float64), 1.0 * astropy.units.deg).peakCount(edges)[1] * np.diff(edges)


def minkowski_functionals(kappa: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """V0, V1, V2 of one map [y, x] as [3, bin]."""
    reference = ConvergenceMap(kappa.astype(np.float64), 1.0 * astropy.units.deg)
    return np.stack(reference.minkowskiFunctionals(edges)[1:])


def moments(kappa: np.ndarray) -> np.ndarray:
    """Nine connected moments of one map [y, x], the first two squared."""
    found = ConvergenceMap(kappa.astype(np.float64), 1.0 * astropy.units.deg).moments(connected=True)
    return np.concatenate([found[:2] ** 2, found[2:]])
