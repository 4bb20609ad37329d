"""Functions whose results the tests keep in stores; each notes in a file that it really ran."""

import dataclasses
import json
import os
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import xarray as xr


def _note(what: str) -> None:
    if path := os.environ.get("STAGES_LOG"):
        with Path(path).open("a") as stream:
            stream.write(f"{what}\n")


def dataset(*, maps: int, seed: int = 0) -> xr.Dataset:
    _note("dataset")
    random = np.random.default_rng(seed)
    return xr.Dataset(
        {
            "kappa": (("map", "bin", "y", "x"), random.normal(size=(maps, 1, 4, 4)).astype(np.float32)),
            "split": ("map", np.zeros(maps, np.int8), {"flag_values": [0, 1], "flag_meanings": "train test"}),
        },
        coords={"redshift": ("bin", [1.0]), "name": ("bin", ["only"])},
        attrs={"side": 3.5, "source_redshift": [1.0]},
    )


def arrays(*, data: xr.Dataset) -> dict:
    _note("arrays")
    return {"power spectrum": data["kappa"].values.mean((2, 3)), "peaks/low": jnp.arange(3)}


def total(*, values: np.ndarray) -> float:
    _note("total")
    return float(np.sum(values))


def numbers(*, x) -> dict:
    _note("numbers")
    return {"x": [1, 2.5, None], "text": "κ"}


def array(*, n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float32)


def labelled(*, n: int) -> xr.DataArray:
    return xr.DataArray(np.arange(n), dims="omega_m", coords={"omega_m": np.linspace(0, 1, n)}, name="posterior")


@dataclasses.dataclass(frozen=True)
class Weights:
    values: tuple

    def save(self, folder: Path) -> None:
        (folder / "weights.json").write_text(json.dumps(self.values))
        _note("saving")
        time.sleep(float(os.environ.get("STAGES_SLOW_SAVE", "0")))

    @classmethod
    def load(cls, folder: Path) -> "Weights":
        return cls(tuple(json.loads((folder / "weights.json").read_text())))


def weights(*, n: int) -> Weights:
    return Weights(tuple(range(n)))


def applied(*, weights: Weights, function=None) -> int:
    return sum(weights.values)


def steps(*, n: int, seconds: float = 0.0, checkpoint: Path | None = None) -> list:
    """Counts to n, a step at a time, and goes on from a checkpoint."""
    done = checkpoint / "done" if checkpoint else None
    start = int(done.read_text()) if done and done.is_file() else 0
    _note(f"start {start}")
    for step in range(start, n):
        time.sleep(seconds)
        if done:
            aside = done.with_suffix(".aside")
            aside.write_text(str(step + 1))
            aside.replace(done)
        _note(f"step {step}")
    return [start, n]


def large(*, megabytes: int) -> np.ndarray:
    return np.ones(megabytes * 2**18, np.float32)


def useless() -> object:
    return object()
