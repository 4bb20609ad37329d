"""A small scattering transform."""

import itertools
import math
from functools import lru_cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from wlbook.statistics.arguments import Maps, Mask, checked_count, checked_maps
from wlbook.statistics.execution import in_turn, over_maps

COVERAGE = 0.95


def scattering_transform(
    kappa: Maps, *, scales: int = 4, angles: int = 4, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin coefficient"]:
    """Scattering coefficients, averaged over directions: `scales` of first and scales (scales - 1) / 2 of second order.

    s_1(j) = mean of |kappa * psi_j| over pixels and directions: how strong scale j is. s_2(j, k) = mean of
    ||kappa * psi_j| * psi_k| over pixels and both directions, j < k: how scale j is clustered on the larger scale k;
    in the order (0, 1), (0, 2), ..., (1, 2), ... The psi are Morlet wavelets: waves of 8/3 2^j pixels under a Gaussian
    of 0.8 2^j pixels, wider across by angles / 4 (Mallat 2012, arXiv:1101.2286; on lensing maps Cheng et al. 2020,
    arXiv:2006.08561). The modulus of scale j varies over 2^j pixels and is taken on every 2^(j-1)-th, where the sides
    of the map allow it. Units of kappa.

    Args:
        scales, angles: wavelets of 2^0, 2^1, ... pixels, directions of each over half a turn; >= 1.
        boundary: "periodic": the edges wrap; "drop": what lies outside the map is not observed.
        mask: kappa is measured from its mean over the observed pixels and is 0 in the others; means are taken over
            pixels with 95 % of the wavelet's Gaussian on usable ones: observed in first order, with a usable modulus in
            second order, where the others get its mean.
    """
    maps, observed = checked_maps(kappa, mask, boundary=boundary)
    scales, angles = checked_count("scales", scales, 1), checked_count("angles", angles, 1)
    weights, pixels = observed, maps.shape[-2:]
    if boundary == "drop":
        # Room for half a wavelet, so that nothing wraps, and a side that halves often.
        room = [(0, -(-(n + 2 ** (scales + 1)) // 2**scales) * 2**scales - n) for n in pixels]
        weights = np.pad(np.ones(pixels, bool) if observed is None else observed, room)
        pixels = weights.shape
    # Every how many pixels the modulus of each scale is needed: it varies over twice that, or more.
    steps = tuple(math.gcd(*pixels, 2 ** max(0, j - 1)) for j in range(scales))
    wavelets = {r: _wavelets(pixels, r, scales, angles) for r in set(steps)}
    shares = None if weights is None else _shares(weights, scales, steps)
    return over_maps(_coefficients, maps, wavelets, weights, shares, mask=observed, steps=steps)


@lru_cache(maxsize=16)
def _wavelets(pixels: tuple[int, ...], step: int, scales: int, angles: int) -> Float[np.ndarray, "scale angle y x"]:
    """Fourier transforms of the wavelets on every `step`-th pixel; real, for each is a wave under an even envelope."""
    rows, columns = (2 * np.pi * np.fft.fftfreq(n // step) for n in pixels)
    found = np.zeros((scales, angles, rows.size, columns.size))
    # A wavelet in pixels is known at the grid's frequencies only: its aliases fold back.
    for up, right in itertools.product((-1, 0, 1), repeat=2):
        y, x = ((rows + 2 * np.pi * up) / step)[:, None], ((columns + 2 * np.pi * right) / step)[None, :]
        for j, turn in np.ndindex(scales, angles):
            found[j, turn] += _morlet(y, x, j, math.pi * turn / angles, 4 / angles)
    return found.astype(np.float32)


def _morlet(y: np.ndarray, x: np.ndarray, scale: int, angle: float, slant: float) -> np.ndarray:
    """Fourier transform of a Gaussian times (a wave less its mean under the Gaussian)."""
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    width, wave = 0.8 * 2**scale, 0.75 * math.pi / 2**scale
    envelope = np.exp(-0.5 * (width / slant * across) ** 2)
    mean = math.exp(-0.5 * (width * wave) ** 2)
    return envelope * (np.exp(-0.5 * (width * (along - wave)) ** 2) - mean * np.exp(-0.5 * (width * along) ** 2))


def _shares(weights: np.ndarray, scales: int, steps: tuple[int, ...]) -> list[list[np.ndarray]]:
    """What each pixel counts in the mean of scale k: [0][k] of the map; [1 + j][k] of the modulus of scale j.

    A modulus is known where its scale could be used.
    """
    first = _used(weights, scales)
    used = [first, *(_used(each, scales) for each in first)]
    enough = [all(used[order][k, ::r, ::r].any() for order in range(k + 1)) for k, r in enumerate(steps)]
    if not all(enough):
        raise ValueError(f"scales = {scales}: too little of the map is observed for more than {enough.index(False)}")
    thinned = [[order[k, ::r, ::r] for k, r in enumerate(steps)] for order in used]
    return [[(bits / max(bits.sum(), 1)).astype(np.float32) for bits in order] for order in thinned]


def _used(weights: np.ndarray, scales: int) -> np.ndarray:
    """Observed pixels with enough of each scale's Gaussian on observed ones [scale, y, x]."""
    square = sum(np.square(2 * np.pi * f) for f in np.meshgrid(*map(np.fft.fftfreq, weights.shape), indexing="ij"))
    windows = np.exp(-0.5 * np.square(0.8 * 2.0 ** np.arange(scales))[:, None, None] * square)
    cover = np.fft.ifft2(np.fft.fft2(weights) * windows).real
    return weights & (cover >= COVERAGE)


def _coefficients(
    image: Float[Array, "y x"], wavelets: Any, weights: Any, shares: Any, *, steps: tuple[int, ...]
) -> Float[Array, " coefficient"]:
    scales = len(steps)
    if weights is not None:
        image = jnp.pad(image, [(0, padded - n) for padded, n in zip(weights.shape, image.shape, strict=True)])
        image = jnp.where(weights, image - image.sum() / weights.sum(), 0.0)

    def modulus(waves: Complex[Array, "y x"], wavelet: Float[Array, "y x"], thin: int) -> Float[Array, "y2 x2"]:
        return jnp.abs(jnp.fft.ifft2(_thinned(waves * wavelet, thin)))

    def mean(values: Float[Array, "y x"], order: int, j: int) -> Float[Array, ""]:
        return values.mean() if shares is None else (values * shares[order][j]).sum()

    waves = jnp.fft.fft2(image)

    def along(j: int, wavelet: Float[Array, "y x"]) -> Float[Array, " coefficient"]:
        """One direction of scale j: its own coefficient, then those of its modulus on each larger scale."""
        strength = modulus(waves, wavelet, steps[j])
        first = mean(strength, 0, j)
        if shares is not None:
            strength = jnp.where(shares[0][j] > 0, strength, first)
        again = jnp.fft.fft2(strength)

        def wider(k: int, wavelet: Float[Array, "y x"]) -> Float[Array, ""]:
            return mean(modulus(again, wavelet, steps[k] // steps[j]), 1 + j, k)

        seconds = [in_turn(partial(wider, k), wavelets[steps[j]][k]).mean() for k in range(j + 1, scales)]
        return jnp.stack([first, *seconds])

    found = [in_turn(partial(along, j), wavelets[1][j]).mean(axis=0) for j in range(scales)]
    return jnp.concatenate([jnp.stack([each[0] for each in found]), *(each[1:] for each in found)])


def _thinned(waves: Complex[Array, "*batch y x"], step: int) -> Complex[Array, "*batch y2 x2"]:
    """The transform of every `step`-th pixel: frequencies that these cannot tell apart add up."""
    if step == 1:
        return waves
    y, x = waves.shape[-2] // step, waves.shape[-1] // step
    return waves.reshape(*waves.shape[:-2], step, y, step, x).sum((-4, -2)) / step**2
