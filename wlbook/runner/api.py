"""The book's page of functions: a line for each public one, from its docstring, linked to its source."""

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

MARK = "<!-- functions -->"  # in the text of a page: replaced by the list


class Entry(NamedTuple):
    """One public function or class: its name, what it takes, the first sentence of its docstring, and its line."""

    name: str
    takes: str
    says: str
    line: int


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every module of `wlbook` with its parsed source, packages' faces left out."""
    for path in sorted((root / "wlbook").rglob("*.py")):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(root / "wlbook").with_suffix("").parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def entries(tree: ast.Module) -> list[Entry]:
    """The public functions and classes of a module."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            takes = "" if isinstance(node, ast.ClassDef) else f"({', '.join(_names(node.args))})"
            found.append(Entry(node.name, takes, _sentence(node), node.lineno))
    return found


def _names(arguments: ast.arguments) -> list[str]:
    star = [f"*{arguments.vararg.arg}"] if arguments.vararg else ["*"] if arguments.kwonlyargs else []
    rest = [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    plain = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    return [*plain, *star, *(one.arg for one in arguments.kwonlyargs), *rest]


def _sentence(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def listing(root: Path) -> str:
    """All modules by package, as HTML that stands in a Markdown page; links lead to what `sources` writes."""
    blocks, package = [], ""
    for name, tree in modules(root):
        found = entries(tree)
        if not found:
            continue
        if (first := name.partition(".")[0]) != package:
            package = first
            blocks.append(f"## `wlbook.{package}`\n")
        address = f"../_static/source/{name}.html"
        rows = "\n".join(
            f'<tr><td><a href="{address}#line-{one.line}"><code>{one.name}</code></a>'
            f"<code>{escape(one.takes)}</code></td><td>{_code(one.says)}</td></tr>"
            for one in found
        )
        head = f'<p><a href="{address}"><code>wlbook.{name}</code></a>: {_code(_sentence(tree))}</p>'
        blocks.append(f'{head}\n<table class="functions"><tbody>\n{rows}\n</tbody></table>\n')
    return "\n".join(blocks)


def _code(text: str) -> str:
    """Text with what stands in backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def sources(root: Path) -> dict[str, bytes]:
    """The source of every module as a page of its own with numbered lines: path in the book -> HTML."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    found = {}
    for name, _ in modules(root):
        text = (root / "wlbook" / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        form = HtmlFormatter(full=True, title=f"wlbook.{name}", linenos="inline", lineanchors="line", encoding="utf-8")
        found[f"book/_static/source/{name}.html"] = highlight(text, PythonLexer(), form)
    return found
