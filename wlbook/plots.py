"""Figures that look alike on every page: one style, one colour for one thing."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

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


def layers(rows: Sequence[Any], pixel: float) -> Figure:
    """A network drawn from its own layer table: one block a layer that changes the image, as tall as the image is wide.

    Args:
        rows: from `network.table`.
        pixel: pixel side of the input [arcmin].
    """
    pixelwise = ("Affine", "BatchNorm", "ChannelsLast", "ReLU", "Scale")
    shown = [row for row in rows if row.depth == 0 and row.kind not in pixelwise]
    figure, axis = plt.subplots(figsize=(7.6, 3.2))
    colors = {"Convolution": PALETTE[0], "Residual": PALETTE[2], "AveragePool": PALETTE[4], "Dense": PALETTE[1]}
    names = {"AveragePool": "average pool", "GlobalAverage": "global average"}
    tallest, left = rows[0].shape[0], 0.0
    for row in shown:
        height = np.sqrt(row.shape[0] / tallest) if len(row.shape) == 3 else 0.12
        breadth = 0.5 + 0.12 * np.log2(row.shape[-1])
        axis.bar(
            left, height, breadth, bottom=-height / 2, align="edge", color=colors.get(row.kind, PALETTE[6]), alpha=0.8
        )
        shape = f"{row.shape[0]}² x {row.shape[-1]}" if len(row.shape) == 3 else str(row.shape[-1])
        field = f"\nsees {row.receptive_field * pixel:.0f}'" if row.receptive_field > 0 else "\nsees all"
        axis.text(left + breadth / 2, -0.56, shape + field, ha="center", va="top", fontsize=7.5)
        name = str(names.get(row.kind, row.kind.lower())) + (f"\n{row.text}" if row.text else "")
        axis.text(left + breadth / 2, 0.1 + height / 2, name, ha="center", va="bottom", fontsize=7.5, rotation=40)
        left += breadth + 0.45
    axis.set(xlim=(-0.3, left), ylim=(-0.8, 1.05))
    axis.axis("off")
    return figure


def kernels(weights: ArrayLike, titles: Sequence[str], *, columns: int = 8) -> Figure:
    """Convolution kernels [y, x, kernel], each on a signed scale of its own."""
    weights = np.asarray(weights)
    number = weights.shape[-1]
    rows = -(-number // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(7.6, 1.15 * rows), squeeze=False)
    for index, axis in enumerate(axes.flat):
        axis.axis("off")
        if index < number:
            largest = np.abs(weights[..., index]).max()
            axis.imshow(weights[..., index], cmap=SIGNED_MAP, vmin=-largest, vmax=largest)
            axis.set_title(titles[index], fontsize=8)
    return figure


def predicted_against_true(
    truth: ArrayLike, predicted: ArrayLike, labels: Sequence[str], *, groups: ArrayLike, hollow: ArrayLike
) -> Figure:
    """Mean and scatter of predictions for each group of maps, with the diagonal.

    Args:
        truth: [map, parameter].
        predicted: [map, parameter].
        labels: of the parameters.
        groups: which maps belong together [map].
        hollow: groups drawn with open markers.
    """
    truth, predicted, groups = np.asarray(truth), np.asarray(predicted), np.asarray(groups)
    figure, axes = plt.subplots(1, len(labels), figsize=(7.6, 2.9))
    for column, axis in enumerate(np.atleast_1d(axes)):
        x, y = truth[:, column], predicted[:, column]
        ends = [min(x.min(), np.percentile(y, 1)), max(x.max(), np.percentile(y, 99))]
        axis.plot(ends, ends, color="0.6", linewidth=1)
        axis.plot(x, y, ".", color=PALETTE[5], markersize=2, alpha=0.25, rasterized=True)
        for group in np.unique(groups):
            mine = groups == group
            face = "white" if group in np.asarray(hollow) else COLORS["network"]
            axis.errorbar(
                x[mine][0], y[mine].mean(), y[mine].std(), fmt="o", color=COLORS["network"], mfc=face, markersize=5
            )
        axis.set(xlabel=f"true {labels[column]}", ylim=(ends[0], ends[1]))
        axis.set_ylabel(f"predicted {labels[column]}")
    return figure


def saliency_panels(
    kappa: Sequence[ArrayLike], saliency: Sequence[ArrayLike], titles: Sequence[str], *, side: float
) -> Figure:
    """Rows of a map, its saliency, and both at one scale: saliency in colour under the map's contours.

    Args:
        kappa: maps [y, x], in units of their standard deviation.
        saliency: of these maps [y, x]; each row has a signed scale of its own.
        titles: one for each row.
        side: side of the field [deg].
    """
    figure, axes = plt.subplots(
        len(kappa), 3, figsize=(7.6, 2.55 * len(kappa)), sharex=True, sharey=True, squeeze=False
    )
    extent = (0.0, side, 0.0, side)
    for row, title, image, answer in zip(axes, titles, kappa, saliency, strict=True):
        image, answer = np.asarray(image), np.asarray(answer)
        largest = np.percentile(np.abs(answer), 99.5)
        signed = {"cmap": SIGNED_MAP, "vmin": -largest, "vmax": largest, "extent": extent, "origin": "lower"}
        row[0].imshow(image, cmap=KAPPA_MAP, vmin=-3, vmax=5, extent=extent, origin="lower")
        row[1].imshow(answer, **signed)
        row[2].imshow(answer, **signed)
        row[2].contour(image, levels=[-1.5, 3], colors=("0.5", "k"), linewidths=0.7, extent=extent)
        row[0].set_ylabel(f"{title}\ny [deg]")
    for axis, name in zip(axes[0], ("map", "saliency", "saliency, contours of the map"), strict=True):
        axis.set_title(name, fontsize="medium")
    for axis in axes[-1]:
        axis.set_xlabel("x [deg]")
    return figure


def attribution_bars(
    axis: Axes, edges: Sequence[float], pixels: ArrayLike, shares: Mapping[str, tuple[ArrayLike, ArrayLike]]
) -> None:
    """Share of attribution by kappa as points with errors, before grey bars: the share of pixels.

    Args:
        axis: where to draw.
        edges: of the kappa ranges, in standard deviations; the first and last may be infinite.
        pixels: share of pixels in each range.
        shares: by name, the share in each range and its error.
    """
    place = np.arange(len(edges) - 1)
    axis.bar(place, np.asarray(pixels), 0.9, color="0.85", label="share of pixels")
    for number, (name, (share, error)) in enumerate(shares.items()):
        offset = 0.22 * (number - (len(shares) - 1) / 2)
        axis.errorbar(place + offset, np.asarray(share), np.asarray(error), fmt="o", markersize=4, label=name)
    names = [f"{low:.0f} to {high:.0f}" for low, high in itertools.pairwise(edges)]
    if np.isinf(edges[0]):
        names[0] = f"< {edges[1]:.0f}"
    if np.isinf(edges[-1]):
        names[-1] = f"> {edges[-2]:.0f}"
    axis.set_xticks(place, names, rotation=45, ha="right")
    axis.set_xlabel(r"$\kappa / \sigma_\kappa$")


def signed_panels(images: Sequence[ArrayLike], titles: Sequence[str], *, side: float, columns: int = 4) -> Figure:
    """Maps beside each other, each on a signed scale of its own that ends at its 99.5th percentile.

    Args:
        images: maps [y, x], all of one field size.
        titles: one for each map.
        side: side of the field [deg].
        columns: panels in a row.
    """
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.6, 2.05 * rows), squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        image = np.asarray(image)
        largest = np.percentile(np.abs(image), 99.5)
        extent = (0.0, side, 0.0, side)
        axis.imshow(image, cmap=SIGNED_MAP, vmin=-largest, vmax=largest, extent=extent, origin="lower")
        axis.set_title(title, fontsize=8.5)
    for axis in axes[:, 0]:
        axis.set_ylabel("y [deg]")
    for axis in axes[-1]:
        axis.set_xlabel("x [deg]")
    return figure
