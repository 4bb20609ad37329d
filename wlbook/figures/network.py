"""Figures of chapter 3: layers, kernels, answers against the truth."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from wlbook.figures.style import COLORS, PALETTE, SIGNED_MAP


def layers(rows: Sequence[Any], pixel: float) -> Figure:
    """A network drawn from its own layer table: one block a layer that changes the image, as tall as the image is wide.

    Args:
        rows: from `summary.table`.
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
