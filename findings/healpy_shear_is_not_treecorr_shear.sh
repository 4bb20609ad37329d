#!/usr/bin/env bash
# The shear that healpy.alm2map_spin makes of a convergence has its axes along south and east, that of TreeCorr on the
# sky along west and north: TreeCorr needs -g1 and +g2 of it. Given as it is, the tangential shear about a positive peak
# is null, not merely negative, because the two components cancel.
# Who is hit: whoever makes full-sky shear maps with healpy and measures them by ra and dec (galaxy-galaxy lensing, xi-).
# Source: healpy.alm2map_spin; treecorr.Catalog, g1 and g2.
# Run on 2026-11-28, healpy 1.20.1, TreeCorr 5.1.4, numpy 2.4.6: g_t at 2 deg from a disc is +0.0003 as it is,
# -0.0126 with -g2, +0.0126 with -g1; 0.0125 is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check healpy==1.20.1 TreeCorr==5.1.4 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import healpy
import numpy as np
import treecorr

nside, lmax = 256, 512
kappa = np.zeros(12 * nside**2)
kappa[healpy.query_disc(nside, healpy.ang2vec(0.0, 0.0, lonlat=True), np.radians(1.0))] = 0.05
ell = np.arange(1, lmax + 1)
factor = np.append(0, np.sqrt((ell + 2) * (ell - 1) / (ell * (ell + 1))))
modes = healpy.almxfl(healpy.map2alm(kappa, lmax=lmax), factor)
g1, g2 = healpy.alm2map_spin([modes, 0 * modes], nside, 2, lmax)
near = healpy.query_disc(nside, healpy.ang2vec(0.0, 0.0, lonlat=True), np.radians(4))
ra, dec = healpy.pix2ang(nside, near, lonlat=True)
units = {"ra_units": "deg", "dec_units": "deg"}
lens = treecorr.Catalog(ra=[0.0], dec=[0.0], **units)
seen = {}
print(f"healpy {healpy.__version__}, treecorr {treecorr.__version__}, numpy {np.__version__}; a disc of kappa = 0.05, radius 1 deg")
print("expected: the pure E modes of kappa give a tangential shear of (1 deg / 2 deg)^2 * 0.05 = 0.012 at 2 deg as they are")
for signs in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
    sources = treecorr.Catalog(ra=ra, dec=dec, g1=signs[0] * g1[near], g2=signs[1] * g2[near], **units)
    pairs = treecorr.NGCorrelation(min_sep=1.8, max_sep=2.2, nbins=1, sep_units="deg", bin_slop=0)
    pairs.process(lens, sources)
    seen[signs] = float(pairs.xi[0])
    print("seen: signs of g1 and g2", *signs, f"-> g_t = {seen[signs]:+.4f}")
if not (abs(seen[1, 1]) < 1e-3 and seen[1, -1] < -0.01 and seen[-1, 1] > 0.01):
    sys.exit("CHANGED: healpy's shear now agrees with TreeCorr's, or in another way")
PYTHON
