"""Attribution by another backward step at each ReLU: the gradient's layers, with their own rule for signs."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params
from jaxtyping import Array, Float

from wlbook.network import layers
from wlbook.saliency.explain import Map, Model, Output
from wlbook.saliency.gradients import gradient


def guided_backprop(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """The gradient, with negative signals stopped at every ReLU on the way back (Springenberg et al. 2015)."""
    return gradient(_with_relu(model, _guided_relu, kappa), kappa, output)


def deconvnet(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """The gradient, with each ReLU's backward step replaced by a ReLU of the signal (Zeiler & Fergus 2014)."""
    return gradient(_with_relu(model, _deconvnet_relu, kappa), kappa, output)


def is_relu(node: Any) -> bool:
    """Whether a node of a model's tree is a ReLU."""
    return isinstance(node, layers.ReLU) or node is jax.nn.relu


def _with_relu(model: Any, relu: Callable[[Array], Array], kappa: Map) -> Any:
    """The model with `relu` in the place of its ReLUs; one written otherwise is refused."""
    nodes, structure = jax.tree.flatten(model, is_leaf=is_relu)
    if not any(is_relu(node) for node in nodes):
        raise ValueError(f"model = {type(model).__name__}: holds no ReLU (network.ReLU or jax.nn.relu) to replace")
    replaced = jax.tree.unflatten(structure, [relu if is_relu(node) else node for node in nodes])
    if _rectifies(jax.make_jaxpr(lambda image: replaced(image))(kappa).jaxpr):
        told = "holds a ReLU that cannot be replaced; each must be network.ReLU or jax.nn.relu as a layer"
        raise ValueError(f"model = {type(model).__name__}: {told}")
    return replaced


def _rectifies(program: Any, zeros: Iterable[Any] = ()) -> bool:
    """Whether a program compares a real number with zero, other than in a function with a derivative of its own.

    `zeros` are those of its variables that are known to be zero.
    """
    known = set(zeros)

    def is_zero(one: Any) -> bool:
        return not np.any(one.val) if hasattr(one, "val") else one in known

    for step in program.eqns:
        name, zero = step.primitive.name, [is_zero(one) for one in step.invars]
        if name in ("convert_element_type", "broadcast_in_dim") and zero[0]:
            known |= set(step.outvars)
        real = all(jnp.issubdtype(one.aval.dtype, jnp.floating) for one in step.invars)
        if real and any(zero) and name in ("max", "min", "clamp", "gt", "ge", "lt", "le"):
            return True
        inner_programs = () if "custom_vjp" in name else jaxprs_in_params(step.params)
        if "custom_jvp" in name:  # softplus, for one, is a function with a derivative of its own; so is JAX's ReLU
            inner_programs = [one for one in inner_programs if "relu" in str([e.params.get("name") for e in one.eqns])]
        for inner in inner_programs:
            if _rectifies(inner, [own for own, given in zip(inner.invars, zero, strict=False) if given]):
                return True
    return False


_guided_relu = jax.custom_vjp(jax.nn.relu)
_deconvnet_relu = jax.custom_vjp(jax.nn.relu)
_guided_relu.defvjp(lambda x: (jax.nn.relu(x), x > 0), lambda on, signal: (jnp.where(on, jax.nn.relu(signal), 0.0),))
_deconvnet_relu.defvjp(lambda x: (jax.nn.relu(x), None), lambda _, signal: (jax.nn.relu(signal),))
