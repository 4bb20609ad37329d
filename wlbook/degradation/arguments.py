"""What the operators take, and the checks they share."""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Array, Float, Shaped

Maps = Float[Array, "*batch bin y x"]
AnyMaps = Float[Array, "..."]  # a degradation may change the number of bins or pixels
Real = int | float
Number = Real | Shaped[Array | np.ndarray, "..."]  # an array broadcasts against [..., bin, y, x]
Window = Literal["sharp", "gaussian"]
Fill = Literal["mean", "histogram"]
Draw = Literal["shared", "separate"]
Units = Literal["sigma", "kappa"]
Degradation = Callable[..., AnyMaps]


def check_positive(name: str, value: Number, unit: str) -> None:
    """Raise ValueError for a plain number that is not finite and positive."""
    if isinstance(value, int | float) and not 0 < value < math.inf:
        raise ValueError(f"{name} = {value!r}: must be finite and > 0 [{unit}]")


def check_rising(low: Number, high: Number) -> None:
    """Raise ValueError for plain numbers that do not rise."""
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        raise ValueError(f"low = {low!r}, high = {high!r}: low must be below high")


def check_option(name: str, value: str, options: Any) -> None:
    """Raise ValueError for a word that is none of the options of a Literal."""
    if value not in get_args(options):
        raise ValueError(f"{name} = {value!r}: must be one of {', '.join(get_args(options))}")
