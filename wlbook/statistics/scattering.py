"""A small scattering transform."""

import math
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from wlbook.statistics.inputs import Maps, Mask, checked_count, checked_mask, checked_shape
from wlbook.statistics.layout import over_maps

COVERAGE = 0.95


def scattering_transform(
    kappa: Maps, *, scales: int = 4, angles: int = 4, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin coefficient"]:
    """Scattering coefficients, averaged over directions: `scales` of first and scales (scales - 1) / 2 of second order.

    s_1(j) = mean of |kappa * psi_j| over pixels and directions: how strong scale j is. s_2(j, k) = mean of
    ||kappa * psi_j| * psi_k| over pixels and both directions, j < k: how scale j is clustered on the larger scale k;
    in the order (0, 1), (0, 2), ..., (1, 2), ... The psi are Morlet wavelets: waves of 8/3 2^j pixels under a Gaussian
    of 0.8 2^j pixels, wider across by angles / 4 (Mallat 2012, arXiv:1101.2286; on lensing maps Cheng et al. 2020,
    arXiv:2006.08561). Units of kappa.

    Args:
        kappa: maps [..., bin, y, x].
        scales: wavelets of 2^0, 2^1, ... pixels, >= 1.
        angles: directions of the wavelets over half a turn, >= 1.
        boundary: "periodic": the edges wrap; "drop": what lies outside the map is not observed.
        mask: True where a pixel is observed [y, x]; None: everywhere. kappa is measured from its mean over the observed
            pixels and is 0 in the others; means are taken over pixels with 95 % of the wavelet's Gaussian on usable
            ones: observed in first order, with a usable modulus in second order, where the others get its mean.

    Raises:
        ValueError: naming what is wrong with the maps or an argument.
    """
    maps = checked_shape(kappa, boundary=boundary)
    observed = checked_mask(mask, maps.shape[-2:])
    scales, angles = checked_count("scales", scales, 1), checked_count("angles", angles, 1)
    if boundary == "periodic" and observed is None:
        return over_maps(_coefficients, maps, _wavelets(maps.shape[-2:], scales, angles), None, None)
    weights = np.ones(maps.shape[-2:], bool) if observed is None else observed
    if boundary == "drop":
        weights = np.pad(weights, [(0, 2 ** (scales + 1))] * 2)  # room for half a wavelet, so that nothing wraps
    # What each order can use: [0] of the map; [1 + j] of the modulus of scale j, known where scale j could be used.
    used = _used(weights, scales)
    used = np.stack([used, *(_used(each, scales) for each in used)])
    enough = [used[0, j].any() and all(used[1 + i, j].any() for i in range(j)) for j in range(scales)]
    if not all(enough):
        raise ValueError(f"scales = {scales}: too little of the map is observed for more than {enough.index(False)}")
    shares = (used / np.maximum(used.sum((-2, -1), keepdims=True), 1)).astype(np.float32)
    return over_maps(_coefficients, maps, _wavelets(weights.shape, scales, angles), weights, shares, mask=observed)


@lru_cache(maxsize=4)
def _wavelets(pixels: tuple[int, int], scales: int, angles: int) -> Float[np.ndarray, "scale angle y x"]:
    """Fourier transforms of the wavelets, 1 at most; real, because each is a wave under an even envelope."""
    rows, columns = (2 * np.pi * np.fft.fftfreq(n) for n in pixels)
    found = np.zeros((scales, angles, *pixels))
    # A wavelet in pixels is known at the grid's frequencies only: its aliases fold back.
    for up in (-1, 0, 1):
        for right in (-1, 0, 1):
            y, x = (rows + 2 * np.pi * up)[:, None], (columns + 2 * np.pi * right)[None, :]
            for j in range(scales):
                for turn in range(angles):
                    found[j, turn] += _morlet(y, x, j, math.pi * turn / angles, 4 / angles)
    return found.astype(np.float32)


def _morlet(y: np.ndarray, x: np.ndarray, scale: int, angle: float, slant: float) -> np.ndarray:
    """Fourier transform of a Gaussian times (a wave less its mean under the Gaussian)."""
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    width, wave = 0.8 * 2**scale, 0.75 * math.pi / 2**scale
    envelope = np.exp(-0.5 * (width / slant * across) ** 2)
    mean = math.exp(-0.5 * (width * wave) ** 2)
    return envelope * (np.exp(-0.5 * (width * (along - wave)) ** 2) - mean * np.exp(-0.5 * (width * along) ** 2))


def _used(weights: np.ndarray, scales: int) -> np.ndarray:
    """Observed pixels with enough of each scale's Gaussian on observed ones [scale, y, x]."""
    square = sum(np.square(2 * np.pi * f) for f in np.meshgrid(*map(np.fft.fftfreq, weights.shape), indexing="ij"))
    windows = np.exp(-0.5 * np.square(0.8 * 2.0 ** np.arange(scales))[:, None, None] * square)
    cover = np.fft.ifft2(np.fft.fft2(weights) * windows).real
    return weights & (cover >= COVERAGE)


def _coefficients(image: Float[Array, "y x"], wavelets: Any, weights: Any, shares: Any) -> Float[Array, " coefficient"]:
    scales = wavelets.shape[0]
    size = wavelets.shape[-2:]
    if weights is not None:
        room = [(0, size[0] - image.shape[0]), (0, size[1] - image.shape[1])]
        image = jnp.pad(image, room)
        image = jnp.where(weights, image - image.sum() / weights.sum(), 0.0)

    def moduli(waves: Complex[Array, "*angle y x"], j: int) -> Float[Array, "*angle2 y x"]:
        return jnp.abs(jnp.fft.ifft2(waves[..., None, :, :] * wavelets[j]))

    def mean(values: Float[Array, "*angle y x"], order: int, j: int) -> Float[Array, "*angle"]:
        return values.mean((-2, -1)) if shares is None else (values * shares[order, j]).sum((-2, -1))

    first = [moduli(jnp.fft.fft2(image), j) for j in range(scales)]
    found = [mean(modulus, 0, j).mean() for j, modulus in enumerate(first)]
    for j, modulus in enumerate(first[:-1]):
        if shares is not None:
            modulus = jnp.where(shares[0, j] > 0, modulus, mean(modulus, 0, j)[:, None, None])
        waves = jnp.fft.fft2(modulus)
        found += [mean(moduli(waves, k), 1 + j, k).mean() for k in range(j + 1, scales)]
    return jnp.stack(found)
