"""Networks on disk: the state of a training, whole or not at all; and what came out of one, described."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from wlbook.common.progress import note

_STATE, _BEFORE = "state.eqx", "state.before.eqx"
_DIGEST = hashlib.sha256().digest_size  # bytes at the end of a state's file


def save(folder: Path, state: PyTree) -> None:
    """Write the state aside and rename it, the one before it kept: a kill or damage leaves one to go on from."""
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    eqx.tree_serialise_leaves(content, state)
    aside = folder / f"state.{os.getpid()}.part"
    with aside.open("wb") as file:
        file.write(content.getbuffer())
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.flush()
        os.fsync(file.fileno())
    if (folder / _STATE).is_file():
        other = folder / f"state.{os.getpid()}.before.part"
        shutil.copyfile(folder / _STATE, other)
        other.replace(folder / _BEFORE)
    aside.replace(folder / _STATE)


def resume(folder: Path, initial: dict[str, Any]) -> dict[str, Any]:
    """The last whole state kept in `folder`, or the initial one where there is none.

    A damaged file is set aside and told. A state of another structure, or whose entry "of" differs, is of another
    training: that is a ValueError.
    """
    for torn in folder.glob("state.*.part"):  # of a process that was killed while it wrote
        torn.unlink(missing_ok=True)
    for path in (folder / _STATE, folder / _BEFORE):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:  # it is a folder, or not to be read
            content = b""
        content, digest = content[:-_DIGEST], content[-_DIGEST:]
        if hashlib.sha256(content).digest() == digest:
            return _state(path, content, initial)
        aside = path.with_suffix(".damaged")
        path.rename(aside.with_name(f"{aside.name}.{time.time_ns()}"))
        note(f"checkpoint = {path}: is damaged, it was set aside; the training goes on from the one before, or anew")
    return initial


def _state(path: Path, content: bytes, initial: dict[str, Any]) -> dict[str, Any]:
    try:
        kept = eqx.tree_deserialise_leaves(io.BytesIO(content), initial)
    except Exception as error:  # Equinox raises bare RuntimeErrors, NumPy ValueErrors and EOFErrors
        raise ValueError(f"checkpoint = {path}: is not a state of this training; delete it to start again") from error
    if kept["of"] != initial["of"]:
        raise ValueError(f"checkpoint = {path}: was made with other arguments; delete it to start again")
    return kept


def finite(tree: PyTree) -> bool:
    """Whether every number in every array of `tree` is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)


def write(folder: Path, trained: Any, **described: Any) -> None:
    """Write a trained network: what describes it and its history as JSON, its other arrays as Equinox leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    described |= {"history": trained.history, "coarsen": trained.coarsen}
    (folder / "described.json").write_text(json.dumps(described, default=lambda array: np.asarray(array).tolist()))
    eqx.tree_serialise_leaves(folder / "leaves.eqx", dataclasses.replace(trained, history={}))


def read(folder: Path, blank: Callable[[dict[str, Any]], Any]) -> Any:
    """What `write` wrote; `blank` makes a network of that structure from the description, values not looked at."""
    described = json.loads((folder / "described.json").read_text())
    trained = eqx.tree_deserialise_leaves(folder / "leaves.eqx", eqx.filter_eval_shape(lambda: blank(described)))
    history = {name: np.asarray(values) for name, values in described["history"].items()}
    return dataclasses.replace(trained, history=history, coarsen=described["coarsen"])
