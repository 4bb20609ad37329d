"""What the operators take, and the checks they share; what is traced is not checked."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Array, Float, Key, Shaped

from wlbook.common import checks

Maps = Float[Array, "*batch bin y x"]
AnyMaps = Float[Array, "..."]  # a degradation may change the number of bins or pixels
Real = int | float
Number = Real | Shaped[Array | np.ndarray, "..."]  # an array broadcasts against [..., bin, y, x]
Window = Literal["sharp", "gaussian"]
Fill = Literal["mean", "histogram"]
Draw = Literal["shared", "separate"]
Units = Literal["sigma", "kappa"]
MaybeKey = Key[Array, ""] | None
Degradation = Callable[..., AnyMaps]


def check_positive(name: str, value: Number, unit: str) -> None:
    """Raise ValueError for a plain number that is not finite and positive."""
    if isinstance(value, int | float):
        checks.require(0 < value < math.inf, name, value, f"finite and > 0 [{unit}]")


def check_rising(low: Number, high: Number) -> None:
    """Raise ValueError for plain numbers that do not rise."""
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        raise ValueError(f"low = {low!r}, high = {high!r}: low must be below high")
