#!/usr/bin/env bash
# equinox's BatchNorm in mode "batch" divides its running variance by 1 - momentum^n, the correction for an average that
# started at zero, but the average starts at one. For inputs of small variance the running variance stays too large
# for hundreds of steps: a frozen network shrinks its features although the same layer standardised them in training.
# Who is hit: whoever trains on kappa maps (scatter of 0.02) for a few hundred steps and then freezes the network.
# Source: equinox.nn.BatchNorm, mode="batch" (initial state and debiasing in __call__).
# Run on 2026-11-28, equinox 0.13.8, jax 0.10.2: inputs of scatter 0.1 leave the frozen layer with 0.01 0.03 0.12
# 0.74 1.04 after 1, 10, 100, 500, 1000 steps, in training always with 1.00.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check equinox==0.13.8 jax==0.10.2
"$work/venv/bin/python" - <<'PYTHON'
import sys

import equinox as eqx
import jax
import jax.numpy as jnp

layer = eqx.nn.BatchNorm(1, "batch", mode="batch")
state = eqx.nn.State(layer)


@eqx.filter_jit
def apply(layer, state, x):
    return jax.vmap(layer, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)


print(f"equinox {eqx.__version__}, jax {jax.__version__}; inputs of mean 0 and standard deviation 0.1")
print("expected: what leaves the frozen layer has standard deviation 1, within a few per cent after 100 steps")
seen = {}
for step in range(1, 1001):
    x = 0.1 * jax.random.normal(jax.random.key(step), (256, 1))
    trained, state = apply(layer, state, x)
    if step in (1, 10, 100, 500, 1000):
        frozen, _ = apply(eqx.nn.inference_mode(layer), state, x)
        seen[step] = float(jnp.std(frozen))
        print(f"seen: after {step} steps {float(jnp.std(trained)):.2f} in training, {seen[step]:.2f} frozen")
if not (seen[1] < 0.05 and seen[100] < 0.3 and seen[1000] > 0.9):
    sys.exit("CHANGED: the frozen layer agrees with the one in training sooner, or never")
PYTHON
