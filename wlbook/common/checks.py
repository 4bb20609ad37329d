"""Checks of what a caller gives, before any work: a ValueError of one line names it, its value and what is allowed.

Every function of this package checks its arguments against what its docstring allows, most of them with these. Nothing
here computes a number: stored results do not depend on this module.
"""

from typing import Any, get_args

import numpy as np


def require(holds: Any, name: str, value: Any, rule: str, unit: str = "") -> None:
    """Raise ValueError, `name = value: must be rule [unit]`, unless the rule `holds`."""
    if not holds:
        raise ValueError(f"{name} = {value}: must be {rule}" + (f" [{unit}]" if unit else ""))


def at_least(name: str, value: Any, least: Any, unit: str = "") -> None:
    """Raise ValueError for a number below `least`, or NaN."""
    require(value >= least, name, value, f">= {least}", unit)


def positive(name: str, value: Any, unit: str = "") -> None:
    """Raise ValueError for a number that is not > 0."""
    require(value > 0, name, value, "> 0", unit)


def within(name: str, value: Any, low: int | float, high: int | float, ends: str = "()") -> None:
    """Raise ValueError for a number outside an interval; `ends` are its brackets: "[" and "]" include the end."""
    above, below = (">=" if ends[0] == "[" else ">"), ("<=" if ends[1] == "]" else "<")
    holds = low <= value <= high and (value != low or ends[0] == "[") and (value != high or ends[1] == "]")
    require(holds, name, value, f"{above} {low} and {below} {high}")


def one_of(name: str, value: Any, options: Any) -> None:
    """Raise ValueError for a word that is none of the options, which are a row of words or a `Literal` of them."""
    options = get_args(options) or list(options)
    require(value in options, name, repr(value), "one of " + ", ".join(f'"{option}"' for option in options))


def rising(name: str, values: Any, least: int | float = -np.inf, unit: str = "") -> None:
    """Raise ValueError for anything but a row of two or more numbers, each above the one before, from `least` up."""
    row = np.asarray(values, np.float64)
    holds = row.ndim == 1 and len(row) > 1 and (np.diff(row) > 0).all() and row[0] >= least
    bound = "" if least == -np.inf else f", >= {least}"
    require(holds, name, row.tolist(), f"at least two rising numbers{bound}", unit)


def same_shape(name: str, value: Any, wanted: tuple[int, ...], whose: str) -> None:
    """Raise ValueError for an array of another shape than `wanted`; `whose` says where that comes from."""
    if np.shape(value) != wanted:
        raise ValueError(f"{name} has shape {np.shape(value)}: must be {whose}, {wanted}")


def check_finite(name: str, values: Any, first: int = 0) -> None:
    """Raise ValueError naming the first row of `values` that holds NaN or infinity; rows count from `first`."""
    bad = np.flatnonzero(~np.isfinite(np.asarray(values)).reshape(len(values), -1).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name}[{first + bad[0]}] holds NaN or infinity ({len(bad)} of {len(values)} do): must be finite"
        )
