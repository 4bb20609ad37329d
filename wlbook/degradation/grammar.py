"""Compositions of degradations, and functions from their short names (`wlbook.common.degradation_names`)."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from wlbook.common import degradation_names, extras
from wlbook.common.degradation_names import Amount, Step
from wlbook.degradation.arguments import AnyMaps, Degradation, Maps, Real, check_positive
from wlbook.degradation.bins import add_noise, coarsen, mask_holes, single_bin, sum_bins
from wlbook.degradation.filters import band_stop, ell_from_length, high_pass, low_pass
from wlbook.degradation.randomisation import randomize_phases, shuffle_pixels
from wlbook.degradation.thresholds import gaussianize, keep_kappa, remove_kappa


def degrade(kappa: Maps, *, spec: str, side: Real, redshifts: Sequence[Real] = (), key: Key[Array, ""]) -> AnyMaps:
    """Apply the degradations that a specification names (see `parse`) from left to right, each with its own key."""
    steps = [_function(step, spec, side, redshifts) for step in degradation_names.read(spec)]
    for index, function in enumerate(steps):
        kappa = function(kappa, key=jax.random.fold_in(key, index))
    return kappa


def parse(spec: str, *, side: Real, redshifts: Sequence[Real] = ()) -> functools.partial[AnyMaps]:
    """Turn a specification into a degradation, called as `f(kappa, key=key)`.

    For example "low_pass:20arcmin", "high_pass:10Mpc/h@0.5", "remove_kappa:3:inf:histogram",
    "low_pass:1000+shuffle_pixels"; the whole grammar stands in `wlbook.common.degradation_names.read`. The result is a
    partial of `degrade` whose arguments are plain text and numbers, so the store can name it.

    The side is that of the map along x [deg], > 0; redshifts are those of each bin's lenses (`lens_redshifts`), for
    comoving scales that name none.
    """
    check_positive("side", side, "deg")
    for step in degradation_names.read(spec):
        _function(step, spec, side, redshifts)
    comoving = {"redshifts": [float(z) for z in redshifts]} if "Mpc/h" in spec and redshifts else {}
    return functools.partial(degrade, spec=spec.replace(" ", ""), side=side, **comoving)


_CALLS: tuple[Any, ...] = (
    low_pass, high_pass, band_stop, keep_kappa, remove_kappa, gaussianize, shuffle_pixels, randomize_phases,
    sum_bins, single_bin, coarsen, add_noise, mask_holes,
)  # fmt: skip
_BY_NAME: dict[str, Callable[..., Any]] = {function.__name__: function for function in _CALLS}
assert _BY_NAME.keys() == degradation_names.NAMES.keys()


def _function(step: Step, spec: str, side: Real, redshifts: Sequence[Real]) -> Degradation:
    """One step of a specification as a function of (kappa, *, key)."""
    function = {**_BY_NAME, **extras.of("degradation", _BY_NAME)}[step.name]
    needs = inspect.signature(function).parameters
    keywords: dict[str, Any] = {"side": side} if "side" in needs else {}
    if step.option:
        keywords[degradation_names.NAMES[step.name].option] = step.option
    if step.name in ("keep_kappa", "remove_kappa") and any(amount.unit == "kappa" for amount in step.amounts):
        keywords["units"] = "kappa"
    values = [_value(amount, spec, redshifts) for amount in step.amounts]
    if step.name == "band_stop" and not np.all(np.asarray(values[0]) < np.asarray(values[1])):
        raise degradation_names.bad(spec, "the range of band_stop must rise")
    bins = {value.shape[0] for value in values if isinstance(value, np.ndarray)}

    def call(kappa: Maps, *, key: Key[Array, ""]) -> AnyMaps:
        if bins - {kappa.shape[-3]}:
            raise ValueError(f"degradation = {spec!r}: {max(bins)} redshifts for maps of {kappa.shape[-3]} bins")
        return function(kappa, *values, **keywords, **({"key": key} if "key" in needs else {}))

    return call


def _value(amount: Amount, spec: str, redshifts: Sequence[Real]) -> Any:
    """The number, or for a comoving wavelength in several bins its multipole in each [bin, 1, 1]."""
    if amount.unit != "Mpc/h":
        return amount.value
    seen = amount.redshifts or tuple(redshifts)
    if not seen:
        raise degradation_names.bad(spec, f"{amount.value:g}Mpc/h must name a redshift: {amount.value:g}Mpc/h@0.5")
    ells = [ell_from_length(amount.value, redshift) for redshift in seen]
    return ells[0] if len(ells) == 1 else np.array(ells)[:, None, None]
