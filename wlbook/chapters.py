"""Chapters as text: their order, their parameters with what is allowed, and the values in force in a run."""

import ast
import dataclasses
import difflib
import functools
import io
import json
import os
import re
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, create_model

from wlbook import specifications
from wlbook.fingerprint import repository, tell_runner

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(
    rf"(?:(?P<low>{_NUMBER})\s*(?P<above><=?)\s*)?(?P<name>\w+)(?:\s*(?P<below><=?)\s*(?P<high>{_NUMBER}))?"
)
DEGRADATIONS = "each a degradation"  # a list of texts that follow `wlbook.specifications`
_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", list: "a list"}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One line of a chapter's parameters cell: `name = default  # description [unit]; allowed`."""

    name: str
    default: Any
    description: str
    unit: str
    allowed: str

    @property
    def rule(self) -> str:
        """What a value must be, in words."""
        rule = self.allowed
        if not rule.startswith(("one of", "any")):
            kind = _KINDS[type(self.default)]
            if isinstance(self.default, list):
                element = _KINDS[type(self.default[0])] if self.default else "a value"
                kind = f"a list of {element.removeprefix('a ')}s"
            rule = f"{kind}, {'each ' if isinstance(self.default, list) and 'each' not in rule else ''}{rule}"
        return f"{rule} [{self.unit}]" if self.unit else rule

    def field(self) -> tuple[Any, Any]:
        """This parameter as a field of a pydantic model.

        Raises:
            ValueError: `allowed` or the default does not follow the grammar.
        """
        kind: Any = type(self.default)
        if kind not in _KINDS:
            raise ValueError(f"{self.name} = {self.default!r}: must be True, False, a number, text or a list")
        if self.allowed.startswith("one of "):
            try:
                choices = ast.literal_eval(f"({self.allowed.removeprefix('one of ')},)")
            except (SyntaxError, ValueError):
                raise ValueError(f'{self.name}: "{self.allowed}" must read: one of "a", "b"') from None
            return Literal[choices], Field()  # pyright: ignore[reportInvalidTypeForm]
        element: Any = kind
        if kind is list:
            element = type(self.default[0]) if self.default else Any
        if self.allowed in ("any text", "any list", "any number", "any whole number", DEGRADATIONS):
            return (list[element] if kind is list else kind), Field()
        match = _RANGE.fullmatch(self.allowed)
        if not match or match["name"] not in (self.name, "each") or not (match["low"] or match["high"]):
            raise ValueError(
                f'{self.name}: "{self.allowed}" must read: 0 < {self.name} <= 1 (either end may go), '
                'one of "a", "b", any text, any list or each a degradation'
            )
        if element not in (int, float):
            raise ValueError(f'{self.name} = {self.default!r}: "{self.allowed}" is for numbers')
        limits: dict[str, Any] = {}
        if match["low"]:
            limits["ge" if match["above"] == "<=" else "gt"] = ast.literal_eval(match["low"])
        if match["high"]:
            limits["le" if match["below"] == "<=" else "lt"] = ast.literal_eval(match["high"])
        if kind is list:
            return list[Annotated[element, Field(**limits)]], Field()  # pyright: ignore[reportInvalidTypeForm]
        return element, Field(**limits)


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A chapter of the book that runs: `book/<name>.py`."""

    name: str
    path: Path
    title: str
    parameters: dict[str, Parameter]

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of this chapter, the defaults with `values` over them.

        Raises:
            ValueError: one line naming the parameter, its value and what is allowed.
        """
        for name in values:
            if name not in self.parameters:
                raise ValueError(unknown(f"parameter of {self.name}", name, self.parameters))
        fields: dict[str, Any] = {name: parameter.field() for name, parameter in self.parameters.items()}
        model = create_model(
            "Parameters",
            __config__=ConfigDict(strict=True, allow_inf_nan=False, protected_namespaces=()),
            **fields,
        )
        given = {name: parameter.default for name, parameter in self.parameters.items()} | dict(values)
        try:
            checked = model(**given)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise ValueError(f"{self.name}.{name} = {given[name]!r}: must be {self.parameters[name].rule}") from None
        for name, parameter in self.parameters.items():
            for spec in given[name] if parameter.allowed == DEGRADATIONS else ():
                try:
                    specifications.read(spec)
                except ValueError as error:
                    raise ValueError(f"{self.name}.{name}: {error}") from None
        return {name: getattr(checked, name) for name in self.parameters}


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """One line for a name that does not exist: what was meant, perhaps, and what there is."""
    allowed = list(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    guess = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown {what}: {name}{guess}; there is {', '.join(allowed) or 'none'}"


def names(root: Path | None = None) -> list[str]:
    """The pages that run, in the order of `_toc.yml`."""
    root = root or repository()
    return [Path(page).name for page in pages(root) if (root / f"{page}.py").is_file()]


def pages(root: Path) -> list[str]:
    """Every page of `_toc.yml` in its order, as paths without suffix.

    Raises:
        ValueError: `_toc.yml` is missing, or names a page that has no file.
    """
    try:
        table = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
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


def read(name: str, root: Path | None = None) -> Chapter:
    """A chapter with its parameters.

    Args:
        name: the file's name without `.py`.
        root: the repository; by default the one of this package.

    Raises:
        ValueError: no such chapter, or a parameters cell that does not follow the grammar.
    """
    root = root or repository()
    if name not in names(root):
        raise ValueError(unknown("chapter", name, names(root)))
    path = next(root / f"{page}.py" for page in pages(root) if Path(page).name == name)
    return _parse(name, path, path.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=64)
def _parse(name: str, path: Path, text: str) -> Chapter:
    title = next((line[4:].strip() for line in text.splitlines() if line.startswith("# # ")), name)
    parameters = {}
    for parameter in parse_parameters(parameters_cell(text), f"{path.name}, parameters cell"):
        try:
            parameter.field()
        except ValueError as error:
            raise ValueError(f"{path.name}, parameters cell: {error}") from None
        parameters[parameter.name] = parameter
    chapter = Chapter(name, path, title, parameters)
    chapter.check({})
    return chapter


def parameters_cell(text: str) -> str:
    """The source of the cell tagged `parameters` in a py:percent text; empty if there is none."""
    marker = re.search(r'^# %%[^\n]*tags=\[[^\]\n]*"parameters"[^\n]*\n', text, re.MULTILINE)
    return re.split(r"^# %%", text[marker.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip("\n") if marker else ""


def parse_parameters(source: str, where: str = "parameters cell") -> list[Parameter]:
    """The parameters of a cell's source.

    Raises:
        ValueError: naming the line that is not `NAME = VALUE  # description [unit]; RANGE`.
    """
    comments = {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for node in ast.parse(source).body:
        line = source.splitlines()[node.lineno - 1].strip()
        comment = comments.get(node.end_lineno or node.lineno, "")
        text, separator, allowed = comment.rpartition(";")
        try:
            assert isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
            assert separator
            default = ast.literal_eval(node.value)
        except (AssertionError, ValueError):
            raise ValueError(f'{where}: "{line}" must read: NAME = VALUE  # description [unit]; RANGE') from None
        units = re.findall(r"\[([^\]]*)\]", text)
        description = re.sub(r"\s*\[[^\]]*\]\s*$", "", text).strip()
        found.append(Parameter(node.targets[0].id, default, description, units[-1] if units else "", allowed.strip()))
    return found


def write_parameters(source: str, values: Mapping[str, Any]) -> str:
    """A parameters cell's source with other values, everything else as it was."""
    lines = source.encode().splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in values:
            old, new = node.value, values[node.targets[0].id]
            if ast.literal_eval(old) == new and type(ast.literal_eval(old)) is type(new):
                continue
            first, last = old.lineno - 1, (old.end_lineno or old.lineno) - 1
            head, tail = lines[first][: old.col_offset], lines[last][old.end_col_offset :]
            lines[first : last + 1] = [head + repr(new).encode() + tail]
    return b"".join(lines).decode()


def profile(name: str, root: Path | None = None) -> dict[str, dict[str, Any]]:
    """What a profile changes: chapter -> parameter -> value; `shared` is for every chapter that has the parameter.

    Args:
        name: a file of `profiles/` without its suffix, or the path of a `.yml` file.
        root: the repository.

    Raises:
        ValueError: no such profile, or not a table of tables.
    """
    folder = (root or repository()) / "profiles"
    path = Path(name) if name.endswith((".yml", ".yaml")) else folder / f"{name}.yml"
    if not path.is_file():
        raise ValueError(unknown("profile", name, sorted(file.stem for file in folder.glob("*.yml"))))
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(table, dict) or not all(isinstance(section or {}, dict) for section in table.values()):
        raise ValueError(f"{path}: must hold chapters, and under each its parameters with their values")
    return {str(section): values or {} for section, values in table.items()}


def value(text: str) -> Any:
    """A value from the command line: a Python literal (10, 1e-3, [1, 2], True), else text."""
    try:
        return ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        return {"true": True, "false": False}.get(text.strip(), text.strip())


def overrides(given: Iterable[str], root: Path | None = None, chapter: str | None = None) -> dict[str, dict[str, Any]]:
    """Command-line settings, chapter -> parameter -> value.

    Args:
        given: `CHAPTER.NAME=VALUE`, or `NAME=VALUE` for `chapter`, or for every chapter that has it if that is None.
        root: the repository.
        chapter: the chapter that settings without one are for.

    Raises:
        ValueError: one line naming the setting that is malformed, or the unknown name in it.
    """
    found: dict[str, dict[str, Any]] = {}
    book = {name: read(name, root) for name in names(root)}
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
            every = sorted({parameter for page in book.values() for parameter in page.parameters})
            raise ValueError(unknown("parameter", name, every))
        for target in targets:
            if name not in book[target].parameters:
                raise ValueError(unknown(f"parameter of {target}", name, book[target].parameters))
            found.setdefault(target, {})[name] = value(right)
    return found


def resolve(
    profile_name: str, changes: Mapping[str, Mapping[str, Any]], root: Path | None = None
) -> dict[str, dict[str, Any]]:
    """The values in force of every parameter of every chapter: defaults, then the profile, then `changes`.

    Raises:
        ValueError: one line naming the first name or value that is not allowed.
    """
    settings = profile(profile_name, root)
    book = {name: read(name, root) for name in names(root)}
    for section in settings:
        if section not in book and section != "shared":
            raise ValueError(f"profile {profile_name}: {unknown('chapter', section, [*book, 'shared'])}")
    for name in settings.get("shared", {}):
        if not any(name in page.parameters for page in book.values()):
            every = sorted({parameter for page in book.values() for parameter in page.parameters})
            raise ValueError(f"profile {profile_name}, shared: {unknown('parameter', name, every)}")
    found = {}
    for name, page in book.items():
        shared = {key: item for key, item in settings.get("shared", {}).items() if key in page.parameters}
        try:
            base = page.check({**shared, **settings.get(name, {})})
        except ValueError as error:
            raise ValueError(f"profile {profile_name}: {error}") from None
        found[name] = page.check({**base, **changes.get(name, {})})
    return found


def run() -> dict[str, Any] | None:
    """What the runner said about the run this process is part of ($WLBOOK_RUN); None for a chapter opened by hand."""
    path = os.environ.get("WLBOOK_RUN")
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else None


def parameters(chapter: str) -> dict[str, Any]:
    """The parameters of a chapter in force in this run; its own defaults when a page is opened by hand.

    Raises:
        ValueError: no such chapter.
    """
    current = run()
    if current is None:
        return read(chapter).check({})
    if chapter not in current["parameters"]:
        raise ValueError(unknown("chapter", chapter, current["parameters"]))
    tell_runner({"needs": chapter})
    return current["parameters"][chapter]
