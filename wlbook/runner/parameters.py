"""A chapter's parameters: the grammar of their cell, what each allows, and how to write others into it."""

import ast
import dataclasses
import io
import re
import tokenize
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from wlbook.common.wording import clipped

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(
    rf"(?:(?P<low>{_NUMBER})\s*(?P<above><=?)\s*)?(?P<name>\w+)(?:\s*(?P<below><=?)\s*(?P<high>{_NUMBER}))?"
)
_FILE = re.compile(r'a (?:file|folder|file or folder)(?:, or (?:one of )?(?P<words>".*))?')
_PART = re.compile(r"(?P<path>.+?)(?P<rest>(?:\[[^\[\]]*\])*(?:: .*)?)")  # "2pt.fits[nz]", "labels.npy: s_8"
DEGRADATIONS = "each a degradation"  # a list of texts that follow `wlbook.common.degradation_names`
STATISTICS = "each a statistic"  # a list of names of `wlbook.common.statistic_names`, or of a reader's own
NETWORK = ", or a network of `extra`"
#: What may stand before a rule, "even, 16 <= particles <= 1024": of which kind of value, and when it holds.
CONDITIONS: dict[str, tuple[type, Callable[[Any], bool]]] = {
    "even": (int, lambda value: value % 2 == 0),
    "not empty": (list, bool),
    "no two alike": (list, lambda value: len({repr(item) for item in value}) == len(value)),
}
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
        conditions, rule = _conditions(self.allowed)
        if conditions or not rule.startswith(("one of", "any", "a f")):
            kind = _KINDS[type(self.default)]
            if isinstance(self.default, list):
                element = _KINDS[type(self.default[0])] if self.default else "a value"
                kind = f"a list of {element.removeprefix('a ')}s"
                rule = rule if "each" in rule or rule == "any list" else f"each {rule}"
            rule = ", ".join([kind, *conditions, rule])
        return f"{rule} [{self.unit}]" if self.unit else rule

    def outside(self, given: Any) -> bool:
        """Whether a value names a file or folder outside the book, by its rule: "a file, or one of "none", "plane"".

        A word such as "holes:SHARE:RADIUS" stands for all that begin with "holes:".
        """
        rule = _FILE.fullmatch(self.allowed)
        if not rule or not isinstance(given, str) or not given:
            return False
        words = re.findall(r'"([^"]*)"', rule["words"] or "")
        return not any(given == word or (":" in word and given.startswith(word.split(":")[0] + ":")) for word in words)

    def located(self, given: Any, base: Path) -> Any:
        """A value whose relative path begins at `base`, made absolute; what must be there is there."""
        if not self.outside(given):
            return given
        parts = _PART.fullmatch(given)
        try:
            whole = base / Path(given).expanduser()
            path, rest = whole, ""
            if parts and not is_there(whole):
                path, rest = base / Path(parts["path"]).expanduser(), parts["rest"]
        except RuntimeError as error:  # ~NAME, and nobody of that name
            raise self._no_file(given, str(error).lower()) from None
        if not is_there(path):
            raise self._no_file(given, f"there is no {clipped(str(path.absolute()), 50)}")
        if not (path.is_file() or path.is_dir()):
            raise self._no_file(given, f"{clipped(str(path.absolute()), 50)} is neither a plain file nor a folder")
        return f"{path.absolute()}{rest}"

    def _no_file(self, given: str, why: str) -> ValueError:
        return ValueError(f"{self.name} = {clipped(given, 40)}: must be {self.rule}; {why}")

    def path(self, given: str) -> Path:
        """The file or folder that a located value names."""
        parts = _PART.fullmatch(given)
        return Path(given) if Path(given).exists() or not parts else Path(parts["path"])

    def read(self, text: str) -> Any:
        """A value from the command line: text where text is asked for, else a Python literal (10, [1, 2], True)."""
        text = text.strip()
        if isinstance(self.default, str):
            return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
        try:
            with warnings.catch_warnings(action="ignore"):  # "1if" is told as an error, and not as a warning too
                return ast.literal_eval(text)
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            return {"true": True, "false": False}.get(text, text)

    def field(self, networks: Iterable[str] = ()) -> tuple[Any, Any]:
        """This parameter as a field of a pydantic model; `networks` are a reader's own."""
        kind: Any = type(self.default)
        if kind not in _KINDS:
            raise ValueError(f"{self.name} = {self.default!r}: must be True, False, a number, text or a list")
        conditions, allowed = _conditions(self.allowed)
        of_kind = self._of_kind(kind, allowed, networks)
        for condition in conditions:
            if CONDITIONS[condition][0] is not kind:
                raise ValueError(f'{self.name} = {self.default!r}: "{condition}" is not for {_KINDS[kind]}')
            of_kind = Annotated[of_kind, AfterValidator(_holding(CONDITIONS[condition][1]))]
        return of_kind, Field()

    def _of_kind(self, kind: Any, allowed: str, networks: Iterable[str]) -> Any:
        """The type of what a rule without its conditions allows."""
        if allowed.startswith("one of "):
            try:
                words = allowed.removeprefix("one of ").removesuffix(NETWORK)
                choices = ast.literal_eval(f"({words},)") + (tuple(networks) if allowed.endswith(NETWORK) else ())
            except (SyntaxError, ValueError):
                raise ValueError(f'{self.name}: "{self.allowed}" must read: one of "a", "b"') from None
            return Literal[choices]  # pyright: ignore[reportInvalidTypeForm]
        element: Any = kind
        if kind is list:
            element = type(self.default[0]) if self.default else Any
        if allowed in ("any text", "any list", "any number", "any whole number", DEGRADATIONS, STATISTICS):
            return list[element] if kind is list else kind
        if _FILE.fullmatch(allowed) and kind is str:
            return str
        match = _RANGE.fullmatch(allowed)
        if not match or match["name"] not in (self.name, "each") or not (match["low"] or match["high"]):
            range_ = f"0 < {self.name} <= 1 (either end may go)"
            others = 'one of "a", "b", a file, a file, or one of "a", any text, any list or each a degradation'
            first = f"before it perhaps {', '.join(CONDITIONS)}"
            raise ValueError(f'{self.name}: "{self.allowed}" must read: {range_}, {others}; {first}')
        if element not in (int, float):
            raise ValueError(f'{self.name} = {self.default!r}: "{self.allowed}" is for numbers')
        limits: dict[str, Any] = {}
        if match["low"]:
            limits["ge" if match["above"] == "<=" else "gt"] = ast.literal_eval(match["low"])
        if match["high"]:
            limits["le" if match["below"] == "<=" else "lt"] = ast.literal_eval(match["high"])
        if kind is list:
            return list[Annotated[element, Field(**limits)]]  # pyright: ignore[reportInvalidTypeForm]
        return Annotated[element, Field(**limits)]


def _conditions(allowed: str) -> tuple[list[str], str]:
    """The conditions before a rule, and the rule: "even, 16 <= particles <= 1024"."""
    first, comma, rest = allowed.partition(", ")
    if not comma or first not in CONDITIONS:
        return [], allowed
    more, rule = _conditions(rest)
    return [first, *more], rule


def _holding(condition: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A validator that gives a value back for which a condition holds."""

    def check(value: Any) -> Any:
        if not condition(value):
            raise ValueError
        return value

    return check


def is_there(path: Path) -> bool:
    """Whether there is a file or folder; False where its name is too long, or its folder not to be looked into."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def parameters_cell(text: str) -> str:
    """The source of the cell tagged `parameters` in a py:percent text; empty if there is none."""
    marker = re.search(r'^# %%[^\n]*tags=\[[^\]\n]*"parameters"[^\n]*\n', text, re.MULTILINE)
    return re.split(r"^# %%", text[marker.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip("\n") if marker else ""


def parse_parameters(source: str) -> list[Parameter]:
    """The parameters of a cell's source."""
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
            raise ValueError(f'"{line}" must read: NAME = VALUE  # description [unit]; RANGE') from None
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
