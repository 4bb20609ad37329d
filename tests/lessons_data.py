"""A tiny design of Gaussian maps whose amplitude depends on the model: something a network could learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

SIDE, PIXELS = 3.5, 16


@functools.cache
def maps(number: int, bins: int = 1, seed: int = 0) -> jax.Array:
    """Correlated Gaussian maps of the amplitude of convergence."""
    white = np.random.default_rng(seed).standard_normal((number, bins, PIXELS, PIXELS))
    waves = np.hypot(np.fft.fftfreq(PIXELS)[:, None], np.fft.fftfreq(PIXELS))
    smooth = np.fft.ifft2(np.fft.fft2(white) / (1 + 8 * waves)).real
    return jnp.asarray(0.03 * smooth + 0.001, jnp.float32)


@functools.cache
def data(models: int = 8, each: int = 16) -> xr.Dataset:
    """Maps of split "train" and "test" of some models, brighter with sigma_8."""
    number = 2 * models * each
    model = np.tile(np.repeat(np.arange(models), each), 2)
    draw = np.random.default_rng(1)
    omega_m, sigma_8 = draw.uniform(0.2, 0.4, models)[model], np.linspace(0.6, 1.0, models)[model]
    kappa = np.asarray(maps(number, seed=5)) * (sigma_8 * np.sqrt(omega_m / 0.3) / 0.8)[:, None, None, None]
    return xr.Dataset(
        {
            "kappa": (("map", "bin", "y", "x"), kappa.astype(np.float32)),
            "omega_m": ("map", omega_m),
            "sigma_8": ("map", sigma_8),
            "model": ("map", model.astype(np.int32)),
            "split": ("map", np.repeat([0, 1], models * each).astype(np.int8)),
        },
        attrs={"side": SIDE, "pixel": 60 * SIDE / PIXELS, "source_redshift": [1.0]},
    )
