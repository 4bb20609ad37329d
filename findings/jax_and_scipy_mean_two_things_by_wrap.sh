#!/usr/bin/env bash
# mode="wrap" of jax.scipy.ndimage.map_coordinates repeats an image of n pixels after n pixels, as a periodic map needs.
# In scipy.ndimage.map_coordinates the same word repeats it after n - 1 pixels; there the periodic one is "grid-wrap".
# Every coordinate outside the first and last pixel centre is shifted, so a field traced to the edge is wrong there only.
# Who is hit: whoever moves ray tracing or remapping of periodic planes between the two, or checks one with the other.
# Source: scipy.ndimage.map_coordinates, argument mode; jax.scipy.ndimage.map_coordinates.
# Run on 2026-11-28, jax 0.10.2, scipy 1.17.1, numpy 2.4.6: a sine of period 16 is off by up to 0.019 with jax's
# wrap and scipy's grid-wrap, by up to 0.620 with scipy's wrap.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 scipy==1.17.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import jax
import numpy as np
import scipy
from jax.scipy.ndimage import map_coordinates
from scipy import ndimage

size = 16
plane = np.sin(2 * np.pi * np.arange(size) / size)[:, None] * np.ones(size)  # one period across
place = np.array([[3.5, 15.5, 16.0, 20.25, 40.5], [0.0] * 5])
truth = np.sin(2 * np.pi * place[0] / size)
found = {
    "jax, wrap": np.asarray(map_coordinates(plane, list(place), order=1, mode="wrap")),
    "scipy, wrap": ndimage.map_coordinates(plane, place, order=1, mode="wrap"),
    "scipy, grid-wrap": ndimage.map_coordinates(plane, place, order=1, mode="grid-wrap"),
}
off = {name: float(np.abs(values - truth).max()) for name, values in found.items()}
print(f"jax {jax.__version__}, scipy {scipy.__version__}, numpy {np.__version__}; a sine of amplitude 1, period {size} pixels")
print("expected: the two functions of one name agree with each other and with the sine to the 0.02 of interpolation")
for name, values in found.items():
    print(f"seen: {name}: at", ", ".join(f"{x:g}" for x in place[0]), "->", values.round(3), f"off by up to {off[name]:.3f}")
if not (off["jax, wrap"] < 0.03 and off["scipy, grid-wrap"] < 0.03 and off["scipy, wrap"] > 0.2):
    sys.exit("CHANGED: the two meanings of wrap are one, or others")
PYTHON
