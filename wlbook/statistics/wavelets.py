"""Starlets: isotropic wavelets of doubling size, their peaks and their l1-norm."""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.common import checks
from wlbook.statistics import arguments
from wlbook.statistics.arguments import Edges, Maps, Mask, Real
from wlbook.statistics.execution import bin_sums, over_maps
from wlbook.statistics.peaks import count_peaks, peak_weights
from wlbook.statistics.pixels import bin_index, thresholds_of

#: A coefficient is used if observed pixels hold at least this share of the weight of what it averages over.
COVERAGE = 0.95
SPLINE = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)
Units = Sequence[Real] | Float[np.ndarray, " _"] | None


def starlet(
    kappa: Maps, *, scales: int = 4, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin scale y x"]:
    """Starlet coefficients: `scales` >= 1 details, from 2 pixels upwards in steps of two, and the smooth rest.

    c_0 is the map and c_j+1 is c_j convolved with the B3 spline (1, 4, 6, 4, 1) / 16 along x and y, its taps 2^j pixels
    apart; detail j is c_j - c_j+1, the rest is c_scales, and all of them add up to the map (Starck, Fadili & Murtagh
    2007, doi:10.1109/TIP.2006.887733).

    Args:
        boundary: "periodic": the edges wrap; "reflect": the map is mirrored at its outermost pixels, as in CosmoStat's
            codes; "drop": what lies outside is not observed.
        mask: each c_j is a mean over observed pixels only: the convolution of the observed map over that of the mask.
            Pixels that are not observed get 0.
    """
    maps, observed, scales = _checked(kappa, scales, boundary, mask)
    cover = _coverage(maps.shape[-2:], scales, boundary, observed)
    return over_maps(_transform, maps, cover, mask=observed, scales=scales, boundary=boundary)


def starlet_noise(scales: int) -> np.ndarray:
    """Standard deviation of the starlet coefficients of white noise of unit variance [scale], the rest's last."""
    spline, kernel, norms = np.array(SPLINE), np.ones(1), []
    kernels = [np.ones((1, 1))]
    for scale in range(arguments.checked_count("scales", scales, 1)):
        spread = np.zeros(4 * 2**scale + 1)
        spread[:: 2**scale] = spline
        kernel = np.convolve(kernel, spread)
        kernels.append(np.outer(kernel, kernel))
        margin = (len(kernel) - len(kernels[-2])) // 2
        norms.append(np.linalg.norm(np.pad(kernels[-2], margin) - kernels[-1]))
    return np.array([*norms, np.linalg.norm(kernels[-1])])


def starlet_peaks(
    kappa: Maps, *, edges: Edges, scales: int = 4, units: Units = None, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin scale nu"]:
    """Number of peaks per map among the starlet coefficients of each scale.

    A peak is a coefficient strictly above its 8 neighbours, bins are [edge_k, edge_k+1) (Lin, Starck & Kilbinger 2016,
    arXiv:1603.06773; Ajani et al. 2020, arXiv:2001.10993).

    Args:
        units: what the heights of each scale are divided by [scales + 1 numbers]; None: 1, so that `edges` are in
            kappa. `sigma * starlet_noise(scales)` gives heights in units of white noise of that sigma in a pixel.
        scales, boundary: as in `starlet`; but for "periodic" the outermost pixels are no peaks.
        mask: as in `starlet`. A coefficient is used if observed pixels hold 95 % of the weight of what it averages
            over; a peak needs itself and its 8 neighbours, and counts are divided by the share of the pixels that
            could be peaks.
    """

    weigh = partial(peak_weights, boundary=_wrapped(boundary))
    return _by_scale(count_peaks, weigh, kappa, edges, scales, units, boundary, mask)


def starlet_l1(
    kappa: Maps, *, edges: Edges, scales: int = 4, units: Units = None, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin scale nu"]:
    """Sum of the absolute starlet coefficients between two heights, per pixel: the l1-norm of each scale.

    Peaks, voids and all that lies between them in one number a height (Ajani, Starck & Pettorino 2021,
    arXiv:2101.01542; theirs is the sum over pixels). Bins are [edge_k, edge_k+1). Arguments as in `starlet_peaks`, but
    for `boundary`, which is as in `starlet`. With a mask the mean is over the coefficients that are used.
    """

    return _by_scale(_l1, _shares, kappa, edges, scales, units, boundary, mask)


def _shares(used: np.ndarray) -> np.ndarray:
    return (used / used.mean()).astype(np.float32)


def _wrapped(boundary: str) -> str:
    """The boundary for peaks among coefficients."""
    return "periodic" if boundary == "periodic" else "drop"


def _checked(kappa: Any, scales: Any, boundary: str, mask: Any) -> tuple[Any, Any, int]:
    maps, observed = arguments.checked_maps(kappa, mask, boundary=boundary, margin=1, more=("reflect",))
    return maps, observed, arguments.checked_count("scales", scales, 1)


def _by_scale(
    count: Any, weigh: Any, kappa: Any, edges: Any, scales: Any, units: Any, boundary: str, mask: Any
) -> Float[Array, "*batch bin scale nu"]:
    """`count` on every scale of every map, its arguments checked; `weigh` makes weights of the pixels a scale uses."""
    maps, observed, scales = _checked(kappa, scales, boundary, mask)
    values = np.ones(scales + 1) if units is None else np.asarray(units, np.float64)
    fit = values.shape == (scales + 1,) and (values > 0).all()
    checks.require(fit, "units", values.tolist(), f"{scales + 1} numbers > 0, one a scale and the rest's")
    cover, weights = _coverage(maps.shape[-2:], scales, boundary, observed), None
    if cover is not None:
        # Detail j compares c_j with the wider c_j+1; the rest is as wide as the last of them.
        used = cover[np.minimum(np.arange(1, scales + 2), scales)] >= COVERAGE
        used = used if observed is None else used & observed
        if not used.any((-2, -1)).all():
            widest = int(used.any((-2, -1)).sum())
            raise ValueError(f"scales = {scales}: too little of the map is observed for more than {widest}")
        weights = [weigh(each) for each in used]
    arrays = (cover, thresholds_of(arguments.checked_edges(edges)), values.astype(np.float32), weights)
    return over_maps(_of_scales, maps, *arrays, mask=observed, count=count, scales=scales, boundary=boundary)


def _smoothed(image: Any, scale: int, boundary: str) -> Any:
    """An image [..., y, x] convolved with the spline of one scale, first along y and then along x."""
    pad: Any = np.pad if isinstance(image, np.ndarray) else jnp.pad
    mode = {"periodic": "wrap", "reflect": "reflect", "drop": "constant"}[boundary]
    step = 2**scale
    for axis in (image.ndim - 2, image.ndim - 1):
        width = [(0, 0)] * image.ndim
        width[axis] = (2 * step, 2 * step)
        frame, length = pad(image, width, mode=mode), image.shape[axis]
        cut = [slice(None)] * image.ndim
        taps = []
        for number, weight in enumerate(SPLINE):
            cut[axis] = slice(number * step, number * step + length)
            taps.append(weight * frame[tuple(cut)])
        image = sum(taps[1:], taps[0])
    return image


def _coverage(pixels: tuple[int, int], scales: int, boundary: str, mask: Any) -> np.ndarray | None:
    """Share of the weight of each c_j [scale + 1] on observed pixels; None: all of it, everywhere."""
    if mask is None and boundary != "drop":
        return None
    bits = np.ones(pixels, bool) if mask is None else mask
    return _coverage_of(np.packbits(bits).tobytes(), pixels, scales, boundary)


@lru_cache(maxsize=8)
def _coverage_of(bits: bytes, pixels: tuple[int, int], scales: int, boundary: str) -> np.ndarray:
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=pixels[0] * pixels[1]).reshape(pixels)
    cover = [mask.astype(np.float64)]
    for scale in range(scales):
        cover.append(_smoothed(cover[-1], scale, boundary))
    return np.stack(cover).astype(np.float32)


def _transform(image: Float[Array, "y x"], cover: Any, *, scales: int, boundary: str) -> Float[Array, "scale y x"]:
    smooth = [image]
    for scale in range(scales):
        smooth.append(_smoothed(smooth[-1], scale, boundary))
    means = jnp.stack(smooth)
    if cover is not None:
        means = jnp.where(cover[0] > 0, means / jnp.where(cover > 0, cover, 1.0), 0.0)
    return jnp.concatenate([means[:-1] - means[1:], means[-1:]])


def _of_scales(
    image: Any, cover: Any, thresholds: Any, units: Any, weights: Any, *, count: Any, scales: int, boundary: str
) -> Float[Array, "scale nu"]:
    heights = _transform(image, cover, scales=scales, boundary=boundary) / units[:, None, None]
    pairs = zip(heights, weights or [None] * len(heights), strict=True)
    return jnp.stack([count(h, thresholds, w, boundary=_wrapped(boundary)) for h, w in pairs])


def _l1(heights: Float[Array, "y x"], thresholds: Any, weights: Any, *, boundary: str) -> Float[Array, " nu"]:
    sizes = jnp.abs(heights) if weights is None else jnp.abs(heights) * weights
    return bin_sums(bin_index(heights, thresholds), sizes, len(thresholds) + 1)[1:-1] / heights.size
