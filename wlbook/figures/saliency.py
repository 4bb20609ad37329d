"""Figures of the chapter on saliency: attributions beside each other, and what the detectors found."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import sem

from wlbook.figures import style
from wlbook.figures.style import KAPPA_MAP, PALETTE, ell_axis, field, in_degrees, panels, row_axis, signed_field


def signed_panels(images: Sequence[ArrayLike], titles: Sequence[str], *, side: float) -> Figure:
    """Maps [y, x] of one `side` [deg], each on a signed scale of its own that ends at its 99.5th percentile."""
    figure, axes = panels(len(images), 4, height=2.05, sharex=True, layout="constrained")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        signed_field(axis, image, side)
        axis.set_title(title, fontsize=8.5)
    in_degrees(axes)
    return figure


def cascade(falls: Mapping[str, np.ndarray], depths: Sequence[int], *, reference: float) -> Figure:
    """Rank correlations [depth, map] of each method after layers were drawn anew: mean over maps, with its error.

    The last of the `depths` is all layers; `reference` is a correlation to mark.
    """
    figure, axis = plt.subplots(figsize=(7.0, 3.9))
    for place, (depth, marker) in enumerate(zip(depths, "os^Dv", strict=False)):
        mean = [fall[place].mean() for fall in falls.values()]
        error = [sem(fall[place]) for fall in falls.values()]
        label = "all layers" if depth == depths[-1] else ("last layer" if depth == 1 else f"last {depth} layers")
        axis.errorbar(mean, range(len(falls)), xerr=error, fmt=marker, markersize=5, label=label)
    axis.axvline(reference, color="0.4", linestyle="--", linewidth=1)
    axis.axvline(0, color="0.8", linewidth=1)
    row_axis(axis, falls, xlabel="rank correlation", xlim=(-0.4, 1.05))
    figure.legend(loc="outside upper center", ncols=len(depths), fontsize="small")
    return figure


def shape(
    radius: ArrayLike,
    profiles: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    ell: ArrayLike,
    waves: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Figure:
    """Squared saliency around peaks and voids, its spectrum, and its correlation with the map.

    Against the `radius` of the rings [arcmin] stand `profiles`, mean and error of each network and kind of centre, and
    against ell the `waves` of each network, spectrum and correlation of each map [map, ell].
    """
    figure, axes = plt.subplots(1, 3, figsize=(7.9, 3.3))
    ell = np.asarray(ell)
    styles = dict(zip(waves, ("-", "--"), strict=False))
    for (name, kind), (mean, error) in profiles.items():
        look = {"linestyle": styles[name], "color": PALETTE[1 if kind == "peaks" else 0], "label": f"{kind}, {name}"}
        style.curve_with_band(axes[0], radius, mean, error, **look)
    for name, each in waves.items():
        (own, cross), weight = (values.mean(axis=0) for values in each), ell * (ell + 1) / (2 * np.pi)
        look = {"fmt": "o" + styles[name], "markersize": 4, "capsize": 2, "label": name}
        axes[1].errorbar(ell, weight * own, weight * sem(each[0]), **look)
        axes[2].errorbar(ell, cross, sem(each[1]), **look)
    axes[0].axhline(1, color="0.7", linewidth=1)
    axes[0].set(xlabel="distance [arcmin]", ylabel="squared gradient / mean", ylim=(0, None))
    axes[0].legend(fontsize=6.5)
    axes[1].set(ylabel=r"$\ell(\ell+1)C_\ell/2\pi$ of the gradient", yscale="log")
    axes[1].legend(fontsize="small")
    axes[2].axhline(0, color="0.7", linewidth=1)
    axes[2].set(ylabel="correlation with the map", ylim=(-1, 1))
    for axis in axes[1:]:
        axis.set(xlabel=r"$\ell$", xscale="log", xlim=(0.8 * ell[0], 1.25 * ell[-1]))
        ell_axis(axis, (300, 1000, 3000))
    return figure


def saliency_panels(
    kappa: Sequence[ArrayLike], saliency: Sequence[ArrayLike], titles: Sequence[str], *, side: float
) -> Figure:
    """Rows of a map [standard deviations], its saliency, and both: saliency in colour under the map's contours.

    `side` is that of all maps [deg]; the saliency of each row has a signed scale of its own.
    """
    figure, axes = panels(3 * len(kappa), 3, height=2.55, sharex=True)
    in_degrees(axes)
    for row, title, image, answer in zip(axes, titles, kappa, saliency, strict=True):
        field(row[0], image, side, cmap=KAPPA_MAP, vmin=-3, vmax=5)
        for axis in row[1:]:
            signed_field(axis, answer, side)
        lines = {"levels": [-1.5, 3], "colors": ("0.5", "k"), "linewidths": 0.7, "extent": (0, side, 0, side)}
        row[2].contour(np.asarray(image), **lines)
        row[0].set_ylabel(f"{title}\ny [deg]")
    for axis, name in zip(axes[0], ("map", "saliency", "saliency, contours of the map"), strict=True):
        axis.set_title(name, fontsize="medium")
    return figure


def share_panels(edges: Sequence[float], shares: Mapping[tuple[str, str], Any]) -> Figure:
    """Share of attribution by kappa as points with errors, before grey bars: the share of pixels.

    The `edges` of the kappa ranges [standard deviations] may end at infinity; `shares` are `saliency.Shares` by kind of
    network, which has a panel, and output.
    """
    names = [f"{low:.0f} to {high:.0f}" for low, high in itertools.pairwise(edges)]
    if np.isinf(edges[0]):
        names[0] = f"< {edges[1]:.0f}"
    if np.isinf(edges[-1]):
        names[-1] = f"> {edges[-2]:.0f}"
    kinds, place = list(dict.fromkeys(kind for kind, _ in shares)), np.arange(len(names))
    figure, axes = plt.subplots(1, len(kinds), figsize=(7.6, 3.6), sharey=True)
    for axis, kind in zip(axes, kinds, strict=True):
        mine = {label: one for (of, label), one in shares.items() if of == kind}
        axis.bar(place, next(iter(mine.values())).pixels, 0.9, color="0.85", label="share of pixels")
        for number, (label, one) in enumerate(mine.items()):
            offset = 0.22 * (number - (len(mine) - 1) / 2)
            axis.errorbar(place + offset, one.share, one.error, fmt="o", markersize=4, label=label)
        axis.set_xticks(place, names, rotation=45, ha="right")
        axis.set(xlabel=r"$\kappa / \sigma_\kappa$", title=kind)
    axes[0].set_ylabel("share")
    axes[-1].legend(fontsize="small")
    return figure


def method_panels(
    found: Mapping[tuple[str, str, str], Any],
    failures: Mapping[str, Sequence[str]],
    *,
    titles: Mapping[str, str],
    bands: Mapping[str, tuple[float, float]],
) -> Figure:
    """One row for each method: shares with errors, and a cross for a network with all its weights drawn anew.

    What was `found` are `saliency.Shares` of one range by kind of network, method, and output or "destroyed". The
    `failures` of each method are counted beside its name; `bands` are the paper's [%].
    """
    figure, axes = plt.subplots(1, len(titles), figsize=(7.6, 4.2), sharey=True)
    outputs = [name for name in dict.fromkeys(output for _, _, output in found) if name != "destroyed"]
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        axis.axvspan(*bands[kind], color=PALETTE[4], alpha=0.2, linewidth=0)
        axis.axvline(100 * found[kind, next(iter(failures)), outputs[0]].pixels[0], color="0.6")
        for row, method in enumerate(failures):
            for output, marker, shift in zip(outputs, "os^", (-0.18, 0.18, 0), strict=False):
                one, look = found[kind, method, output], {"color": PALETTE[0], "markersize": 4}
                axis.errorbar(100 * one.share[0], row + shift, xerr=100 * one.over_maps[0], fmt=marker, **look)
            axis.plot(100 * found[kind, method, "destroyed"].share[0], row, "x", color=PALETTE[1])
        axis.set(xlabel="share of attribution [%]", xlim=(-2, 100), title=title)
    row_axis(axes[0], [f"{name} [{len(failed)}]" for name, failed in failures.items()])
    return figure
