"""What theory predicts for the spectra that are measured on maps: the field's edges and its few waves included."""

import numpy as np
from jaxtyping import Float, Float64

from wlbook.simulation.cosmology import Cosmology, convergence_power
from wlbook.simulation.sources import Sources

_WIDER = 4  # sides of the field in the side of the sky that its waves are taken from


def field_power(
    cosmo: Cosmology,
    sources: Sources,
    *,
    side: float,
    pixels: int,
    ell_edges: Float[np.ndarray, " edge"],
    a_ia: float = 0.0,
    eta: float = 0.0,
    slab: float | None = None,
) -> Float64[np.ndarray, "pair ell"]:
    """Mean of `statistics.power_spectrum` over maps of a square field [sr], from halofit.

    The edges of a field wrap in a Fourier transform but not on the sky, so that power leaks from long waves to short
    ones: 2 to 3 % in a field of 3.5 degrees. And a bin holds few waves, not spread evenly over it. The expected square
    of a mode is the transform of the correlation function times the share of the field's pairs at that separation; it
    is then averaged over the modes of a bin.

    The field's side is in degrees; every bin in ell must hold a mode; a_ia, eta and slab are as in `convergence_power`.
    """
    ell = np.geomspace(2.0, 1.5 * 180 * pixels / side, 300)
    planes = [float(sources.redshift[share > 0][0]) for share in sources.share if np.sum(share > 0) == 1]
    tables = planes if len(planes) == len(sources.share) else sources.tables()
    smooth = convergence_power(cosmo, ell, tables, a_ia=a_ia, eta=eta, slab=slab)
    wide = _WIDER * pixels
    waves = np.hypot(np.fft.fftfreq(wide, 1 / wide)[:, None], np.fft.rfftfreq(wide, 1 / wide)) * (360 / side / _WIDER)
    lag = np.fft.fftfreq(2 * pixels, 1 / (2 * pixels)).astype(int)
    pairs = (1 - np.abs(lag) / pixels)[:, None] * (1 - np.abs(lag) / pixels)
    seen = np.hypot(np.fft.fftfreq(pixels, 1 / pixels)[:, None], np.fft.rfftfreq(pixels, 1 / pixels)) * 360 / side
    which = np.searchsorted(ell_edges, seen.ravel(), side="left")
    found = []
    for power in smooth:
        spectrum = np.where(waves > 0, np.interp(np.log(np.maximum(waves, 2)), np.log(ell), power), 0)
        correlation = np.fft.irfft2(spectrum, s=(wide, wide)) * (wide / (np.deg2rad(side) * _WIDER)) ** 2
        wrapped = (correlation[np.ix_(lag, lag)] * pairs).reshape(2, pixels, 2, pixels).sum(axis=(0, 2))
        modes = np.fft.rfft2(wrapped).real.ravel() * (np.deg2rad(side) / pixels) ** 2
        found.append([modes[which == k].mean() for k in range(1, len(ell_edges))])
    return np.array(found)
