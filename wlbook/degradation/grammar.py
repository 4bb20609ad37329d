"""Compositions of degradations, and functions from their short names (`wlbook.common.degradation_names`)."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from wlbook.common import degradation_names, extras
from wlbook.common.degradation_steps import Amount, Step
from wlbook.degradation.arguments import AnyMaps, Maps, Real, check_positive
from wlbook.degradation.bins import add_noise, coarsen, mask_holes, single_bin, sum_bins
from wlbook.degradation.composition import one_after_another
from wlbook.degradation.filters import band_stop, ell_from_length, high_pass, low_pass
from wlbook.degradation.randomisation import randomize_phases, shuffle_pixels
from wlbook.degradation.thresholds import gaussianize, keep_kappa, remove_kappa


def degrade(kappa: Maps, *, spec: str, side: Real, redshifts: Sequence[Real] = (), key: Key[Array, ""]) -> AnyMaps:
    """Apply the degradations that a specification names (see `parse`) from left to right, each with its own key."""
    return parse(spec, side=side, redshifts=redshifts)(kappa, key=key)


def parse(spec: str, *, side: Real, redshifts: Sequence[Real] = ()) -> functools.partial[AnyMaps]:
    """Turn a specification into a degradation, called as `f(kappa, key=key)`.

    For example "low_pass:20arcmin", "high_pass:10Mpc/h@0.5", "remove_kappa:3:inf:histogram",
    "low_pass:1000+shuffle_pixels"; the whole grammar stands in `wlbook.common.degradation_names.read`. The result is a
    partial of partials whose arguments are plain text, numbers and arrays, so the store can name it.

    The side is that of the map along x [deg], > 0; redshifts are those of each bin's lenses (`lens_redshifts`), for
    comoving scales that name none.
    """
    check_positive("side", side, "deg")
    steps = [_function(step, spec, side, redshifts) for step in degradation_names.read(spec)]
    return functools.partial(one_after_another, spec=spec.replace(" ", ""), steps=steps)


_CALLS: tuple[Any, ...] = (
    low_pass, high_pass, band_stop, keep_kappa, remove_kappa, gaussianize, shuffle_pixels, randomize_phases,
    sum_bins, single_bin, coarsen, add_noise, mask_holes,
)  # fmt: skip
_BY_NAME: dict[str, Callable[..., Any]] = {function.__name__: function for function in _CALLS}
assert _BY_NAME.keys() == degradation_names.NAMES.keys()


def _function(step: Step, spec: str, side: Real, redshifts: Sequence[Real]) -> functools.partial[AnyMaps]:
    """One step of a specification, but for the maps and the key."""
    function = {**_BY_NAME, **extras.of("degradation", _BY_NAME)}[step.name]
    needs = list(inspect.signature(function).parameters)
    values = [_value(amount, spec, redshifts) for amount in step.amounts]
    keywords: dict[str, Any] = dict(zip(needs[1:], values, strict=False))
    if "side" in needs:
        keywords["side"] = side
    if step.option:
        keywords[degradation_names.NAMES[step.name].option] = step.option
    if step.name in ("keep_kappa", "remove_kappa") and any(amount.unit == "kappa" for amount in step.amounts):
        keywords["units"] = "kappa"
    if step.name == "band_stop" and not np.all(np.asarray(values[0]) < np.asarray(values[1])):
        raise degradation_names.bad(spec, "the range of band_stop must rise")
    return functools.partial(function, **keywords)


def _value(amount: Amount, spec: str, redshifts: Sequence[Real]) -> Any:
    """The number, or for a comoving wavelength in several bins its multipole in each [bin, 1, 1]."""
    if amount.unit != "Mpc/h":
        return amount.value
    seen = amount.redshifts or tuple(redshifts)
    if not seen:
        raise degradation_names.bad(spec, f"{amount.value:g}Mpc/h must name a redshift: {amount.value:g}Mpc/h@0.5")
    ells = [ell_from_length(amount.value, redshift) for redshift in seen]
    return ells[0] if len(ells) == 1 else np.array(ells)[:, None, None]
