"""What comes out of training: a network, or several, with the scales of what goes in and comes out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.network import architectures, losses
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
        """Write the weights (Equinox leaves) and everything else (JSON) into `folder`."""
        settings = {name: value for name, value in vars(self.model).items() if isinstance(value, int)}
        described = {"architecture": type(self.model).__name__, "settings": settings, "coarsen": self.coarsen}
        scales = {
            name: np.asarray(getattr(self, name)).tolist() for name in ("input_scale", "target_mean", "target_scale")
        }
        history = {name: values.tolist() for name, values in self.history.items()}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "network.json").write_text(json.dumps({**described, **scales, "history": history}))
        eqx.tree_serialise_leaves(folder / "weights.eqx", self.model)

    @classmethod
    def load(cls, folder: Path) -> "Estimator":
        """Read what `save` wrote."""
        stored = json.loads((folder / "network.json").read_text())

        def blank() -> Any:
            made = architectures.make(stored["architecture"], key=jax.random.key(0), **stored["settings"])
            return architectures.frozen(*architectures.with_state(made))

        return cls(
            model=eqx.tree_deserialise_leaves(folder / "weights.eqx", eqx.filter_eval_shape(blank)),
            input_scale=jnp.float32(stored["input_scale"]),
            target_mean=jnp.asarray(stored["target_mean"], jnp.float32),
            target_scale=jnp.asarray(stored["target_scale"], jnp.float32),
            history={name: np.asarray(values) for name, values in stored["history"].items()},
            coarsen=stored["coarsen"],
        )

    def _answer(self, kappa: Any) -> Array:
        model: Any = self.model
        return model(kappa / self.input_scale)


class Ensemble(eqx.Module):
    """Networks that differ in their seed: the mean of their answers, and how far they are apart."""

    members: tuple[Estimator, ...]

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """The mean of the members' answers to one map."""
        return jnp.stack([member(kappa) for member in self.members]).mean(axis=0)

    @property
    def coarsen(self) -> int:
        """As in `Estimator`."""
        return self.members[0].coarsen

    def save(self, folder: Path) -> None:
        """Write every member into a folder of its own."""
        for number, member in enumerate(self.members):
            member.save(folder / str(number))

    @classmethod
    def load(cls, folder: Path) -> "Ensemble":
        """Read what `save` wrote."""
        return cls(tuple(Estimator.load(folder / str(n)) for n in range(len(list(folder.iterdir())))))


def without_history(trained: Any) -> Any:
    """A trained network, or several, without what it cost: networks of a kind then differ in their weights only."""

    def bare(one: Any) -> Any:
        return dataclasses.replace(one, history={}) if isinstance(one, Estimator) else one

    return jax.tree.map(bare, trained, is_leaf=lambda one: isinstance(one, Estimator))
