"""The names of masks: what `holes:0.1:6` says, read without the code that makes it, and how many holes it asks for."""

import math
from typing import NamedTuple

#: Holes of one mask; each is drawn on the whole map. A sky of 20 degrees with 250 stars a square degree has as many.
MOST = 100_000


class Holes(NamedTuple):
    """Round holes at random places, as bright stars leave them."""

    share: float  # of the pixels that they hide, on average, >= 0 and < 0.9
    radius: float  # of each [arcmin], > 0

    def number(self, width: float) -> int:
        """How many holes a square map of this width [arcmin] has, its frame of one radius included.

        Holes that fall anywhere, the frame included, cover 1 - exp(-mean number of holes over a pixel). An infinite
        number is given as more than MOST.
        """
        wide = width + 2 * self.radius
        area = math.pi * self.radius**2 / wide / wide
        mean = -math.log(1 - self.share) / area if area else math.inf
        return round(mean) if mean <= 2 * MOST else 2 * MOST

    def check(self, width: float) -> None:
        """Refuse what no mask of a map of this width [arcmin] can be, before anything is drawn."""
        if not 0 <= self.share < 0.9:
            raise ValueError(f"share = {self.share}: must be >= 0 and < 0.9")
        if not 0 < self.radius < math.inf:
            raise ValueError(f"radius = {self.radius}: must be > 0 [arcmin] and finite")
        if self.share and self.number(width) > MOST:
            raise ValueError(f"radius = {self.radius}: asks for more than {MOST:,} holes, must be larger")


def read(spec: str) -> Holes | None:
    """The holes that a specification "holes:SHARE:RADIUS" names; None if it is another: "none", or a file."""
    kind, *values = spec.split(":")
    if kind != "holes":
        return None
    try:
        share, radius = (float(value) for value in values)
    except ValueError:
        raise ValueError('must be "none", "holes:SHARE:RADIUS" or a file') from None
    return Holes(share, radius)
