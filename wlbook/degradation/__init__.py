"""Taking information away from a map: filters, cuts, shuffles, and what each one leaves untouched.

Every operator takes maps `[..., bin, y, x]` and treats each leading index (each map of a batch) by itself. All work
inside `jax.jit`; cut scales and thresholds may be traced arrays that broadcast against `[..., bin, y, x]`, so one
compiled function serves a whole ladder of cuts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
