#!/usr/bin/env bash
# TreeCorr measures shear on the sky as it is seen from inside, east to the left: in ra and dec a positive g2 means
# another diagonal than in flat x and y with x = ra. One catalogue given both ways has opposite signs of g2, so that a
# tangential signal in one is a null signal in the other, with no warning. flip_g2=True brings them together.
# Who is hit: whoever tests on a flat patch with x = ra and then switches to ra, dec, or takes a catalogue made with
# x growing east (flat simulations, most FITS images read as arrays) to the sky.
# Source: treecorr.Catalog, arguments g1, g2 and flip_g2.
# Run on 2026-11-28, TreeCorr 5.1.4, numpy 2.4.6: g_t of a true 0.1 is 0.0998 flat, 0.0007 on the sphere and 0.0998
# there with flip_g2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check TreeCorr==5.1.4 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import treecorr

rng = np.random.default_rng(0)
x, y = rng.uniform(-1, 1, (2, 20000))
angle = 2 * np.arctan2(y, x)
g1, g2 = -0.1 * np.cos(angle), -0.1 * np.sin(angle)  # tangential in x and y, everywhere 0.1
units = {"ra_units": "deg", "dec_units": "deg"}


def tangential(lens, sources):
    pairs = treecorr.NGCorrelation(min_sep=0.2, max_sep=0.9, nbins=1, sep_units="deg", bin_slop=0)
    pairs.process(lens, sources)
    return float(pairs.xi[0])


flat = tangential(
    treecorr.Catalog(x=[0.0], y=[0.0], x_units="deg", y_units="deg"),
    treecorr.Catalog(x=x, y=y, g1=g1, g2=g2, x_units="deg", y_units="deg"),
)
lens = treecorr.Catalog(ra=[0.0], dec=[0.0], **units)
sky = tangential(lens, treecorr.Catalog(ra=x, dec=y, g1=g1, g2=g2, **units))
flipped = tangential(lens, treecorr.Catalog(ra=x, dec=y, g1=g1, g2=g2, flip_g2=True, **units))
print(f"treecorr {treecorr.__version__}, numpy {np.__version__}; a shear of 0.1 about ra = dec = 0, 2 deg wide")
print("expected: g_t = 0.1 with x = ra, y = dec flat and with ra, dec on the sphere")
print(f"seen: flat {flat:.4f}, sphere {sky:.4f}, sphere with flip_g2 {flipped:.4f}")
if not (abs(flat - 0.1) < 1e-3 and abs(sky) < 0.02 and abs(flipped - 0.1) < 2e-3):
    sys.exit("CHANGED: flat and spherical coordinates no longer differ by the sign of g2")
PYTHON
