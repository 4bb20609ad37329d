#!/usr/bin/env bash
# numpyro.diagnostics.gelman_rubin compares whole chains and does not split them, so chains that drift together pass:
# with one trend of six standard deviations in each, R-hat is 1.00 where the split one is 1.6. The R-hat that
# print_summary shows is the split one; only the function of the plain name is not.
# Who is hit: whoever asserts gelman_rubin(chains) < 1.05 in a script, with chains that start at one common point.
# Source: numpyro.diagnostics.gelman_rubin and split_gelman_rubin.
# Run on 2026-11-28, numpyro 0.22.0, numpy 2.4.6: gelman_rubin 0.9997, split_gelman_rubin 1.57, r_hat of the summary
# 1.57.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check numpyro==0.22.0 jax==0.10.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import numpyro
from numpyro.diagnostics import gelman_rubin, split_gelman_rubin, summary

rng = np.random.default_rng(1)
chains = np.linspace(-3, 3, 1000) + rng.normal(size=(4, 1000))
plain, split = float(gelman_rubin(chains)), float(split_gelman_rubin(chains))
shown = float(summary({"x": chains})["x"]["r_hat"])
print(f"numpyro {numpyro.__version__}, numpy {np.__version__}; four chains, all drifting from -3 to 3 with scatter 1")
print("expected: R-hat well above 1.05, since none of the chains has settled")
print(f"seen: gelman_rubin {plain:.4f}, split_gelman_rubin {split:.2f}, r_hat of the summary {shown:.2f}")
if not (plain < 1.01 and split > 1.4 and shown > 1.4):
    sys.exit("CHANGED: gelman_rubin now sees a common drift")
PYTHON
