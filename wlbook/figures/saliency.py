"""Figures of the chapter on saliency: attributions beside each other, and what the detectors found."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from wlbook.figures.style import KAPPA_MAP, PALETTE, curve_with_band, ell_axis, field, panels, signed_field


def signed_panels(images: Sequence[ArrayLike], titles: Sequence[str], *, side: float, columns: int = 4) -> Figure:
    """Maps beside each other, each on a signed scale of its own that ends at its 99.5th percentile.

    Args:
        images: maps [y, x], all of one field size.
        titles: one for each map.
        side: side of the field [deg].
        columns: panels in a row.
    """
    figure, axes = panels(len(images), columns, height=2.05, sharex=True, layout="constrained")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        signed_field(axis, image, side)
        axis.set_title(title, fontsize=8.5)
    for axis in axes[:, 0]:
        axis.set_ylabel("y [deg]")
    for axis in axes[-1]:
        axis.set_xlabel("x [deg]")
    return figure


def cascade(falls: Mapping[str, np.ndarray], depths: Sequence[int], *, reference: float) -> Figure:
    """Rank correlations of each method after layers were drawn anew: mean over maps, with its error.

    Args:
        falls: of each method [depth, map].
        depths: how many of the last layers; the last entry is all of them.
        reference: a correlation to mark.
    """
    figure, axis = plt.subplots(figsize=(7.0, 3.9))
    for place, (depth, marker) in enumerate(zip(depths, "os^Dv", strict=False)):
        mean = [fall[place].mean() for fall in falls.values()]
        error = [fall[place].std(ddof=1) / np.sqrt(fall.shape[1]) for fall in falls.values()]
        label = "all layers" if depth == depths[-1] else ("last layer" if depth == 1 else f"last {depth} layers")
        axis.errorbar(mean, range(len(falls)), xerr=error, fmt=marker, markersize=5, label=label)
    axis.axvline(reference, color="0.4", linestyle="--", linewidth=1)
    axis.axvline(0, color="0.8", linewidth=1)
    axis.set_yticks(range(len(falls)), list(falls))
    axis.invert_yaxis()
    axis.set(xlabel="rank correlation", xlim=(-0.4, 1.05))
    figure.legend(loc="outside upper center", ncols=len(depths), fontsize="small")
    return figure


def method_shares(
    axis: Axes,
    shares: Mapping[str, Sequence[tuple[float, float]]],
    destroyed: Mapping[str, float],
    *,
    band: tuple[float, float],
    pixels: float,
) -> None:
    """One row for each method: shares with errors, and a cross for a network with all its weights drawn anew.

    Args:
        axis: where to draw.
        shares: of each method, one share with its error for each output.
        destroyed: of each method, the share without what was learnt.
        band: of the paper [%].
        pixels: share of pixels.
    """
    axis.axvspan(*band, color=PALETTE[4], alpha=0.2, linewidth=0)
    axis.axvline(100 * pixels, color="0.6")
    for row, (name, values) in enumerate(shares.items()):
        for (value, error), marker, shift in zip(values, "os^", (-0.18, 0.18, 0), strict=False):
            style = {"fmt": marker, "color": PALETTE[0], "markersize": 4}
            axis.errorbar(100 * value, row + shift, xerr=100 * error, **style)
        axis.plot(100 * destroyed[name], row, "x", color=PALETTE[1])
    axis.set(xlabel="share of attribution [%]", xlim=(-2, 100))


def shape(
    radius: ArrayLike,
    profiles: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    ell: ArrayLike,
    waves: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Figure:
    """Squared saliency around peaks and voids, its spectrum, and its correlation with the map.

    Args:
        radius: of the rings [arcmin].
        profiles: of each network and kind of centre, mean and error.
        ell: of the spectra.
        waves: of each network, spectrum and correlation of each map [map, ell].
    """
    figure, axes = plt.subplots(1, 3, figsize=(7.9, 3.3))
    ell = np.asarray(ell)
    styles = dict(zip(waves, ("-", "--"), strict=False))
    for (name, kind), (mean, error) in profiles.items():
        color = PALETTE[1] if kind == "peaks" else PALETTE[0]
        style = {"linestyle": styles[name], "color": color, "label": f"{kind}, {name}"}
        curve_with_band(axes[0], radius, mean, error, **style)
    for name, each in waves.items():
        (own, cross), weight = (values.mean(axis=0) for values in each), ell * (ell + 1) / (2 * np.pi)
        errors = [values.std(axis=0, ddof=1) / np.sqrt(len(values)) for values in each]
        style = {"fmt": "o" + styles[name], "markersize": 4, "capsize": 2, "label": name}
        axes[1].errorbar(ell, weight * own, weight * errors[0], **style)
        axes[2].errorbar(ell, cross, errors[1], **style)
    axes[0].axhline(1, color="0.7", linewidth=1)
    axes[0].set(xlabel="distance [arcmin]", ylabel="squared gradient / mean", ylim=(0, None))
    axes[0].legend(fontsize=6.5)
    label = r"$\ell(\ell+1)C_\ell/2\pi$ of the gradient"
    axes[1].set(xlabel=r"$\ell$", ylabel=label, xscale="log", yscale="log")
    axes[1].legend(fontsize="small")
    axes[2].axhline(0, color="0.7", linewidth=1)
    axes[2].set(xlabel=r"$\ell$", ylabel="correlation with the map", xscale="log", ylim=(-1, 1))
    for axis in axes[1:]:
        axis.set_xlim(0.8 * ell[0], 1.25 * ell[-1])
        ell_axis(axis, (300, 1000, 3000))
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
    figure, axes = panels(3 * len(kappa), 3, height=2.55, sharex=True)
    for row, title, image, answer in zip(axes, titles, kappa, saliency, strict=True):
        field(row[0], image, side, cmap=KAPPA_MAP, vmin=-3, vmax=5)
        for axis in row[1:]:
            signed_field(axis, answer, side)
        lines = {"levels": [-1.5, 3], "colors": ("0.5", "k"), "linewidths": 0.7, "extent": (0, side, 0, side)}
        row[2].contour(np.asarray(image), **lines)
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


def share_panels(edges: Sequence[float], shares: Mapping[tuple[str, str], Any]) -> Figure:
    """`attribution_bars` for each kind of network, side by side.

    Args:
        edges: of the kappa ranges, in standard deviations.
        shares: `saliency.Shares` by kind of network and output.
    """
    kinds = list(dict.fromkeys(kind for kind, _ in shares))
    figure, axes = plt.subplots(1, len(kinds), figsize=(7.6, 3.6), sharey=True)
    for axis, kind in zip(axes, kinds, strict=True):
        mine = {label: one for (of, label), one in shares.items() if of == kind}
        points = {label: (one.share, one.error) for label, one in mine.items()}
        attribution_bars(axis, edges, next(iter(mine.values())).pixels, points)
        axis.set_title(kind)
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
    """`method_shares` for each kind of network, side by side.

    Args:
        found: `saliency.Shares` of one range by kind of network, method, and output or "destroyed".
        failures: the lie detectors that each method fails.
        titles: of each kind's panel.
        bands: of the paper [%].
    """
    figure, axes = plt.subplots(1, len(titles), figsize=(7.6, 4.2), sharey=True)
    outputs = [name for name in dict.fromkeys(output for _, _, output in found) if name != "destroyed"]
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        learnt, destroyed, pixels = {}, {}, 0.0
        for method in failures:
            mine = [found[kind, method, output] for output in outputs]
            learnt[method] = [(float(one.share[0]), float(one.over_maps[0])) for one in mine]
            destroyed[method] = float(found[kind, method, "destroyed"].share[0])
            pixels = float(mine[0].pixels[0])
        method_shares(axis, learnt, destroyed, band=bands[kind], pixels=pixels)
        axis.set_title(title)
    axes[0].set_yticks(range(len(failures)), [f"{name} [{len(failed)}]" for name, failed in failures.items()])
    axes[0].invert_yaxis()
    return figure
