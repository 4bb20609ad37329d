"""What a map says without its shapes: the histogram of its pixels, and moments of kappa and its slopes."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from wlbook.statistics.arguments import Edges, Maps, Mask, checked_edges, checked_maps
from wlbook.statistics.execution import bin_sums, over_maps
from wlbook.statistics.pixels import STENCIL, bin_index, derivatives, framed, shifted, thresholds_of, usable

#: The order of `moments`.
MOMENTS = ("sigma_0^2", "sigma_1^2", "S_0", "S_1", "S_2", "K_0", "K_1", "K_2", "K_3")


def pixel_histogram(kappa: Maps, *, edges: Edges, mask: Mask = None) -> Float[Array, "*batch bin nu"]:
    """Share of the observed pixels whose kappa lies in each bin [edge_k, edge_k+1).

    Pixels are counted alone, without neighbours, so there is no boundary to choose (Patton et al. 2017,
    arXiv:1611.01486).
    """
    maps, observed = checked_maps(kappa, mask)
    return over_maps(_histogram, maps, thresholds_of(checked_edges(edges)), observed, mask=observed)


def _histogram(image: Float[Array, "y x"], thresholds: Float[Array, " edge"], usable: Any) -> Float[Array, " nu"]:
    pixels = jnp.ones_like(image) if usable is None else usable.astype(image.dtype)
    counts = bin_sums(bin_index(image, thresholds), pixels, len(thresholds) + 1)
    return counts[1:-1] / (image.size if usable is None else pixels.sum())


def moments(kappa: Maps, *, boundary: str = "periodic", mask: Mask = None) -> Float[Array, "*batch bin moment"]:
    """Nine moments of kappa and its derivatives, in the order of `MOMENTS`.

    With d = kappa less its mean, g^2 = |grad kappa|^2 and L = laplacian kappa, central differences in pixels, means
    over pixels: sigma_0^2 = <d^2>, sigma_1^2 = <g^2>; S_0 = <d^3>, S_1 = <d^2 L>, S_2 = <g^2 L>; and the connected
    K_0 = <d^4> - 3 sigma_0^4, K_1 = <d^3 L> + 3 sigma_0^2 sigma_1^2, K_2 = <d g^2 L> + sigma_1^4,
    K_3 = <g^4> - 2 sigma_1^4. All S and K vanish in a Gaussian field (Petri et al. 2013, arXiv:1309.4460). LensTools
    returns sigma_0 and sigma_1; its S and K are about zero and not the mean: they agree for maps of mean zero only.
    Boundary and mask as in `minkowski_functionals`.
    """
    maps, observed = checked_maps(kappa, mask, boundary=boundary, margin=2)
    return over_maps(_moments, maps, usable(observed, STENCIL, 2, boundary), mask=observed, boundary=boundary)


def _moments(image: Float[Array, "y x"], usable: Any, *, boundary: str) -> Float[Array, " moment"]:
    frame = framed(image, 2, boundary)
    centre, slope = shifted(frame, 2), derivatives(frame)
    pixels = jnp.ones_like(centre) if usable is None else usable.astype(centre.dtype)

    def mean(values: Float[Array, "y x"]) -> Float[Array, ""]:
        return (values * pixels).sum() / pixels.sum()

    d, square, laplacian = centre - mean(centre), slope.x**2 + slope.y**2, slope.xx + slope.yy
    variance, steepness = mean(d**2), mean(square)
    return jnp.stack(
        [
            variance,
            steepness,
            mean(d**3),
            mean(d**2 * laplacian),
            mean(square * laplacian),
            mean(d**4) - 3 * variance**2,
            mean(d**3 * laplacian) + 3 * variance * steepness,
            mean(d * square * laplacian) + steepness**2,
            mean(square**2) - 2 * steepness**2,
        ]
    )
