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
    """A network with the scales of what goes in and comes out: called with a map, it answers in physical units."""

    model: eqx.Module  # in standardised units, its batch statistics frozen
    input_scale: Float[Array, ""]  # what kappa is divided by
    target_mean: Float[Array, " output"]  # added to the network's outputs, after
    target_scale: Float[Array, " output"]  # has multiplied them
    history: dict[str, np.ndarray]  # as `trainer.run` gives it
    coarsen: int = eqx.field(static=True, default=1)  # its pixels are this many times larger than the data's

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """Predict from one map, in the targets' units."""
        return self.target_mean + self.target_scale * self._answer(kappa)[: len(self.target_mean)]

    def precision(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, "output output"]:
        """The inverse covariance, in the targets' units: networks trained with loss "likelihood" predict it too."""
        answer, number = self._answer(kappa), len(self.target_mean)
        if len(answer) == number:
            raise ValueError('this network predicts no precision: train with loss = "likelihood"')
        root = losses.factor(answer[None], number)[0] / self.target_scale[:, None]
        return root @ root.T

    @property
    def layers(self) -> tuple[eqx.Module, ...]:
        """The network's layers between those that scale; their result is the departure from `target_mean`."""
        inner = self.model.layers  # pyright: ignore[reportAttributeAccessIssue]
        number = len(self.target_mean)
        means = (First(number),) if getattr(self.model, "outputs", number) > number else ()
        return (Scale(1 / self.input_scale), *inner, *means, Scale(self.target_scale))

    def save(self, folder: Path) -> None:
        """Write everything into `folder`."""
        settings = {name: value for name, value in vars(self.model).items() if isinstance(value, int)}
        named = {"architecture": type(self.model).__name__, "settings": settings}
        checkpoints.write(folder, self, **named, targets=len(self.target_mean))

    @classmethod
    def load(cls, folder: Path) -> "Estimator":
        """Read what `save` wrote."""

        def blank(described: dict[str, Any]) -> Estimator:
            settings = described["settings"].copy()
            shape = {name: settings.pop(name) for name in ("bins", "outputs", "pixels") if name in settings}
            made = Architecture(described["architecture"], settings).build(**shape, key=jax.random.key(0))
            targets = jnp.zeros(described["targets"])
            return cls(frozen(*with_state(made)), jnp.float32(0), targets, targets, {})

        return checkpoints.read(folder, blank)

    def _answer(self, kappa: Any) -> Array:
        model: Any = self.model
        return model(kappa / self.input_scale)


def without_history(trained: Any) -> Any:
    """A trained network without what it cost: networks of a kind then differ in their weights only."""
    return dataclasses.replace(trained, history={}) if isinstance(trained, Estimator) else trained
