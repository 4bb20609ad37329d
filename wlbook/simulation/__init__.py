"""From a universe to maps of kappa: particles, lens planes, light rays, and what a survey makes of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
