#!/usr/bin/env bash
# One CAMBdata object answers in two orders: get_sigma8 and get_fsigma8 go from the largest redshift to the smallest,
# get_matter_power_spectrum from the smallest to the largest, whatever the order asked for; a printed note says that they
# were sorted, not that the answers differ. sigma8 paired with the redshifts asked for, or with those returned beside
# P(k), is a growth that runs backwards.
# Who is hit: whoever zips the list of redshifts with get_sigma8 for growth, f sigma8 or the scaling of a spectrum.
# Source: camb.CAMBdata.get_sigma8 and get_matter_power_spectrum (return values).
# Run on 2026-11-28, camb 2.0.5, numpy 2.4.6: asked for z = 0, 0.5, 1; P(k) comes for z = 0, 0.5, 1 and sigma8 as
# 0.492 0.620 0.799.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check camb==2.0.5 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import camb
import numpy as np

pars = camb.set_params(H0=70, ombh2=0.022, omch2=0.12, As=2e-9, ns=0.96)
asked = [0.0, 0.5, 1.0]
pars.set_matter_power(redshifts=asked, kmax=5.0)
results = camb.get_results(pars)
_, returned, power = results.get_matter_power_spectrum(minkh=1e-2, maxkh=1, npoints=4)
sigma8 = results.get_sigma8()
growth = np.sqrt(power[:, 0] / power[0, 0])
print(f"camb {camb.__version__}, numpy {np.__version__}")
print(f"expected: sigma8 in the order of the redshifts {asked}, falling")
print("seen: redshifts beside P(k)", *returned, "| sqrt(P / P(z = 0))", *(f"{ratio:.3f}" for ratio in growth))
print("      get_sigma8           ", *(f"{value:.3f}" for value in sigma8), "| f sigma8", results.get_fsigma8().round(3))
if not (list(returned) == asked and np.allclose(sigma8[::-1] / sigma8[-1], growth, rtol=0.01) and sigma8[0] < sigma8[-1]):
    sys.exit("CHANGED: get_sigma8 and get_matter_power_spectrum go through the redshifts in the same order")
PYTHON
