"""What trainings cost: measured before they start, and as the store remembers them."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from wlbook import random
from wlbook.keys import key_of
from wlbook.store import Store


class Work(NamedTuple):
    """A training that is wanted: its function, its inputs, and how many steps it takes."""

    function: Callable[..., Any]
    inputs: dict[str, Any]
    steps: int


def seconds(store: Store, work: Work) -> float | None:
    """What a training cost when it was made [s]; None if the store does not hold it."""
    described = store.describe(work.function, **work.inputs)
    found = store.manifest(described["stage"], key_of(described))
    return None if found is None else float(found["seconds"])


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


def told(store: Store, wanted: Sequence[Work], step: Callable[[], float], *, side_by_side: int = 1) -> str:
    """How long the trainings that the store does not hold will take, in one line.

    Args:
        store: where results are kept.
        wanted: all trainings.
        step: measures the seconds of a step; called only if there is something to train.
        side_by_side: trainings at a time; two on one machine share its cores, so that is worth a third.
    """
    missing = [work for work in wanted if seconds(store, work) is None]
    if not missing:
        return f"All {len(wanted)} trainings are in the store."
    each, steps = step(), sum(work.steps for work in missing)
    gain = 1.3 if side_by_side > 1 else 1.0
    return (
        f"{len(missing)} of {len(wanted)} trainings to do: {steps} steps of {1e3 * each:.0f} ms, "
        f"about {each * steps / gain + 3 * len(missing):.0f} s."
    )
