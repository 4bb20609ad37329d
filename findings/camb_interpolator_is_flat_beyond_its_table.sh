#!/usr/bin/env bash
# CAMB's power spectrum interpolator returns a constant beyond the largest wave number and beyond the largest redshift it
# was made for, without error, warning or power law; get_matter_power_spectrum of the same results goes on with a power
# law. At twenty times kmax P(k) is 900 times too large, and P at z = 10 is that of z = 3.
# Who is hit: whoever integrates P(k, z) along the line of sight (C_ell at high ell, xi at small theta, sources or the
# CMB behind the table) with an interpolator made for less than the integral needs.
# Source: camb.get_matter_power_interpolator, arguments kmax, zmax and extrap_kmax.
# Run on 2026-11-28, camb 2.0.5, numpy 2.4.6: with kmax = 2, P over the true one is 1.00 2.06 21.92 891.48 at k = 1,
# 4, 10, 40 h/Mpc; with zmax = 3 it is 1.00 1.00 2.22 7.41 at z = 2, 3, 5, 10.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check camb==2.0.5 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import camb
import numpy as np

cosmology = {"H0": 70, "ombh2": 0.022, "omch2": 0.12, "As": 2e-9, "ns": 0.96}
pars = camb.set_params(**cosmology)
short = camb.get_matter_power_interpolator(pars, nonlinear=False, kmax=2, zmax=3)
wide = camb.get_matter_power_interpolator(camb.set_params(**cosmology), nonlinear=False, kmax=100, zmax=12)
wave_numbers = np.array([1.0, 4.0, 10.0, 40.0])
of_k = [float(short.P(0, k) / wide.P(0, k)) for k in wave_numbers]
of_z = [float(short.P(z, 0.1) / wide.P(z, 0.1)) for z in (2, 3, 5, 10)]
print(f"camb {camb.__version__}, numpy {np.__version__}; tables of kmax = 2, zmax = 3 and of kmax = 100, zmax = 12")
print("expected: an error, NaN or at least a power law where the first table ends")
print("seen: P of the first table over P of the second")
print("      k = 1, 4, 10, 40 h/Mpc:", *(f"{ratio:.2f}" for ratio in of_k))
print("      z = 2, 3, 5, 10 at k = 0.1 h/Mpc:", *(f"{ratio:.2f}" for ratio in of_z))
flat = short.P(0, 10.0) == short.P(0, 40.0) and short.P(5, 0.1) == short.P(10, 0.1)
if not (flat and abs(of_k[0] - 1) < 0.01 and of_k[3] > 100 and of_z[3] > 5):
    sys.exit("CHANGED: the interpolator is no longer constant beyond its table")
PYTHON
