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
    from lenstools.simulations.raytracing import PotentialPlane, RayTracer


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


def potential(
    surface: np.ndarray, *, strength: float, shift: np.ndarray, flip: np.ndarray, corner: float, fine: int
) -> np.ndarray:
    """The potential of a periodic plane of side 1 as one map looks through it, on the cells of a finer grid.

    Args:
        surface: what the Laplacian of the potential is, over `strength`; band-limited, its mean ignored.
        strength: factor, with all units.
        shift, flip: where the map's middle lies on the plane, and -1 for each axis (y, x) that is turned.
        corner: how far the field's corner lies from its middle along both axes.
        fine: cells per side of the result.
    """
    n = len(surface)
    k = np.fft.fftfreq(n, 1 / n)
    squared = (2 * np.pi) ** 2 * (k[:, None] ** 2 + k**2)
    modes = -strength * np.fft.fft2(surface) / np.where(squared > 0, squared, np.inf) / n**2
    modes[n // 2] = modes[:, n // 2] = 0
    # LensTools rounds down to a cell, so that its value should be that of the cell's middle.
    at = (np.arange(fine) + 0.5) / fine - corner
    y, x = (np.exp(2j * np.pi * np.outer(s + f * at, k)) for s, f in zip(shift, flip, strict=True))
    return (y @ modes @ x.T).real


def tracer(potentials: np.ndarray, distances: np.ndarray, box: float, source_distance: float) -> RayTracer:
    """A ray tracer through potentials [plane, y, x], whose gradient with respect to angle is the deflection [rad]."""
    made = RayTracer(lens_type=PotentialPlane)
    # It brings rays to the plane behind the last that they cross: an empty one at the source.
    distances = [*distances, source_distance, 1.1 * source_distance]
    for i, chi in enumerate(distances):
        data = potentials[i] if i < len(potentials) else np.zeros((4, 4))
        made.addLens(
            PotentialPlane(
                np.asarray(data, np.float64),
                angle=box * astropy.units.Mpc,
                redshift=0.1 * (i + 1),  # only their order counts
                comoving_distance=chi * astropy.units.Mpc,
                unit=astropy.units.rad**2,
            )
        )
    return made


def traced_convergence(through: RayTracer, side: float, pixels: int) -> np.ndarray:
    """Kappa [y, x] of bundles through the centres of pixels; the field's corner, not its middle, is at angle zero."""
    angles = (np.arange(pixels) + 0.5) * (side / pixels)
    x, y = np.meshgrid(angles, angles)
    redshift = through.redshift[-2] * (1 - 1e-12)
    return through.shoot(np.array([x, y]) * astropy.units.deg, z=redshift, kind="convergence")


def moments(kappa: np.ndarray) -> np.ndarray:
    """Nine connected moments of one map [y, x], the first two squared."""
    found = ConvergenceMap(kappa.astype(np.float64), 1.0 * astropy.units.deg).moments(connected=True)
    return np.concatenate([found[:2] ** 2, found[2:]])
