"""The training loop: from networks and maps to trained networks, on whatever devices there are.

How the loop runs is chosen by the device in one place, `plan_for_device`. On a CPU a convolution inside `lax.scan`, or
under `vmap` over the weights, loses its fast kernel (5 to 20 times slower), so one step is compiled, with its members
one after the other, and called from a Python loop: what is shown first, then what is learnt from it, which all
trainings alike share. On an accelerator many steps run in one call and the members side by side. The batch is split
over all devices.

What a step does depends on the step's number and the member's key alone: that is why a resumed run ends in the same
bits.
"""

import functools
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key, PyTree

from wlbook.common import compiling, random
from wlbook.common.checks import check_finite
from wlbook.common.progress import progress
from wlbook.network import architectures, batches, checkpoints, layers, losses, optimisers

CHECKS = 20  # looks at the held-out maps in a training
PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        steps: optimiser steps, >= 1.
        batch: maps in a step, >= 1.
        learning_rate: peak learning rate, > 0; None is the recipe's own.
        loss: a name in `losses.LOSSES`.
        optimiser: a name in `optimisers.OPTIMISERS`.
        weight_decay: >= 0; None is the recipe's own.
        precision: "float32", or "bfloat16" for the convolutions; weights, their updates and losses stay float32.
        patience: looks at the held-out maps (20 in a training) without a better loss after which to stop and go back
            to the best weights; None never stops and keeps the last ones.
    """

    steps: int
    batch: int
    learning_rate: float | None = None
    loss: str = "squared"
    optimiser: str = "cosine"
    weight_decay: float | None = None
    precision: str = "float32"
    patience: int | None = None

    def check(self, maps: int) -> None:
        """Raise ValueError naming the setting that is out of range for so many training maps."""
        if self.steps < 1:
            raise ValueError(f"steps = {self.steps}: must be >= 1")
        if not 1 <= self.batch <= maps:
            raise ValueError(f"batch = {self.batch}: must be 1 <= batch <= {maps}, the number of training maps")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"learning_rate = {self.learning_rate}: must be > 0")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise ValueError(f"weight_decay = {self.weight_decay}: must be >= 0")
        if self.precision not in PRECISIONS:
            raise ValueError(f'precision = "{self.precision}": must be one of {", ".join(PRECISIONS)}')
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience = {self.patience}: must be >= 1")
        losses.outputs_for(self.loss, 1)
        optimisers.recipe(self.optimiser)

    def optimizer(self) -> optax.GradientTransformation:
        """The recipe with these numbers."""
        recipe = optimisers.recipe(self.optimiser)
        rate = recipe.learning_rate if self.learning_rate is None else self.learning_rate
        decay = recipe.weight_decay if self.weight_decay is None else self.weight_decay
        return recipe.make(self.steps, rate, decay)


class ExecutionPlan(NamedTuple):
    """How the loop runs on a device.

    Attributes:
        scan: steps in one compiled call.
        side_by_side: members under `vmap`, instead of one after the other.
        devices: that share each batch.
    """

    scan: int
    side_by_side: bool
    devices: tuple[Any, ...]


def plan_for_device(batch: int, streamed: bool) -> ExecutionPlan:
    """The way that suits the devices at hand: as many of them as divide the batch."""
    devices = jax.devices()
    number = max(n for n in range(1, len(devices) + 1) if batch % n == 0)
    shared = tuple(devices[:number])
    if devices[0].platform == "cpu":
        return ExecutionPlan(1, False, shared)
    return ExecutionPlan(8 if streamed else 100, True, shared)


def run(
    models: Sequence[Any],
    kappa: Any,
    targets: Any,
    settings: Settings,
    *,
    observe: Callable[[Array, Array], Array],
    validation: tuple[Any, Any] | None,
    checkpoint: Path | None,
    save_seconds: float,
    keys: Sequence[Key[Array, ""]],
    plan: ExecutionPlan | None = None,
) -> list[tuple[Any, dict[str, np.ndarray]]]:
    """Train several networks of one kind at once, each with an order of maps and a noise of its own.

    Args:
        models: fresh networks that differ in nothing but their weights.
        kappa: maps [map, bin, y, x], an array or `batches.Streamed`.
        targets: standardised [map, target].
        settings: for all of them.
        observe: from a batch of maps and a key to what the network sees.
        validation: held-out maps and targets, looked at `CHECKS` times on the way and never learnt from.
        checkpoint: folder to keep the state in and to go on from.
        save_seconds: time between two checkpoints [s].
        keys: of each network's order of maps and noise.
        plan: how the loop runs; by default `plan_for_device` chooses.

    Returns:
        For each network itself, its batch statistics frozen, and its history.

    Raises:
        ValueError: an argument out of range; maps or targets that are not finite; targets that do not vary.
        FloatingPointError: a loss is not finite; the last checkpoint is kept.
    """
    streamed = isinstance(kappa, batches.Streamed)
    targets = np.asarray(targets, np.float32)
    _check(models, kappa, targets, settings, observe, validation)
    plan = plan or plan_for_device(settings.batch, streamed)
    trainer = _Trainer(models, settings, observe, plan, keys)
    held_out = None if validation is None else _HeldOut(trainer, validation)
    checks = sorted({round(settings.steps * (i + 1) / CHECKS) for i in range(CHECKS)} - {0}) if held_out else []
    state = trainer.initial(len(checks), _identity(settings, kappa, targets, keys))
    if checkpoint is not None:
        state = checkpoints.resume(checkpoint, state)
        state |= trainer.place({name: state[name] for name in ("members", "best")})

    shared = trainer.place((None if streamed else np.asarray(kappa, np.float32), targets))
    orders = [
        batches.order(len(kappa), settings.batch, _named(key, b"order"), block=kappa.block if streamed else 1)
        for key in keys
    ]

    def prepare(steps: range) -> tuple[range, Any]:
        rows = np.stack([[order(step) for order in orders] for step in steps])
        maps = kappa[rows.ravel()].reshape(*rows.shape, *kappa.shape[1:]) if streamed else None
        return steps, trainer.place((np.asarray(steps, np.int32), rows, maps))

    pieces = list(_pieces(int(state["done"]), settings.steps, checks, plan.scan))
    saved, kept = time.monotonic(), int(state["done"]) if checkpoint is not None else 0
    for steps, piece in progress(
        batches.ahead(prepare, pieces), "training", total=len(pieces), unit="step" if plan.scan == 1 else "piece"
    ):
        if _stopped(state, settings.patience):
            break
        state["members"], loss = trainer.advance(state["members"], *shared, *piece)
        state["loss"][:, steps.start : steps.stop] = np.asarray(loss).T
        _check_loss(state["loss"], steps, settings, f"{checkpoint} (step {kept})" if kept else None)
        state["done"] = np.int64(steps.stop)
        if held_out is not None and steps.stop in checks:
            _note(state, checks.index(steps.stop), held_out(state["members"]), settings.patience)
        if checkpoint is not None and time.monotonic() - saved >= save_seconds and checkpoints.finite(state["members"]):
            checkpoints.save(checkpoint, state)
            saved, kept = time.monotonic(), steps.stop
    return trainer.finished(state, np.array(checks))


class _Trainer:
    """The compiled functions of a training; members are stacked along the first axis of every array."""

    def __init__(self, models, settings: Settings, observe, plan: ExecutionPlan, keys):
        self.settings, self.observe, self.plan = settings, observe, plan
        self.loss = losses.LOSSES[settings.loss]
        self.keys = jnp.stack([_named(key, b"noise") for key in keys])
        mesh = Mesh(np.array(plan.devices), ("map",), axis_types=(AxisType.Auto,))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.split = NamedSharding(mesh, PartitionSpec("map"))
        parted = [architectures.with_state(model) for model in models]
        self.fixed = eqx.filter(parted[0][0], eqx.is_inexact_array, inverse=True)
        self.fresh = [(eqx.filter(model, eqx.is_inexact_array), statistics) for model, statistics in parted]
        self.learn = _shared(_learner, settings, self.fixed, plan)
        if plan.scan == 1:
            self.see, self.advance = compiling.compiled(self.see), self._one_step
        else:
            self.advance = compiling.compiled(self._advance, donate_argnums=0)

    def place(self, tree: PyTree) -> PyTree:
        """The arrays of `tree` on all devices."""
        return jax.device_put(tree, self.everywhere)

    def initial(self, checks: int, identity: int) -> dict[str, Any]:
        """The state before the first step."""
        members = [
            {"weights": weights, "optimiser": self.settings.optimizer().init(weights), "statistics": statistics}
            for weights, statistics in self.fresh
        ]
        # NumPy stacks without a compilation for each shape, and copies: a step gives its arguments' memory away.
        stacked = self.place(jax.tree.map(lambda *leaves: np.stack(leaves), *members))
        best = {"weights": stacked["weights"], "statistics": stacked["statistics"]}
        number = len(members)
        return {
            "members": stacked,
            "done": np.int64(0),
            "loss": np.full((number, self.settings.steps), np.nan),
            "held_out": np.full((number, checks), np.nan),
            "best": None if self.settings.patience is None else jax.tree.map(jnp.array, best),
            "of": np.int64(identity),
        }

    def model(self, member: Any) -> Any:
        """A member as a network, ready to be asked."""
        return _model(self.fixed, member)

    def finished(self, state: dict[str, Any], checks: np.ndarray) -> list[tuple[Any, dict[str, np.ndarray]]]:
        """Networks and histories."""
        done, members = int(state["done"]), jax.device_get(state["members"] if state["best"] is None else state["best"])
        looked = checks <= done
        found = []
        for i in range(len(self.keys)):
            member = jax.device_put(jax.tree.map(lambda leaf, i=i: leaf[i], members), self.plan.devices[0])
            history = {"step": np.arange(1, done + 1), "loss": state["loss"][i, :done]}
            if len(checks):
                history |= {"held_out_step": checks[looked], "held_out_loss": state["held_out"][i, looked]}
            found.append((self.model(member), history))
        return found

    def see(self, kappa, targets, number, rows, maps):
        """What each member is shown in one step, and the targets of that."""

        def one(key, rows, maps):
            maps, wanted = kappa[rows] if maps is None else maps, targets[rows]
            seen = batches.augment(self.observe(maps, jax.random.fold_in(key, number)))
            if len(self.plan.devices) > 1:
                seen, wanted = jax.lax.with_sharding_constraint((seen, wanted), self.split)
            return seen, wanted

        return _over(self.plan, one, self.keys, rows, maps)

    def _advance(self, members, kappa, targets, numbers, rows, maps):
        """Some steps: the members behind them, and the loss of each step and member."""

        def step(members, now):
            return self.learn(members, *self.see(kappa, targets, *now))

        return jax.lax.scan(step, members, (numbers, rows, maps))

    def _one_step(self, members, kappa, targets, numbers, rows, maps):
        """The same for one step, from Python."""
        now = jax.tree.map(lambda leaf: leaf[0], (numbers, rows, maps))
        members, loss = self.learn(members, *self.see(kappa, targets, *now))
        return members, loss[None]


def _over(plan: ExecutionPlan, function: Callable[..., Any], *stacked: Any) -> Any:
    """`function` for each member."""
    if plan.side_by_side:
        return jax.vmap(function)(*stacked)
    number = len(jax.tree.leaves(stacked)[0])
    return _stack([function(*jax.tree.map(lambda leaf, i=i: leaf[i], stacked)) for i in range(number)])


def _model(fixed: Any, member: Any) -> Any:
    return architectures.frozen(eqx.combine(member["weights"], fixed), member["statistics"])


def _shared(make: Any, *arguments: Any) -> Callable[..., Any]:
    """What `make` made of equal arguments before; a network that holds arrays of its own is made for anew."""
    if any(eqx.is_array(leaf) for leaf in jax.tree.leaves(arguments)):
        return make.__wrapped__(*arguments)
    return make(*arguments)


@functools.lru_cache(maxsize=64)
def _learner(settings: Settings, fixed: Any, plan: ExecutionPlan) -> Callable[..., Any]:
    """From members and what they are shown to members and losses: one program for all trainings alike.

    Trainings under many degradations differ in what is shown, and most of a step's compilation is not that.
    """

    def learn(members, seen, wanted):
        return _over(plan, functools.partial(_learn, settings, fixed), members, seen, wanted)

    return compiling.compiled(learn) if plan.scan == 1 else learn


def _learn(settings: Settings, fixed: Any, member, seen, wanted):
    """One step of one member."""
    half = PRECISIONS[settings.precision]

    def error(weights):
        model = eqx.combine(jax.tree.map(lambda leaf: leaf.astype(half), weights), fixed)
        learn = jax.vmap(
            functools.partial(architectures.learn, model),
            in_axes=(0, None),
            out_axes=(0, None),
            axis_name=layers.BATCH_AXIS,
        )
        outputs, statistics = learn(seen.astype(half), member["statistics"])
        return losses.LOSSES[settings.loss](outputs.astype(jnp.float32), wanted), statistics

    (loss, statistics), gradient = jax.value_and_grad(error, has_aux=True)(member["weights"])
    change, optimiser = settings.optimizer().update(gradient, member["optimiser"], member["weights"])
    weights = optax.apply_updates(member["weights"], change)
    return {"weights": weights, "optimiser": optimiser, "statistics": statistics}, loss


@functools.lru_cache(maxsize=64)
def _asked(fixed: Any, plan: ExecutionPlan) -> Callable[..., Any]:
    """From members and what they are shown to their answers, compiled."""

    def answers(members, seen):
        return _over(plan, lambda member, seen: jax.vmap(_model(fixed, member))(seen), members, seen)

    return compiling.compiled(answers)


class _HeldOut:
    """The loss of every member on maps that are never learnt from, always with the same noise."""

    def __init__(self, trainer: _Trainer, validation: tuple[Any, Any]):
        self.trainer = trainer
        self.kappa, self.targets = validation[0], np.asarray(validation[1], np.float32)
        self.size = min(256, len(self.targets))

        @compiling.compiled
        def see(maps, number):
            def shown(key):
                noise = jax.random.fold_in(jax.random.fold_in(key, trainer.settings.steps), number)
                return trainer.observe(maps, noise)

            return _over(trainer.plan, shown, trainer.keys)

        self.see, self.asked = see, _shared(_asked, trainer.fixed, trainer.plan)

    def __call__(self, members: Any) -> np.ndarray:
        """The loss of each member."""
        parts = []
        for start in range(0, len(self.targets), self.size):
            rows = np.arange(start, start + self.size) % len(self.targets)  # one shape, one compilation
            maps = self.trainer.place(np.asarray(self.kappa[rows], np.float32))
            parts.append(np.asarray(self.asked(members, self.see(maps, start))))
        found = np.concatenate(parts, axis=1)[:, : len(self.targets)]
        return np.array([float(self.trainer.loss(jnp.asarray(one), jnp.asarray(self.targets))) for one in found])


def _note(state: dict[str, Any], check: int, score: np.ndarray, patience: int | None) -> None:
    """Write down a look at the held-out maps, and keep the weights of members that are better than ever."""
    if patience is not None:
        earlier = np.nanmin(np.column_stack([state["held_out"][:, :check], np.full(len(score), np.inf)]), axis=1)
        better = jnp.asarray(score < earlier)
        now = {name: state["members"][name] for name in ("weights", "statistics")}
        state["best"] = jax.tree.map(
            lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old), now, state["best"]
        )
    state["held_out"][:, check] = score


def _stopped(state: dict[str, Any], patience: int | None) -> bool:
    """Whether every member's last `patience` looks were no better than one before them."""
    looked = int(np.isfinite(state["held_out"][0]).sum())
    if patience is None or looked <= patience:
        return False
    scores = state["held_out"][:, :looked]
    return bool((scores.argmin(axis=1) < looked - patience).all())


def _pieces(first: int, steps: int, checks: Sequence[int], scan: int) -> Iterator[range]:
    """Runs of at most `scan` steps that end where a look at the held-out maps is due."""
    while first < steps:
        due = next((check for check in checks if check > first), steps)
        last = min(first + scan, due, steps)
        yield range(first, last)
        first = last


def _stack(members: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def _named(key: Key[Array, ""], name: bytes) -> Key[Array, ""]:
    return jax.random.fold_in(key, zlib.crc32(name))


def _identity(settings: Settings, kappa: Any, targets: np.ndarray, keys: Sequence[Any]) -> int:
    """A number that tells trainings apart, so that none goes on from the state of another."""
    named = [settings, kappa.shape, [np.asarray(jax.random.key_data(key)).tolist() for key in keys]]
    return zlib.crc32(targets.tobytes(), zlib.crc32(repr(named).encode()))


def _check_loss(loss: np.ndarray, steps: range, settings: Settings, kept: str | None) -> None:
    bad = np.argwhere(~np.isfinite(loss[:, steps.start : steps.stop].T))
    if len(bad):
        step, member = steps.start + bad[0][0], bad[0][1]
        rate = settings.learning_rate or optimisers.recipe(settings.optimiser).learning_rate
        raise FloatingPointError(
            f"loss = {loss[member, step]} at step {step}: training diverged with learning_rate = {rate:g}"
            + (f"; the last good state is kept in {kept}" if kept else "")
        )


def check_targets(targets: Any) -> None:
    """Raise ValueError for targets that are not finite, or the same for every map."""
    targets = np.asarray(targets)
    check_finite("targets", targets)
    for column, values in enumerate(targets.T):
        if np.ptp(values) == 0:
            raise ValueError(f"targets[:, {column}] = {values[0]:g} for every map: must vary")


def _check(models, kappa, targets: np.ndarray, settings: Settings, observe, validation) -> None:
    if len(kappa) != len(targets):
        raise ValueError(f"targets has {len(targets)} rows: must be {len(kappa)}, one for each map")
    settings.check(len(kappa))
    if not isinstance(kappa, batches.Streamed):
        check_finite("kappa", kappa)
    check_targets(targets)
    if settings.patience is not None and (validation is None or len(validation[0]) == 0):
        raise ValueError(
            f"patience = {settings.patience}: stopping early needs held-out maps, and there are none "
            "(training.fit holds out every eighth of 16 or more models)"
        )
    if validation is not None and not isinstance(validation[0], batches.Streamed):
        check_finite("validation", validation[0])
    shown = jax.eval_shape(observe, jax.ShapeDtypeStruct((1, *kappa.shape[1:]), jnp.float32), jax.random.key(0))
    (outputs,) = eqx.filter_eval_shape(models[0], jax.ShapeDtypeStruct(shown.shape[1:], jnp.float32)).shape
    needed = losses.outputs_for(settings.loss, targets.shape[1])
    if outputs != needed:
        raise ValueError(f'outputs = {outputs}: loss = "{settings.loss}" needs {needed} for {targets.shape[1]} targets')


def step_seconds(
    model: Callable[..., Any],
    observe: Callable[[Array, Array], Array],
    kappa: Any,
    *,
    batch: int,
    repeats: int = 4,
) -> float:
    """Seconds that a training step takes here, measured: noise, degradation, answers and their gradient.

    Args:
        model: a fresh network.
        observe: from a batch of maps and a key to what the network sees.
        kappa: maps to learn from.
        batch: maps in a step.
        repeats: steps measured, after one that compiles.
    """

    @eqx.filter_jit
    def step(model: Any, maps: Array, key: Array) -> Any:
        def error(model: Any) -> Array:
            return jnp.mean(jax.vmap(model)(observe(maps, key)) ** 2)

        return eqx.filter_grad(error)(model)

    maps = jnp.asarray(kappa[np.arange(batch) % len(kappa)], jnp.float32)
    times = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(step(model, maps, random.key(number, "price")))
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
