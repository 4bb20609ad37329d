"""What a result was made from, as JSON, and the key that hashes it: equal for equal inputs, and only for those."""

import dataclasses
import functools
import hashlib
import inspect
import json
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wlbook.common import extras
from wlbook.common.wording import shown
from wlbook.runner.fingerprint import fingerprint
from wlbook.runner.formats import is_jax_array, is_labelled, plain

#: Says of an object which stored result it is, and which part of that; None for what came from elsewhere.
Origin = Callable[[Any], tuple[str, str] | None]


def key_of(what: Mapping[str, Any]) -> str:
    """The key of a description: a hash that differs whenever anything in it does."""
    return hashlib.sha256(canonical(what).encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values: sorted names, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def describe(function: Callable[..., Any], inputs: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """What the result of `function(**inputs)` depends on: stage, inputs, upstream keys, fingerprint."""
    upstream: set[str] = set()
    modules = {inspect.unwrap(function).__module__}

    def describe(value: Any) -> Any:
        """`value` as JSON that is equal only for equal values; notes upstream keys and the modules of functions."""
        if came_from := origin(value):
            upstream.add(came_from[0])
            return {"$artefact": came_from[0], "part": came_from[1]}
        if isinstance(value, str) and (files := extras.digests(value)):
            return {"$extra": value, "files": files}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": str(value)}
        if isinstance(value, np.generic):
            return describe(value.item())
        if isinstance(value, list | tuple):
            return [describe(item) for item in value]
        if isinstance(value, dict):
            if not all(isinstance(name, str) for name in value):
                raise TypeError("the names in a dict must be text")
            return {"$dict": {name: describe(item) for name, item in value.items()}}
        if isinstance(value, np.ndarray) or is_jax_array(value):
            return {"$array": _array_digest(value)}
        if is_labelled(value, "Dataset"):
            variables = {
                str(name): {"dims": list(v.dims), "data": describe(v.data), "coord": name in value.coords}
                for name, v in value.variables.items()
            }
            return {"$dataset": variables, "attrs": describe(plain(value.attrs))}
        if is_labelled(value, "DataArray"):
            return {"$dataarray": describe(value.to_dataset(name="value"))}
        if isinstance(value, functools.partial):
            arguments = {"args": describe(list(value.args)), "keywords": describe(value.keywords)}
            return {"$partial": describe(value.func)} | arguments
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            modules.add(type(value).__module__)
            fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return {"$object": f"{type(value).__module__}.{type(value).__qualname__}", "fields": fields}
        if callable(value) and hasattr(value, "__qualname__"):
            name = stage_of(value)
            module = inspect.unwrap(value).__module__
            if module.split(".")[0] in {"wlbook", *(m.split(".")[0] for m in modules)}:
                modules.add(module)
            return {"$function": name}
        raise TypeError("must be a number, text, list, dict, array, Dataset, dataclass or a module's function")

    described = {}
    for name, value in inputs.items():
        try:
            described[name] = describe(value)
        except TypeError as error:
            raise ValueError(f"{name} = {shown(value)}: {error}") from None
    made_from = {"inputs": described, "upstream": sorted(upstream), "fingerprint": fingerprint(modules)}
    return {"stage": stage_of(function), **made_from}


def stage_of(function: Any) -> str:
    """The name of a function, module first: what its results are filed under.

    The source of a lambda, a local function, or one of a notebook cannot be followed: these are refused.
    """
    function = inspect.unwrap(function)
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module or module == "__main__" or "<" in name:
        raise ValueError(f"function = {shown(function)}: must be a named function of a module, not of a notebook")
    return f"{module.removeprefix('wlbook.')}.{name}"


def _array_digest(array: Any) -> dict[str, Any]:
    kind = str(array.dtype)
    if kind.startswith("key<"):
        array = sys.modules["jax"].random.key_data(array)
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise TypeError("must not be an array of Python objects")
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return {"dtype": kind, "shape": list(array.shape), "sha256": hashlib.sha256(flat.data).hexdigest()}
