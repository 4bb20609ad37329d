"""Functions compiled once: for all networks of a kind, and with the kernels that are fast here."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array


def compiled(function: Callable[..., Any], **arguments: Any) -> Any:
    """`jax.jit` for a function that holds convolutions: on a CPU with the faster of XLA's two kernels for them."""
    return jax.jit(function, compiler_options=kernels(jax.default_backend()), **arguments)


def filter_compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`eqx.filter_jit` likewise: modules are arguments, so that another of a kind needs no new compilation."""

    @functools.cache
    def made() -> Callable[..., Any]:
        options: Any = {"compiler_options": kernels(jax.default_backend())}
        return eqx.filter_jit(function, **options)

    return lambda *arguments: made()(*arguments)


def by_value(function: Any) -> Any:
    """A partial function as one that equals another with the same arguments: `filter_compiled` then knows it again.

    Numbers stay numbers, also those that come as arrays: what is done may depend on them. Images are traced.
    """
    if isinstance(function, np.ndarray | np.generic | Array) and np.ndim(function) < 2:
        return np.asarray(function).tolist()
    if isinstance(function, list | tuple):
        return [by_value(one) for one in function]
    if not isinstance(function, functools.partial):
        return function
    named = {name: by_value(value) for name, value in function.keywords.items()}
    return Partial(by_value(function.func), *map(by_value, function.args), **named)


@filter_compiled
def called(function: Any, *arguments: Any) -> Any:
    """`function(*arguments)`, compiled; give a partial function `by_value`."""
    return function(*arguments)


@functools.cache
def kernels(backend: str) -> dict[str, str] | None:
    """XLA hands convolutions to YNNPACK, where a weight's gradient takes twice as long as with Eigen; products stay."""
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
    if backend != "cpu":
        return None
    try:
        jax.jit(jnp.negative, compiler_options=options).lower(1.0).compile()
    except jax.errors.JaxRuntimeError:  # another release of XLA, which does not know the option
        return None
    return options
