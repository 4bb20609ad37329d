"""What one page makes and others use: the maps of chapter 1 and the network of chapter 3.

A page that calls these gets what the store holds under the parameters of this run, and makes what is missing: so every
page also runs alone.
"""

import inspect
from collections.abc import Callable
from typing import Any

import xarray as xr

from wlbook import chapters, degradation, training
from wlbook import maps as wl_maps
from wlbook.store import Store
from wlbook.training import Trained


def _accepted_by(function, values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in inspect.signature(function).parameters if name in values}


def maps(store: Store) -> xr.Dataset:
    """Chapter 1's maps [map, bin, y, x], under the parameters that chapter has in this run."""
    return wl_maps.make(**_accepted_by(wl_maps.make, chapters.parameters("01_data")), call=store.make)


def network(store: Store, data: xr.Dataset, **changes: Any) -> Trained:
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


def null_network(store: Store, data: xr.Dataset, **changes: Any) -> Trained:
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
    return degradation.parse("randomize_phases", side=float(data.attrs["side"]))


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
    wanted = wl_maps.specifications(**_accepted_by(wl_maps.specifications, parameters))
    wanted = [one | {"particles": particles} for one in wanted if one["split"] == "fiducial"]
    made = [store.make(wl_maps.simulate_box, **one) for one in wanted[:boxes]]
    return xr.concat(made, dim="map", combine_attrs="override", data_vars="all")
