#!/usr/bin/env bash
# healpy.ud_grade gives the coarse map the type of the fine one. The mean of a mask of integers is therefore cut to 0
# unless all children are 1, and the mean of a mask of booleans is True as soon as one child is: the same survey
# shrinks or grows, without a word, by the type in which its mask was stored.
# Who is hit: whoever degrades a 0/1 footprint or a count map to get the observed fraction of each coarse pixel.
# Source: healpy.ud_grade, argument dtype ("the type of the output map"), whose default None is the input's type.
# Run on 2026-11-28, healpy 1.20.1, numpy 2.4.6: a mask with 0.75 observed, degraded by two, has 0.75 for floats,
# 0.00 for integers and 1.00 for booleans.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check healpy==1.20.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import healpy
import numpy as np

fine = np.ones(12 * 16**2)
fine[::4] = 0  # in nested order: one child of every four is masked
seen = {}
for kind in (float, int, bool):
    coarse = healpy.ud_grade(fine.astype(kind), 8, order_in="NESTED")
    seen[kind] = float(coarse.mean())
    print(f"mask of {kind.__name__}: {fine.mean():.2f} observed, degraded once {seen[kind]:.2f} ({coarse.dtype})")
print(f"healpy {healpy.__version__}, numpy {np.__version__}")
print("expected: 0.75 observed in every coarse pixel, whatever the type of the fine mask")
print("seen: 0 of the sky for integers, all of it for booleans, 0.75 only for floats")
if seen != {float: 0.75, int: 0.0, bool: 1.0}:
    sys.exit("CHANGED: the degraded masks are not 0.75, 0 and 1")
PYTHON
