#!/usr/bin/env bash
# Ledoit-Wolf shrinkage in scikit-learn pulls towards the unit matrix times the mean variance. A power spectrum falls
# over decades, so even a shrinkage of 2 % adds to the faintest bins a variance that is millions of times their own:
# they cease to count in a Fisher matrix or a likelihood, although the estimate looks well conditioned.
# Who is hit: whoever estimates the covariance of C_ell from few simulations and shrinks it before scaling the bins.
# Source: sklearn.covariance.LedoitWolf, and its user guide on the shrinkage target.
# Run on 2026-11-28, scikit-learn 1.9.1, numpy 2.4.6: at a shrinkage of 0.018 the last of 30 bins has 1.1e7 times
# its variance and the signal to noise squared falls from 33762 to 1049; bins scaled to unit scatter first have 0.85
# to 1.16 times theirs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import sklearn
from sklearn.covariance import LedoitWolf

rng = np.random.default_rng(0)
ell = np.geomspace(100, 10000, 30)
spectrum = 1e-9 * (ell / 100) ** -2.0
sigma = spectrum * np.sqrt(2 / ell)
simulations = spectrum + sigma * rng.normal(size=(200, 30))
shrunk = LedoitWolf().fit(simulations)
ratio = np.diag(shrunk.covariance_) / sigma**2
information = [float((spectrum**2 / variance).sum()) for variance in (sigma**2, np.diag(shrunk.covariance_))]
scaled = simulations / simulations.std(axis=0)
after = np.diag(LedoitWolf().fit(scaled).covariance_) * simulations.var(axis=0) / sigma**2
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("expected: with 200 simulations of 30 bins each variance is right to 10 % or so, and the shrinkage is mild")
print(f"seen: shrinkage {shrunk.shrinkage_:.3f}, variances over the true ones: first bin {ratio[0]:.2f},")
print(f"      middle {ratio[15]:.2g}, last {ratio[-1]:.2g}")
print(f"      the amplitude's signal to noise squared falls from {information[0]:.0f} to {information[1]:.0f}")
print(f"      bins scaled to unit scatter first: {after.min():.2f} to {after.max():.2f}")
if not (shrunk.shrinkage_ < 0.1 and ratio[-1] > 1e5 and 0.6 < after.min() < after.max() < 1.6):
    sys.exit("CHANGED: Ledoit-Wolf no longer inflates the faint bins by orders of magnitude")
PYTHON
