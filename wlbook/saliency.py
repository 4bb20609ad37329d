"""What a network looks at: attribution maps for any Equinox model, and the tests that catch them lying.

Every method is called as `method(model, kappa, output)` with one map `[bin, y, x]` and returns one number for each
pixel. `over_maps` does the same for many maps. `output` is the index of an output, or a vector: the direction in the
space of outputs whose component is explained.

Gradients, integrated gradients, SmoothGrad and occlusion take any callable model. Guided back-propagation and deconvnet
replace the model's ReLUs (`network.ReLU`, or `jax.nn.relu` as in `eqx.nn.Lambda` and `eqx.nn.MLP`).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key
from scipy import stats

from wlbook import network
from wlbook.progress import progress

Model = Callable[[Any], Any]
Output = int | Sequence[float] | np.ndarray | Array
Map = Float[Array | np.ndarray, "..."]  # one map [bin, y, x]; the shape is checked with a message of ours


def gradient(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """d output / d kappa: how the output answers to a small change of each pixel (Simonyan et al. 2014).

    Args:
        model: callable from `[bin, y, x]` to `[output]`.
        kappa: one map.
        output: index of an output, or a direction `[output]`.

    Raises:
        ValueError: an index out of range, a map of another shape, NaN in the map.
    """
    return jax.grad(_scalar(model, kappa, output))(jnp.asarray(kappa))


def input_x_gradient(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """kappa x d output / d kappa: to first order, what each pixel contributes (Shrikumar et al. 2017).

    Arguments and errors as in `gradient`.
    """
    return jnp.asarray(kappa) * gradient(model, kappa, output)


def guided_backprop(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """The gradient, with negative signals stopped at every ReLU on the way back (Springenberg et al. 2015).

    Arguments and errors as in `gradient`.

    Raises:
        ValueError: also when the model holds no ReLU.
    """
    return gradient(_with_relu(model, _guided_relu), kappa, output)


def deconvnet(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """The gradient, with each ReLU's backward step replaced by a ReLU of the signal (Zeiler & Fergus 2014).

    Arguments and errors as in `guided_backprop`.
    """
    return gradient(_with_relu(model, _deconvnet_relu), kappa, output)


def integrated_gradients(
    model: Model, kappa: Map, output: Output, *, baseline: Map | None = None, steps: int = 32
) -> Float[Array, "bin y x"]:
    """(kappa - baseline) x mean gradient on the straight line between them (Sundararajan et al. 2017).

    The sum over pixels is output(kappa) - output(baseline), up to the error of the midpoint rule.

    Args:
        model: callable from `[bin, y, x]` to `[output]`.
        kappa: one map.
        output: index of an output, or a direction `[output]`.
        baseline: where the line starts; kappa = 0, the mean of the universe, by default.
        steps: points on the line, >= 1.

    Raises:
        ValueError: as `gradient`, and steps < 1.
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: must be >= 1")
    scalar = _scalar(model, kappa, output)
    kappa = jnp.asarray(kappa)
    start = jnp.zeros_like(kappa) if baseline is None else jnp.asarray(baseline)
    points = (jnp.arange(steps) + 0.5) / steps
    along = jax.vmap(lambda point: jax.grad(scalar)(start + point * (kappa - start)))(points)
    return (kappa - start) * along.mean(axis=0)


def smoothgrad(
    model: Model, kappa: Map, output: Output, *, sigma: float, samples: int = 32, key: Key[Array, ""]
) -> Float[Array, "bin y x"]:
    """The mean gradient over maps with white noise added (Smilkov et al. 2017).

    Args:
        model: callable from `[bin, y, x]` to `[output]`.
        kappa: one map.
        output: index of an output, or a direction `[output]`.
        sigma: standard deviation of the noise, in units of kappa, >= 0.
        samples: noisy copies, >= 1.
        key: of the noise.

    Raises:
        ValueError: as `gradient`, and sigma or samples out of range.
    """
    return _noisy_gradients(model, kappa, output, sigma, samples, key).mean(axis=0)


def vargrad(
    model: Model, kappa: Map, output: Output, *, sigma: float, samples: int = 32, key: Key[Array, ""]
) -> Float[Array, "bin y x"]:
    """The variance of the gradient over maps with white noise added (Adebayo et al. 2018).

    Arguments and errors as in `smoothgrad`.
    """
    return _noisy_gradients(model, kappa, output, sigma, samples, key).var(axis=0)


def occlusion(model: Model, kappa: Map, output: Output, *, size: int = 4, fill: float = 0.0) -> Float[Array, "bin y x"]:
    """How much the output falls when a square is set to `fill`, shared evenly by the square's pixels.

    Args:
        model: callable from `[bin, y, x]` to `[output]`.
        kappa: one map.
        output: index of an output, or a direction `[output]`.
        size: side of the squares, which tile the map [pixels]; all bins are covered together.
        fill: value of a covered pixel.

    Raises:
        ValueError: as `gradient`, and a size that does not divide the map's side.
    """
    scalar = _scalar(model, kappa, output)
    kappa = jnp.asarray(kappa)
    bins, y, x = kappa.shape
    if size < 1 or y % size or x % size:
        raise ValueError(f"size = {size}: must divide the map's side of {x} pixels")
    rows, columns = y // size, x // size
    tile = jnp.arange(y)[:, None] // size * columns + jnp.arange(x)[None, :] // size
    without = jax.lax.map(
        lambda number: scalar(jnp.where(tile == number, fill, kappa)), jnp.arange(rows * columns), batch_size=64
    )
    return jnp.broadcast_to((scalar(kappa) - without)[tile] / (bins * size**2), kappa.shape)


def over_maps(
    method: Callable[..., Array],
    model: Model,
    kappa: Float[Array | np.ndarray, "..."],
    output: Output,
    *,
    batch: int = 64,
    key: Key[Array, ""] | None = None,
    **options: Any,
) -> Float[np.ndarray, "map bin y x"]:
    """One method for many maps, compiled once.

    Args:
        method: a function of this module.
        model: callable from `[bin, y, x]` to `[output]`.
        kappa: maps [map, bin, y, x].
        output: index of an output, or a direction `[output]`.
        batch: maps at a time; results do not depend on it.
        key: for methods that draw numbers; map i gets `fold_in(key, i)`.
        options: further arguments of the method.

    Raises:
        ValueError: as the method; no maps.
    """
    kappa = np.asarray(kappa, np.float32)
    if kappa.ndim != 4 or len(kappa) == 0:
        raise ValueError(f"kappa has shape {kappa.shape}: must be [map, bin, y, x] with at least one map")
    direction = _check(model, kappa[0], output)
    bad = np.flatnonzero(~np.isfinite(kappa).all(axis=(1, 2, 3)))
    if len(bad):
        raise ValueError(f"kappa[{bad[0]}] holds NaN or infinity: must be finite")

    size = min(batch, len(kappa))
    done = []
    for start in progress(range(0, len(kappa), size), method.__name__, unit="batch"):
        rows = np.arange(start, start + size) % len(kappa)  # the last batch is filled up: one shape, one compilation
        done.append(np.asarray(_batch(method, model, kappa[rows], direction, rows, key, options)))
    return np.concatenate(done)[: len(kappa)]


@eqx.filter_jit
def _batch(method: Callable[..., Array], model: Any, kappa, direction, numbers, key, options: dict[str, Any]) -> Array:
    """One batch of `over_maps`: the network is an argument, so that another of its kind needs no new compilation."""

    def one(kappa: Array, number: Array) -> Array:
        extra = {} if key is None else {"key": jax.random.fold_in(key, number)}
        return method(model, kappa, direction, **extra, **options)

    return jax.vmap(one)(kappa, numbers)


def attribution_share(
    saliency: Float[Array | np.ndarray, "..."],
    kappa: Float[Array | np.ndarray, "..."],
    edges: Sequence[float] | np.ndarray,
) -> tuple[Float[np.ndarray, "*batch k"], Float[np.ndarray, "*batch k"]]:
    """Share of squared saliency, and share of pixels, by kappa.

    A share of attribution means nothing without the share of pixels that holds it.

    Args:
        saliency: attribution maps [..., bin, y, x].
        kappa: what sorts the pixels, on the same grid.
        edges: rising edges of the k kappa bins, half open [low, high); they may start at -inf and end at inf. What
            lies outside them counts in the whole, so the shares may sum to less than 1.

    Returns:
        Both shares for each map, [..., k].

    Raises:
        ValueError: shapes that differ, edges that do not rise, a map whose saliency is zero or not finite.
    """
    saliency, kappa, edges = np.asarray(saliency, np.float64), np.asarray(kappa), np.asarray(edges, np.float64)
    if saliency.shape != kappa.shape:
        raise ValueError(f"saliency has shape {saliency.shape}: must be kappa's, {kappa.shape}")
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges = {edges.tolist()}: must be at least two rising numbers")
    squared = saliency**2
    whole = squared.sum(axis=(-3, -2, -1))
    if not (np.isfinite(whole) & (whole > 0)).all():
        raise ValueError("saliency is zero, NaN or infinite over a whole map: it has no shares")
    shares, pixels = [], []
    for low, high in itertools.pairwise(edges):
        chosen = (kappa >= low) & (kappa < high)
        shares.append((squared * chosen).sum(axis=(-3, -2, -1)) / whole)
        pixels.append(chosen.mean(axis=(-3, -2, -1)))
    return np.stack(shares, axis=-1), np.stack(pixels, axis=-1)


def randomized(model: eqx.Module, depth: int, *, key: Key[Array, ""]) -> eqx.Module:
    """The model with the weights of its last `depth` layers drawn anew, normal, with each layer's own spread.

    Layers are the model's weight arrays of two or more axes, in the order in which the model holds them; biases stay.

    Args:
        model: any Equinox model.
        depth: 0 <= depth <= number of layers.
        key: of the new weights; those of one layer are the same at every depth.

    Raises:
        ValueError: a depth out of range.
    """
    leaves, structure = jax.tree.flatten(model)
    places = [i for i, leaf in enumerate(leaves) if eqx.is_inexact_array(leaf) and leaf.ndim >= 2]
    if not 0 <= depth <= len(places):
        raise ValueError(f"depth = {depth}: must be 0 <= depth <= {len(places)}, the model's layers with weights")
    for i in places[len(places) - depth :]:
        leaves[i] = leaves[i].std() * jax.random.normal(jax.random.fold_in(key, i), leaves[i].shape)
    return jax.tree.unflatten(structure, leaves)


def cascade(
    method: Callable[..., Array],
    model: eqx.Module,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    output: Output,
    *,
    depths: Sequence[int],
    key: Key[Array, ""],
    **options: Any,
) -> Float[np.ndarray, "depth map"]:
    """The lie detector: how much an attribution map stays the same while the network is destroyed from the top.

    A method that tells what the network has learnt must give other maps for a network that has learnt nothing
    (Adebayo et al. 2018).

    Args:
        method: a function of this module.
        model: an Equinox model.
        kappa: maps.
        output: index of an output, or a direction `[output]`.
        depths: how many of the last layers to draw anew.
        key: of the new weights.
        options: further arguments of `over_maps`.

    Returns:
        Spearman's rank correlation of |saliency| before and after, for each depth and map.

    Raises:
        ValueError: as `over_maps` and `randomized`.
    """
    intact: Any = model  # a module is callable when its class is
    before = over_maps(method, intact, kappa, output, **options)
    rows = []
    for depth in depths:
        destroyed: Any = randomized(model, depth, key=key)
        rows.append(rank_correlation(np.abs(before), np.abs(over_maps(method, destroyed, kappa, output, **options))))
    return np.stack(rows)


def rank_correlation(
    first: Float[np.ndarray, "map bin y x"], second: Float[np.ndarray, "map bin y x"]
) -> Float[np.ndarray, " map"]:
    """Spearman's rank correlation of the pixels of two maps, for each pair; 0 where a map is constant."""
    one, two = (stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second))
    one, two = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, two))
    norm = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.divide((one * two).sum(axis=1), norm, out=np.zeros(len(norm)), where=norm > 0)


def _scalar(model: Model, kappa: Map, output: Output) -> Callable[[Array], Array]:
    """The explained number as a function of the map, after the arguments have been checked."""
    direction = _check(model, kappa, output)
    return lambda kappa: jnp.asarray(model(kappa)) @ direction


def _check(model: Model, kappa: Map, output: Output) -> Array:
    """The direction in the space of outputs."""
    if np.ndim(kappa) != 3:
        raise ValueError(f"kappa has shape {np.shape(kappa)}: must be one map [bin, y, x]")
    if not isinstance(kappa, Tracer) and not np.isfinite(kappa).all():
        raise ValueError(f"kappa holds NaN or infinity in {(~np.isfinite(kappa)).sum()} pixels: must be finite")
    (outputs,) = jax.eval_shape(model, jax.ShapeDtypeStruct(np.shape(kappa), jnp.float32)).shape
    if isinstance(output, int | np.integer):
        if not 0 <= output < outputs:
            raise ValueError(f"output = {output}: must be 0 <= output < {outputs}")
        return jnp.zeros(outputs).at[output].set(1.0)
    direction = jnp.asarray(output, jnp.float32)
    if direction.shape != (outputs,):
        raise ValueError(f"output has shape {direction.shape}: must be an index or a direction of length {outputs}")
    return direction


def _noisy_gradients(model: Model, kappa: Map, output: Output, sigma: float, samples: int, key: Array) -> Array:
    if not sigma >= 0:
        raise ValueError(f"sigma = {sigma}: must be >= 0, in units of kappa")
    if samples < 1:
        raise ValueError(f"samples = {samples}: must be >= 1")
    scalar = _scalar(model, kappa, output)
    noise = sigma * jax.random.normal(key, (samples, *np.shape(kappa)))
    return jax.vmap(jax.grad(scalar))(jnp.asarray(kappa) + noise)


def _with_relu(model: Any, relu: Callable[[Array], Array]) -> Any:
    """The model with `relu` in the place of its ReLUs."""

    def is_relu(node: Any) -> bool:
        return isinstance(node, network.ReLU) or node is jax.nn.relu

    nodes, structure = jax.tree.flatten(model, is_leaf=is_relu)
    if not any(is_relu(node) for node in nodes):
        raise ValueError(f"model = {type(model).__name__}: holds no ReLU (network.ReLU or jax.nn.relu) to replace")
    return jax.tree.unflatten(structure, [relu if is_relu(node) else node for node in nodes])


@jax.custom_vjp
def _guided_relu(x: Array) -> Array:
    return jax.nn.relu(x)


@jax.custom_vjp
def _deconvnet_relu(x: Array) -> Array:
    return jax.nn.relu(x)


_guided_relu.defvjp(lambda x: (jax.nn.relu(x), x > 0), lambda on, signal: (jnp.where(on, jax.nn.relu(signal), 0.0),))
_deconvnet_relu.defvjp(lambda x: (jax.nn.relu(x), None), lambda _, signal: (jax.nn.relu(signal),))
