"""From statistics to constraints on (Omega_m, sigma_8): emulator, likelihood, posterior, areas, and their errors.

All in float64 on the CPU, but for sampling: the vectors are short, and covariances do not forgive rounding.
"""

from wlbook.inference.areas import boundary, credible_area, credible_level, figure_of_merit, s_8_error
from wlbook.inference.compression import compress, score_weights
from wlbook.inference.emulator import Emulator
from wlbook.inference.errors import bootstrap_areas, seed_error
from wlbook.inference.flow import learnt_posterior
from wlbook.inference.null import GaussianFields
from wlbook.inference.posterior import posterior, posterior_grid
from wlbook.inference.sampling import sample

__all__ = [
    "Emulator",
    "GaussianFields",
    "bootstrap_areas",
    "boundary",
    "compress",
    "credible_area",
    "credible_level",
    "figure_of_merit",
    "learnt_posterior",
    "posterior",
    "posterior_grid",
    "s_8_error",
    "sample",
    "score_weights",
    "seed_error",
]
