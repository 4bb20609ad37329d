"""Values on disk in open formats: zarr for arrays and datasets, JSON for numbers and text, an object's own files."""

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from wlbook.common.wording import shown

#: The types that a store may load, by module and name: a manifest that names another runs nothing.
OBJECTS = {
    ("wlbook.runner.pages", "Executed"),
    ("wlbook.network.estimators", "Estimator"),
    ("wlbook.degradation.amortised", "Amortised"),
    ("wlbook.degradation.summary_networks", "Twin"),
}

_CHUNK = 64 * 2**20  # bytes of one file of a stored array, at most


class ForeignError(Exception):
    """A stored value is not of a kind that is loaded."""


def save(value: Any, folder: Path, stage: str) -> dict[str, Any]:
    """Write a value into an empty folder; returns what `load` needs to know."""
    if is_labelled(value, "Dataset"):
        return _save_zarr(value, folder, kind="dataset", names=[str(name) for name in value.variables])
    if is_labelled(value, "DataArray"):
        return _save_zarr(value.to_dataset(name="value"), folder, kind="dataarray", name=value.name)
    if _is_array(value):
        return _save_zarr(_as_dataset({"value": value}), folder, kind="array")
    if isinstance(value, dict) and value and all(_is_array(item) for item in value.values()):
        names = [str(name) for name in value]
        arrays = {f"array{n}": item for n, item in enumerate(value.values())}
        return _save_zarr(_as_dataset(arrays, names), folder, kind="arrays", names=names)
    kind: Any = type(value)
    if (kind.__module__, kind.__qualname__) in OBJECTS:
        kind.save(value, folder)
        return {"kind": "object", "module": kind.__module__, "name": kind.__qualname__}
    try:
        (folder / "value.json").write_text(json.dumps(value, indent=1))
    except TypeError:
        allowed = "a Dataset, array, dict of arrays, JSON value, or one of formats.OBJECTS"
        raise ValueError(f"{stage} returned {shown(value)}: must be {allowed}") from None
    return {"kind": "json"}


def load(folder: Path, payload: Any) -> tuple[Any, dict[str, Any]]:
    """The value, and those of its parts that later calls may be given: part name -> object."""
    match payload:
        case {"kind": "json"}:
            return json.loads((folder / "value.json").read_text()), {}
        case {"kind": "object", "module": str(module), "name": str(name)}:
            if (module, name) not in OBJECTS:
                raise ForeignError(f"it is a {module}.{name}, which is not loaded from a store")
            value = getattr(importlib.import_module(module), name).load(folder)
            return value, {"": value}
        case {"kind": "array" | "arrays" | "dataarray" | "dataset"}:
            pass
        case _:
            raise ForeignError(f"it is of an unknown kind: {shown(payload)}")
    import xarray as xr

    as_it_is: dict[str, Any] = {"mask_and_scale": False, "decode_times": False, "decode_timedelta": False}
    data = xr.open_zarr(folder / "data.zarr", chunks=None, consolidated=False, **as_it_is).load()
    for variable in data.variables.values():
        if isinstance(variable.data, np.ndarray):
            variable.data.flags.writeable = False
    match payload["kind"]:
        case "array":
            return data["value"].values, {"": data["value"].values}
        case "arrays":
            arrays = {name: data[f"array{n}"].values for n, name in enumerate(payload["names"])}
            return arrays, arrays
        case "dataarray":
            return data["value"].rename(payload["name"]), {"": data["value"].variable.data}
    ordered = xr.Dataset(
        {name: data[name] for name in payload["names"] if name in data.data_vars},
        coords={name: data[name] for name in payload["names"] if name in data.coords},
        attrs=data.attrs,
    )
    return ordered, {str(name): variable.data for name, variable in ordered.variables.items()}


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) or is_jax_array(value)


def _as_dataset(arrays: dict[str, Any], names: list[str] | None = None) -> Any:
    import xarray as xr

    items = ((name, np.asarray(array)) for name, array in arrays.items())
    variables = {name: ([f"{name}_{axis}" for axis in range(array.ndim)], array) for name, array in items}
    return xr.Dataset(variables, attrs={"names": names} if names else None)


def _save_zarr(data: Any, folder: Path, **payload: Any) -> dict[str, Any]:
    encoding: dict[Any, dict[str, Any]] = {}
    for name, variable in data.variables.items():
        rows = max(1, _CHUNK * max(1, len(variable)) // max(1, variable.nbytes)) if variable.ndim else 1
        encoding[name] = {"compressors": None, "_FillValue": None}
        if variable.size and variable.ndim:
            encoding[name]["chunks"] = (min(rows, len(variable)), *variable.shape[1:])
    data = data.drop_encoding()
    data.attrs = plain(data.attrs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="zarr")
        data.to_zarr(folder / "data.zarr", mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    return payload


def plain(attrs: Any) -> Any:
    """Attributes as they come back from disk: arrays as lists, numbers as Python's."""
    if isinstance(attrs, dict):
        return {str(name): plain(value) for name, value in attrs.items()}
    if isinstance(attrs, np.ndarray | np.generic):
        return attrs.tolist()
    return [plain(item) for item in attrs] if isinstance(attrs, list | tuple) else attrs


def is_jax_array(value: Any) -> bool:
    """Whether this is a JAX array. JAX takes a second to import: what was never imported made no array."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def is_labelled(value: Any, kind: str) -> bool:
    """Whether this is xarray's "Dataset" or "DataArray"; xarray is not imported to find out, as above."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, getattr(xarray, kind))
