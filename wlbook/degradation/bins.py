"""Bins and pixels: fewer of them, noisier ones, or some unseen."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from wlbook.common import checks, random
from wlbook.degradation.arguments import Maps, Real, check_positive
from wlbook.simulation import survey


def sum_bins(kappa: Maps) -> Float[Array, "*batch 1 y x"]:
    """Sum of the tomographic bins, as one bin: redshift information goes."""
    return kappa.sum(-3, keepdims=True)


def coarsen(kappa: Maps, factor: int) -> Float[Array, "*batch bin y_coarse x_coarse"]:
    """Average blocks of factor x factor pixels, which must divide the map; its mean stays."""
    return jnp.asarray(survey.coarsen(kappa, factor))


def single_bin(kappa: Maps, number: int) -> Float[Array, "*batch 1 y x"]:
    """One tomographic bin alone, counted from 0."""
    bins = kappa.shape[-3]
    checks.require(0 <= number < bins, "number", number, f"0 <= number < {bins}, the bins of the maps")
    return kappa[..., number : number + 1, :, :]


def add_noise(kappa: Maps, sigma: Real, *, key: Key[Array, ""]) -> Maps:
    """White noise on top, independent in every pixel and bin; sigma >= 0 is in units of kappa."""
    checks.at_least("sigma", sigma, 0)
    return kappa + sigma * jax.random.normal(key, kappa.shape, kappa.dtype)


def mask_holes(kappa: Maps, share: Real, radius: Real, *, side: Real, seed: int = 0) -> Maps:
    """Zero in round holes, at the same places in every map and bin, as a survey's mask would be.

    They cover a share of the pixels of square maps, on average, >= 0 and < 0.9; radius [arcmin] and side [deg] are > 0.
    """
    check_positive("side", side, "deg")
    pixels = kappa.shape[-1]
    with jax.ensure_compile_time_eval():  # the places depend on no map
        key = random.key(seed, "mask")
        seen = survey.random_holes(pixels, pixel=60 * side / pixels, share=share, radius=radius, key=key)
    if not seen.any():
        raise ValueError(f"share = {share!r}, radius = {radius!r}: the holes leave no pixel")
    return jnp.where(jnp.asarray(seen), kappa, 0)
