"""Figures of the degradation chapter: what is left, by degradation, by scale and by height."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from wlbook.figures.style import PALETTE, curve_with_band, ell_axis
from wlbook.inference.figure_of_merit import Remaining, slope

LABELS = ("figure of merit", r"precision of $S_8$")
_STYLE = {
    "retrained": {"fmt": "o", "color": PALETTE[1]},
    "amortised": {"fmt": "s", "color": PALETTE[0]},
    "tuned": {"fmt": "D", "color": PALETTE[2]},
    "spectra twin": {"fmt": "^", "color": PALETTE[4]},
    "histogram twin": {"fmt": "v", "color": PALETTE[3]},
}


def spectra(power: Mapping[str, Float[np.ndarray, " bin"]], ell_edges: Sequence[float], *, trusted: float) -> Figure:
    """Power spectra of degraded maps [sr], the reference ("none") behind them; a line where trust ends in ell."""
    figure, axis = plt.subplots()
    middle, reference = np.sqrt(np.multiply(ell_edges[1:], ell_edges[:-1])), power["none"]
    axis.loglog(middle, reference, color="0.75", linewidth=7, label="reference")
    for number, spec in enumerate(spec for spec in power if spec != "none"):
        kept = np.where(power[spec] > 1e-4 * reference, power[spec], np.nan)
        marker, line = "osD^vP*X"[number % 8], ("-", "--", "-.", ":")[number % 4]
        axis.loglog(middle, kept, marker=marker, linestyle=line, markersize=5, label=named(spec))
    axis.axvline(trusted, color="k", linestyle=":", linewidth=1)
    axis.set_xticks([200, 500, 1000], ["200", "500", "1000"])
    axis.minorticks_off()
    axis.set(xlabel=r"multipole $\ell$", ylabel=r"$C_\ell$ [sr]", ylim=(0.05 * reference.min(), None))
    axis.legend(fontsize="small")
    return figure


def merits(
    left: Mapping[str, Mapping[str, Remaining]], order: Sequence[str], scatter: Float[np.ndarray, " merit"]
) -> Figure:
    """What is left under each degradation, by each way of getting the answer; open where a region ends at the design.

    The `order` of degradations is from above; shaded is the `scatter` of each log merit between two trainings.
    """
    figure, axes = _ways(left, {spec: named(spec) for spec in order}, 1.6 + 0.5 * len(order), 0.3, 0.15)
    for axis, far in zip(axes, scatter, strict=True):
        axis.axvspan(np.exp(-far), np.exp(far), color="0.92")
        axis.set_xlim(0, min(axis.get_xlim()[1], 3))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(left), fontsize="small")
    return figure


def _ways(
    left: Mapping[str, Mapping[str, Remaining]], names: Mapping[str, str], tall: float, top: float, step: float
) -> tuple[Figure, Any]:
    """Both merits in a row for each degradation: a point for each way, its networks as ticks below."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, tall), sharey=True)
    for merit, axis in enumerate(axes):
        axis.axvline(1, color="0.4", linewidth=1)
        axis.set_xlabel(f"{LABELS[merit]}, relative to the reference")
        for place, (way, cases) in enumerate(left.items()):
            style = {"capsize": 2, **_STYLE[way]}
            axis.errorbar([], [], label=way, **style)
            for row, spec in enumerate(list(names)[::-1]):
                if spec in cases:
                    one, height = cases[spec], row + top - step * place
                    fill = "white" if merit == 0 and one.limited else style["color"]
                    axis.errorbar(one.value[merit], height, xerr=one.error[merit], ms=4.5, mfc=fill, **style)
                    networks = one.networks[:, merit]
                    axis.plot(networks, np.full(len(networks), height - 0.07), "|", color=style["color"], ms=4)
    axes[0].set_yticks(range(len(names)), list(names.values())[::-1])
    return figure, axes


def below(one: Remaining) -> str:
    """Two lines to stand below a map: both merits that are left, with errors if there are any."""
    pairs = zip(one.value, one.error, strict=True)
    area, precision = (f"{value:.2f}" + f" ± {error:.2f}" * bool(error) for value, error in pairs)
    return f"merit {area}\nprecision of $S_8$ {precision}"


def named(spec: str) -> str:
    """A degradation as a reader reads it."""
    return spec.replace("none", "reference").replace("_", " ")


def scales(
    curves: Mapping[str, tuple[Sequence[float], Sequence[Remaining]]],
    checks: Mapping[str, tuple[Sequence[float], Sequence[Remaining]]],
    *,
    length: float,
    nonlinear: float,
    trusted: float,
) -> Figure:
    """Information against the cut, and its derivative in ln(ell): both merits, low-pass and high-pass.

    Curves and checks are cuts and what is left there by name, from the amortised network and from retrained ones;
    `length` is the comoving wavelength of ell = 1 at the lenses [Mpc/h]; structures are non-linear from one ell on, and
    maps trusted up to another.
    """
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 5.6), sharex=True)
    for row, label in enumerate(LABELS):
        left, right = axes[row]
        for number, (name, (cuts, found)) in enumerate(curves.items()):
            values, errors = np.transpose([(one.value[row], one.error[row]) for one in found])
            color = PALETTE[number]
            curve_with_band(left, cuts, values, errors, marker="osD"[number], ms=4, color=color, label=name)
            middle, change = slope(cuts, values.tolist())
            size = np.hypot(errors[1:], errors[:-1]) / np.diff(np.log(np.asarray(cuts)))
            sign = 1 if name.startswith("low") else -1  # a high pass gains as its cut falls
            right.errorbar(middle, sign * change, size, fmt=f"{'osD'[number]}-", ms=4, capsize=2, color=color)
            if name in checks:
                at, seen = checks[name]
                style = {"fmt": "o", "mfc": "white", "ms": 8, "color": color, "capsize": 3}
                points = [one.value[row] for one in seen], [one.error[row] for one in seen]
                left.errorbar(at, *points, label=f"{name}, retrained", **style)
        left.set_ylabel(f"{label}\nleft")
        right.set_ylabel("gained per e-fold")
        left.axhline(1, color="0.6", linewidth=1)
        right.axhline(0, color="0.6", linewidth=1)
        left.set_ylim(0, min(left.get_ylim()[1], 2.5))
    for axis in axes.flat:
        axis.set_xscale("log")
        axis.axvline(nonlinear, color="k", linestyle="--", linewidth=1)
        axis.axvline(trusted, color="k", linestyle=":", linewidth=1)
    for axis in axes[0]:
        above = axis.secondary_xaxis("top", functions=(lambda ell: length / np.maximum(ell, 1e-3),) * 2)
        above.set_xlabel("wavelength at the lenses [Mpc/h]")
        ell_axis(above, (2, 5, 10, 20, 50))
    for axis in axes[1]:
        axis.set_xlabel(r"cut in $\ell$")
        ell_axis(axis)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure


def heights(found: Mapping[str, Mapping[str, Remaining]], names: Mapping[str, str]) -> Figure:
    """What low, middle and high kappa hold, alone and in pairs: `names` says which heights a degradation keeps."""
    figure, axes = _ways(found, names, 3.0, 0.12, 0.24)
    plt.setp(axes, xlim=(0, None))
    axes[1].legend(fontsize="small")
    return figure


def attribution(ranges: Sequence[str], shares: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Several shares for each range of kappa, with their errors, side by side."""
    figure, axis = plt.subplots(figsize=(7.0, 3.4))
    place, width = np.arange(len(ranges)), 0.8 / len(shares)
    for number, (name, (values, errors)) in enumerate(shares.items()):
        offset = width * (number - (len(shares) - 1) / 2)
        color = "0.8" if number == 0 else PALETTE[number]
        axis.bar(place + offset, np.asarray(values), width, yerr=np.asarray(errors), capsize=3, color=color, label=name)
    axis.axhline(0, color="0.4", linewidth=1)
    axis.set_xticks(place, ranges)
    axis.set_ylabel("share, or part of the precision")
    axis.legend(fontsize="small", loc="best")
    return figure
