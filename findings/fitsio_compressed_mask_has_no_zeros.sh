#!/usr/bin/env bash
# fitsio's default for a compressed float image is subtractive dithering, which moves exact zeros too. A mask of 0 and 1
# comes back without an exact zero, so that "mask != 0" is True everywhere; "mask > 0.5" is still right, and so is
# everything with qmethod=2, the dithering that spares zeros.
# Who is hit: whoever compresses a survey mask or weight map as float32 and selects pixels by "!= 0" or "== 0".
# Source: fitsio.FITS.write, arguments compress, qlevel, qmethod (default SUBTRACTIVE_DITHER_1), dither_seed.
# Run on 2026-11-28, fitsio 1.4.2, numpy 2.4.6: of a mask with 0.901 observed, != 0 holds in 1.000 and > 0.5 in
# 0.901 of the pixels, values are off by up to 0.076; with qmethod=2 != 0 holds in 0.901.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fitsio==1.4.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys
import tempfile

import fitsio
import numpy as np

mask = (np.random.default_rng(0).random((256, 256)) < 0.9).astype(np.float32)


def stored(**options):
    with tempfile.TemporaryDirectory() as folder:
        fitsio.write(f"{folder}/mask.fits", mask, compress="rice", **options)
        return fitsio.read(f"{folder}/mask.fits")


lossy, kept = stored(), stored(qmethod=2)
print(f"fitsio {fitsio.__version__}, numpy {np.__version__}; a mask of 0 and 1, {mask.mean():.3f} observed")
print("expected: zeros stay zeros, they are the values that a mask lives on")
print(f"seen: != 0 in {np.mean(lossy != 0):.3f} of the pixels, values off by up to {np.abs(lossy - mask).max():.3f}")
print(f"      > 0.5 in {np.mean(lossy > 0.5):.3f}")
print(f"      with qmethod=2 (SUBTRACTIVE_DITHER_2): != 0 in {np.mean(kept != 0):.3f}")
if not (np.mean(lossy != 0) > 0.999 and np.mean(lossy > 0.5) == mask.mean() and np.mean(kept != 0) == mask.mean()):
    sys.exit("CHANGED: compressed masks keep their zeros by default, or lose more")
PYTHON
