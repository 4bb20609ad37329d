"""Attribution by another backward step at each ReLU: the gradient's layers, with their own rule for signs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from wlbook.network import layers
from wlbook.saliency.explain import Map, Model, Output
from wlbook.saliency.gradients import gradient


def guided_backprop(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """The gradient, with negative signals stopped at every ReLU on the way back (Springenberg et al. 2015)."""
    return gradient(_with_relu(model, _guided_relu), kappa, output)


def deconvnet(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """The gradient, with each ReLU's backward step replaced by a ReLU of the signal (Zeiler & Fergus 2014)."""
    return gradient(_with_relu(model, _deconvnet_relu), kappa, output)


def is_relu(node: Any) -> bool:
    """Whether a node of a model's tree is a ReLU."""
    return isinstance(node, layers.ReLU) or node is jax.nn.relu


def _with_relu(model: Any, relu: Callable[[Array], Array]) -> Any:
    """The model with `relu` in the place of its ReLUs."""
    nodes, structure = jax.tree.flatten(model, is_leaf=is_relu)
    if not any(is_relu(node) for node in nodes):
        raise ValueError(f"model = {type(model).__name__}: holds no ReLU (network.ReLU or jax.nn.relu) to replace")
    return jax.tree.unflatten(structure, [relu if is_relu(node) else node for node in nodes])


_guided_relu = jax.custom_vjp(jax.nn.relu)
_deconvnet_relu = jax.custom_vjp(jax.nn.relu)
_guided_relu.defvjp(lambda x: (jax.nn.relu(x), x > 0), lambda on, signal: (jnp.where(on, jax.nn.relu(signal), 0.0),))
_deconvnet_relu.defvjp(lambda x: (jax.nn.relu(x), None), lambda _, signal: (jax.nn.relu(signal),))
