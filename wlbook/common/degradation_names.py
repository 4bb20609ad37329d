"""The short names of degradations: what `low_pass:1000+shuffle_pixels` says, read without any of the code that does it.

A page's parameters are checked with this before anything is imported that takes seconds. `wlbook.degradation.parse`
makes functions of what is read here.
"""

import difflib
import math
from collections.abc import Mapping
from typing import NamedTuple

from wlbook.common import extras
from wlbook.common.degradation_steps import Amount, Step, read_amount
from wlbook.common.wording import shown


class Name(NamedTuple):
    """What may follow a name: numbers, and one of several options."""

    numbers: tuple[str, ...] = ()
    option: str = ""
    options: tuple[str, ...] = ()


_WINDOW, _FILL, _DRAW = ("sharp", "gaussian"), ("mean", "histogram"), ("shared", "separate")
NAMES = {
    "low_pass": Name(("ELL",), "window", _WINDOW),
    "high_pass": Name(("ELL",), "window", _WINDOW),
    "band_stop": Name(("ELL", "ELL"), "window", _WINDOW),
    "keep_kappa": Name(("LOW", "HIGH"), "fill", _FILL),
    "remove_kappa": Name(("LOW", "HIGH"), "fill", _FILL),
    "gaussianize": Name(),
    "shuffle_pixels": Name((), "permutation", _DRAW),
    "randomize_phases": Name((), "phases", _DRAW),
    "sum_bins": Name(),
    "single_bin": Name(("NUMBER",)),
    "coarsen": Name(("FACTOR",)),
    "add_noise": Name(("SIGMA",)),
    "mask_holes": Name(("SHARE", "RADIUS")),
}

GRAMMAR = "NAME[:NUMBER...][:OPTION] joined by +, with " + ", ".join(
    ["none", *(":".join([name, *what.numbers]) for name, what in NAMES.items())]
)

_LIMITS = {
    "ELL": (lambda value: 0 < value < math.inf, "finite and > 0"),
    "FACTOR": (lambda value: value >= 1, "a whole number >= 1"),
    "NUMBER": (lambda value: value >= 0, "a whole number >= 0: bins are counted from 0"),
    "SIGMA": (lambda value: 0 <= value < math.inf, "finite and >= 0"),
    "SHARE": (lambda value: 0 <= value < 0.9, ">= 0 and < 0.9"),
    "RADIUS": (lambda value: 0 < value < math.inf, "finite and > 0 [arcmin]"),
    "LOW": (lambda value: not math.isnan(value), "finite, or inf"),
    "HIGH": (lambda value: not math.isnan(value), "finite, or inf"),
}


def read(spec: str, own: Mapping[str, int] | None = None) -> tuple[Step, ...]:
    """The steps of a specification; `own` are a reader's degradations, and how many numbers each takes.

    Grammar: STEP or STEP+STEP+..., STEP = NAME[:NUMBER...][:OPTION], or "none". An ELL is a multipole, a wavelength on
    the sky ("20arcmin"), or a comoving one ("10Mpc/h@0.5" at one redshift, "10Mpc/h@0.2,0.3" at one a bin, "10Mpc/h"
    at each bin's lenses). LOW and HIGH are standard deviations of each map, or kappa itself ("-0.02kappa").
    """
    parts = [part.replace(" ", "") for part in spec.split("+")]
    own = extras.numbers() if own is None else own
    return () if parts == ["none"] else tuple(_step(part, spec, own) for part in parts)


def bad(spec: str, why: str) -> ValueError:
    """The error for a specification: one line that ends with the grammar."""
    return ValueError(f"degradation = {shown(spec)}: {why}; write {GRAMMAR}")


def _step(part: str, spec: str, own: Mapping[str, int]) -> Step:
    name, *words = part.split(":")
    if name not in NAMES and name not in own:
        close = difflib.get_close_matches(name, [*NAMES, *own], n=1)
        raise bad(spec, f"{shown(name)} is no degradation{f' (did you mean {close[0]}?)' if close else ''}")
    numbers, kind, options = NAMES[name] if name in NAMES else Name(("LOW",) * own[name])
    option = ""
    if len(words) == len(numbers) + 1 and options:
        option = words.pop()
        if option not in options:
            raise bad(spec, f"{kind} {shown(option)} of {name} is none of {', '.join(options)}")
    if len(words) != len(numbers):
        raise bad(spec, f"{name} takes {len(numbers)} numbers, found {len(words)}")
    amounts = tuple(_amount(word, kind, spec) for word, kind in zip(words, numbers, strict=True))
    if name in NAMES and numbers in (("ELL", "ELL"), ("LOW", "HIGH")):
        _check_range(name, amounts, spec)
    return Step(name, amounts, option)


def _amount(word: str, kind: str, spec: str) -> Amount:
    allowed, rule = _LIMITS[kind]
    try:
        amount = _read_amount(word, kind)
    except ValueError:
        scale = ", <n>arcmin or <n>Mpc/h[@<redshift>[,...]], all > 0" if kind == "ELL" else ""
        kappa = " or <n>kappa" if kind in ("LOW", "HIGH") else ""
        whole = " whole" if kind in ("FACTOR", "NUMBER") else ""
        raise bad(spec, f"{shown(word)} must be a{whole} number{scale}{kappa}") from None
    if not allowed(amount.value) or not all(0 < z < math.inf for z in amount.redshifts):
        raise bad(spec, f"{shown(word)} must be {rule}")
    return amount


def _read_amount(word: str, kind: str) -> Amount:
    if kind in ("FACTOR", "NUMBER"):
        return Amount(int(word))
    amount = read_amount(word)
    units = {"ELL": ("", "arcmin", "Mpc/h"), "LOW": ("", "kappa"), "HIGH": ("", "kappa")}.get(kind, ("",))
    if ("arcmin" if word.endswith("arcmin") else amount.unit) not in units:
        raise ValueError
    return amount


def _check_range(name: str, amounts: tuple[Amount, ...], spec: str) -> None:
    low, high = amounts
    units = {amount.unit for amount in (low, high) if math.isfinite(amount.value)}
    if len(units) > 1:
        raise bad(spec, f"both ends of the range of {name} must have one unit")
    first, last = (high, low) if units == {"Mpc/h"} else (low, high)  # a long wave is a small multipole
    if low.redshifts == high.redshifts and not first.value < last.value:
        raise bad(spec, f"the range of {name} must rise")
