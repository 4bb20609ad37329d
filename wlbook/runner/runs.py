"""A run: a profile with changes, every parameter of it checked, and the folder its output goes to."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from wlbook.runner.chapters import Chapter, names, read
from wlbook.runner.environment import repository
from wlbook.runner.parameters import unknown


class _Decimal(yaml.SafeLoader):
    """YAML with numbers as people write them: YAML 1.1 reads 010 as 8, 1:30 as 90, and 1e-3 as a text."""


_INT = "tag:yaml.org,2002:int"
_Decimal.yaml_implicit_resolvers = {
    first: [one for one in known if one[0] != _INT] for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Decimal.add_implicit_resolver(_INT, re.compile(r"[-+]?(0|[1-9]\d*)$"), list("-+0123456789"))
_Decimal.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A profile with changes: what is in force, and where its output goes."""

    name: str  # folder under `build/`
    profile: str  # a name, or the path of a .yml file
    parameters: dict[str, dict[str, Any]]  # chapter -> parameter -> value, all of them checked
    changes: tuple[str, ...] = ()  # the settings given on the command line
    root: Path = dataclasses.field(default_factory=repository)  # the repository

    @property
    def folder(self) -> Path:
        """Where everything of this run lies."""
        return self.root / "build" / self.name

    def source(self, page: str) -> Path:
        """The text of a page that runs."""
        return read(page, self.root).path


def plan(profile: str, changes: Iterable[str], *, chapter: str | None = None, name: str | None = None) -> Run:
    """A run with every parameter checked, before any work; `changes` are settings from the command line.

    Those without a chapter are for `chapter`, whose run has a folder of its own, unless `name` tells another.
    """
    changes = tuple(changes)
    if chapter is not None:
        read(chapter)
    asked = overrides(changes, chapter=chapter)
    values = located(resolve(profile, asked), asked, profile)
    if name is not None and not re.fullmatch(r"[\w+.,=-]+", name):
        raise ValueError(f"--name {name}: must be letters, digits, and + - _ . , =")
    return Run(name or run_name(profile, changes, chapter), profile, values, changes)


def run_name(profile: str, changes: Iterable[str], chapter: str | None = None) -> str:
    """The folder of a run: the profile alone, or with what makes the run differ from it."""
    parts = [Path(profile).stem, *([chapter] if chapter else [])]
    parts += [re.sub(r"[^\w.=-]+", "-", change).strip("-") for change in changes]
    name = "+".join(parts)
    return name if len(name) <= 100 else f"{name[:90]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _file(profile: str) -> Path:
    """Where a profile lies: a name in `profiles/`, or a path."""
    return Path(profile) if profile.endswith((".yml", ".yaml")) else repository() / "profiles" / f"{profile}.yml"


def profile(name: str) -> dict[str, dict[str, Any]]:
    """What a profile changes: chapter -> parameter -> value; `shared` is for every chapter that has the parameter."""
    path = _file(name)
    if not path.is_file():
        raise ValueError(unknown("profile", name, sorted(file.stem for file in path.parent.glob("*.yml"))))
    try:
        table = yaml.load(path.read_text(encoding="utf-8"), _Decimal) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(table, dict) or not all(isinstance(section or {}, dict) for section in table.values()):
        raise ValueError(f"{path}: must hold chapters, and under each its parameters with their values")
    return {str(section): values or {} for section, values in table.items()}


def overrides(given: Iterable[str], *, chapter: str | None = None) -> dict[str, dict[str, Any]]:
    """Command-line settings, chapter -> parameter -> value.

    They read `CHAPTER.NAME=VALUE`, or `NAME=VALUE` for `chapter`, or for every chapter that has it if that is None.
    """
    found: dict[str, dict[str, Any]] = {}
    book = {name: read(name) for name in names()}
    for setting in given:
        left, equals, right = setting.partition("=")
        where, _, name = left.strip().rpartition(".")
        if not equals or not name:
            raise ValueError(f"-p {setting}: must read NAME=VALUE or CHAPTER.NAME=VALUE")
        if where and where not in book:
            raise ValueError(unknown("chapter", where, book))
        having = [page for page in book if name in book[page].parameters]
        targets = [where] if where else [chapter] if chapter else having
        if not targets:
            raise ValueError(unknown("parameter", name, _parameters(book)))
        for target in targets:
            if name not in book[target].parameters:
                raise ValueError(unknown(f"parameter of {target}", name, book[target].parameters))
            parameter = book[target].parameters[name]
            found.setdefault(target, {})[name] = parameter.read(right)
    return found


def _parameters(book: Mapping[str, Chapter]) -> list[str]:
    return sorted({parameter for page in book.values() for parameter in page.parameters})


def resolve(profile_name: str, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The values in force of every parameter of every chapter: defaults, then the profile, then `changes`."""
    settings, folder = profile(profile_name), _file(profile_name).parent
    book = {name: read(name) for name in names()}
    for section in settings:
        if section not in book and section != "shared":
            raise ValueError(f"profile {profile_name}: {unknown('chapter', section, [*book, 'shared'])}")
    for name in settings.get("shared", {}):
        if name not in _parameters(book):
            raise ValueError(f"profile {profile_name}, shared: {unknown('parameter', name, _parameters(book))}")
    found = {}
    for name, page in book.items():
        shared = {key: item for key, item in settings.get("shared", {}).items() if key in page.parameters}
        try:
            base = page.check(_located(page, {**shared, **settings.get(name, {})}, folder, ("extra",)))
        except ValueError as error:
            raise ValueError(f"profile {profile_name}: {error}") from None
        found[name] = page.check({**base, **_located(page, changes.get(name, {}), Path.cwd(), ("extra",))})
    return found


def located(
    values: Mapping[str, Mapping[str, Any]], changes: Mapping[str, Mapping[str, Any]], profile_name: str
) -> dict[str, dict[str, Any]]:
    """Values in force whose files are named by absolute paths; a file that is not there is told before any work.

    A relative path among the `changes` begins where the reader stands, one in the profile at the profile's folder.
    """
    found = {}
    for name, given in values.items():
        own = tuple(changes.get(name, {}))
        rest = tuple(one for one in given if one not in own)
        base = _located(read(name), given, _file(profile_name).parent, rest)
        found[name] = _located(read(name), base, Path.cwd(), own)
    return found


def _located(page: Chapter, values: Mapping[str, Any], folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Values, with the relative paths of some of them, which begin at a folder, made absolute."""
    known = {name: page.parameters[name] for name in names if name in page.parameters}
    try:
        return {name: known[name].located(item, folder) if name in known else item for name, item in values.items()}
    except ValueError as error:
        raise ValueError(f"{page.name}.{error}") from None
