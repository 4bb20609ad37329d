"""Summary statistics of convergence maps: spectra, peaks, Minkowski functionals, wavelets, and more.

Every function takes `[..., bin, y, x]`, works under `jit` and `vmap`, leaves masked pixels out, and follows the
conventions of LensTools (Petri 2016, arXiv:1606.01903) where it has the statistic, so that the two can be compared
number by number. Pixel values are checked where they are known: while JAX traces a function only shapes are.
"""

from wlbook.statistics.bispectra import bispectrum, triangles
from wlbook.statistics.minkowski import minkowski_densities, minkowski_functionals
from wlbook.statistics.onepoint import MOMENTS, moments, pixel_histogram
from wlbook.statistics.peaks import minima_counts, peak_counts
from wlbook.statistics.scattering import scattering_transform
from wlbook.statistics.spectra import pairs, power_spectrum
from wlbook.statistics.vectors import DEFAULT, NAMES, binning, measure, ready
from wlbook.statistics.wavelets import starlet, starlet_l1, starlet_noise, starlet_peaks

__all__ = [
    "DEFAULT",
    "MOMENTS",
    "NAMES",
    "binning",
    "bispectrum",
    "measure",
    "minima_counts",
    "minkowski_densities",
    "minkowski_functionals",
    "moments",
    "pairs",
    "peak_counts",
    "pixel_histogram",
    "power_spectrum",
    "ready",
    "scattering_transform",
    "starlet",
    "starlet_l1",
    "starlet_noise",
    "starlet_peaks",
    "triangles",
]
