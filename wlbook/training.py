"""Teaching a network on noisy maps: noise drawn afresh at each step, and a kill that costs seconds, not the run.

On a CPU a convolution inside `lax.scan`, or under `vmap` over the weights, loses its fast kernel (5 to 20 times
slower), so the step is jitted and called from a Python loop. What a step does depends on the step's number and the
key alone: that is why a resumed run ends in the same bits.
"""

import functools
import json
import math
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jaxtyping import Array, Float, Key, PyTree

from wlbook import network, random, survey
from wlbook.maps import select
from wlbook.progress import progress

PARAMETERS = ("omega_m", "sigma_8")


class Trained(eqx.Module):
    """A network with the scales of what goes in and comes out: called with a map, it answers in physical units.

    Attributes:
        model: the network, in standardised units.
        input_scale: what kappa is divided by.
        target_mean: added to the network's outputs, after
        target_scale: has multiplied them.
        history: `step` and `loss` of each step, `held_out_step` and `held_out_loss` of each check on held-out maps.
        coarsen: the network expects pixels this many times larger than the data's.
    """

    model: eqx.Module
    input_scale: Float[Array, ""]
    target_mean: Float[Array, " output"]
    target_scale: Float[Array, " output"]
    history: dict[str, np.ndarray]
    coarsen: int = eqx.field(static=True, default=1)

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """Predict from one map, in the targets' units."""
        return self.target_mean + self.target_scale * self.model(kappa / self.input_scale)  # pyright: ignore

    @property
    def layers(self) -> tuple[eqx.Module, ...]:
        """The network's layers between those that scale; their result is the departure from `target_mean`."""
        inner = self.model.layers  # pyright: ignore[reportAttributeAccessIssue]
        return (network.Scale(1 / self.input_scale), *inner, network.Scale(self.target_scale))

    def save(self, folder: Path) -> None:
        """Write the weights (Equinox leaves) and everything else (JSON) into `folder`."""
        settings = {name: value for name, value in vars(self.model).items() if isinstance(value, int)}
        described = {"architecture": type(self.model).__name__, "settings": settings, "coarsen": self.coarsen}
        scales = {
            name: np.asarray(getattr(self, name)).tolist() for name in ("input_scale", "target_mean", "target_scale")
        }
        history = {name: values.tolist() for name, values in self.history.items()}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "network.json").write_text(json.dumps({**described, **scales, "history": history}))
        eqx.tree_serialise_leaves(folder / "weights.eqx", self.model)

    @classmethod
    def load(cls, folder: Path) -> "Trained":
        """Read what `save` wrote."""
        stored = json.loads((folder / "network.json").read_text())
        blank = eqx.filter_eval_shape(network.make, stored["architecture"], key=jax.random.key(0), **stored["settings"])
        return cls(
            model=eqx.tree_deserialise_leaves(folder / "weights.eqx", blank),
            input_scale=jnp.float32(stored["input_scale"]),
            target_mean=jnp.asarray(stored["target_mean"], jnp.float32),
            target_scale=jnp.asarray(stored["target_scale"], jnp.float32),
            history={name: np.asarray(values) for name, values in stored["history"].items()},
            coarsen=stored["coarsen"],
        )


def dihedral(kappa: Float[Array, "*batch y x"], copy: int) -> Float[Array, "*batch y x"]:
    """One of the 8 rotated and mirrored copies of square maps, 0 <= copy < 8; 0 is the map itself."""
    if copy & 1:
        kappa = jnp.flip(kappa, -1)
    if copy & 2:
        kappa = jnp.flip(kappa, -2)
    return jnp.swapaxes(kappa, -1, -2) if copy & 4 else kappa


def coarsen(kappa: Float[Array, "*batch y x"], factor: int) -> Float[Array, "*batch y2 x2"]:
    """Maps averaged over squares of `factor` x `factor` pixels.

    Raises:
        ValueError: a factor that does not divide the map's side.
    """
    y, x = kappa.shape[-2:]
    if factor < 1 or y % factor or x % factor:
        raise ValueError(f"coarsen = {factor}: must divide the map's side of {x} pixels")
    if factor == 1:
        return kappa
    return kappa.reshape(*kappa.shape[:-2], y // factor, factor, x // factor, factor).mean(axis=(-3, -1))


def observe(
    kappa: Float[Array, "*batch bin y x"],
    key: Key[Array, ""],
    *,
    pixel: float,
    n_gal: float,
    sigma_e: float,
    smoothing: float,
    transform: Callable | None = None,
    factor: int = 1,
) -> Float[Array, "*batch bin y2 x2"]:
    """What a network is shown: noise, then coarser pixels, then the degradation, then smoothing.

    Args:
        kappa: noiseless maps.
        key: of the noise, and of the degradation if it draws numbers.
        pixel: pixel side of `kappa` [arcmin].
        n_gal: source density [arcmin^-2].
        sigma_e: total intrinsic ellipticity dispersion; 0 is noiseless.
        smoothing: standard deviation of the Gaussian [arcmin].
        transform: a degradation, called as `transform(kappa, key=key)`.
        factor: pixels averaged along each side.
    """
    kappa = survey.add_shape_noise(kappa, n_gal=n_gal, pixel=pixel, sigma_e=sigma_e, key=key)
    kappa = coarsen(kappa, factor)
    if transform is not None:
        kappa = transform(kappa, key=jax.random.fold_in(key, zlib.crc32(b"degradation")))
    return survey.smooth(kappa, smoothing, pixel * factor)


def train(
    model: eqx.Module,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    targets: Float[Array | np.ndarray, "map output"],
    *,
    steps: int,
    batch: int,
    learning_rate: float,
    observe: Callable[[Array, Array], Array] = lambda kappa, key: kappa,
    validation: tuple[Any, Any] | None = None,
    weight_decay: float = 1e-2,
    checkpoint: Path | None = None,
    save_seconds: float = 10.0,
    key: Key[Array, ""],
) -> Trained:
    """Fit a network's outputs to targets: mean squared error, AdamW, one cycle of a cosine learning rate.

    Each step takes the next `batch` maps of a shuffled pass, an eighth of them in each of the 8 dihedral copies, and
    observes them with a noise of its own.

    Args:
        model: any callable module from `[bin, y, x]` to `[output]`; of the order of 1 in and out.
        kappa: maps, of the order of 1.
        targets: what to predict for each map, standardised.
        steps: optimiser steps, >= 1.
        batch: maps in a step, 1 <= batch <= number of maps.
        learning_rate: peak learning rate, > 0; reached after a tenth of the steps, zero at the end.
        observe: from a batch of maps and a key to what the network sees.
        validation: held-out maps and targets, looked at 20 times on the way and never learnt from.
        weight_decay: AdamW's, >= 0.
        checkpoint: folder to keep the state in and to go on from.
        save_seconds: time between two checkpoints [s].
        key: of the order of the maps and of the noise.

    Returns:
        The network and its history, with scales of one.

    Raises:
        ValueError: an argument out of range; maps or targets that are not finite; targets that do not vary.
        FloatingPointError: the loss is not finite; the last checkpoint is kept.
    """
    kappa, targets = jnp.asarray(kappa, jnp.float32), jnp.asarray(targets, jnp.float32)
    _check(kappa, targets, steps=steps, batch=batch, learning_rate=learning_rate, weight_decay=weight_decay)
    held_out = None if validation is None else tuple(jnp.asarray(part, jnp.float32) for part in validation)
    checks = sorted({round(steps * (i + 1) / 20) for i in range(20)} - {0})

    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, max(1, steps // 10), steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=weight_decay))
    weights, fixed = eqx.partition(model, eqx.is_inexact_array)
    order_key, noise_key = (jax.random.fold_in(key, zlib.crc32(name)) for name in (b"order", b"noise"))

    def error(weights: PyTree, maps: Array, targets: Array) -> Array:
        return jnp.mean((jax.vmap(eqx.combine(weights, fixed))(maps) - targets) ** 2)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(weights, state, number, kappa, targets):
        chosen = _chosen(number, len(kappa), batch, order_key)
        maps = observe(_augment(kappa[chosen]), jax.random.fold_in(noise_key, number))
        loss, gradient = jax.value_and_grad(error)(weights, maps, targets[chosen])
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state, loss

    @jax.jit
    def held_out_error(weights, maps, targets):
        return error(weights, observe(maps, jax.random.fold_in(noise_key, steps)), targets)

    run = {
        "weights": jax.tree.map(jnp.array, weights),  # a copy: the step gives its arguments' memory away
        "state": optimizer.init(weights),
        "done": np.int64(0),
        "loss": np.full(steps, np.nan),
        "held_out": np.full(len(checks), np.nan),
        "of": np.int64(zlib.crc32(repr((steps, batch, learning_rate, weight_decay, kappa.shape)).encode())),
    }
    if checkpoint is not None:
        run = _resume(checkpoint, run)
    saved = time.monotonic()
    for number in progress(range(int(run["done"]), steps), "training", total=steps - int(run["done"]), unit="step"):
        run["weights"], run["state"], loss = update(run["weights"], run["state"], number, kappa, targets)
        run["loss"][number] = float(loss)
        if not math.isfinite(run["loss"][number]):
            kept = f"; the state before it is kept in {checkpoint}" if checkpoint is not None else ""
            raise FloatingPointError(
                f"loss = {float(loss)} at step {number}: training diverged with learning_rate = {learning_rate}{kept}"
            )
        run["done"] = np.int64(number + 1)
        if held_out is not None and number + 1 in checks:
            run["held_out"][checks.index(number + 1)] = float(held_out_error(run["weights"], *held_out))
        if checkpoint is not None and time.monotonic() - saved >= save_seconds:
            _save(checkpoint, run)
            saved = time.monotonic()
    history = {"step": np.arange(1, steps + 1), "loss": run["loss"]}
    if held_out is not None:
        history |= {"held_out_step": np.array(checks), "held_out_loss": run["held_out"]}
    outputs = targets.shape[1]
    return Trained(eqx.combine(run["weights"], fixed), jnp.float32(1), jnp.zeros(outputs), jnp.ones(outputs), history)


def fit(
    data: xr.Dataset,
    *,
    architecture: str = "Compact",
    width: int = 16,
    steps: int = 1500,
    batch: int = 32,
    learning_rate: float = 6e-3,
    n_gal: float = 30.0,
    sigma_e: float = 0.4,
    smoothing: float = 1.0,
    transform: Callable | None = None,
    coarsen: int = 1,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Trained:
    """Train a network to read (omega_m, sigma_8) off the maps of split "train".

    From 16 models on, every eighth model is held out: its maps show whether the network has learnt cosmology or the
    boxes it was trained on. The maps of split "test" are not looked at.

    Args:
        data: maps with their parameters, as `maps.make` returns them.
        architecture: a name in `network.NETWORKS`.
        width: of the network.
        steps: optimiser steps.
        batch: maps in a step.
        learning_rate: peak learning rate.
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 trains on noiseless maps.
        smoothing: standard deviation of the Gaussian, after the noise [arcmin], >= 0.
        transform: a degradation between noise and smoothing, called as `transform(kappa, key=key)`.
        coarsen: pixels averaged along each side before anything else: fewer pixels, cheaper steps.
        seed: of the initial weights, the order of the maps and the noise.
        checkpoint: folder to keep the state in and to go on from.

    Returns:
        The network with its scales: it predicts omega_m and sigma_8 themselves.

    Raises:
        ValueError: an argument out of range, maps that are not finite, no maps of split "train".
        FloatingPointError: the loss is not finite.
    """
    data = select(data, "train")
    if data.sizes["map"] == 0:
        raise ValueError('data holds no map of split "train"')
    pixel = float(data.attrs["pixel"])
    kappa = _coarse(np.asarray(data["kappa"].values, np.float32), coarsen)
    targets = np.stack([data[name].values for name in PARAMETERS], axis=1)
    learnt = ~is_held_out(data["model"].values)
    _check_targets(targets[learnt])
    mean, scale = targets[learnt].mean(axis=0), targets[learnt].std(axis=0)
    look = functools.partial(
        observe, pixel=pixel * coarsen, n_gal=n_gal, sigma_e=sigma_e, smoothing=smoothing, transform=transform
    )
    _check_finite("kappa", kappa)
    shown = jax.jit(look)(jnp.asarray(kappa[learnt][:: -(-len(kappa) // 256)]), random.key(seed, "scale"))
    spread = float(np.std(np.asarray(shown)))
    if not (math.isfinite(spread) and spread > 0):
        raise ValueError(f"what the network is shown has standard deviation {spread}: must be finite and > 0")

    standard = (targets - mean) / scale
    trained = train(
        network.make(architecture, bins=shown.shape[1], outputs=2, width=width, key=random.key(seed, "weights")),
        kappa[learnt],
        standard[learnt],
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        observe=lambda maps, key: look(maps, key) / spread,
        validation=None if learnt.all() else (kappa[~learnt], standard[~learnt]),
        checkpoint=checkpoint,
        key=random.key(seed, "training"),
    )
    return Trained(
        trained.model,
        jnp.float32(spread),
        jnp.asarray(mean, jnp.float32),
        jnp.asarray(scale, jnp.float32),
        trained.history,
        coarsen,
    )


def predict(
    model: Callable[[Array], Array],
    maps: Float[Array | np.ndarray, "map bin y x"],
    *,
    copies: int = 1,
    batch: int = 256,
) -> Float[np.ndarray, "map output"]:
    """A network's outputs for observed maps.

    Args:
        model: any callable module from `[bin, y, x]` to `[output]`, such as `Trained`.
        maps: what the network is to see, noise and all.
        copies: dihedral copies averaged over, 1 to 8.
        batch: maps at a time; results do not depend on it.
    """
    return _batched(lambda kappa, _: _averaged(model, kappa, copies), maps, np.zeros(len(maps), np.uint32), batch)


def predictions(
    trained: Trained,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    *,
    side: float,
    n_gal: float,
    sigma_e: float,
    smoothing: float,
    seed: int,
    transform: Callable | None = None,
    copies: int = 8,
    batch: int = 256,
) -> Float[np.ndarray, "map output"]:
    """A network's outputs for noiseless maps, each observed with a noise of its own.

    Map i gets the noise of `random.key(seed, "noise", i)`, as in `statistics.measure`: with one seed the network and
    the statistics see the same noise.

    Args:
        trained: from `fit`.
        kappa: noiseless maps.
        side: side of a map [deg].
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 is noiseless.
        smoothing: standard deviation of the Gaussian [arcmin], >= 0.
        seed: of the noise.
        transform: the degradation the network was trained with.
        copies: dihedral copies averaged over, 1 to 8.
        batch: maps at a time; results do not depend on it.

    Returns:
        omega_m and sigma_8 for each map.

    Raises:
        ValueError: an argument out of range.
    """
    look = functools.partial(
        observe,
        pixel=60 * side / kappa.shape[-1],
        n_gal=n_gal,
        sigma_e=sigma_e,
        smoothing=smoothing,
        transform=transform,
        factor=trained.coarsen,
    )
    stream = random.key(seed, "noise")

    def outputs(kappa: Array, number: Array) -> Array:
        return _averaged(trained, look(kappa, jax.random.fold_in(stream, number)), copies)

    names = np.array([zlib.crc32(str(i).encode()) for i in range(len(kappa))], np.uint32)
    return _batched(outputs, kappa, names, batch)


def r_squared(truth: Float[np.ndarray, " map"], predicted: Float[np.ndarray, " map"]) -> float:
    """The share of the variance of `truth` that `predicted` explains: 1 is perfect, 0 is no better than the mean."""
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    return float(1 - np.mean((predicted - truth) ** 2) / np.var(truth))


def _averaged(model: Callable[[Array], Array], kappa: Array, copies: int) -> Array:
    """The mean output over dihedral copies of one map."""
    if not 1 <= copies <= 8:
        raise ValueError(f"copies = {copies}: must be 1 <= copies <= 8")
    return sum(model(dihedral(kappa, copy)) for copy in range(copies)) / copies  # pyright: ignore[reportReturnType]


def _batched(outputs: Callable[[Array, Array], Array], kappa, numbers: np.ndarray, batch: int) -> np.ndarray:
    """`outputs(map, number)` for every map, one compiled batch at a time."""
    if len(kappa) == 0:
        raise ValueError("kappa holds no map: must hold >= 1")
    if batch < 1:
        raise ValueError(f"batch = {batch}: must be >= 1")
    _check_finite("kappa", kappa)
    size = min(batch, len(kappa))
    compiled = jax.jit(jax.vmap(outputs))
    done = []
    for start in progress(range(0, len(kappa), size), "predicting", unit="batch"):
        rows = np.arange(start, start + size) % len(kappa)  # the last batch is filled up: one shape, one compilation
        done.append(np.asarray(compiled(jnp.asarray(kappa[rows], jnp.float32), numbers[rows])))
    return np.concatenate(done)[: len(kappa)]


def _augment(kappa: Float[Array, "map bin y x"]) -> Float[Array, "map bin y x"]:
    """An eighth of a (shuffled) batch in each dihedral copy."""
    parts = jnp.array_split(kappa, min(8, len(kappa)))
    return jnp.concatenate([dihedral(part, copy) for copy, part in enumerate(parts)])


def _chosen(number: Array, maps: int, batch: int, key: Key[Array, ""]) -> Array:
    """Which maps step `number` sees: consecutive pieces of a pass that is shuffled anew each time."""
    steps = maps // batch
    order = jax.random.permutation(jax.random.fold_in(key, number // steps), maps)
    return jax.lax.dynamic_slice_in_dim(order, number % steps * batch, batch)


def is_held_out(model: np.ndarray) -> np.ndarray:
    """Which maps `fit` does not learn from, given each map's model: every eighth model from 16 on, else none."""
    known = np.unique(model)
    return np.isin(model, known[4::8]) if len(known) >= 16 else np.zeros(len(model), bool)


def _coarse(kappa: np.ndarray, factor: int) -> np.ndarray:
    return kappa if factor == 1 else np.asarray(coarsen(jnp.asarray(kappa), factor))


def _check_finite(name: str, values: Any) -> None:
    bad = np.flatnonzero(~np.isfinite(np.asarray(values)).reshape(len(values), -1).all(axis=1))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] holds NaN or infinity ({len(bad)} of {len(values)} do): must be finite")


def _check_targets(targets: Any) -> None:
    targets = np.asarray(targets)
    _check_finite("targets", targets)
    for column, values in enumerate(targets.T):
        if np.ptp(values) == 0:
            raise ValueError(f"targets[:, {column}] = {values[0]:g} for every map: must vary")


def _check(kappa, targets, *, steps: int, batch: int, learning_rate: float, weight_decay: float) -> None:
    if len(kappa) != len(targets):
        raise ValueError(f"targets has {len(targets)} rows: must be {len(kappa)}, one for each map")
    if steps < 1:
        raise ValueError(f"steps = {steps}: must be >= 1")
    if not 1 <= batch <= len(kappa):
        raise ValueError(f"batch = {batch}: must be 1 <= batch <= {len(kappa)}, the number of training maps")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate = {learning_rate}: must be > 0")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay = {weight_decay}: must be >= 0")
    _check_finite("kappa", kappa)
    _check_targets(targets)


def _save(folder: Path, run: PyTree) -> None:
    """Write the state aside and rename it: a kill leaves the old checkpoint or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"state.{os.getpid()}.part"
    with aside.open("wb") as file:
        eqx.tree_serialise_leaves(file, run)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / "state.eqx")


def _resume(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """The state kept in `folder`, or the initial one where there is none."""
    path = folder / "state.eqx"
    if not path.exists():
        return run
    try:
        kept = eqx.tree_deserialise_leaves(path, run)
    except Exception as error:  # Equinox raises bare RuntimeErrors, NumPy ValueErrors and EOFErrors
        raise ValueError(f"checkpoint = {path}: is not a state of this training; delete it to start again") from error
    if kept["of"] != run["of"]:
        raise ValueError(f"checkpoint = {path}: was made with other arguments; delete it to start again")
    return kept
