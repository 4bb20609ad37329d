"""What one page makes and others use, and the store that keeps it: only this module and `experiments` know both.

A page that calls these gets what the store holds under the parameters of this run, and makes what is missing: so every
page also runs alone.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import xarray as xr
from jaxtyping import Num

from wlbook.common import checks, extras
from wlbook.common.progress import progress
from wlbook.common.threads import two_at_a_time
from wlbook.degradation import grammar
from wlbook.network import training
from wlbook.network.architectures import Architecture
from wlbook.network.configuration import Training
from wlbook.network.estimators import Estimator, without_history
from wlbook.runner import chapters, contents
from wlbook.runner.cache_keys import key_of
from wlbook.runner.environment import repository, tell_runner
from wlbook.runner.store import Store
from wlbook.simulation import boxes, map_tables, memory, redshift_tables
from wlbook.simulation import maps as simulated
from wlbook.simulation.boxes import Box, Universe
from wlbook.simulation.map_files import Reading, read_maps
from wlbook.simulation.survey import Survey
from wlbook.statistics import vectors
from wlbook.statistics.vectors import Bins

Name = TypeVar("Name")


def together(
    store: Store,
    function: Callable[..., Any],
    wanted: Mapping[Name, Mapping[str, Any]],
    *,
    then: Callable[[Any], Any] = lambda result: result,
    **common: Any,
) -> dict[Name, Any]:
    """Results of one function for several inputs, by name; what the store lacks is made, two at a time.

    `wanted` has the inputs by the name of the result, `common` those that all share unless it says otherwise. `then` is
    what is taken of each result; the rest of it leaves memory before the next but one is made.
    """
    made = two_at_a_time(lambda inputs: then(store.make(function, **{**common, **inputs})), wanted.values())
    return dict(zip(wanted, made, strict=True))


# Chapter 1: maps


def _fields(kind: type, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a page's parameters that are fields of a dataclass."""
    return {field.name: parameters[field.name] for field in dataclasses.fields(kind) if field.name in parameters}


def box(parameters: Mapping[str, Any]) -> Box:
    """The box that chapter 1's parameters describe."""
    galaxies = redshift_tables.named(*(parameters[name] for name in ("sources", "source_redshift", "nz")))
    return Box(**{**_fields(Box, parameters), "sources": galaxies})


def universes(parameters: Mapping[str, Any]) -> list[Universe]:
    """The universes that chapter 1's parameters ask for."""
    names = ("n_models", "n_fiducial", "seed", "design", "n_second")
    return boxes.universes(box(parameters), **{name: parameters[name] for name in names})


def maps(store: Store) -> xr.Dataset:
    """Chapter 1's maps [map, bin, y, x], simulated or fetched as that chapter does in this run."""
    chosen = chapters.parameters("01_data")
    if chosen["source"] != "simulate":
        told = {name: chosen[name] for name in ("axes", "labels", "source_redshift", "noise")}
        reading = Reading(side=chosen["source_side"] or None, **told)
        files = map_tables.files(Path(chosen["source"]), chosen["labels"])
        for path in files:
            if not path.is_relative_to(chosen["source"]):
                tell_runner({"needs": str(path)})
        part = {"pixels": chosen["pixels"], "n_maps": chosen["n_maps"], "bad": chosen["bad_files"]}
        content = contents.digest(files, repository())
        return store.make(read_maps, source=chosen["source"], reading=reading, **part, content=content)
    return simulated.simulate(box(chosen), universes(chosen), call=store.make)


class Simulation(NamedTuple):
    """One box of chapter 1 as the store knows it: the inputs of its making, and the size of its maps [bytes]."""

    inputs: dict[str, Any]
    size: int


def simulations(parameters: Mapping[str, Any]) -> list[Simulation]:
    """All boxes that chapter 1's parameters ask for."""
    chosen = box(parameters)
    size = boxes.disk_need(chosen)
    return [Simulation({"box": chosen, "universe": universe}, size) for universe in universes(parameters)]


def simulation_key(store: Store, simulation: Simulation) -> str:
    """Under which key the store keeps a box."""
    return key_of(store.describe(boxes.simulate_box, **simulation.inputs))


def fill(store: Store, wanted: Sequence[Simulation]) -> None:
    """Simulate boxes that the store lacks, one after the other, under a bar."""
    memory.reuse()
    for one in progress(wanted, "simulating", total=len(wanted), unit="box"):
        store.make(boxes.simulate_box, **one.inputs)


def coarser_maps(store: Store) -> xr.Dataset | None:
    """Maps of chapter 1's first fiducial box with half as many particles a side: the same waves, worse resolved.

    None if that chapter's maps were not simulated here, or with fewer than 32 particles a side.
    """
    parameters = chapters.parameters("01_data")
    particles = parameters["particles"] // 4 * 2
    if parameters["source"] != "simulate" or particles < 16:
        return None
    coarse = dataclasses.replace(box(parameters), particles=particles)
    fiducial = [one for one in universes(parameters) if one.split == "fiducial"]
    return simulated.simulate(coarse, fiducial[:1], call=store.make)


# Chapter 3: networks


def recipe(data: xr.Dataset) -> dict[str, Any]:
    """How chapter 3 trains on these maps: architecture, survey, training and seed, as `training.fit` takes them."""
    parameters = chapters.parameters("03_network")
    extras.load(parameters["extra"])
    return {
        "architecture": Architecture(parameters["architecture"], {"width": parameters["width"]}),
        "survey": Survey.of(data, *(parameters[name] for name in ("n_gal", "sigma_e", "smoothing"))),
        "training": Training(**_fields(Training, parameters)),
        "seed": parameters["seed"],
    }


def network(store: Store, data: xr.Dataset, **changes: Any) -> Estimator:
    """Chapter 3's network, trained on `data` with that chapter's parameters in this run, but for `changes`.

    These are arguments of `training.fit`, such as `survey` or `seed`. It comes without its history, so that what asks
    networks of a kind is compiled once.
    """
    return without_history(store.make(training.fit, data=data, **{**recipe(data), **changes}))


def networks(store: Store, data: xr.Dataset, wanted: Mapping[Name, Mapping[str, Any]]) -> dict[Name, Estimator]:
    """Several networks by name, each with its own changes to chapter 3's recipe, as in `network`."""
    return together(store, training.fit, wanted, then=without_history, data=data, **recipe(data))


def noiseless(data: xr.Dataset) -> dict[str, Any]:
    """What chapter 3 changes of its recipe in this run for networks on noiseless maps: `survey` and `training`."""
    common, steps = recipe(data), chapters.parameters("03_network")["noiseless_steps"]
    return {
        "survey": dataclasses.replace(common["survey"], sigma_e=0.0),
        "training": dataclasses.replace(common["training"], steps=steps),
    }


def small(data: xr.Dataset) -> dict[str, Any]:
    """What chapter 3 changes of its recipe in this run for its small networks: `training`, on pixels twice as wide."""
    steps = chapters.parameters("03_network")["small_steps"]
    return {"training": dataclasses.replace(recipe(data)["training"], steps=steps, coarsen=2)}


def gaussian(data: xr.Dataset) -> Callable[..., Any]:
    """The degradation that turns observed maps into Gaussian fields with their spectra.

    A network trained under it is the null: every map's phases are drawn anew at every step, so nothing but its power
    spectrum can be learnt. Ask it through the degradation too, or show it what the other network sees and compare.
    """
    return grammar.parse("randomize_phases", side=float(data.attrs["side"]))


# Chapter 6: statistics and networks on the same maps

#: Kinds of chapter 3's networks: as it trains them, its small ones, a small one for Gaussian fields, noiseless ones.
KINDS = ("network", "small", "null network", "noiseless")


def of_chapter_3(
    store: Store, data: xr.Dataset, kind: str = "network", *, survey: Survey | None = None
) -> dict[str, Estimator]:
    """Chapter 3's networks of one kind, which differ by their seed only.

    The kind is one of `KINDS`; `survey` is what they are taught with, unless they are noiseless, by default as in
    chapter 3. Names are "network" and, if that chapter trains several, "network 2" and so on (for "noiseless" too);
    "small 0" and "small 1"; "null network".
    """
    checks.one_of("kind", kind, KINDS)
    several = ["network", *(f"network {n}" for n in range(2, chapters.parameters("03_network")["n_seeds"] + 1))]
    names, changes = {
        "network": (several, {}),
        "small": (["small 0", "small 1"], small(data)),
        "null network": (["null network"], {**small(data), "transform": gaussian(data)}),
        "noiseless": (several, noiseless(data)),
    }[kind]
    common = recipe(data)
    changes = {"survey": survey or common["survey"], **changes}
    wanted = {name: {**changes, "seed": common["seed"] + number} for number, name in enumerate(names)}
    return together(store, training.fit, wanted, data=data, **common)


def measured(
    store: Store,
    kappa: Num[np.ndarray, "map bin y x"],
    survey: Survey,
    bins: Bins,
    *,
    side: float,
    seed: int,
    names: Sequence[str],
    networks: Mapping[str, tuple[Estimator, Survey]],
    copies: int = 8,
) -> dict[str, np.ndarray]:
    """Vectors [map, d] of the statistics and the networks' answers, all from the same noisy maps.

    The logarithm is taken of the power spectrum, whose bins scatter in proportion to their size.

    Maps are noiseless, their side is in degrees; survey, bins (from `statistics.binning`) and names are the
    statistics'. Each network comes with the survey that it sees maps with: the same noise, perhaps another smoothing;
    it is asked about so many dihedral copies.
    """
    shown = {"kappa": kappa, "side": side, "seed": seed}
    found = dict(store.make(vectors.measure, **shown, survey=survey, bins=bins, names=list(names)))
    if "power spectrum" in found:
        found["power spectrum"] = np.log(found["power spectrum"])
    for name, (network, seen_with) in networks.items():
        found[name] = store.make(training.predictions, trained=network, survey=seen_with, copies=copies, **shown)
    return found
