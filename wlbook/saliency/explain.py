"""What is asked of a model, checked before any work: which output, of which map; and the same of many maps."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key

from wlbook.common import arrays, batching, checks
from wlbook.common.compiling import filter_compiled
from wlbook.common.progress import progress
from wlbook.simulation.cosmology import FIDUCIAL

Model = Callable[[Any], Any]
Output = int | Sequence[float] | np.ndarray | Array
Maps = Float[Array | np.ndarray, "..."]  # [map, bin, y, x]; the shape is checked with a message of ours
Map = Maps  # one of them [bin, y, x]
Stack = Float[np.ndarray, "map bin y x"]  # many maps, or an attribution of each

AT_ONCE = 64  # evaluations of a network in one batch: what a processor's caches can hold
_UNROLLED = 1024  # evaluations that are compiled side by side; beyond that they follow each other in a loop

# How many times a method evaluates the model for one map, from the map's shape and the method's options.
_EVALUATIONS: dict[Callable[..., Any], Callable[..., int]] = {}


def evaluating(count: Callable[..., int]) -> Callable[[Callable], Callable]:
    """Tell `over_maps` how often a method evaluates the model for one map: `count(shape, **options)`."""

    def note(method: Callable) -> Callable:
        _EVALUATIONS[method] = count
        return method

    return note


def towards(parameter: str, around: tuple[float, float] = FIDUCIAL) -> Float[np.ndarray, "2"]:
    """The direction in (omega_m, sigma_8) whose component is the change of a parameter.

    It is "omega_m", "sigma_8" or "s_8" = sigma_8 sqrt(omega_m / 0.3), to first order around a universe,
    the fiducial unless told.
    """
    omega_m, sigma_8 = around
    s_8 = 0.5 * sigma_8 / math.sqrt(0.3 * omega_m), math.sqrt(omega_m / 0.3)
    known = {"omega_m": (1.0, 0.0), "sigma_8": (0.0, 1.0), "s_8": s_8}
    checks.one_of("parameter", parameter, known)
    return np.array(known[parameter])


def scalar(model: Model, kappa: Map, output: Output) -> Callable[[Array], Array]:
    """The explained number as a function of the map, after the arguments have been checked."""
    chosen = direction(model, kappa, output)
    return lambda kappa: jnp.asarray(model(kappa)) @ chosen


@eqx.filter_jit
def _answer(model: Any, kappa: Array) -> Array:
    """What a model answers; asked again about a map of the same shape, it is not traced again."""
    return model(kappa)


def direction(model: Model, kappa: Map, output: Output) -> Array:
    """The direction in the space of outputs [output], after the arguments have been checked."""
    if np.ndim(kappa) != 3:
        raise ValueError(f"kappa has shape {np.shape(kappa)}: must be one map [bin, y, x]")
    if not isinstance(kappa, Tracer) and not np.isfinite(kappa).all():
        raise ValueError(f"kappa holds NaN or infinity in {(~np.isfinite(kappa)).sum()} pixels: must be finite")
    asked = _answer if isinstance(model, eqx.Module) else lambda model, kappa: model(kappa)
    one = jax.ShapeDtypeStruct(np.shape(kappa), jnp.float32)
    (outputs,) = eqx.filter_eval_shape(asked, model, one).shape
    if isinstance(output, int | np.integer):
        checks.require(0 <= output < outputs, "output", output, f"0 <= output < {outputs}")
        return jnp.zeros(outputs).at[output].set(1.0)
    chosen = jnp.asarray(output, jnp.float32)
    if chosen.shape != (outputs,):
        raise ValueError(f"output has shape {chosen.shape}: must be an index or a direction of length {outputs}")
    return chosen


def start_of(kappa: Array, baseline: Map | None) -> Array:
    """The map that absence is compared with: kappa = 0, the mean of the universe, by default."""
    if baseline is None:
        return jnp.zeros_like(kappa)
    checks.same_shape("baseline", baseline, kappa.shape, "the map's")
    return jnp.asarray(baseline)


def many(kappa: Maps, model: Model, output: Output) -> tuple[Stack, Array]:
    """Maps, and the direction in the space of outputs, both checked."""
    maps = np.asarray(arrays.real("kappa", kappa), np.float32)
    if maps.ndim != 4 or len(maps) == 0:
        raise ValueError(f"kappa has shape {maps.shape}: must be [map, bin, y, x] with at least one map")
    checks.check_finite("kappa", maps)
    return maps, direction(model, maps[0], output)


def each_of(function, number: int) -> Array:
    """`function(0)` to `function(number - 1)`, side by side as far as memory allows."""
    indices = jnp.arange(number)
    return jax.vmap(function)(indices) if number <= _UNROLLED else jax.lax.map(function, indices, batch_size=AT_ONCE)


def over_maps(
    method: Callable[..., Array],
    model: Model,
    kappa: Maps,
    output: Output,
    *,
    batch: int | None = None,
    key: Key[Array, ""] | None = None,
    each: Mapping[str, Any] | None = None,
    **options: Any,
) -> Stack:
    """One method for many maps, compiled once: a function of this package, or any other of the same form.

    A batch holds as many maps as make 64 evaluations of the model, unless told; its size changes no result. Methods
    that draw numbers get `fold_in(key, i)` for map i. Their arguments are `each` (one row a map) and `options` (alike
    for all).
    """
    maps, chosen = many(kappa, model, output)
    each = {name: np.asarray(values) for name, values in (each or {}).items()}
    for name, values in each.items():
        if len(values) != len(maps):
            raise ValueError(f"{name} has {len(values)} rows: must be {len(maps)}, one for each map")
    if batch is None:
        count = _EVALUATIONS.get(method, lambda shape, **_: 1)(maps.shape[1:], **options)
        batch = max(1, AT_ONCE // max(1, count))
    checks.at_least("batch", batch, 1)
    key = key if "key" in inspect.signature(method).parameters else None
    running, done = [], []
    for rows, _ in progress(batching.equal(len(maps), batch), getattr(method, "__name__", "saliency"), unit="batch"):
        own = {name: values[rows] for name, values in each.items()}
        running.append(_batch(method, model, maps[rows], chosen, rows, key, own, options))
        if len(running) > 1:  # the next batch is on its way while this one is waited for
            done.append(np.asarray(running.pop(0)))
    return np.concatenate([*done, *map(np.asarray, running)])[: len(maps)]


@filter_compiled
def _batch(method: Callable[..., Array], model: Any, kappa, direction, numbers, key, each, options) -> Array:
    """One batch of `over_maps`: the network is an argument, so that another of its kind needs no new compilation."""

    def one(kappa: Array, number: Array, each: dict[str, Array]) -> Array:
        extra = {} if key is None else {"key": jax.random.fold_in(key, number)}
        return method(model, kappa, direction, **extra, **each, **options)

    return jax.vmap(one)(kappa, numbers, each)


@filter_compiled
def answers(model: Any, kappa: Float[Array | np.ndarray, "map bin y x"], direction: Array) -> Float[Array, " map"]:
    """The explained number of many maps."""
    return jax.vmap(lambda one: jnp.asarray(model(one)) @ direction)(jnp.asarray(kappa))
