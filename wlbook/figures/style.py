"""Figures that look alike on every page: one style, one colour for one thing."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

# Okabe and Ito's palette, told apart by colour-blind readers too.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#000000")
COLORS = {
    "power spectrum": PALETTE[0],
    "peaks": PALETTE[4],
    "Minkowski": PALETTE[2],
    "all three": PALETTE[6],
    "network": PALETTE[1],
    "network + all": PALETTE[3],
}
KAPPA_MAP = "cividis"
SIGNED_MAP = "RdBu_r"


def use_style() -> None:
    """Set the book's figure style: readable at column width, colour-blind safe, white in dark mode too."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.8),
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 10.5,
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "image.origin": "lower",
            "savefig.bbox": "tight",
        }
    )


def map_panels(
    images: Sequence[ArrayLike],
    titles: Sequence[str],
    *,
    side: float,
    label: str = r"$\kappa$",
    columns: int = 3,
    cmap: str = KAPPA_MAP,
    limits: tuple[float, float] | None = None,
    below: Sequence[str] | None = None,
) -> Figure:
    """Maps beside each other on one colour scale.

    Args:
        images: maps [y, x], all of one field size.
        titles: one for each map.
        side: side of the field [deg].
        label: what the colour means, with its unit.
        columns: panels in a row.
        cmap: matplotlib colour map; a diverging one gets a scale symmetric about zero.
        limits: the scale's ends; the 1st and 99.5th percentile of all maps unless given.
        below: a line below each map.
    """
    stack = [np.asarray(image) for image in images]
    if limits is None:
        low, high = np.percentile(np.concatenate([image.ravel() for image in stack]), [1, 99.5])
        limits = (-max(-low, high), max(-low, high)) if cmap == SIGNED_MAP else (low, high)
    columns = min(columns, len(stack))
    rows = -(-len(stack) // columns)
    size = 7.6 / columns
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.6, size * rows + 0.9), squeeze=False, sharex=True, sharey=True
    )
    shown = None
    for index, axis in enumerate(axes.flat):
        if index >= len(stack):
            axis.set_visible(False)
            continue
        shown = axis.imshow(
            stack[index], cmap=cmap, vmin=limits[0], vmax=limits[1], extent=(0, side, 0, side), origin="lower"
        )
        axis.set_title(titles[index], fontsize="medium")
        if below is not None:
            axis.set_xlabel(below[index])
        elif index + columns >= len(stack):
            axis.set_xlabel("x [deg]")
    for axis in axes[:, 0]:
        axis.set_ylabel("y [deg]")
    assert shown is not None
    figure.colorbar(shown, ax=axes, location="bottom", shrink=0.5, aspect=40, label=label)
    return figure


def curve_with_band(axis: Axes, x: ArrayLike, mean: ArrayLike, error: ArrayLike, **style) -> None:
    """A line with its one-sigma band; `style` goes to the line."""
    mean, error = np.asarray(mean), np.asarray(error)
    (line,) = axis.plot(x, mean, **style)
    axis.fill_between(np.asarray(x), mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)


def contours(
    axis: Axes,
    densities: Mapping[str, ArrayLike],
    axes: tuple[ArrayLike, ArrayLike],
    *,
    levels: Mapping[str, Sequence[float]],
    truth: tuple[float, float] | None = None,
) -> None:
    """Credible regions in the plane of Omega_m and sigma_8, one colour for each name.

    Args:
        axis: where to draw.
        densities: posterior densities [omega_m, sigma_8] by name.
        axes: the grid's omega_m and sigma_8.
        levels: for each name the density heights that bound the regions, from high to low.
        truth: the point to mark.
    """
    styles = ("solid", "dashed", "dotted")
    for number, (name, density) in enumerate(densities.items()):
        color = COLORS.get(name, PALETTE[number % len(PALETTE)])
        heights = sorted(levels[name])
        axis.contour(
            *axes,
            np.asarray(density).T,
            levels=heights,
            colors=color,
            linestyles=styles[: len(heights)][::-1],
        )
        axis.plot([], [], color=color, label=name)
    if truth is not None:
        axis.plot(*truth, "k+", markersize=9, label="truth")
    axis.set_xlabel(r"$\Omega_m$")
    axis.set_ylabel(r"$\sigma_8$")
    axis.legend(fontsize="small")
