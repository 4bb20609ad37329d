"""What comes out of training: a network with the scales of what goes in and comes out."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.network import checkpoints, losses
from wlbook.network.architectures import Architecture, frozen, with_state
from wlbook.network.layers import First, Scale


class Estimator(eqx.Module):
    """A network with the scales of what goes in and comes out: called with a map, it answers in physical units.

    Attributes:
        model: the network, in standardised units, its batch statistics frozen.
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
        return self.target_mean + self.target_scale * self._answer(kappa)[: len(self.target_mean)]

    def precision(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, "output output"]:
        """The inverse covariance of its answer that the network predicts itself, in the targets' units.

        Raises:
            ValueError: a network that was not trained with loss "likelihood".
        """
        answer, number = self._answer(kappa), len(self.target_mean)
        if len(answer) == number:
            raise ValueError('this network predicts no precision: train with loss = "likelihood"')
        root = losses.factor(answer[None], number)[0] / self.target_scale[:, None]
        return root @ root.T

    @property
    def layers(self) -> tuple[eqx.Module, ...]:
        """The network's layers between those that scale; their result is the departure from `target_mean`."""
        inner = self.model.layers  # pyright: ignore[reportAttributeAccessIssue]
        means = ()
        if getattr(self.model, "outputs", len(self.target_mean)) > len(self.target_mean):
            means = (First(len(self.target_mean)),)
        return (Scale(1 / self.input_scale), *inner, *means, Scale(self.target_scale))

    def save(self, folder: Path) -> None:
        """Write everything into `folder`."""
        settings = {name: value for name, value in vars(self.model).items() if isinstance(value, int)}
        described = {"architecture": type(self.model).__name__, "settings": settings, "coarsen": self.coarsen}
        described |= {"targets": len(self.target_mean), "history": self.history}
        scales = (self.input_scale, self.target_mean, self.target_scale)
        checkpoints.write(folder, described, (self.model, scales))

    @classmethod
    def load(cls, folder: Path) -> "Estimator":
        """Read what `save` wrote."""

        def blank(described: dict[str, Any]) -> Any:
            settings = dict(described["settings"])
            shape = {name: settings.pop(name) for name in ("bins", "outputs", "pixels") if name in settings}
            made = Architecture(described["architecture"], settings).build(**shape, key=jax.random.key(0))
            targets = jnp.zeros(described["targets"])
            return frozen(*with_state(made)), (jnp.float32(0), targets, targets)

        described, (model, scales) = checkpoints.read(folder, blank)
        return cls(model, *scales, history=checkpoints.history_of(described), coarsen=described["coarsen"])

    def _answer(self, kappa: Any) -> Array:
        model: Any = self.model
        return model(kappa / self.input_scale)


def without_history(trained: Any) -> Any:
    """A trained network, or several, without what it cost: networks of a kind then differ in their weights only."""

    def bare(one: Any) -> Any:
        return dataclasses.replace(one, history={}) if isinstance(one, Estimator) else one

    return jax.tree.map(bare, trained, is_leaf=lambda one: isinstance(one, Estimator))
