"""Figures of chapter 6: coverage, posteriors beside each other, convergence with the number of simulations."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wlbook.figures.style import COLORS, PALETTE, contours, row_axis
from wlbook.inference.constraints import NullTest, binomial_error
from wlbook.inference.credible_regions import credible_level
from wlbook.inference.emulator import Emulator
from wlbook.inference.vectors import Point


def emulator_figure(emulators: Mapping[str, Emulator], n_fields: float) -> Figure:
    """Leave-one-out error of every bin's emulated mean, in units of the scatter of a survey of so many fields."""
    figure, axis = plt.subplots()
    start = 0
    for name, emulator in emulators.items():
        error = np.sqrt((emulator.leave_one_out() ** 2).mean("model") * n_fields)
        place = start + np.arange(error.size)
        axis.plot(place, error, "o-", markersize=4, color=COLORS.get(name), label=name)
        start += error.size
    axis.axhline(1, color="0.7", linewidth=0.8)
    axis.set(xlabel="bin", ylabel="error / scatter of the survey", ylim=(0, None))
    axis.legend(fontsize="small")
    return figure


def regions(posteriors: Mapping[str, xr.DataArray], panels: Sequence[Sequence[str]], *, truth: Point) -> Figure:
    """68 % and 95 % regions of posteriors, some rows in each panel, and the truth."""
    figure, axes = plt.subplots(1, len(panels), figsize=(7.6, 3.8), sharey=True)
    for axis, shown in zip(axes, panels, strict=True):
        opinions(axis, {row: posteriors[row] for row in shown}, truth=truth)
        axis.label_outer()
    return figure


def coverage_figure(shares: Mapping[str, Mapping[str, np.ndarray]], level: float = 0.68) -> Figure:
    """Share of regions that hold the truth for each row, with binomial errors, around the nominal one."""
    figure, axis = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(shares)))
    axis.axvline(level, color="0.5", linewidth=1)
    kinds = (("surveys", "o", 0), ("maps", "s", 5), ("ideal", "D", 6))
    labels = {"surveys": "mock surveys", "maps": "single maps", "ideal": "mock surveys drawn from the emulator"}
    for place, kept in enumerate(shares.values()):
        for (kind, marker, color), shift in zip(kinds, (-0.2, 0.0, 0.2), strict=True):
            values = kept[kind] < level
            style = {"color": PALETTE[color], "capsize": 2, "mfc": "white" if kind == "ideal" else None}
            style |= {"fmt": marker, "markersize": 5, "label": None if place else labels[kind]}
            axis.errorbar(values.mean(), place + shift, xerr=3 * binomial_error(len(values), level), **style)
    row_axis(axis, shares, xlabel=f"share of {level:.0%} regions that hold the truth", xlim=(0.2, 1.0))
    axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.4, 1.25), ncols=3)
    return figure


def null_figure(null: NullTest) -> Figure:
    """Areas on Gaussian fields over the exact one, with two standard errors."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    bars = 2 * np.array(list(null.error.values()))
    axis.errorbar(list(null.over.values()), range(len(bars)), xerr=bars, fmt="o")
    axis.axvline(1, color="0.5", linewidth=1)
    row_axis(axis, null.over, xlabel="68 % area / exact area", xlim=(0, None))
    return figure


def opinions(axis: Axes, posteriors: Mapping[str, xr.DataArray], *, truth: Point) -> None:
    """68 % and 95 % regions of posteriors that each have a grid of their own, and the truth."""
    levels = {row: [credible_level(one, share) for share in (0.68, 0.95)] for row, one in posteriors.items()}
    contours(axis, posteriors, levels=levels, truth=truth)


def choices_figure(by_choice: Mapping[str, Mapping[str, float]]) -> None:
    """68 % areas of every row, a marker for each choice."""
    _, axis = plt.subplots(figsize=(6.8, 3.8))
    for number, (name, kept) in enumerate(by_choice.items()):
        place = np.arange(len(kept)) + 0.14 * (number - (len(by_choice) - 1) / 2)
        axis.plot(1e3 * np.array(list(kept.values())), place, "osD^v"[number % 5], markersize=5, label=name)
    row_axis(axis, kept, xlabel="68 % area [1e-3]", xlim=(0, None))
    axis.legend(fontsize="small", loc="lower right")


def convergence_figure(fewer: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> Figure:
    """68 % areas against the number of maps a model, and of models, from `smaller`."""
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.0), sharey=True)
    for axis, kept, label in zip(panels, fewer.values(), ("maps a model", "models"), strict=True):
        for row, pairs in kept.items():
            numbers, values = np.array(pairs).T
            axis.plot(numbers, 1e3 * values, "o-", color=COLORS.get(row), label=row)
        axis.set(xlabel=label, ylim=(0, None))
    panels[0].set_ylabel("68 % area [1e-3]")
    panels[0].legend(fontsize="small")
    return figure
