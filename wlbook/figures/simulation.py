"""Figures of the chapter on data: the path of light, one plane and its map, and spectra against theory."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wlbook.figures.style import KAPPA_MAP, PALETTE, ell_axis, field
from wlbook.simulation.lens_planes import LightCone

Curve = Float[np.ndarray, " ell"]
WithError = tuple[Curve, Curve]  # a mean and its standard error


def _in_ell(axis: Axes, trusted_ell: float | None = None) -> None:
    """A logarithmic axis in ell, with the trusted one marked."""
    axis.set(xscale="log", xlabel="ell")
    if trusted_ell is not None:
        axis.axvline(trusted_ell, color="black", linestyle="--", linewidth=0.8)
    ell_axis(axis)


def light_cone(
    cone: LightCone, weight: Float[np.ndarray, "plane bin"], *, box: float, side: float, far: float
) -> Figure:
    """The path of light to scale in both directions: planes, boxes and the field; above it the lensing weight.

    The `weight` (`lensing.efficiency`) is drawn relative to the largest of each bin. The `box`, and how `far` the
    farthest source is, are in Mpc/h, the `side` of a map in degrees.
    """
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.6, 3.2), sharex=True, height_ratios=[1, 1.1])
    top.plot(cone.distance, weight / weight.max(axis=0), marker=".")
    top.set(ylabel="lensing weight", ylim=(0, 1.1))
    edge = far * np.tan(np.deg2rad(side) / 2)
    bottom.fill_between([0, far], [0, -edge], [0, edge], color=PALETTE[5], alpha=0.5, linewidth=0)
    for start in np.arange(0, far, box):
        bottom.add_patch(Rectangle((start, -box / 2), box, box, fill=False, edgecolor="0.6"))
    bottom.vlines(cone.distance, -box / 2, box / 2, color="0.3", linewidth=0.5)
    bottom.set(xlabel="comoving distance [Mpc/h]", ylabel="[Mpc/h]", aspect="equal", xlim=(0, None))
    return figure


def plane_and_map(
    surface: Float[np.ndarray | Array, "mesh mesh"],
    kappa: Float[np.ndarray | Array, "y x"],
    *,
    box: float,
    side: float,
    width: float,
) -> Figure:
    """One plane of matter with the part that a map sees of it, and the map behind all planes.

    The plane holds the density contrast integrated through it, and is as wide as the `box` [Mpc/h]. The map has a
    `side` [deg]; its field, of a `width` [Mpc/h] there, is drawn in the plane's middle: rays shift it at random.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.9))
    integral = r"$\int \delta \, \mathrm{d}\chi$ [Mpc/h]"
    for axis, image, extent, label in ((left, surface, box, integral), (right, kappa, side, r"$\kappa$")):
        low, high = np.percentile(np.asarray(image), [1, 99.5])
        shown = field(axis, image, extent, cmap=KAPPA_MAP, vmin=low, vmax=high)
        figure.colorbar(shown, ax=axis, location="bottom", shrink=0.8, label=label)
    corner = (box - width) / 2
    left.add_patch(Rectangle((corner, corner), width, width, fill=False, edgecolor="white", linewidth=1.5))
    left.set(title="one plane", xlabel="x [Mpc/h]", ylabel="y [Mpc/h]")
    right.set(title="one map", xlabel="x [deg]", ylabel="y [deg]")
    return figure


def spectrum_against_theory(
    ell: Curve,
    maps: WithError,
    theory: Curve,
    ratios: Float[np.ndarray, "box ell"],
    ratio: WithError,
    *,
    trusted_ell: float,
) -> Figure:
    """A power spectrum [sr] with theory; below it the ratio of every box to theory, and the mean of those, `ratio`."""
    scale = ell * (ell + 1) / (2 * np.pi)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 5), sharex=True, height_ratios=[1.3, 1])
    top.errorbar(ell, scale * maps[0], scale * maps[1], fmt="o", label="maps")
    top.plot(ell, scale * theory, label="theory")
    bottom.plot(ell, ratios.T, color="0.8", linewidth=0.6, zorder=0)
    bottom.errorbar(ell, *ratio, fmt="o")
    bottom.axhspan(0.95, 1.05, color=PALETTE[2], alpha=0.15, linewidth=0)
    for axis in (top, bottom):
        _in_ell(axis, trusted_ell)
    top.set(xlabel="", yscale="log", ylabel=r"$\ell(\ell+1)C_\ell/2\pi$")
    top.legend()
    bottom.set(ylabel="maps / theory", ylim=(0, 2))
    return figure


def ladder(ell: Curve, ratios: Mapping[str, Curve], *, trusted_ell: float, means: Mapping[str, WithError]) -> Figure:
    """Power spectra over that of the book's own setting, by what was changed; in black the `means` of several boxes."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for name, ratio in ratios.items():
        axis.plot(ell, ratio, marker=".", label=name)
    for name, (mean, error) in means.items():
        axis.errorbar(ell, mean, error, fmt="k.-", label=name)
    axis.axhspan(0.95, 1.05, color=PALETTE[2], alpha=0.15, linewidth=0)
    _in_ell(axis, trusted_ell)
    axis.set(ylabel="power / as in the book", ylim=(0.5, 1.6))
    if ratios or means:
        axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def independent_maps(ell: Curve, worth: Curve, *, made: float) -> Figure:
    """How many independent maps a box is worth at each ell, and how many were made from it."""
    figure, axis = plt.subplots(figsize=(5.4, 3.0))
    axis.plot(ell, worth, marker="o")
    axis.axhline(made, color="black", linestyle="--", linewidth=0.8)
    _in_ell(axis)
    axis.set(ylabel="independent maps in a box", ylim=(0, None))
    return figure
