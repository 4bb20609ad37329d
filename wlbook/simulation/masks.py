"""Masks that a page's parameter names: random holes, or what a file says was observed."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from wlbook.common import mask_names, random
from wlbook.simulation import images
from wlbook.simulation.survey import random_holes


def mask(spec: str, *, pixels: int, pixel: float, seed: int = 0) -> Bool[np.ndarray, "y x"] | None:
    """The mask that a page's parameter names.

    Args:
        spec: "none"; "holes:SHARE:RADIUS" as in `random_holes`, with the radius in arcmin; or a file for `read_mask`.
        pixels, pixel: per side of the maps, and the side of one [arcmin].
        seed: of the holes.
    """
    if spec == "none":
        return None
    try:
        holes = mask_names.read(spec)
    except ValueError as error:
        raise ValueError(f"mask = {spec!r}: {error}") from None
    if holes is None:
        return read_mask(spec, pixels)
    return random_holes(pixels, pixel=pixel, share=holes.share, radius=holes.radius, key=random.key(seed, "mask"))


def read_mask(spec: str | Path, pixels: int) -> Bool[np.ndarray, "y x"]:
    """What a file says was observed: an image or an array as `images.read` takes it, 1 where the sky was observed.

    Weights or counts are a mask above a number: "weights.fits > 0.5". A mask of finer pixels is made coarser, and a
    pixel is observed if all of its parts are.

    Args:
        spec: the file, perhaps its part, and perhaps a number.
        pixels: per side of the maps, a divisor of the mask's.
    """
    try:
        seen = images.observed(images.place(str(spec), Path()))
    except ValueError as error:
        raise ValueError(f"mask = {error}") from None
    if seen.ndim != 2 or seen.shape[0] != seen.shape[1] or seen.shape[0] % pixels:
        wanted = f"{(pixels, pixels)} like the maps, or finer by a whole number"
        raise ValueError(f"mask = {spec}: is of shape {seen.shape}, must be {wanted}")
    factor = len(seen) // pixels
    seen = np.asarray(seen.reshape(pixels, factor, pixels, factor).all(axis=(1, 3)))
    if not seen.any():
        raise ValueError(f"mask = {spec}: leaves no pixel of the maps wholly observed")
    return seen
