"""What one page makes and others use, and the store that keeps it: the only module that knows both.

A page that calls these gets what the store holds under the parameters of this run, and makes what is missing: so every
page also runs alone.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Num

from wlbook.degradation import grammar
from wlbook.network import training
from wlbook.network.estimators import Estimator
from wlbook.runner import chapters
from wlbook.runner.cache_keys import key_of
from wlbook.runner.store import Store
from wlbook.simulation.boxes import simulate_box, specifications
from wlbook.simulation.maps import make
from wlbook.statistics import vectors


def _accepted_by(function, values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in inspect.signature(function).parameters if name in values}


def maps(store: Store) -> xr.Dataset:
    """Chapter 1's maps [map, bin, y, x], under the parameters that chapter has in this run."""
    return make(**_accepted_by(make, chapters.parameters("01_data")), call=store.make)


def network(store: Store, data: xr.Dataset, **changes: Any) -> Estimator:
    """Chapter 3's network, trained on `data` with that chapter's parameters in this run, but for `changes`.

    Args:
        store: where the trained network is kept.
        data: the maps, from `maps`.
        changes: parameters of `training.fit` that differ from chapter 3's, such as `n_gal`.

    Raises:
        TypeError: a change that `training.fit` does not know.
    """
    settings = _accepted_by(training.fit, chapters.parameters("03_network")) | changes
    return store.make(training.fit, data=data, **settings)


def null_network(store: Store, data: xr.Dataset, **changes: Any) -> Estimator:
    """The null: chapter 3's network, trained on Gaussian fields with the spectra of `data`, noise included.

    Every map's phases are drawn anew at every step, so nothing but its power spectrum can be learnt. Ask it through
    `gaussian` too, or show it what the other network sees and compare.

    Args:
        store: where the trained network is kept.
        data: the maps, from `maps`.
        changes: as in `network`.
    """
    return network(store, data, **{"transform": gaussian(data)} | changes)


def gaussian(data: xr.Dataset) -> Callable[..., Any]:
    """The degradation that turns observed maps into Gaussian fields with their spectra."""
    return grammar.parse("randomize_phases", side=float(data.attrs["side"]))


def coarser_maps(store: Store, *, boxes: int = 1) -> xr.Dataset | None:
    """The first fiducial boxes of chapter 1 with half as many particles a side: the same waves, worse resolved.

    Args:
        store: where the maps are kept.
        boxes: how many.

    Returns:
        Their maps in the order of chapter 1; None if that chapter's maps were not simulated here, or with fewer than 32
        particles a side.
    """
    parameters = chapters.parameters("01_data")
    particles = parameters["particles"] // 4 * 2
    if parameters["source"] != "simulate" or particles < 16:
        return None
    wanted = specifications(**_accepted_by(specifications, parameters))
    wanted = [one | {"particles": particles} for one in wanted if one["split"] == "fiducial"]
    made = [store.make(simulate_box, **one) for one in wanted[:boxes]]
    return xr.concat(made, dim="map", combine_attrs="override", data_vars="all")


class Work(NamedTuple):
    """A training that is wanted: its function, its inputs, and how many steps it takes."""

    function: Callable[..., Any]
    inputs: dict[str, Any]
    steps: int


def seconds(store: Store, work: Work) -> float | None:
    """What a training cost when it was made [s]; None if the store does not hold it."""
    described = store.describe(work.function, **work.inputs)
    found = store.manifest(described["stage"], key_of(described))
    return None if found is None else float(found["seconds"])


def training_cost(store: Store, wanted: Sequence[Work], step: Callable[[], float], *, side_by_side: int = 1) -> str:
    """How long the trainings that the store does not hold will take, in one line.

    Args:
        store: where results are kept.
        wanted: all trainings.
        step: measures the seconds of a step; called only if there is something to train.
        side_by_side: trainings at a time; two on one machine share its cores, so that is worth a third.
    """
    missing = [work for work in wanted if seconds(store, work) is None]
    if not missing:
        return f"All {len(wanted)} trainings are in the store."
    each, steps = step(), sum(work.steps for work in missing)
    gain = 1.3 if side_by_side > 1 else 1.0
    return (
        f"{len(missing)} of {len(wanted)} trainings to do: {steps} steps of {1e3 * each:.0f} ms, "
        f"about {each * steps / gain + 3 * len(missing):.0f} s."
    )


def measured(
    store: Store,
    kappa: Num[np.ndarray, "map bin y x"],
    *,
    look: Mapping[str, Any],
    smoothing: Any,
    bins: Mapping[str, Any],
    names: Sequence[str],
    networks: Mapping[str, Any],
    network_smoothing: Any,
    seed: int,
    copies: int = 8,
) -> dict[str, np.ndarray]:
    """Vectors [map, d] of the statistics and the networks' answers, all from the same noisy maps.

    The logarithm is taken of the power spectrum, whose bins scatter in proportion to their size.

    Args:
        store: where they are kept.
        kappa: noiseless maps.
        look: `side`, `n_gal` and `sigma_e` of the survey.
        smoothing: of the maps that statistics are measured on [arcmin].
        bins: from `statistics.binning`.
        names: of the statistics.
        networks: by name.
        network_smoothing: of the maps that networks look at [arcmin].
        seed: of the noise.
        copies: dihedral copies that a network is asked about.
    """
    shown = {"kappa": kappa, "seed": seed, **look}
    found = dict(store.make(vectors.measure, **shown, smoothing=smoothing, names=list(names), **bins))
    if "power spectrum" in found:
        found["power spectrum"] = np.log(found["power spectrum"])
    for name, network in networks.items():
        asked = {"trained": network, "smoothing": network_smoothing, "copies": copies}
        found[name] = store.make(training.predictions, **shown, **asked)
    return found
