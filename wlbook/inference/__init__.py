"""From statistics to constraints on (Omega_m, sigma_8): emulator, likelihood, posterior, areas, and their errors.

All in float64 on the CPU, but for sampling: the vectors are short, and covariances do not forgive rounding.
"""

from wlbook.inference.areas import boundary, credible_area, credible_level, figure_of_merit, s_8_error
from wlbook.inference.emulator import Emulator
from wlbook.inference.errors import bootstrap_areas, seed_error
from wlbook.inference.posterior import posterior, posterior_grid

__all__ = [
    "Emulator",
    "bootstrap_areas",
    "boundary",
    "credible_area",
    "credible_level",
    "figure_of_merit",
    "posterior",
    "posterior_grid",
    "s_8_error",
    "seed_error",
]
