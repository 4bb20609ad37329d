"""Maps of kappa with what they were made of: the dataset that every page reads."""

from collections.abc import Callable
from typing import Any

import jax
import xarray as xr

from wlbook.common.progress import progress
from wlbook.common.threads import two_at_a_time
from wlbook.simulation import fits_maps
from wlbook.simulation.boxes import simulate_box, specifications
from wlbook.simulation.fits_maps import from_fits

_SMALL = 96  # particles a side of boxes whose steps are too short for two cores


def make(
    *,
    source: str = "simulate",
    n_models: int = 24,
    n_maps: int = 64,
    n_fiducial: int = 4,
    side: float = 3.5,
    pixels: int = 64,
    box: float = 240.0,
    particles: int = 64,
    steps: int = 12,
    source_redshift: float | list[float] = 1.0,
    seed: int = 1,
    sources: str = "plane",
    method: str = "multi-plane",
    a_ia: float = 0.0,
    eta: float = 0.0,
    design: str = "paper-a",
    n_second: int = 0,
    bad_files: str = "refuse",
    call: Callable[..., Any] | None = None,
) -> xr.Dataset:
    """The book's maps: simulate every box, or fetch it, and put them together.

    Args:
        source: "simulate", or a folder for `from_fits`: then `pixels` and `n_maps` say what to take from it, and all
            that is about simulations has no effect.
        n_models, n_maps, n_fiducial, side, pixels: as in `specifications`, like all that follow.
        box, particles, steps, source_redshift, seed, sources, method, a_ia, eta, design, n_second: of the simulations.
        bad_files: "refuse" or "skip" a file of a folder that cannot be used.
        call: calls `simulate_box` with the arguments of one box; `Store.make` keeps what it returns.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), and omega_m, sigma_8, model, seed and split (map).

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if source != "simulate":
        there = fits_maps.listing(source)
        reading = {"folder": str(source), "pixels": pixels, "n_maps": n_maps, "bad": bad_files, "listing": there}
        return from_fits(**reading) if call is None else call(from_fits, **reading)
    boxes = specifications(
        n_models=n_models,
        n_maps=n_maps,
        n_fiducial=n_fiducial,
        side=side,
        pixels=pixels,
        box=box,
        particles=particles,
        steps=steps,
        source_redshift=source_redshift,
        seed=seed,
        sources=sources,
        method=method,
        a_ia=a_ia,
        eta=eta,
        design=design,
        n_second=n_second,
    )

    def make_box(one: dict[str, Any]) -> xr.Dataset:
        return simulate_box(**one) if call is None else call(simulate_box, **one)

    small = particles <= _SMALL and jax.default_backend() == "cpu"
    each = two_at_a_time(make_box, boxes) if small else map(make_box, boxes)
    made = list(progress(each, "simulating", total=len(boxes), unit="box"))
    return xr.concat(made, dim="map", combine_attrs="override", data_vars="all")
