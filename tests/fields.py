"""Maps that the tests of statistics share, and every statistic with bins that suit them."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from wlbook import statistics
from wlbook.common import random

SIDE = 3.5
ELL_EDGES = np.geomspace(200.0, 4000.0, 9)
EDGES = np.linspace(-2.0, 3.0, 11)


def gaussian_maps(power, *, maps: int, pixels: int, side: float = SIDE, seed: int = 1) -> jax.Array:
    """Periodic Gaussian fields [map, 1, y, x] whose spectrum is `power(ell)` [sr]."""
    per_mode = 360.0 / side
    ell = per_mode * np.hypot(np.fft.fftfreq(pixels, 1 / pixels)[:, None], np.arange(pixels // 2 + 1))
    pixel_area = (math.radians(side) / pixels) ** 2
    white = jax.random.normal(random.key(seed, "maps"), (maps, 1, pixels, pixels))
    return jnp.fft.irfft2(jnp.fft.rfft2(white) * jnp.asarray(np.sqrt(power(ell) / pixel_area), jnp.float32))


def smooth_power(ell):
    return 1e-6 * np.exp(-((ell / 1800.0) ** 2))


def red_power(ell):
    return 1e-9 * (1000.0 / np.maximum(ell, 100.0)) ** 1.5


@functools.cache
def some_maps() -> np.ndarray:
    """Six maps of two correlated bins, and a few pixels of every height."""
    shared = gaussian_maps(smooth_power, maps=6, pixels=64)
    own = jax.random.normal(random.key(3), (6, 2, 64, 64))
    return np.asarray(shared / shared.std() + 0.5 * own, np.float32)


@functools.cache
def some_mask(pixels: int = 64) -> np.ndarray:
    """A corner that was never observed, and round holes: a fifth of the map."""
    y, x = np.mgrid[:pixels, :pixels] * 64 / pixels
    mask = ~((y < 12) & (x > 40))
    for row, column, radius in [(30, 8, 3.1), (20, 30, 2.2), (45, 50, 4.0), (55, 20, 2.0), (36, 36, 1.2), (5, 12, 1.0)]:
        mask &= np.hypot(y - row, x - column) > radius
    return mask


STATISTICS = {
    "power spectrum": functools.partial(statistics.power_spectrum, side=SIDE, ell_edges=ELL_EDGES),
    "bispectrum": functools.partial(statistics.bispectrum, side=SIDE, ell_edges=[200.0, 500.0, 1000.0, 2000.0]),
    "peaks": functools.partial(statistics.peak_counts, edges=EDGES),
    "minima": functools.partial(statistics.minima_counts, edges=EDGES),
    "Minkowski": functools.partial(statistics.minkowski_functionals, edges=EDGES),
    "histogram": functools.partial(statistics.pixel_histogram, edges=EDGES),
    "moments": functools.partial(statistics.moments),
    "starlet": functools.partial(statistics.starlet, scales=3),
    "starlet peaks": functools.partial(statistics.starlet_peaks, edges=EDGES, scales=3),
    "starlet l1": functools.partial(statistics.starlet_l1, edges=EDGES, scales=3),
    "scattering": functools.partial(statistics.scattering_transform, scales=3),
}
OF_WAVES = ("power spectrum", "bispectrum")
IN_BINS = ("peaks", "minima", "Minkowski", "histogram", "starlet peaks", "starlet l1")
WITH_BOUNDARY = tuple(name for name in STATISTICS if name != "histogram")
