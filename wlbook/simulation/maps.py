"""Maps of kappa with what they were made of: the dataset that every page reads."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import xarray as xr

from wlbook.common.progress import progress
from wlbook.common.threads import two_at_a_time
from wlbook.simulation.boxes import Box, Universe, simulate_box

_SMALL = 96  # particles a side of boxes whose steps are too short for two cores


def _plainly(function: Callable[..., Any], **inputs: Any) -> Any:
    return function(**inputs)


def simulate(box: Box, universes: Sequence[Universe], *, call: Callable[..., Any] = _plainly) -> xr.Dataset:
    """Simulate a box in each universe and put the maps together, as `dataset.labelled`; `Store.make` may be `call`."""

    def make(universe: Universe) -> xr.Dataset:
        return call(simulate_box, box=box, universe=universe)

    small = box.particles <= _SMALL and jax.default_backend() == "cpu"
    each = two_at_a_time(make, universes) if small else map(make, universes)
    made = list(progress(each, "simulating", total=len(universes), unit="box"))
    return xr.concat(made, dim="map", combine_attrs="override", data_vars="all")
