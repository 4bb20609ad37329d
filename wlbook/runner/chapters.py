"""Chapters as text: their order, their parameters with what is allowed, and the values in force in a run."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, ValidationError, create_model

from wlbook.common import degradation_names, extras, statistic_names
from wlbook.common.wording import clipped, shown, unknown
from wlbook.runner.environment import repository, run, tell_runner
from wlbook.runner.parameters import DEGRADATIONS, STATISTICS, Parameter, parameters_cell, parse_parameters


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A chapter of the book that runs: `book/<name>.py`."""

    name: str
    path: Path
    title: str
    parameters: dict[str, Parameter]

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of this chapter, the defaults with `values` over them."""
        for name in values:
            if name not in self.parameters:
                raise ValueError(unknown(f"parameter of {self.name}", name, self.parameters))
        own = self._own(values.get("extra"))
        networks = [name for name, (kind, _) in own.items() if kind == "network"]
        fields: dict[str, Any] = {name: parameter.field(networks) for name, parameter in self.parameters.items()}
        config = ConfigDict(strict=True, allow_inf_nan=False, protected_namespaces=())
        model = create_model("Parameters", __config__=config, **fields)
        given = {name: parameter.default for name, parameter in self.parameters.items()} | dict(values)
        try:
            checked = model(**given)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            rule = self.parameters[name].rule
            raise ValueError(f"{self.name}.{name} = {shown(given[name])}: must be {rule}") from None
        for name, parameter in self.parameters.items():
            if parameter.allowed.endswith(DEGRADATIONS):
                self._check_degradations(name, given[name], own)
            if parameter.allowed.endswith(STATISTICS):
                self._check_statistics(name, given[name], own)
        return {name: getattr(checked, name) for name in self.parameters}

    def _own(self, extra: Any) -> dict[str, tuple[str, int]]:
        """What a reader's own file adds, by name, as `extras.named_in`."""
        if not extra or not isinstance(extra, str):
            return {}
        try:
            return extras.named_in(extra)
        except ValueError as error:
            raise ValueError(f"{self.name}.{str(error).replace(extra, clipped(extra, 90))}") from None

    def _check_degradations(self, name: str, given: list[str], own: Mapping[str, tuple[str, int]]) -> None:
        numbers = {one: number for one, (kind, number) in own.items() if kind == "degradation"}
        for spec in given:
            try:
                degradation_names.read(spec, numbers)
            except ValueError as error:
                why = str(error).partition("; write ")[0]  # the grammar is longer than a line
                raise ValueError(f"{self.name}.{name}: {clipped(why, 130)}; {self.name} prints the grammar") from None

    def _check_statistics(self, name: str, given: list[str], own: Mapping[str, tuple[str, int]]) -> None:
        known = [*statistic_names.names(), *(one for one, (kind, _) in own.items() if kind == "statistic")]
        for one in given:
            if one not in known:
                raise ValueError(f"{self.name}.{name}: {unknown('statistic', one, known)}")


def names(root: Path | None = None) -> list[str]:
    """The pages that run, in the order of `_toc.yml`."""
    root = root or repository()
    return [Path(page).name for page in pages(root) if (root / f"{page}.py").is_file()]


def pages(root: Path) -> list[str]:
    """Every page of `_toc.yml` in its order, as paths without suffix."""
    try:
        table = _table((root / "_toc.yml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{root / '_toc.yml'}: no such file; run this in the repository of the book") from None

    def walk(node: Any) -> Iterable[str]:
        if isinstance(node, dict):
            yield from ([node[name] for name in ("root", "file") if name in node])
            node = [value for name, value in node.items() if name not in ("root", "file")]
        if isinstance(node, list):
            for item in node:
                yield from walk(item)

    found = list(walk(table))
    for page in found:
        if not any((root / f"{page}{suffix}").is_file() for suffix in (".py", ".md")):
            raise ValueError(f"_toc.yml: {page} is neither {page}.py nor {page}.md")
    return found


@functools.lru_cache(maxsize=4)
def _table(text: str) -> Any:
    return yaml.safe_load(text)


def read(name: str, root: Path | None = None) -> Chapter:
    """A chapter with its parameters; its name is the file's without `.py`."""
    root = root or repository()
    paths = {path.stem: path for page in pages(root) if (path := root / f"{page}.py").is_file()}
    if name not in paths:
        raise ValueError(unknown("chapter", name, paths))
    return _parse(name, paths[name], paths[name].read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=64)
def _parse(name: str, path: Path, text: str) -> Chapter:
    title = next((line[4:].strip() for line in text.splitlines() if line.startswith("# # ")), name)
    try:
        parameters = {parameter.name: parameter for parameter in parse_parameters(parameters_cell(text))}
        for parameter in parameters.values():
            parameter.field()
    except ValueError as error:
        raise ValueError(f"{path.name}, parameters cell: {error}") from None
    chapter = Chapter(name, path, title, parameters)
    chapter.check({})
    return chapter


def parameters(chapter: str) -> dict[str, Any]:
    """The parameters of a chapter in force in this run; its own defaults when a page is opened by hand."""
    if (current := run()) is None:
        return read(chapter).check({})
    if chapter not in current["parameters"]:
        raise ValueError(unknown("chapter", chapter, current["parameters"]))
    tell_runner({"needs": chapter})
    return current["parameters"][chapter]
