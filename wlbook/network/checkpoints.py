"""The state of a training on disk: whole, or not at all."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree


def save(folder: Path, state: PyTree) -> None:
    """Write the state aside and rename it: a kill leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"state.{os.getpid()}.part"
    with aside.open("wb") as file:
        eqx.tree_serialise_leaves(file, state)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / "state.eqx")


def resume(folder: Path, initial: dict[str, Any]) -> dict[str, Any]:
    """The state kept in `folder`, or the initial one where there is none.

    Args:
        folder: where `save` wrote.
        initial: a state of the same structure; its entry "of" tells trainings apart.

    Raises:
        ValueError: what lies there is no state, or that of another training.
    """
    path = folder / "state.eqx"
    for torn in folder.glob("state.*.part"):  # of a process that was killed while it wrote
        torn.unlink(missing_ok=True)
    if not path.exists():
        return initial
    try:
        kept = eqx.tree_deserialise_leaves(path, initial)
    except Exception as error:  # Equinox raises bare RuntimeErrors, NumPy ValueErrors and EOFErrors
        raise ValueError(f"checkpoint = {path}: is not a state of this training; delete it to start again") from error
    if kept["of"] != initial["of"]:
        raise ValueError(f"checkpoint = {path}: was made with other arguments; delete it to start again")
    return kept


def finite(tree: PyTree) -> bool:
    """Whether every number in every array of `tree` is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)
