"""Checks of what a caller gives: one line that names it, its value and what is allowed."""

from typing import Any

import numpy as np


def check_finite(name: str, values: Any, first: int = 0) -> None:
    """Raise ValueError naming the first row of `values` that holds NaN or infinity; rows count from `first`."""
    bad = np.flatnonzero(~np.isfinite(np.asarray(values)).reshape(len(values), -1).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{name}[{first + bad[0]}] holds NaN or infinity ({len(bad)} of {len(values)} do): must be finite"
        )
