"""Summary statistics of convergence maps: spectra, peaks, Minkowski functionals, wavelets, and more.

Every function takes maps `[..., bin, y, x]`, works under `jit` and `vmap`, leaves out the pixels where a mask [y, x] is
False, and follows the conventions of LensTools (Petri 2016, arXiv:1606.01903) where it has the statistic, so that the
two can be compared number by number. Edges of bins increase, and are in kappa unless said otherwise. Pixel values are
checked where they are known: while JAX traces a function only shapes are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
