"""Taking information away from a map: filters, cuts, shuffles, and what each one leaves untouched.

Every operator takes maps `[..., bin, y, x]` and treats each leading index (each map of a batch) by itself. All work
inside `jax.jit`; cut scales and thresholds may be traced arrays that broadcast against `[..., bin, y, x]`, so one
compiled function serves a whole ladder of cuts.
"""

from wlbook.degradation.bins import add_noise, coarsen, mask_holes, single_bin, sum_bins
from wlbook.degradation.filters import (
    FIDUCIAL,
    band_stop,
    ell_from_angle,
    ell_from_length,
    high_pass,
    lens_redshifts,
    low_pass,
)
from wlbook.degradation.grammar import compose, degrade, parse
from wlbook.degradation.places import randomize_phases, shuffle_pixels
from wlbook.degradation.ranges import gaussianize, keep_kappa, remove_kappa
from wlbook.specifications import GRAMMAR

__all__ = [
    "FIDUCIAL",
    "GRAMMAR",
    "add_noise",
    "band_stop",
    "coarsen",
    "compose",
    "degrade",
    "ell_from_angle",
    "ell_from_length",
    "gaussianize",
    "high_pass",
    "keep_kappa",
    "lens_redshifts",
    "low_pass",
    "mask_holes",
    "parse",
    "randomize_phases",
    "remove_kappa",
    "shuffle_pixels",
    "single_bin",
    "sum_bins",
]
