"""Bins and pixels: fewer of them, noisier ones, or some unseen."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from wlbook.common import checks, random
from wlbook.degradation.arguments import Maps, Real, check_positive
from wlbook.simulation import survey


def sum_bins(kappa: Maps) -> Float[Array, "*batch 1 y x"]:
    """Sum of the tomographic bins, as one bin: redshift information goes.

    Args:
        kappa: maps.
    """
    return kappa.sum(-3, keepdims=True)


def coarsen(kappa: Maps, factor: int) -> Float[Array, "*batch bin y_coarse x_coarse"]:
    """Average blocks of factor x factor pixels; the mean of the map stays.

    Args:
        kappa: maps.
        factor: >= 1, divides both sides of the map.
    """
    *batch, y, x = kappa.shape
    divides = factor >= 1 and not y % factor and not x % factor
    checks.require(divides, "factor", factor, f">= 1 and divide the {y} x {x} pixels of the map")
    return kappa.reshape(*batch, y // factor, factor, x // factor, factor).mean((-3, -1))


def single_bin(kappa: Maps, number: int) -> Float[Array, "*batch 1 y x"]:
    """One tomographic bin alone.

    Args:
        kappa: maps.
        number: of the bin, counted from 0.
    """
    bins = kappa.shape[-3]
    checks.require(0 <= number < bins, "number", number, f"0 <= number < {bins}, the bins of the maps")
    return kappa[..., number : number + 1, :, :]


def add_noise(kappa: Maps, sigma: Real, *, key: Key[Array, ""]) -> Maps:
    """White noise on top, independent in every pixel and bin.

    Args:
        kappa: maps.
        sigma: standard deviation in one pixel, in units of kappa, >= 0.
        key: random key.
    """
    checks.at_least("sigma", sigma, 0)
    return kappa + sigma * jax.random.normal(key, kappa.shape, kappa.dtype)


def mask_holes(kappa: Maps, share: Real, radius: Real, *, side: Real, seed: int = 0) -> Maps:
    """Zero in round holes, at the same places in every map and bin, as a survey's mask would be.

    Args:
        kappa: square maps.
        share: of the pixels to mask, on average, >= 0 and < 0.9.
        radius: of the holes [arcmin], > 0.
        side: side of the map [deg], > 0.
        seed: of the places.
    """
    check_positive("side", side, "deg")
    pixels = kappa.shape[-1]
    with jax.ensure_compile_time_eval():  # the places depend on no map
        key = random.key(seed, "mask")
        seen = survey.random_holes(pixels, pixel=60 * side / pixels, share=share, radius=radius, key=key)
    if not seen.any():
        raise ValueError(f"share = {share!r}, radius = {radius!r}: the holes leave no pixel")
    return jnp.where(jnp.asarray(seen), kappa, 0)
