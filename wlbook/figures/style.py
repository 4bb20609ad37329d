"""Figures that look alike on every page: one style, one colour for one thing."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
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
    below: Sequence[str] | None = None,
) -> Figure:
    """Maps beside each other on one colour scale, from the 1st to the 99.5th percentile of them all.

    Args:
        images: maps [y, x], all of one field size.
        titles: one for each map.
        side: side of the field [deg].
        label: what the colour means, with its unit.
        columns: panels in a row.
        cmap: matplotlib colour map; a diverging one gets a scale symmetric about zero.
        below: a line below each map.
    """
    stack = [np.asarray(image) for image in images]
    low, high = np.percentile(np.concatenate([image.ravel() for image in stack]), [1, 99.5])
    if cmap == SIGNED_MAP:
        low, high = -max(-low, high), max(-low, high)
    columns = min(columns, len(stack))
    figure, axes = panels(len(stack), columns, height=7.6 / columns, more=0.9, sharex=True)
    for index, (axis, image, title) in enumerate(zip(axes.flat, stack, titles, strict=False)):
        shown = field(axis, image, side, cmap=cmap, vmin=low, vmax=high)
        axis.set_title(title, fontsize="medium")
        if below is not None:
            axis.set_xlabel(below[index])
        elif index + columns >= len(stack):
            axis.set_xlabel("x [deg]")
    for axis in axes[:, 0]:
        axis.set_ylabel("y [deg]")
    figure.colorbar(shown, ax=axes, location="bottom", shrink=0.5, aspect=40, label=label)
    return figure


def panels(number: int, columns: int, *, height: float, more: float = 0.0, **shared: Any) -> tuple[Figure, np.ndarray]:
    """A figure of the page's width with panels [row, column], those that are not needed hidden.

    Args:
        number: of panels.
        columns: panels in a row.
        height: of a row [inch].
        more: height beside the rows [inch].
        shared: of `plt.subplots`.
    """
    rows = -(-number // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.6, height * rows + more), squeeze=False, sharey=True, **shared
    )
    for axis in axes.flat[number:]:
        axis.set_visible(False)
    return figure, axes


def field(axis: Axes, image: ArrayLike, side: float, **style: Any) -> AxesImage:
    """A map [y, x] of this side [deg], y upwards; `style` is of `imshow`."""
    return axis.imshow(np.asarray(image), extent=(0, side, 0, side), origin="lower", **style)


def signed_field(axis: Axes, image: ArrayLike, side: float) -> AxesImage:
    """A map as `field` draws it, on a signed scale of its own that ends at its 99.5th percentile."""
    largest = np.percentile(np.abs(np.asarray(image)), 99.5)
    return field(axis, image, side, cmap=SIGNED_MAP, vmin=-largest, vmax=largest)


def ell_axis(axis: Any, ticks: Sequence[float] = (100, 200, 500, 1000, 2000, 5000)) -> None:
    """Few ticks, as plain numbers, on a logarithmic x axis whose limits are set: those of `ticks` that lie on it."""
    low, high = sorted(axis.xaxis.get_view_interval())
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


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
        lines = {"levels": heights, "colors": color, "linestyles": styles[: len(heights)][::-1]}
        axis.contour(*axes, np.asarray(density).T, **lines)
        axis.plot([], [], color=color, label=name)
    if truth is not None:
        axis.plot(*truth, "k+", markersize=9, label="truth")
    axis.set_xlabel(r"$\Omega_m$")
    axis.set_ylabel(r"$\sigma_8$")
    axis.legend(fontsize="small")
