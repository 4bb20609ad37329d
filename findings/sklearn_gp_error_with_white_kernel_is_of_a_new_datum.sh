#!/usr/bin/env bash
# The same noise told to scikit-learn's Gaussian process as WhiteKernel or as alpha gives the same mean but not the same
# return_std: with WhiteKernel it is the scatter of a new noisy datum, with alpha the error of the underlying function.
# Who is hit: whoever adds an emulator's return_std to a covariance that has the noise of the simulations already, or
# changes from a known noise (alpha) to a fitted one (WhiteKernel): the emulator's error grows by a factor, unannounced.
# Source: sklearn.gaussian_process.kernels.WhiteKernel (diag), GaussianProcessRegressor.predict.
# Run on 2026-11-28, scikit-learn 1.9.1, numpy 2.4.6: equal means (3e-11), return_std 0.028 with alpha and 0.202
# with WhiteKernel; the true error is 0.022.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import sklearn
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

rng = np.random.default_rng(0)
x = np.linspace(0, 1, 400)[:, None]
y = np.sin(6 * x[:, 0]) + rng.normal(0, 0.2, 400)
told = GaussianProcessRegressor(RBF(0.2), alpha=0.04, optimizer=None).fit(x, y)
white = GaussianProcessRegressor(RBF(0.2) + WhiteKernel(0.04), optimizer=None).fit(x, y)
(mean, error), (mean_white, error_white) = (process.predict(x, return_std=True) for process in (told, white))
apart = np.abs(mean - mean_white).max()
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("expected: the same posterior, since both were told noise of standard deviation 0.2")
print(f"seen: the means differ by {apart:.0e} at most; return_std is {error.mean():.3f} with alpha and")
print(f"      {error_white.mean():.3f} with WhiteKernel, {error_white.mean() / error.mean():.1f} times as much")
print(f"      the true error of the mean is {np.std(mean - np.sin(6 * x[:, 0])):.3f}")
if not (apart < 1e-6 and error_white.mean() > 3 * error.mean()):
    sys.exit("CHANGED: both ways of telling the noise give the same error, or another mean")
PYTHON
