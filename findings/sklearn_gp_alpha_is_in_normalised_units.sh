#!/usr/bin/env bash
# In scikit-learn's Gaussian process, alpha is added to the kernel after the targets were divided by their scatter:
# with normalize_y=True it is a variance in units of that scatter, not in the units of the targets. An emulator of small
# numbers that is given their noise variance then follows the noise and states an error a hundred times too small.
# Who is hit: whoever emulates spectra (values of 1e-2 or 1e-9) with known noise variances and turns normalize_y on.
# Source: sklearn.gaussian_process.GaussianProcessRegressor, parameters alpha and normalize_y (fit).
# Run on 2026-11-28, scikit-learn 1.9.1, numpy 2.4.6: stated and true error are 7.9e-04 and 8.1e-04 without
# normalisation, 7.6e-06 and 1.1e-03 with it, 7.9e-04 and 8.1e-04 once alpha is divided by the variance of the
# targets.
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
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

rng = np.random.default_rng(0)
x = np.linspace(0, 1, 40)[:, None]
truth = 1e-2 * np.sin(6 * x[:, 0])
noise = 2e-3
y = truth + rng.normal(0, noise, 40)
seen = {}
for name, normalize, amplitude, alpha in (
    ("as is, alpha = noise^2", False, np.var(y), noise**2),
    ("normalised, alpha = noise^2", True, 1.0, noise**2),
    ("normalised, alpha = (noise / scatter)^2", True, 1.0, noise**2 / np.var(y)),
):
    kernel = ConstantKernel(amplitude, "fixed") * RBF(0.2, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=alpha, normalize_y=normalize, optimizer=None).fit(x, y)
    mean, error = process.predict(x, return_std=True)
    seen[name] = error.mean(), np.std(mean - truth)
    print(f"{name}: stated error {seen[name][0]:.1e}, true error {seen[name][1]:.1e}")
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("expected: the first two lines agree, since the same prior and the same noise were told")
print("seen: the second states an error a hundred times too small; the third agrees with the first")
plain, trap, mended = seen.values()
if not (trap[0] < plain[0] / 30 and trap[1] > 30 * trap[0] and np.allclose(plain, mended, rtol=0.05)):
    sys.exit("CHANGED: alpha is now in the units of the targets, or does something else")
PYTHON
