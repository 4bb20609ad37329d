"""Figures of the chapter on statistics: what each one sees in a map, and many statistics on one axis."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure
from scipy import ndimage
from scipy.stats import norm

from wlbook.figures.style import KAPPA_MAP, PALETTE, SIGNED_MAP, field, in_degrees, panels, signed_field

Image = Float[np.ndarray | Array, "y x"]
ByName = Mapping[str, np.ndarray]
#: Short names for axes and tables.
SHORT = {"power spectrum": "spectrum", "starlet peaks": "starlet\npeaks", "starlet l1": "starlet\n$\\ell_1$"}


def _fields(titles: Sequence[str], height: float) -> tuple[Figure, np.ndarray]:
    figure, axes = panels(len(titles), len(titles), height=height)
    in_degrees(axes)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set(title=title, aspect="equal")
    return figure, axes[0]


def heights(image: Image, waves: Image, *, sigma: float, side: float, titles: Sequence[str]) -> Figure:
    """A map as spectrum, peaks and Minkowski functionals see it: waves, circles on peaks, parts above thresholds.

    `waves` are what one bin of the spectrum keeps of the map, and `side` is the map's [deg]. Heights are measured in
    `sigma`; peaks and minima beyond one are marked.
    """
    image = np.asarray(image)
    figure, axes = _fields(titles, height=3.0)
    pixel, extent = side / image.shape[-1], (0.0, side, 0.0, side)
    signed_field(axes[0], waves, side)
    field(axes[1], image, side, cmap=KAPPA_MAP)
    for sign, color, marker in ((1, "white", "o"), (-1, "black", "s")):
        found = (sign * image == ndimage.maximum_filter(sign * image, 3, mode="wrap")) & (sign * image > sigma)
        y, x = (np.argwhere(found).T + 0.5) * pixel
        sizes = 25 * sign * image[found] / sigma
        axes[1].scatter(x, y, s=sizes, marker=marker, facecolors="none", edgecolors=color, linewidths=0.9)
    axes[1].set(xlim=extent[:2], ylim=extent[2:])
    shades = plt.get_cmap("cividis")([0.0, 0.35, 0.7, 1.0])
    axes[2].contourf(image, levels=sigma * np.array([-99, 0, 1, 2, 999]), colors=shades, extent=extent)
    return figure


def scales(details: Float[np.ndarray, "scale y x"], units: Sequence[float], *, side: float, pixel: float) -> Figure:
    """Starlet coefficients of a map (`side` [deg], `pixel` [arcmin]) in each scale's units, the smooth rest last."""
    titles = [*(f"{2 ** (j + 1) * pixel:.0f} arcmin" for j in range(len(details) - 1)), "the rest"]
    figure, axes = _fields(titles, height=2.6)
    for axis, detail, unit in zip(axes, details, units, strict=True):
        shown = field(axis, detail / unit, side, cmap=SIGNED_MAP, vmin=-3, vmax=3)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="standard deviations")  # pyright: ignore
    return figure


def beyond(image: Image, large: Image, small: Image, *, sigma: float, side: float) -> Figure:
    """A map as histogram and moments, scattering, and bispectrum see it.

    Left the share of pixels at each height beside a Gaussian; in the middle how strong small waves are from place to
    place; right the same as contours over the large waves. Heights are measured in `sigma`; `side` is the map's [deg].
    """
    strength = np.sqrt(ndimage.gaussian_filter(np.asarray(small) ** 2, np.shape(small)[-1] / 32, mode="wrap"))
    figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.9))
    values, extent = np.asarray(image).ravel() / sigma, (0.0, side, 0.0, side)
    axes[0].hist(values, bins=np.arange(-4, 5.6, 0.4), density=True, color=PALETTE[5])
    x = np.linspace(-4, 5.5, 100)
    axes[0].plot(x, norm.pdf(x, values.mean(), values.std()), "k--")
    axes[0].set(title="heights", xlabel=r"$\kappa/\sigma$", ylabel="share of pixels", yscale="log", ylim=(1e-4, 1))
    field(axes[1], strength, side, cmap=KAPPA_MAP)
    axes[1].set(title="strength of small waves", xlabel="x [deg]", ylabel="y [deg]")
    signed_field(axes[2], large, side)
    axes[2].contour(strength, levels=np.percentile(strength, [75, 92]), colors=("0.5", "k"), extent=extent)
    axes[2].set(title="large waves", xlabel="x [deg]")
    return figure


def small_panels(curves: Mapping[str, Mapping[str, np.ndarray]], *, ylabel: str) -> Figure:
    """One small panel for each statistic, a line over its bins for each label."""
    figure, axes = panels(len(curves), 5, height=2.1, more=0.4)
    for axis, (name, lines) in zip(axes.flat, curves.items(), strict=False):
        for (label, values), style in zip(lines.items(), ("-o", "-s", "-^", "-v"), strict=False):
            axis.plot(values, style, markersize=2.5, linewidth=1, label=label)
        axis.axhline(0, color="0.7", linewidth=0.8)
        axis.set_title(name, fontsize="small")
    plt.setp(axes[-1], xlabel="bin")
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel, fontsize="small")
    axes.flat[0].legend(fontsize="x-small")
    return figure


def _blocks(vectors: ByName) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Where statistics end on an axis of all their bins, the middle of each, and their short names."""
    lengths = np.array([values.shape[-1] for values in vectors.values()])
    ends = np.cumsum(lengths)
    return ends[:-1] - 0.5, ends - lengths / 2 - 0.5, [SHORT.get(name, name) for name in vectors]


def correlation_matrix(matrix: Float[np.ndarray, "bin bin"], vectors: ByName) -> Figure:
    """A correlation matrix with lines between the statistics."""
    between_them, middles, names = _blocks(vectors)
    figure, axis = plt.subplots(figsize=(7.0, 6.2))
    shown = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, origin="upper")
    figure.colorbar(shown, label="correlation", shrink=0.75)
    for edge in between_them:
        axis.axhline(edge, color="black", linewidth=0.6)
        axis.axvline(edge, color="black", linewidth=0.6)
    axis.set_xticks(middles, names, fontsize="small", rotation=90)
    axis.set_yticks(middles, names, fontsize="small")
    return figure


def bins_side_by_side(lines: Mapping[str, ByName], *, ylabel: str) -> Figure:
    """One point for each bin of every statistic, one marker for each label, on a scale that is linear near zero."""
    figure, axis = plt.subplots(figsize=(7.6, 3.4))
    edges, middles, names = _blocks(next(iter(lines.values())))
    for (label, vectors), marker in zip(lines.items(), "os^v", strict=False):
        axis.plot(np.concatenate(list(vectors.values())), marker, markersize=3, label=label)
    for edge in edges:
        axis.axvline(edge, color="0.7", linewidth=0.8)
    axis.axhline(0, color="0.7", linewidth=0.8)
    axis.set_xticks(middles, names, fontsize="small", rotation=45)
    axis.set_yscale("symlog", linthresh=1)
    ticks = [-30, -10, -3, -1, 0, 1, 3, 10, 30]
    most = max(1, 1.3 * max(np.abs(values).max() for vectors in lines.values() for values in vectors.values()))
    axis.set_yticks(ticks, map(str, ticks))
    axis.set(ylim=(-most, most), ylabel=ylabel)
    axis.legend(fontsize="small", ncols=len(lines), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def against_settings(rows: Mapping[str, Mapping[float, Mapping[str, float]]], *, ylabel: str) -> Figure:
    """How numbers of each statistic change with noise and smoothing: a panel for each setting, a line a statistic.

    `rows` go by the label of the setting, then by its value (infinite: no noise), then by statistic.
    """
    figure, axes = plt.subplots(1, len(rows), figsize=(7.6, 3.8), sharey=True)
    for axis, (label, found) in zip(axes, rows.items(), strict=True):
        places = np.arange(len(found))
        for number, name in enumerate(next(iter(found.values()))):
            line = [numbers[name] for numbers in found.values()]
            style = {"marker": "os^vD<>Pp*"[number % 10], "color": PALETTE[number % 8], "markersize": 4}
            axis.plot(places, line, linestyle="-" if number < 8 else "--", label=name, **style)
        axis.set_xticks(places, [f"{x:.2g}" if np.isfinite(x) else "no noise" for x in found])
        axis.set_xlabel(label)
    axes[0].set(ylabel=ylabel, yscale="log")
    axes[0].yaxis.set_major_formatter("{x:.2g}")
    axes[0].yaxis.set_minor_formatter("{x:.2g}")
    axes[-1].legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def noise_and_smoothing(
    ell: Float[np.ndarray, " ell"],
    spectra: Mapping[str, Float[np.ndarray, " ell"]],
    heights: Float[np.ndarray, " height"],
    counts: Mapping[str, Float[np.ndarray, " height"]],
) -> Figure:
    """Power spectra [sr] at several source densities [arcmin^-2], and peaks in a map at several smoothings [arcmin].

    `heights` are the lower edges of the bins of peaks [standard deviations].
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4))
    for label, spectrum in spectra.items():
        left.loglog(ell, ell * (ell + 1) * spectrum / (2 * np.pi), marker=".", label=label)
    left.tick_params(which="minor", labelbottom=False, labelleft=False)
    left.set(xlabel="ell", ylabel=r"$\ell(\ell+1)C_\ell/2\pi$")
    left.legend(title="galaxies [arcmin$^{-2}$]", fontsize="small")
    for label, line in counts.items():
        right.plot(heights, line, marker=".", label=label)
    right.set(xlabel="lower edge of the bin [sigma]", ylabel="peaks a map", ylim=(0, None))
    right.legend(title="smoothing [arcmin]", fontsize="small")
    return figure
