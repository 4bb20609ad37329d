"""Figures of chapter 3: layers, losses, kernels, answers against the truth."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from wlbook.figures.style import COLORS, PALETTE, SIGNED_MAP, panels, row_axis


def layers(rows: Sequence[Any], pixel: float) -> Figure:
    """A network drawn from its own layer table: one block a layer that changes the image, as tall as the image is wide.

    `rows` are from `summary.table`; `pixel` is the side of one of the input [arcmin].
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
        color = colors.get(row.kind, PALETTE[6])
        axis.bar(left, height, breadth, bottom=-height / 2, align="edge", color=color, alpha=0.8)
        shape = f"{row.shape[0]}² x {row.shape[-1]}" if len(row.shape) == 3 else str(row.shape[-1])
        field = f"\nsees {row.receptive_field * pixel:.0f}'" if row.receptive_field > 0 else "\nsees all"
        axis.text(left + breadth / 2, -0.56, shape + field, ha="center", va="top", fontsize=7.5)
        name = str(names.get(row.kind, row.kind.lower())) + (f"\n{row.text}" if row.text else "")
        axis.text(left + breadth / 2, 0.1 + height / 2, name, ha="center", va="bottom", fontsize=7.5, rotation=40)
        left += breadth + 0.45
    axis.set(xlim=(-0.3, left), ylim=(-0.8, 1.05))
    axis.axis("off")
    return figure


def kernels(weights: ArrayLike, titles: Sequence[str]) -> Figure:
    """Convolution kernels [y, x, kernel], each on a signed scale of its own."""
    figure, axes = panels(len(titles), 8, height=1.15)
    for axis, kernel, title in zip(axes.flat, np.moveaxis(np.asarray(weights), -1, 0), titles, strict=False):
        largest = np.abs(kernel).max()
        axis.imshow(kernel, cmap=SIGNED_MAP, vmin=-largest, vmax=largest)
        axis.set_title(title, fontsize=8)
        axis.axis("off")
    return figure


def predicted_against_true(
    truth: ArrayLike, predicted: ArrayLike, labels: Sequence[str], *, groups: ArrayLike, hollow: ArrayLike
) -> Figure:
    """Mean and scatter of predictions [map, parameter] for each group of maps, `hollow` ones open, beside the truth."""
    truth, predicted, groups = np.asarray(truth), np.asarray(predicted), np.asarray(groups)
    figure, axes = plt.subplots(1, len(labels), figsize=(7.6, 2.9))
    for column, axis in enumerate(np.atleast_1d(axes)):
        x, y = truth[:, column], predicted[:, column]
        ends = [min(x.min(), np.percentile(y, 1)), max(x.max(), np.percentile(y, 99))]
        axis.plot(ends, ends, color="0.6", linewidth=1)
        axis.plot(x, y, ".", color=PALETTE[5], markersize=2, alpha=0.25, rasterized=True)
        for group in np.unique(groups):
            mine, color = groups == group, COLORS["network"]
            face = "white" if group in np.asarray(hollow) else color
            axis.errorbar(x[mine][0], y[mine].mean(), y[mine].std(), fmt="o", color=color, mfc=face, markersize=5)
        axis.set(xlabel=f"true {labels[column]}", ylabel=f"predicted {labels[column]}", ylim=ends)
    return figure


def losses(histories: Sequence[Mapping[str, np.ndarray]], *, window: int) -> Figure:
    """Loss at each step, its running mean, and the loss on held-out models as dots.

    Histories hold `step` and `loss`, and perhaps `held_out_step` and `held_out_loss`; `window` steps go into a mean.
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    for number, one in enumerate(histories):
        labels = ("training", "held-out models") if number == 0 else (None, None)  # one entry stands for all networks
        mean = np.convolve(one["loss"], np.ones(window) / window, "valid")
        axis.plot(one["step"], one["loss"], color=PALETTE[5], linewidth=0.5, alpha=0.6)
        axis.plot(one["step"][window - 1 :], mean, color=PALETTE[0], label=labels[0])
        if "held_out_loss" in one:
            axis.plot(one["held_out_step"], one["held_out_loss"], "o", color=PALETTE[1], label=labels[1])
    lowest = min(0, *(one["loss"].min() for one in histories))
    axis.set(xlabel="step", ylabel="loss [variance of the targets]", ylim=(lowest, 1.3))
    axis.legend()
    return figure


def bias(
    truth: ArrayLike, means: Sequence[ArrayLike], errors: Sequence[ArrayLike], *, hollow: ArrayLike, name: str
) -> Figure:
    """Mean answer minus truth for each model, one panel for each calibration; `hollow` models have open markers."""
    truth, hollow = np.asarray(truth), np.asarray(hollow)
    figure, axes = plt.subplots(1, len(means), figsize=(7.2, 3.0), sharey=True)
    for axis, mean, error in zip(axes, means, errors, strict=True):
        off, error = np.asarray(mean) - truth, np.asarray(error)
        for which, face in ((~hollow, None), (hollow, "white")):
            style = {"fmt": "o", "color": PALETTE[0], "mfc": face, "markersize": 5}
            axis.errorbar(truth[which], off[which], error[which], **style)
        axis.axhline(0, color="0.6", linewidth=1)
        axis.set_xlabel(f"true {name}")
    axes[0].set_ylabel(r"mean answer $-$ truth")
    return figure


def responses(depths: ArrayLike, slopes: ArrayLike, scatters: ArrayLike, *, trained: float) -> Figure:
    """Slope of a network's mean answers, and scatter of a map about them, against the number of galaxies [arcmin^-2].

    Each has an axis of its own; a line marks the density that the network was `trained` with.
    """
    figure, axis = plt.subplots(figsize=(6.0, 3.0))
    axis.semilogx(depths, slopes, "o-", color=PALETTE[0])
    axis.set(xlabel=r"galaxies [arcmin$^{-2}$]", ylabel="slope (blue)")
    axis.axvline(trained, color="0.6", linestyle="--")
    other = axis.twinx()
    other.semilogx(depths, scatters, "s-", color=PALETTE[1])
    other.set_ylabel("scatter of a map (orange)")
    return figure


def scores_and_edge(
    scores: Mapping[str, float], truth: ArrayLike, means: Mapping[str, ArrayLike], *, edge: float
) -> Figure:
    """R^2 of each network, and beside it mean answers that bend where a network has never been.

    `means` are the answers of two networks for each model; the second (open markers) has seen no S8 from `edge` up.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.2), gridspec_kw={"wspace": 0.3})
    axes[0].plot(list(scores.values()), range(len(scores)), "o")
    row_axis(axes[0], scores, xlabel=r"$R^2$ of $S_8$")
    for (name, mean), face in zip(means.items(), (None, "white"), strict=True):
        axes[1].plot(truth, mean, "o", color=PALETTE[0], mfc=face, label=name)
    axes[1].axline((0.8, 0.8), slope=1, color="0.6", linewidth=1)
    axes[1].axvline(edge - 0.005, color="0.6", linestyle="--")
    axes[1].set(xlabel=r"true $S_8$", ylabel=r"mean answer")
    axes[1].legend()
    return figure


def receptive_fields(fields: ArrayLike, measured: ArrayLike, *, side: float, scale: float, redshift: float) -> Figure:
    """How much of the sky a pixel can see behind each convolution, and how much of that it uses.

    These are receptive fields, and sides of the squares with 90 % of the squared sensitivity [arcmin], in a map of a
    `side` [deg]; `scale` is the length of an arcminute at the `redshift` where the sources are lensed most [Mpc/h].
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    axis.plot(fields, "o-", label="can see")
    axis.plot(measured, "s-", label="90 % of the sensitivity")
    axis.axhline(60 * side, color="0.7")
    axis.set(xlabel="convolution or residual block", ylabel="side [arcmin]", xticks=range(len(np.asarray(fields))))
    right = axis.secondary_yaxis("right", functions=(lambda x: np.multiply(x, scale), lambda x: np.divide(x, scale)))
    right.set_ylabel(f"side at z = {redshift:.2g} [Mpc/h]")
    axis.legend()
    return figure
