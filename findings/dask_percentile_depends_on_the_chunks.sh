#!/usr/bin/env bash
# dask.array.percentile of an array in several chunks merges the percentiles of the chunks and never sees the values
# between them. The answer depends on the chunks: the extreme percentiles of white noise come out too far, and where the
# level differs from chunk to chunk (depth, declination, redshift) even the median is wrong by more than a sigma.
# Who is hit: whoever takes thresholds, clipping limits or medians of a map or catalogue that is chunked to fit memory.
# Source: dask.array.percentile ("approximate percentile of 1-D array"), default internal_method.
# Run on 2026-11-28, dask 2026.8.0, numpy 2.4.6: percentile 99.9 of white noise is 3.097, 3.172, 3.421 in chunks of
# 2^20, 2^16, 2^12; the median of noise with a slope is 2.502, 4.791, 4.330.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dask==2026.8.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import dask
import dask.array as da
import numpy as np

rng = np.random.default_rng(0)
white = rng.normal(0, 1, 2**20)
graded = white + np.linspace(0, 5, 2**20)
found = {}
print(f"dask {dask.__version__}, numpy {np.__version__}")
print("expected: approximate, say to 1 % of a sigma with a million values")
for name, values, percent in (("white noise", white, 99.9), ("noise with a slope", graded, 50)):
    exact = np.percentile(values, percent)
    for chunk in (2**20, 2**16, 2**12):
        answer = float(da.percentile(da.from_array(values, chunks=chunk), [percent]).compute()[0])
        found[name, chunk] = answer - exact
        print(f"seen: {name}, percentile {percent}, chunks of {chunk}: {answer:.3f}, exact {exact:.3f}")
one = max(abs(found[name, 2**20]) for name in ("white noise", "noise with a slope"))
if not (one < 1e-9 and found["white noise", 2**12] > 0.1 and abs(found["noise with a slope", 2**12]) > 1):
    sys.exit("CHANGED: the percentiles of chunked arrays are no longer off by this much")
PYTHON
