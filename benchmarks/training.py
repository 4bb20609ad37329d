"""A training step: ours against PyTorch on the same cores, and any network's throughput on any device.

    .rivals/bin/python benchmarks/training.py                                   a step of Compact, both
    .venv/bin/python benchmarks/training.py --throughput Ribli18 --pixels 512   images a second

The comparison is a step of `Compact` on 64 maps of 64^2: forward, mean squared error, backward, clipping, AdamW.
PyTorch gets the same weights, eager mode, its fused AdamW, and counts with the faster of its two memory formats. First
the outputs and the losses of ten steps must agree. Rounds of steps are timed in turns and each side's best round
counts. The throughput is that of the loop that `training.fit` runs, with noise and smoothing drawn on the device.
"""

import argparse
import datetime
import functools
import os
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from wlbook.common import compiling
from wlbook.network import architectures, batches, losses, summary
from wlbook.network.configuration import Training
from wlbook.network.trainer import Trainer, plan_for_device
from wlbook.network.training_set import look_at
from wlbook.simulation.survey import Survey

RATE, DECAY, STEPS = 1e-3, 1e-2, 10_000
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# Dense peak, from the vendor's data sheet [operations a second]: bfloat16, and float32 in TF32 mode.
_HOPPER = {"bfloat16": 989e12, "float32": 494e12}
PEAK = {"H100": _HOPPER, "H200": _HOPPER, "A100": {"bfloat16": 312e12, "float32": 156e12}}


def our_step(model: Any, maps: np.ndarray, targets: np.ndarray) -> Any:
    """A function that takes one step and returns its loss."""
    weights, fixed = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(RATE, weight_decay=DECAY))
    kappa, wanted = jnp.asarray(maps), jnp.asarray(targets)

    @functools.partial(compiling.compiled, donate_argnums=(0, 1))
    def step(weights, state, kappa, wanted):
        def error(weights):
            return losses.squared(jax.vmap(eqx.combine(weights, fixed))(kappa), wanted)

        loss, gradient = jax.value_and_grad(error)(weights)
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state, loss

    weights = jax.tree.map(jnp.array, weights)
    now = {"weights": weights, "state": optimizer.init(weights)}

    def run() -> float:
        now["weights"], now["state"], loss = step(now["weights"], now["state"], kappa, wanted)
        return float(loss)

    return run


def their_step(model: Any, maps: np.ndarray, targets: np.ndarray, memory_format: str) -> Any:
    """The same in PyTorch."""
    import torch
    from torch_twin import torch_module

    layout = getattr(torch, memory_format)
    module = torch_module(model.layers).to(memory_format=layout)
    kappa, wanted = torch.tensor(maps).to(memory_format=layout), torch.tensor(targets)
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=DECAY, fused=True)

    def run() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(module(kappa), wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return run


def compare(batch: int, pixels: int, width: int, rounds: int) -> None:
    import torch
    from torch_twin import torch_module

    torch.set_num_threads(CORES)
    draw = np.random.default_rng(1)
    maps = draw.normal(size=(batch, 1, pixels, pixels)).astype(np.float32)
    targets = draw.normal(size=(batch, 2)).astype(np.float32)
    model = architectures.Compact(width=width, key=jax.random.key(1))

    ours = np.asarray(jax.jit(jax.vmap(model))(maps))
    with torch.no_grad():
        theirs = torch_module(model.layers)(torch.tensor(maps)).numpy()
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert difference < 1e-5, f"outputs differ by {difference:.1e}"

    sides = {"wlbook": our_step(model, maps, targets)}
    sides |= {
        f"PyTorch, {name}": their_step(model, maps, targets, name) for name in ("contiguous_format", "channels_last")
    }
    first = {name: [step() for _ in range(10)] for name, step in sides.items()}  # compiles, and must agree
    for name, losses_seen in first.items():
        assert np.allclose(losses_seen, first["wlbook"], rtol=1e-3), f"{name} learns something else: {losses_seen}"

    best = dict.fromkeys(sides, np.inf)
    for _ in range(rounds):
        for name, step in sides.items():
            start = time.perf_counter()
            for _ in range(10):
                step()
            best[name] = min(best[name], (time.perf_counter() - start) / 10)

    print(f"{datetime.date.today()}  {CORES} cores, JAX {jax.__version__}, PyTorch {torch.__version__}")
    print(f"Compact, width {width}, {batch} maps of {pixels}^2: outputs equal to {difference:.0e}, losses too")
    for name, seconds in best.items():
        print(f"{name:<28} {1e3 * seconds:7.1f} ms a step   {batch / seconds:7.0f} maps/s")
    rival = min(seconds for name, seconds in best.items() if name != "wlbook")
    print(f"{'ratio':<28} {rival / best['wlbook']:7.2f}")


def operations(model: Any, pixels: int) -> float:
    """Multiplications and additions of one training step on one map: three times those of the convolutions."""
    rows = [row for row in summary.table(model, pixels) if row.kind == "Convolution"]
    return 3 * sum(2 * (row.weights - row.shape[-1]) * row.shape[0] * row.shape[1] for row in rows)


def throughput(
    architecture: str, batch: int, pixels: int, steps: int, *, precision: str, bins: int = 1
) -> dict[str, float]:
    """Maps a second of the training loop, operations a second, and the latter's share of the device's peak."""
    device = jax.devices()[0]
    draw = np.random.default_rng(1)
    maps = 0.02 * draw.normal(size=(max(4 * batch, 64), bins, pixels, pixels)).astype(np.float32)
    targets = draw.normal(size=(len(maps), 2)).astype(np.float32)
    model = architectures.Architecture(architecture).build(bins=bins, outputs=2, pixels=pixels, key=jax.random.key(1))
    look = functools.partial(look_at, survey=Survey(), pixel=210 / pixels)
    settings = Training(steps, batch, precision=precision, optimiser="ribli18")
    plan = plan_for_device(batch, streamed=False)
    trainer = Trainer(model, settings, look, plan, jax.random.key(2))
    network, shared = trainer.initial(0, 0)["network"], trainer.place((maps, targets))
    length = min(plan.scan, steps)
    order = batches.order(len(maps), batch, jax.random.key(3))

    def advance(network: Any, first: int) -> Any:
        numbers = np.arange(first, first + length, dtype=np.int32)
        piece = trainer.place((numbers, np.stack([order(n) for n in numbers]), None))
        network, loss = trainer.advance(network, *shared, *piece)
        return network, np.asarray(loss)

    start = time.perf_counter()
    network, _ = advance(network, 0)
    first, pieces = time.perf_counter() - start, max(1, steps // length)
    start = time.perf_counter()
    for piece in range(pieces):
        network, _ = advance(network, length * (piece + 1))
    rate = pieces * length * batch / (time.perf_counter() - start)
    found = {"maps a second": rate, "TFLOP a second": rate * operations(model, pixels) / 1e12, "first call": first}
    peak = next((peaks[precision] for name, peaks in PEAK.items() if name in device.device_kind), None)
    return found | ({"share of peak": 1e12 * found["TFLOP a second"] / peak} if peak else {})


def print_throughput(architecture: str, batch: int, pixels: int, steps: int) -> None:
    device = jax.devices()[0]
    print(f"{datetime.date.today()}  {device.device_kind} x {len(jax.devices())}, JAX {jax.__version__}")
    print(f"{architecture}, {batch} maps of {pixels}^2 a step")
    for precision in ("bfloat16", "float32"):
        found = throughput(architecture, batch, pixels, steps, precision=precision)
        share = f"   {found['share of peak']:6.1%} of the peak" if "share of peak" in found else ""
        rate, work = found["maps a second"], found["TFLOP a second"]
        print(f"{precision:<12} {rate:9.1f} maps/s   {work:7.3f} TFLOP/s{share}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--throughput", metavar="NETWORK", choices=list(architectures.NETWORKS))
    options.add_argument("--batch", type=int, default=0, help="default 64, or 32 with --throughput")
    options.add_argument("--pixels", type=int, default=64)
    options.add_argument("--width", type=int, default=16, help="of Compact")
    options.add_argument("--rounds", type=int, default=10, help="of ten steps each")
    options.add_argument("--steps", type=int, default=200, help="with --throughput")
    chosen = options.parse_args()
    if chosen.throughput:
        print_throughput(chosen.throughput, chosen.batch or 32, chosen.pixels, chosen.steps)
    else:
        compare(chosen.batch or 64, chosen.pixels, chosen.width, chosen.rounds)


if __name__ == "__main__":
    main()
