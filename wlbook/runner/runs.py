"""A run: a profile with changes, every parameter of it checked, and the folder its output goes to."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from wlbook.common import page_inputs
from wlbook.common.wording import clipped, shown, unknown
from wlbook.runner.chapters import Chapter, names, read
from wlbook.runner.environment import remembered, repository, store_folder
from wlbook.runner.parameters import is_there


class _Decimal(yaml.SafeLoader):
    """YAML with numbers as people write them: YAML 1.1 reads 010 as 8, 1:30 as 90, and 1e-3 as a text."""


_TAKEN = ("store", "compiled", "records", "contents", "api")  # folders of `build/` that are no runs
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
    values = checked(profile, changes, chapter=chapter)
    if name is not None and name != run_name(profile, ()):
        _check_name(name)
    return Run(name or run_name(profile, changes, chapter), profile, values, changes)


def checked(profile: str, changes: Iterable[str], *, chapter: str | None = None) -> dict[str, dict[str, Any]]:
    """The values in force, as `plan` has them: each by its own rule, files found, and all that must fit together."""
    asked = overrides(changes, chapter=chapter)
    values = located(resolve(profile, asked), asked, profile)
    page_inputs.check(values, chapter)
    return values


def _check_name(name: str) -> None:
    """Refuse a name for a run that is no plain word, or that of a folder which is something else."""
    if not re.fullmatch(r"\w[\w+.,=-]{0,99}", name):
        rule = "one word of at most 100 letters, digits, and + - _ . , = that begins with a letter or digit"
        raise ValueError(f"--name {shown(name)}: must be {rule}")
    folder = repository() / "build" / name
    if name in _TAKEN or folder.resolve() == store_folder().resolve():
        raise ValueError(f"--name {name}: must not be one of {', '.join(_TAKEN)} or the store: build/ holds these too")
    if (repository() / "profiles" / f"{name}.yml").is_file():
        raise ValueError(f"--name {name}: is kept for the run of that profile without changes")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / ".lock").exists())):
        raise ValueError(f"--name {name}: {folder} is there already and no run made it")


def run_name(profile: str, changes: Iterable[str], chapter: str | None = None) -> str:
    """The folder of a run: the profile alone, or with what makes the run differ from it."""
    parts = [_profile_name(profile), *([chapter] if chapter else [])]
    parts += [re.sub(r"[^\w.=-]+", "-", change).strip("-") for change in changes]
    name = "+".join(parts)
    whole = name.encode()  # a folder's name is counted in bytes
    if len(whole) <= 100:
        return name
    return f"{whole[:90].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:8]}"


def _profile_name(profile: str) -> str:
    """One word for a profile: the name of its file and, for one outside `profiles/`, a mark of where it lies."""
    path = _file(profile).resolve()
    word = re.sub(r"[^\w=-]+", "-", path.stem).strip("-") or "profile"
    outside = path.parent != (repository() / "profiles").resolve()
    return f"{word}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}" if outside or word in _TAKEN else word


def _file(profile: str) -> Path:
    """Where a profile lies: a name in `profiles/`, which is a plain word, or a path that ends in .yml."""
    if any("\ud800" <= letter <= "\udfff" for letter in profile):
        raise ValueError(f"--profile {clipped(profile)}: must be text in UTF-8")
    return Path(profile) if profile.endswith((".yml", ".yaml")) else repository() / "profiles" / f"{profile}.yml"


def profile(name: str) -> dict[str, dict[str, Any]]:
    """What a profile changes: chapter -> parameter -> value; `shared` is for every chapter that has the parameter."""
    path, told = _file(name), clipped(f"profile {name}", 90)
    plain = name.endswith((".yml", ".yaml")) or Path(name).name == name != ""
    if not plain or not is_there(path):
        known = (repository() / "profiles").glob("*.yml")
        raise ValueError(unknown("profile", name or '""', sorted(file.stem for file in known)))
    try:
        assert path.is_file()
        table = yaml.load(path.read_text(encoding="utf-8"), _Decimal)
    except (OSError, UnicodeDecodeError, AssertionError):
        raise ValueError(f"{told}: must be a file of text in UTF-8 that can be read") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{told}: not YAML: {clipped(' '.join(str(error).split()), 120)}") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        # What PyYAML lets through: "!!int x", a 13th month, thousands of brackets.
        why = clipped(" ".join(f"{type(error).__name__} {error}".split()), 90)
        raise ValueError(f"{told}: not YAML that can be read: {why}") from None
    table = {} if table is None else table
    if not isinstance(table, dict) or not all(isinstance(section, dict | None) for section in table.values()):
        raise ValueError(f"{told}: must hold chapters, and under each its parameters with their values")
    for key in [*table, *(key for section in table.values() for key in section or ())]:
        if not isinstance(key, str):
            raise ValueError(f"{told}: {shown(key)} is no name: must be the text of a chapter or parameter")
    return {section: values or {} for section, values in table.items()}


def overrides(given: Iterable[str], *, chapter: str | None = None) -> dict[str, dict[str, Any]]:
    """Command-line settings, chapter -> parameter -> value.

    They read `CHAPTER.NAME=VALUE`, or `NAME=VALUE` for `chapter`, or for every chapter that has it if that is None.
    """
    found: dict[str, dict[str, Any]] = {}
    book = {name: read(name) for name in names()}
    for setting in given:
        if any("\ud800" <= letter <= "\udfff" for letter in setting):
            raise ValueError(f"-p {clipped(setting)}: must be text in UTF-8")
        left, equals, right = setting.partition("=")
        where, _, name = left.strip().rpartition(".")
        if not equals or not name:
            raise ValueError(f"-p {clipped(setting)}: must read NAME=VALUE or CHAPTER.NAME=VALUE")
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
    book, told = {name: read(name) for name in names()}, clipped(f"profile {profile_name}")
    for section in settings:
        if section not in book and section != "shared":
            raise ValueError(f"{told}: {unknown('chapter', section, [*book, 'shared'])}")
    for name in settings.get("shared", {}):
        if name not in _parameters(book):
            raise ValueError(f"{told}, shared: {unknown('parameter', name, _parameters(book))}")
    found = {}
    for name, page in book.items():
        shared = {key: item for key, item in settings.get("shared", {}).items() if key in page.parameters}
        try:
            base = page.check(_located(page, {**shared, **settings.get(name, {})}, folder, ("extra",)))
        except ValueError as error:
            raise ValueError(f"{told}: {error}") from None
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


def last(folder: Path) -> dict[str, Any]:
    """What a run consisted of when it was last built: the keys of its `pages`, and of the results that each `used`."""
    return remembered(folder / "run.json", dict, whole) or {"pages": {}, "used": {}}


def whole(told: Mapping[str, Any]) -> bool:
    """Whether this says what a run consists of."""
    return all(isinstance(key, str) for key in consists_of(told))


def consists_of(told: Mapping[str, Any]) -> set[str]:
    """The keys of all results of a run: its pages, and what they used."""
    return {*told["pages"].values(), *(key for keys in told["used"].values() for key in keys)}
