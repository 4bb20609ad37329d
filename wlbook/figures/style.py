"""Figures that look alike on every page: one style, one colour for one thing."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FixedLocator, NullFormatter
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
    columns: int = 3,
    below: Sequence[str] | None = None,
) -> Figure:
    """Maps [y, x] of one `side` [deg] on one colour scale, from their 1st to 99.5th percentile; a line `below` each."""
    stack = [np.asarray(image) for image in images]
    low, high = np.percentile(np.concatenate([image.ravel() for image in stack]), [1, 99.5])
    columns = min(columns, len(stack))
    figure, axes = panels(len(stack), columns, height=7.6 / columns, more=0.9, sharex=True)
    for index, (axis, image, title) in enumerate(zip(axes.flat, stack, titles, strict=False)):
        shown = field(axis, image, side, cmap=KAPPA_MAP, vmin=low, vmax=high)
        axis.set_title(title, fontsize="medium")
        lowest = index + columns >= len(stack)
        axis.set_xlabel(below[index] if below else "x [deg]" * lowest)
    plt.setp(axes[:, 0], ylabel="y [deg]")
    figure.colorbar(shown, ax=axes, location="bottom", shrink=0.5, aspect=40, label=r"$\kappa$")
    return figure


def panels(number: int, columns: int, *, height: float, more: float = 0.0, **shared: Any) -> tuple[Figure, np.ndarray]:
    """A figure of the page's width with panels [row, column], those that are not needed hidden.

    A row has `height`, and all of them `more` beside [inch]; `shared` is of `plt.subplots`.
    """
    rows = -(-number // columns)
    size = (7.6, height * rows + more)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True, **shared)
    plt.setp(axes.flat[number:], visible=False)
    return figure, axes


def in_degrees(axes: np.ndarray) -> None:
    """Label panels [row, column] with maps: x below the last row, y beside the first column."""
    plt.setp(axes[-1], xlabel="x [deg]")
    plt.setp(axes[:, 0], ylabel="y [deg]")


def field(axis: Axes, image: ArrayLike, side: float, **style: Any) -> AxesImage:
    """A map [y, x] of this side [deg], y upwards; `style` is of `imshow`."""
    return axis.imshow(np.asarray(image), extent=(0, side, 0, side), origin="lower", **style)


def signed_field(axis: Axes, image: ArrayLike, side: float) -> AxesImage:
    """A map as `field` draws it, on a signed scale of its own that ends at its 99.5th percentile."""
    largest = np.percentile(np.abs(np.asarray(image)), 99.5)
    return field(axis, image, side, cmap=SIGNED_MAP, vmin=-largest, vmax=largest)


def row_axis(axis: Axes, names: Collection[str], **labels: Any) -> None:
    """A row for each name, the first one above; `labels` are of `Axes.set`."""
    axis.set_yticks(range(len(names)), list(names))
    axis.set(**labels)
    axis.invert_yaxis()


def ell_axis(axis: Any, ticks: Sequence[int | float] = (100, 200, 500, 1000, 2000, 5000)) -> None:
    """Few ticks, as plain numbers, on a logarithmic x axis whose limits are set: those of `ticks` that lie on it."""
    low, high = sorted(axis.xaxis.get_view_interval())
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def curve_with_band(axis: Axes, x: ArrayLike, mean: ArrayLike, error: ArrayLike, **style) -> None:
    """A line with its one-sigma band; `style` goes to the line."""
    (line,) = axis.plot(x, mean, **style)
    band = np.subtract(mean, error), np.add(mean, error)
    axis.fill_between(np.asarray(x), *band, color=line.get_color(), alpha=0.2, linewidth=0)


def contours(
    axis: Axes,
    densities: Mapping[str, xr.DataArray],
    *,
    levels: Mapping[str, Sequence[float]],
    truth: tuple[float, float],
) -> None:
    """Credible regions in the plane of Omega_m and sigma_8, one colour for each name, and the truth.

    Each density [omega_m, sigma_8] is on a grid of its own, with the heights `levels` that bound its regions.
    """
    styles = ("solid", "dashed", "dotted")
    for number, (name, density) in enumerate(densities.items()):
        color = COLORS.get(name, PALETTE[number % len(PALETTE)])
        heights = sorted(levels[name])
        lines = {"levels": heights, "colors": color, "linestyles": styles[: len(heights)][::-1]}
        axis.contour(density["omega_m"].values, density["sigma_8"].values, density.values.T, **lines)
        axis.plot([], [], color=color, label=name)
    axis.plot(*truth, "k+", markersize=9, label="truth")
    axis.set(xlabel=r"$\Omega_m$", ylabel=r"$\sigma_8$")
    axis.legend(fontsize="small")
