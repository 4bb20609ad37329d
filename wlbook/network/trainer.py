"""The training loop: from a network and maps to a trained network, on whatever devices there are.

How the loop runs is chosen by the device in one place, `plan_for_device`. On a CPU a convolution inside `lax.scan`
loses its fast kernel (5 to 20 times slower), so one step is compiled and called from a Python loop: what is shown
first, then what is learnt from it, which all trainings alike share. On an accelerator many steps run in one call. The
batch is split over all devices.

What a step does depends on the step's number and the training's key alone: that is why a resumed run ends in the same
bits.
"""

import functools
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key, PyTree

from wlbook.common import batching, compiling, random
from wlbook.common.checks import check_finite
from wlbook.common.progress import progress
from wlbook.network import architectures, batches, checkpoints, layers, losses, optimisers
from wlbook.network.configuration import PRECISIONS, Training
from wlbook.network.training_set import check_targets

CHECKS = 20  # looks at the held-out maps in a training
SAVE_SECONDS = 10.0  # between two checkpoints


class ExecutionPlan(NamedTuple):
    """How the loop runs on a device."""

    scan: int  # steps in one compiled call
    devices: tuple[Any, ...]  # that share each batch


def plan_for_device(batch: int, streamed: bool) -> ExecutionPlan:
    """The plan that suits the devices at hand: as many of them as divide the batch."""
    devices = jax.devices()
    number = max(n for n in range(1, len(devices) + 1) if batch % n == 0)
    steps = 1 if devices[0].platform == "cpu" else 8 if streamed else 100
    return ExecutionPlan(steps, tuple(devices[:number]))


def run(
    model: Any,
    kappa: Any,
    targets: Any,
    training: Training,
    *,
    observe: Callable[[Array, Array], Array],
    validation: tuple[Any, Any] | None = None,
    checkpoint: Path | None = None,
    plan: ExecutionPlan | None = None,
    key: Key[Array, ""],
) -> tuple[Any, dict[str, np.ndarray]]:
    """Train a network.

    Each step takes the next `batch` maps of a shuffled pass, observes them with a noise of its own, and turns and
    mirrors them: an eighth in each of the 8 dihedral copies. They are turned as observed, with their mask, because
    that is how `training.predict` turns them too.

    Args:
        model, observe: a fresh network, of the order of 1 in and out; from a batch of maps and a key to what it sees.
        kappa, targets: maps [map, bin, y, x], an array or `batches.Streamed`; their standardised targets [map, target].
        training: how; `coarsen` and `held_out` are for whoever makes `kappa` and `validation`.
        validation: held-out maps and targets, looked at `CHECKS` times on the way and never learnt from.
        checkpoint: folder to keep the state in and to go on from; it stays if the loss is not finite any more.
        plan: how the loop runs; by default `plan_for_device` chooses.
        key: of the order of the maps and of the noise.

    Returns:
        The network, its batch statistics frozen, and its history: `step` and `loss` of each step, `held_out_step` and
        `held_out_loss` of each look at the held-out maps.
    """
    streamed = isinstance(kappa, batches.Streamed)
    targets = np.asarray(targets, np.float32)
    _check(model, kappa, targets, training, observe, validation)
    plan = plan or plan_for_device(training.batch, streamed)
    trainer = Trainer(model, training, observe, plan, key)
    held_out = None if validation is None else _HeldOut(trainer, validation)
    checks = sorted({round(training.steps * (i + 1) / CHECKS) for i in range(CHECKS)} - {0}) if held_out else []
    state = trainer.initial(len(checks), _identity(training, kappa, targets, key))
    if checkpoint is not None:
        state = checkpoints.resume(checkpoint, state)
        state |= trainer.place({name: state[name] for name in ("network", "best")})

    shared = trainer.place((None if streamed else np.asarray(kappa, np.float32), targets))
    order = batches.order(len(kappa), training.batch, _named(key, b"order"), block=kappa.block if streamed else 1)

    def prepare(steps: range) -> tuple[range, Any]:
        rows = np.stack([order(step) for step in steps])
        maps = kappa[rows.ravel()].reshape(*rows.shape, *kappa.shape[1:]) if streamed else None
        return steps, trainer.place((np.asarray(steps, np.int32), rows, maps))

    pieces = list(_pieces(int(state["done"]), training.steps, checks, plan.scan))
    saved, kept = time.monotonic(), int(state["done"]) if checkpoint is not None else 0
    for steps, piece in progress(
        batches.ahead(prepare, pieces), "training", total=len(pieces), unit="step" if plan.scan == 1 else "piece"
    ):
        if _stopped(state, training.patience):
            break
        state["network"], loss = trainer.advance(state["network"], *shared, *piece)
        state["loss"][steps.start : steps.stop] = np.asarray(loss)
        _check_loss(state["loss"], steps, training, f"{checkpoint} (step {kept})" if kept else None)
        state["done"] = np.int64(steps.stop)
        if held_out is not None and steps.stop in checks:
            _note(state, checks.index(steps.stop), held_out(state["network"]), training.patience)
        if checkpoint is not None and time.monotonic() - saved >= SAVE_SECONDS and checkpoints.finite(state["network"]):
            checkpoints.save(checkpoint, state)
            saved, kept = time.monotonic(), steps.stop
    return trainer.finished(state, np.array(checks, int))


class Trainer:
    """The compiled functions of a training. What changes with a step is a network: weights, optimiser, statistics."""

    def __init__(self, model: Any, training: Training, observe: Any, plan: ExecutionPlan, key: Key[Array, ""]):
        self.training, self.observe, self.plan = training, observe, plan
        self.key = _named(key, b"noise")
        mesh = Mesh(np.array(plan.devices), ("map",), axis_types=(AxisType.Auto,))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.split = NamedSharding(mesh, PartitionSpec("map"))
        parted, self.statistics = architectures.with_state(model)
        self.weights, self.fixed = eqx.partition(parted, eqx.is_inexact_array)
        self.learn = _shared(_learner, training, self.fixed, plan.scan == 1)
        if plan.scan == 1:
            self.see, self.advance = compiling.compiled(self.see), self._one_step
        else:
            self.advance = compiling.compiled(self._advance, donate_argnums=0)

    def place(self, tree: PyTree) -> PyTree:
        """The arrays of `tree` on all devices."""
        return jax.device_put(tree, self.everywhere)

    def initial(self, checks: int, identity: int) -> dict[str, Any]:
        """The state before the first step."""
        optimiser = self.training.optimizer().init(self.weights)
        fresh = {"weights": self.weights, "optimiser": optimiser, "statistics": self.statistics}
        # NumPy copies without a compilation for each shape: a step gives its arguments' memory away.
        network = self.place(jax.tree.map(np.array, fresh))
        return {
            "network": network,
            "done": np.int64(0),
            "loss": np.full(self.training.steps, np.nan),
            "held_out": np.full(checks, np.nan),
            "best": None if self.training.patience is None else _kept(network),
            "of": np.int64(identity),
        }

    def finished(self, state: dict[str, Any], checks: np.ndarray) -> tuple[Any, dict[str, np.ndarray]]:
        """The network and its history."""
        done, looked = int(state["done"]), checks <= int(state["done"])
        found = jax.device_get(state["network"] if state["best"] is None else state["best"])
        history = {"step": np.arange(1, done + 1), "loss": state["loss"][:done]}
        if len(checks):
            history |= {"held_out_step": checks[looked], "held_out_loss": state["held_out"][looked]}
        return _model(self.fixed, jax.device_put(found, self.plan.devices[0])), history

    def see(self, kappa, targets, number, rows, maps):
        """What the network is shown in one step, and the targets of that."""
        maps, wanted = kappa[rows] if maps is None else maps, targets[rows]
        seen = batches.augment(self.observe(maps, jax.random.fold_in(self.key, number)))
        if len(self.plan.devices) > 1:
            seen, wanted = jax.lax.with_sharding_constraint((seen, wanted), self.split)
        return seen, wanted

    def _advance(self, network, kappa, targets, numbers, rows, maps):
        """Some steps: the network behind them, and the loss of each."""

        def step(network, now):
            return self.learn(network, *self.see(kappa, targets, *now))

        return jax.lax.scan(step, network, (numbers, rows, maps))

    def _one_step(self, network, kappa, targets, numbers, rows, maps):
        """The same for one step, from Python."""
        now = jax.tree.map(lambda leaf: leaf[0], (numbers, rows, maps))
        network, loss = self.learn(network, *self.see(kappa, targets, *now))
        return network, loss[None]


def _model(fixed: Any, network: Any) -> Any:
    return architectures.frozen(eqx.combine(network["weights"], fixed), network["statistics"])


def _shared(make: Any, *arguments: Any) -> Callable[..., Any]:
    """What `make` made of equal arguments before; a network that holds arrays of its own is made for anew."""
    if any(eqx.is_array(leaf) for leaf in jax.tree.leaves(arguments)):
        return make.__wrapped__(*arguments)
    return make(*arguments)


@functools.lru_cache(maxsize=64)
def _learner(training: Training, fixed: Any, alone: bool) -> Callable[..., Any]:
    """From a network and what it is shown to the network and its loss: one program for all trainings alike.

    Trainings under many degradations differ in what is shown, and most of a step's compilation is not that.
    """
    half = PRECISIONS[training.precision]

    def learn(network, seen, wanted):
        def error(weights):
            model = eqx.combine(jax.tree.map(lambda leaf: leaf.astype(half), weights), fixed)
            answer = jax.vmap(
                functools.partial(architectures.learn, model),
                in_axes=(0, None),
                out_axes=(0, None),
                axis_name=layers.BATCH_AXIS,
            )
            outputs, statistics = answer(seen.astype(half), network["statistics"])
            return losses.LOSSES[training.loss](outputs.astype(jnp.float32), wanted), statistics

        (loss, statistics), gradient = jax.value_and_grad(error, has_aux=True)(network["weights"])
        change, optimiser = training.optimizer().update(gradient, network["optimiser"], network["weights"])
        weights = optax.apply_updates(network["weights"], change)
        return {"weights": weights, "optimiser": optimiser, "statistics": statistics}, loss

    return compiling.compiled(learn) if alone else learn


@functools.lru_cache(maxsize=64)
def _asked(fixed: Any) -> Callable[..., Any]:
    """From a network and what it is shown to its answers, compiled."""
    return compiling.compiled(lambda network, seen: jax.vmap(_model(fixed, network))(seen))


class _HeldOut:
    """The loss on maps that are never learnt from, always with the same noise."""

    def __init__(self, trainer: Trainer, validation: tuple[Any, Any]):
        self.trainer = trainer
        self.kappa, self.targets = validation[0], np.asarray(validation[1], np.float32)

        @compiling.compiled
        def see(maps, number):
            noise = jax.random.fold_in(jax.random.fold_in(trainer.key, trainer.training.steps), number)
            return trainer.observe(maps, noise)

        self.see, self.asked = see, _shared(_asked, trainer.fixed)

    def __call__(self, network: Any) -> float:
        """The loss of a network."""
        found = []
        for rows, fresh in batching.equal(len(self.targets), 256):
            maps = self.trainer.place(np.asarray(self.kappa[rows], np.float32))
            found.append(np.asarray(self.asked(network, self.see(maps, int(rows[0]))))[:fresh])
        outputs, targets = jnp.asarray(np.concatenate(found)), jnp.asarray(self.targets)
        return float(losses.LOSSES[self.trainer.training.loss](outputs, targets))


def _note(state: dict[str, Any], check: int, score: float, patience: int | None) -> None:
    """Write down a look at the held-out maps, and keep weights that are better than ever."""
    if patience is not None and score < np.nanmin([*state["held_out"][:check], np.inf]):
        state["best"] = _kept(state["network"])
    state["held_out"][check] = score


def _kept(network: dict[str, Any]) -> dict[str, Any]:
    """A copy of what to go back to: the next step gives its arguments' memory away."""
    return jax.tree.map(jnp.array, {name: network[name] for name in ("weights", "statistics")})


def _stopped(state: dict[str, Any], patience: int | None) -> bool:
    """Whether the last `patience` looks were no better than one before them."""
    looked = int(np.isfinite(state["held_out"]).sum())
    if patience is None or looked <= patience:
        return False
    return bool(state["held_out"][:looked].argmin() < looked - patience)


def _pieces(first: int, steps: int, checks: Sequence[int], scan: int) -> Iterator[range]:
    """Runs of at most `scan` steps that end where a look at the held-out maps is due."""
    while first < steps:
        due = next((check for check in checks if check > first), steps)
        last = min(first + scan, due, steps)
        yield range(first, last)
        first = last


def _named(key: Key[Array, ""], name: bytes) -> Key[Array, ""]:
    return jax.random.fold_in(key, zlib.crc32(name))


def _identity(training: Training, kappa: Any, targets: np.ndarray, key: Key[Array, ""]) -> int:
    """A number that tells trainings apart, so that none goes on from the state of another."""
    named = [training, kappa.shape, np.asarray(jax.random.key_data(key)).tolist()]
    return zlib.crc32(targets.tobytes(), zlib.crc32(repr(named).encode()))


def _check_loss(loss: np.ndarray, steps: range, training: Training, kept: str | None) -> None:
    bad = np.flatnonzero(~np.isfinite(loss[steps.start : steps.stop]))
    if len(bad):
        step = steps.start + bad[0]
        rate = training.learning_rate or optimisers.recipe(training.optimiser).learning_rate
        raise FloatingPointError(
            f"loss = {loss[step]} at step {step}: training diverged with learning_rate = {rate:g}"
            + (f"; the last good state is kept in {kept}" if kept else "")
        )


def _check(model, kappa, targets: np.ndarray, training: Training, observe, validation) -> None:
    if len(kappa) != len(targets):
        raise ValueError(f"targets has {len(targets)} rows: must be {len(kappa)}, one for each map")
    if training.batch > len(kappa):
        raise ValueError(f"batch = {training.batch}: must be 1 <= batch <= {len(kappa)}, the number of training maps")
    if not isinstance(kappa, batches.Streamed):
        check_finite("kappa", kappa)
    check_targets(targets)
    if training.patience is not None and (validation is None or len(validation[0]) == 0):
        raise ValueError(
            f"patience = {training.patience}: stopping early needs held-out maps, and there are none "
            "(training.fit holds out every eighth of 16 or more models)"
        )
    if validation is not None and not isinstance(validation[0], batches.Streamed):
        check_finite("validation", validation[0])
    shown = jax.eval_shape(observe, jax.ShapeDtypeStruct((1, *kappa.shape[1:]), jnp.float32), jax.random.key(0))
    (outputs,) = eqx.filter_eval_shape(model, jax.ShapeDtypeStruct(shown.shape[1:], jnp.float32)).shape
    needed = losses.outputs_for(training.loss, targets.shape[1])
    if outputs != needed:
        raise ValueError(f'outputs = {outputs}: loss = "{training.loss}" needs {needed} for {targets.shape[1]} targets')


def step_seconds(
    model: Callable[..., Any], observe: Callable[[Array, Array], Array], kappa: Any, *, batch: int
) -> float:
    """Seconds that a training step takes here, the median of four: noise, degradation, answers and their gradient.

    Model, observe and kappa are as in `run`.
    """

    @eqx.filter_jit
    def step(model: Any, maps: Array, key: Array) -> Any:
        def error(model: Any) -> Array:
            return jnp.mean(jax.vmap(model)(observe(maps, key)) ** 2)

        return eqx.filter_grad(error)(model)

    maps = jnp.asarray(kappa[np.arange(batch) % len(kappa)], jnp.float32)
    times = []
    for number in range(5):  # the first one compiles
        start = time.perf_counter()
        jax.block_until_ready(step(model, maps, random.key(number, "price")))
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
