"""Attribution maps: ours against Captum on the same weights and cores, and maps a second on any device.

    .rivals/bin/python benchmarks/saliency.py                                  seven methods, both
    .venv/bin/python benchmarks/saliency.py --device Ribli18 --pixels 512      all of ours, maps a second

The comparison is of `Compact` with biases on maps of 64^2: gradient, integrated gradients (32 points), SmoothGrad (32
samples, the same noise in both), guided back-propagation, deconvnet, LRP-epsilon and occlusion (squares of 8 pixels).
Where the definitions are the same the answers must agree to 1e-4 of their norm. Captum gets as many maps at
once as suits it best: each side's best of its batch sizes counts, and the sides are timed in turns.
"""

import argparse
import datetime
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from wlbook import saliency
from wlbook.network import architectures

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
STEPS, SQUARE, SIGMA = 32, 8, 0.1
Ask = Callable[[np.ndarray], np.ndarray]


def with_biases(model: Any) -> Any:
    """Biases that are not zero, as those of a trained network."""

    def draw(path, leaf):
        if getattr(path[-1], "name", "") != "bias":
            return leaf
        return 0.05 * jax.random.normal(jax.random.key(leaf.size), leaf.shape)

    return jax.tree_util.tree_map_with_path(draw, model)


def fixed_noise_smoothgrad(model: Any, kappa: Any, output: Any, *, noise: Any) -> Any:
    """SmoothGrad on noise that is given: what `smoothgrad` does, comparable number by number."""
    shown = jax.vmap(lambda one: saliency.gradient(model, kappa + one, output))
    return shown(noise).mean(axis=0)


def ours(model: Any) -> dict[str, Callable[[int], Ask]]:
    """Our methods: from maps at once to a function of maps."""

    def ask(method, **options):
        return lambda batch: lambda maps: saliency.over_maps(method, model, maps, 0, batch=batch, **options)

    noisy = {"sigma": SIGMA, "samples": STEPS, "key": jax.random.key(3)}
    return {
        "gradient": ask(saliency.gradient),
        "integrated gradients": ask(saliency.integrated_gradients, steps=STEPS),
        "SmoothGrad": ask(saliency.smoothgrad, **noisy),
        "guided back-propagation": ask(saliency.guided_backprop),
        "deconvnet": ask(saliency.deconvnet),
        "LRP, epsilon": ask(saliency.lrp, epsilon=1e-9),
        "occlusion": ask(saliency.occlusion, size=SQUARE),
    }


def theirs(module: Any, of_rules: Any) -> dict[str, Callable[[int], Ask]]:
    """Captum's, called as its documentation does; `of_rules` is the same module for relevance."""
    import torch
    from captum import attr
    from captum.attr._utils.lrp_rules import EpsilonRule

    class Relevance:
        def attribute(self, part, target):
            for layer in of_rules:  # it has no rule for this layer, and forgets those that it is told
                if isinstance(layer, torch.nn.Flatten):
                    layer.rule = EpsilonRule()
            return attr.LRP(of_rules).attribute(part, target=target)

    def ask(explainer, **options):
        def of(batch):
            def run(maps):
                parts = [torch.tensor(maps[n : n + batch]) for n in range(0, len(maps), batch)]
                found = [explainer.attribute(part.requires_grad_(), target=0, **options).detach() for part in parts]
                return torch.cat(found).numpy()

            return run

        return of

    line = {"n_steps": STEPS, "method": "riemann_middle", "internal_batch_size": 64}
    noisy = {"nt_type": "smoothgrad", "nt_samples": STEPS, "stdevs": SIGMA, "nt_samples_batch_size": STEPS}
    square = {
        "sliding_window_shapes": (1, SQUARE, SQUARE),
        "strides": (1, SQUARE, SQUARE),
        "perturbations_per_eval": 16,
    }
    return {
        "gradient": ask(attr.Saliency(module), abs=False),
        "integrated gradients": ask(attr.IntegratedGradients(module), **line),
        "SmoothGrad": ask(attr.NoiseTunnel(attr.Saliency(module)), abs=False, **noisy),
        "guided back-propagation": ask(attr.GuidedBackprop(module)),
        "deconvnet": ask(attr.Deconvolution(module)),
        "LRP, epsilon": ask(Relevance()),
        "occlusion": ask(attr.Occlusion(module), **square),
    }


def agreement(name: str, model: Any, module: Any, maps: np.ndarray, one: Ask, two: Ask) -> float:
    """The norm of the difference over the norm: single ReLUs at zero switch by rounding, and must not count as more."""
    if name == "SmoothGrad":  # the noise of both is their own: compare with one noise for both
        import torch

        noise = (SIGMA * np.random.default_rng(5).normal(size=(STEPS, *maps.shape[1:]))).astype(np.float32)
        mine = saliency.over_maps(fixed_noise_smoothgrad, model, maps, 0, noise=noise)
        rows = [torch.tensor(each + noise).requires_grad_() for each in maps]
        other = np.stack([torch.autograd.grad(module(row)[:, 0].sum(), row)[0].mean(0).numpy() for row in rows])
    else:
        mine, other = one(maps), two(maps)
        if name == "occlusion":  # theirs gives the square's fall to each of its pixels, ours shares it
            other = other / SQUARE**2
    return float(np.linalg.norm(mine - other) / np.linalg.norm(other))


def compare(number: int, pixels: int, width: int, seconds: float) -> None:
    import captum
    import torch
    from captum.attr._utils.custom_modules import Addition_Module
    from torch_twin import torch_module

    torch.set_num_threads(CORES)
    warnings.filterwarnings("ignore", module="captum")
    maps = np.random.default_rng(1).normal(size=(number, 1, pixels, pixels)).astype(np.float32)
    model = with_biases(architectures.Compact(width=width, key=jax.random.key(1)))
    module, of_rules = (
        torch_module(model.layers, addition=Addition_Module, padded=one).eval() for one in (True, False)
    )
    print(f"{datetime.date.today()}  {CORES} cores, JAX {jax.__version__}, Captum {captum.__version__}")
    print(f"Compact, width {width}, {number} maps of {pixels}^2; ms a map, best of batch sizes")
    print(f"{'':<24} {'ours':>8} {'Captum':>8} {'ratio':>7} {'differ by':>10}")
    for name, (mine, other) in {
        name: (ours(model)[name], theirs(module, of_rules)[name]) for name in ours(model)
    }.items():
        many = name in ("integrated gradients", "SmoothGrad", "occlusion")
        sizes = [1, 2, 4, 8] if many else [32, 64, 128]
        asked = maps[: len(maps) // 16] if many else maps
        difference = agreement(name, model, module, maps[:4], mine(4), other(4))
        sides = {("ours", size): mine(size) for size in sizes} | {("theirs", size): other(size) for size in sizes}
        best = dict.fromkeys(sides, np.inf)
        for run in sides.values():
            run(asked)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for side, run in sides.items():
                start = time.perf_counter()
                run(asked)
                best[side] = min(best[side], (time.perf_counter() - start) / len(asked))
        one, two = (min(value for (side, _), value in best.items() if side == which) for which in ("ours", "theirs"))
        print(f"{name:<24} {1e3 * one:8.2f} {1e3 * two:8.2f} {two / one:7.2f} {difference:10.0e}", flush=True)
        assert difference < 1e-4, f"{name} differs from Captum's by {difference:.1e}"


def device(architecture: str, number: int, pixels: int, width: int | None, seconds: float) -> None:
    """Print maps a second of each of our methods."""
    kind = jax.devices()[0].device_kind
    print(f"{datetime.date.today()}  {kind}, JAX {jax.__version__}, {architecture}, maps of {pixels}^2")
    for name, rate in rates(architecture, number, pixels, width, seconds):
        print(f"{name:<24} {rate:10.1f} maps/s", flush=True)


def rates(
    architecture: str, number: int, pixels: int, width: int | None, seconds: float
) -> Iterator[tuple[str, float]]:
    """Maps a second of each of our methods, by name."""
    made = architectures.Architecture(architecture, {"width": width}).build(
        bins=1, outputs=2, pixels=pixels, key=jax.random.key(1)
    )
    model = architectures.frozen(*architectures.with_state(made))
    maps = np.random.default_rng(1).normal(size=(number, 1, pixels, pixels)).astype(np.float32)
    square = {"square": pixels // 8, "steps": STEPS}
    for method in saliency.suite(sigma=SIGMA, others=maps[:8], **square):
        method(model, maps, 0, key=jax.random.key(2))
        done, start = 0, time.perf_counter()
        while done == 0 or time.perf_counter() - start < seconds:
            method(model, maps, 0, key=jax.random.key(2))
            done += len(maps)
        yield method.name, done / (time.perf_counter() - start)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", metavar="NETWORK", choices=list(architectures.NETWORKS))
    options.add_argument("--maps", type=int, default=256)
    options.add_argument("--pixels", type=int, default=64)
    options.add_argument("--width", type=int, default=None, help="default 16, or the network's own with --device")
    options.add_argument("--seconds", type=float, default=4.0, help="of timing for each method")
    chosen = options.parse_args()
    if chosen.device:
        device(chosen.device, chosen.maps, chosen.pixels, chosen.width, chosen.seconds)
    else:
        compare(chosen.maps, chosen.pixels, chosen.width or 16, chosen.seconds)


if __name__ == "__main__":
    main()
