"""The bispectrum in a few configurations."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.common import checks
from wlbook.statistics.arguments import Edges, Maps, Mask, Real
from wlbook.statistics.execution import over_maps
from wlbook.statistics.spectra import checked_field, modes


def triangles(bins: int) -> list[tuple[int, int, int]]:
    """The configurations that `bispectrum` measures unless told otherwise: equilateral, then squeezed.

    (0, 0, 0), (1, 1, 1), ... have three sides in one bin of ell; (0, 1, 1), (0, 2, 2), ... have one side in the lowest.
    """
    return [(i, i, i) for i in range(bins)] + [(0, i, i) for i in range(1, bins)]


def bispectrum(
    kappa: Maps,
    *,
    side: Real,
    ell_edges: Edges,
    sides: Sequence[tuple[int, int, int]] | None = None,
    boundary: str = "periodic",
    mask: Mask = None,
) -> Float[Array, "*batch bin triangle"]:
    """Bispectrum B [sr^2] of each bin with itself: how three waves whose wave vectors add up to nothing go together.

    The mean of Re(a_1 a_2 a_3) over all such triangles with sides in three bins of ell, times
    side^4 / pixels^6 with the side in radians. The sum over triangles is the sum over pixels of the product of three
    maps, each filtered to one bin; the same product of the filters alone counts the triangles (Scoccimarro 2015,
    arXiv:1506.02729; on lensing maps Coulton et al. 2019, arXiv:1810.02374). Zero in a Gaussian field.

    Args:
        side: of the square maps [deg], > 0.
        ell_edges: below 120 pixels / side: above that the grid takes triangles for closed that are not.
        sides: three bins of ell, counted from 0, for each configuration; None: those of `triangles`.
        boundary: "periodic": the edges wrap; "drop": what lies outside the map is not observed: as if it were the
            unmasked part of a field twice as long.
        mask: kappa is measured from its mean over the observed pixels, is 0 in the others, and B is divided by their
            share: right as long as B changes little over the waves of the mask itself.
    """
    maps, observed, edges = checked_field(kappa, mask, side, ell_edges, boundary, "bispectrum")
    pixels = maps.shape[-1]
    most = 120 * pixels / side
    rule = f"below {most:g}, two thirds of the largest ell"
    checks.require(edges[-1] < most, "ell_edges[-1]", f"{edges[-1]:g}", rule)
    wanted = tuple(tuple(each) for each in (triangles(len(edges) - 1) if sides is None else sides))
    checks.require(wanted, "sides", [], "at least one configuration of three bins")
    for each in wanted:
        if len(each) != 3 or not all(0 <= i < len(edges) - 1 for i in each):
            raise ValueError(f"sides = {list(wanted)}: {each} must be three bins of 0 to {len(edges) - 2}")
    size, field = (pixels, side) if boundary == "periodic" else (2 * pixels, 2 * side)
    index, _ = modes(size, float(field), edges)
    used = {number for each in wanted for number in each}
    rings = {number: np.fft.irfft2((index == number + 1).reshape(size, -1), (size, size)) for number in used}
    counts = np.array([(rings[i] * rings[j] * rings[k]).sum() for i, j, k in wanted])
    # One triangle is size^-4 here; rounding leaves far less.
    if empty := [each for each, count in zip(wanted, counts, strict=True) if count * size**4 < 0.5]:
        raise ValueError(f"sides: no three waves of the bins {empty[0]} make a triangle")
    weights = np.ones(maps.shape[-2:], bool) if observed is None else observed
    scale = math.radians(field) ** 4 / size**6 / counts / (weights.sum() / size**2)
    return over_maps(_triangles, maps, weights, index, scale.astype(np.float32), mask=observed, sides=wanted, size=size)


def _triangles(
    image: Float[Array, "y x"], weights: Any, index: Any, scale: Float[Array, " triangle"], *, sides: Any, size: int
) -> Float[Array, " triangle"]:
    mean = image.sum() / weights.sum()
    waves = jnp.fft.rfft2(jnp.where(weights, image - mean, 0.0), s=(size, size))
    ring = jnp.asarray(index).reshape(waves.shape)
    used = sorted({number for each in sides for number in each})
    kept = {i: jnp.fft.irfft2(jnp.where(ring == i + 1, waves, 0), s=(size, size)) for i in used}
    return jnp.stack([(kept[i] * kept[j] * kept[k]).sum() for i, j, k in sides]) * scale
