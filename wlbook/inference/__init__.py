"""From statistics to constraints on (Omega_m, sigma_8): emulator, likelihood, posterior, areas, and their errors.

All in float64 on the CPU, but for sampling: the vectors are short, and covariances do not forgive rounding.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
