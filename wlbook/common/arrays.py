"""Arrays as callers have them, in any byte order, masked, labelled or read-only: made fit for JAX, or refused."""

from typing import Any

import jax
import numpy as np


def real(name: str, values: Any) -> Any:
    """Real numbers in the machine's own byte order; what is so already is not copied.

    Files hold big-endian numbers, which JAX (0.10.2) refuses in ten lines; of masked arrays NumPy drops the mask
    without a word. Neither gets any further than this.

    Args:
        name: of the argument, for the message.
        values: an array of JAX or NumPy, labelled or not, or nested lists.
    """
    if isinstance(values, jax.Array):
        return values
    data = getattr(values, "data", values) if type(values).__module__.startswith("xarray") else values
    if np.ma.isMaskedArray(data):
        if masked := int(np.ma.count_masked(data)):
            raise ValueError(
                f"{name}: {masked} values are masked: fill them, and give a mask if the function takes one"
            )
        data = data.data
    array = np.asarray(data)
    if array.dtype.kind not in "fiub" and str(array.dtype) != "bfloat16":
        raise ValueError(f"dtype of {name} = {array.dtype}: must be real numbers")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
