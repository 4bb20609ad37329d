#!/usr/bin/env bash
# healpy takes a list of exactly three maps for T, Q and U. Three tomographic convergence maps given together come back
# with the second and third mixed: anafast gives both of them nearly the mean of their two spectra and no correlation
# with the first, smoothing changes them by several per cent. One map, or any list with pol=False, is right.
# Who is hit: whoever has three source bins and hands them over at once (four or more raise an error, three do not).
# Source: argument pol=True of healpy.anafast, healpy.map2alm and healpy.smoothing.
# Run on 2026-11-28, healpy 1.20.1, numpy 2.4.6: spectra 11, 22, 33, 12, 23, 13 that should be 1 4 9 2 6 3 are 1.00
# 6.49 6.66 0.01 0.03 0.00; the second smoothed map is off by 5 % of its scatter; with pol=False all are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check healpy==1.20.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import healpy
import numpy as np

np.random.seed(1)
ell = np.arange(193)
kappa = healpy.synfast(1e-6 / (ell + 10.0), 64)
bins = [kappa, 2 * kappa, 3 * kappa]  # one sky, three amplitudes: spectra 1, 4, 9 and crosses 2, 6, 3
band = slice(20, 128)
alone = healpy.anafast(kappa, lmax=128)[band].mean()
together = [spectrum[band].mean() / alone for spectrum in healpy.anafast(bins, lmax=128)]
scalar = [spectrum[band].mean() / alone for spectrum in healpy.anafast(bins, lmax=128, pol=False)]
smooth = healpy.smoothing(bins, fwhm=np.radians(2))[1]
off = np.std(smooth / 2 - healpy.smoothing(kappa, fwhm=np.radians(2))) / np.std(smooth / 2)
print(f"healpy {healpy.__version__}, numpy {np.__version__}")
print("expected for 11, 22, 33, 12, 23, 13: 1 4 9 2 6 3 times the spectrum of the first bin")
print("seen:          ", *(f"{ratio:.2f}" for ratio in together))
print("with pol=False:", *(f"{ratio:.2f}" for ratio in scalar))
print(f"the smoothed second map differs from the one smoothed alone by {100 * off:.0f} % of its scatter (expected 0)")
mixed = abs(together[1] - 6.5) < 0.7 and abs(together[2] - 6.5) < 0.7 and abs(together[3]) < 0.5 and off > 0.02
if not (mixed and np.allclose(scalar, [1, 4, 9, 2, 6, 3])):
    sys.exit("CHANGED: three maps are no longer taken for T, Q and U, or mix otherwise")
PYTHON
