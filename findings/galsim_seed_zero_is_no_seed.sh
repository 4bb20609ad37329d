#!/usr/bin/env bash
# GalSim takes the seed 0 for "no seed": the generator is then seeded by the operating system and differs in every run.
# Every other integer is reproducible.
# Who is hit: whoever numbers realisations from 0 and seeds by that number: the first of a set of simulated shear fields
# or noise maps can never be made again, and a test that repeats only realisation 1 does not see it.
# Source: galsim.BaseDeviate, argument seed.
# Run on 2026-11-28, GalSim 2.8.5, numpy 2.4.6: shear fields made twice are equal for seeds 1 and 2, different for
# 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check GalSim==2.8.5 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import galsim
import numpy as np


def field(seed):
    spectrum = galsim.PowerSpectrum(lambda k: 1e-2 / (k**2 + 1e-6))
    return spectrum.buildGrid(grid_spacing=60, ngrid=16, rng=galsim.BaseDeviate(seed))[0]


same = {seed: bool(np.array_equal(field(seed), field(seed))) for seed in (0, 1, 2)}
print(f"galsim {galsim.__version__}, numpy {np.__version__}")
print("expected: the same seed gives the same shear field, for 0 as for 1 and 2")
print("seen: made twice and equal:", same)
if same != {0: False, 1: True, 2: True}:
    sys.exit("CHANGED: seed 0 is reproducible, or another seed is not")
PYTHON
