"""Scales on the sky and in space, and filters that remove some of them."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact
from scipy.optimize import root_scalar

from wlbook.common import checks
from wlbook.degradation.arguments import Maps, Number, Real, Window, check_positive, check_rising
from wlbook.simulation import cosmology
from wlbook.simulation.cosmology import Cosmology

Multiplier = Inexact[np.ndarray | Array, "..."]

FIDUCIAL = Cosmology(*cosmology.FIDUCIAL)


def ell_from_length(length: Real, redshift: Real) -> float:
    """Multipole of a comoving wavelength [Mpc/h] seen at a redshift, both > 0: ell = 2 pi chi(z) / length.

    The distance chi is that of the fiducial cosmology, since a cut is chosen before the answer is known.
    """
    check_positive("length", length, "Mpc/h")
    check_positive("redshift", redshift, "dimensionless")
    return 2.0 * math.pi * float(cosmology.distance(FIDUCIAL, redshift)) / length


def lens_redshifts(source_redshifts: Sequence[Real]) -> list[float]:
    """Redshift half-way to each bin's sources (mean > 0) in comoving distance: where matter bends light most."""

    def beyond(z: float, chi: float) -> float:
        return float(cosmology.distance(FIDUCIAL, z)) - chi

    found = []
    for source in source_redshifts:
        check_positive("source_redshift", source, "dimensionless")
        half = 0.5 * float(cosmology.distance(FIDUCIAL, source))
        found.append(float(root_scalar(beyond, args=(half,), bracket=(1e-6, source)).root))
    return found


def low_pass(kappa: Maps, ell: Number, *, side: Real, window: Window = "sharp") -> Maps:
    """Keep the large scales: ell' <= ell, the mean included.

    The cut `ell` is > 0, the side of the map along x [deg] too, and pixels are square; the window is "sharp" (1 up to
    the cut, 0 above; idempotent) or "gaussian", exp(-ell'^2 / (2 ell^2)).
    """
    check_positive("ell", ell, "dimensionless")
    return multiply_modes(kappa, _window(kappa, ell, side, window))


def high_pass(kappa: Maps, ell: Number, *, side: Real, window: Window = "sharp") -> Maps:
    """Keep the small scales: exactly what `low_pass` with the same arguments removes, the mean included."""
    check_positive("ell", ell, "dimensionless")
    return multiply_modes(kappa, 1.0 - _window(kappa, ell, side, window))


def band_stop(kappa: Maps, low: Number, high: Number, *, side: Real, window: Window = "sharp") -> Maps:
    """Remove the scales low < ell' <= high, with low > 0: `low_pass` at `low` plus `high_pass` at `high`."""
    check_positive("low", low, "dimensionless")
    check_rising(low, high)
    return multiply_modes(kappa, 1.0 + _window(kappa, low, side, window) - _window(kappa, high, side, window))


def _window(kappa: Maps, ell: Number, side: Real, window: str) -> Multiplier:
    """The low-pass window on the half plane of `rfft2`."""
    check_positive("side", side, "deg")
    checks.one_of("window", window, Window)
    y, x = kappa.shape[-2:]
    pixel = math.radians(side) / x
    # on the host in float64 unless ell is a JAX array, so that a mode next to the cut falls on its side of it
    square = (2 * np.pi / pixel) ** 2 * (np.fft.fftfreq(y)[:, None] ** 2 + np.fft.rfftfreq(x) ** 2)
    library = jnp if isinstance(ell, jax.Array) else np
    if window == "sharp":
        return library.where(np.sqrt(square) <= ell, np.float32(1), np.float32(0))
    return library.exp(-0.5 * square / ell**2).astype(np.float32)


@jax.jit
def multiply_modes(kappa: Maps, window: Multiplier) -> Maps:
    """Multiply the modes on the half plane of `rfft2`."""
    return jnp.fft.irfft2(jnp.fft.rfft2(kappa) * window, s=kappa.shape[-2:])


def band_pass(kappa: Maps, low: Number, high: Number, *, side: Real) -> Maps:
    """Only the waves with low < ell <= high, as in `low_pass` and `high_pass`."""
    return high_pass(low_pass(kappa, high, side=side), low, side=side)
