#!/usr/bin/env bash
# jax.random.key reads only the lower 32 bits of a seed unless 64-bit numbers are switched on, and says nothing: seeds
# that differ by a multiple of 2^32 give one stream. The documentation of key calls the seed "a 64- or 32-bit integer";
# numpy.random.default_rng takes any whole number whole.
# Who is hit: simulations seeded with times in nanoseconds, hashes, or SIM * 2^32 + MAP: boxes that should be
# independent have the same initial waves, and covariances come out too small.
# Source: jax.random.key, jax/_src/prng.py (threefry_seed).
# Run on 2026-11-28, jax 0.10.2, numpy 2.4.6: key(1), key(1 + 2^32) and key(1 + 3 * 2^32) draw the same numbers, -1 is
# 2^32 - 1; with jax_enable_x64 the first three differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import jax
import numpy as np

warnings.simplefilter("error")
seeds = [1, 1 + 2**32, 1 + 3 * 2**32, np.int64(1 + 2**40)]


def draws() -> list[float]:
    return [float(jax.random.normal(jax.random.key(seed), dtype="float32")) for seed in seeds]


narrow, negative = draws(), jax.random.key_data(jax.random.key(-1)).tolist()
jax.config.update("jax_enable_x64", True)
wide = draws()
other = [float(np.random.default_rng(seed).normal()) for seed in seeds]
print(f"jax {jax.__version__}, numpy {np.__version__}; seeds {[int(seed) for seed in seeds]}")
print("expected: other draws for other seeds, or an error or warning")
print(f"seen: {np.round(narrow, 4)}; key(-1) holds {negative}")
print(f"with 64 bits: {np.round(wide, 4)}; numpy's: {np.round(other, 4)}")
if not (len(set(narrow)) == 1 and len(set(wide)) == 4 and len(set(other)) == 4 and negative == [0, 2**32 - 1]):
    sys.exit("CHANGED: the upper half of a seed counts now")
PYTHON
