"""The book's page of functions: a line for each public one, from its docstring, linked to its source."""

import ast
import re
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


def filled(text: str, root: Path) -> str:
    """A page's text with the list in place of its mark, and every function that it names in full leading to its source.

    Args:
        text: Markdown; a name stands in backticks and begins with its package, `simulation.cosmology.design`.
        root: of the repository.
    """
    known = {f"{module}.{one.name}": _address(module, one) for module, tree in modules(root) for one in entries(tree)}

    def linked(code: re.Match[str]) -> str:
        address = known.get(code[1]) or known.get(code[1].rpartition(".")[0])  # a method: to its class
        return f'<a href="{address}"><code>{code[1]}</code></a>' if address else code[0]

    return re.sub(r"`([\w.]+)`", linked, text).replace(MARK, listing(root))


def _address(module: str, entry: Entry | None = None) -> str:
    return f"../_static/source/{module}.html" + (f"#line-{entry.line}" if entry else "")


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
        rows = "\n".join(
            f'<tr><td><a href="{_address(name, one)}"><code>{one.name}</code></a>'
            f"<code>{escape(one.takes)}</code></td><td>{_code(one.says)}</td></tr>"
            for one in found
        )
        head = f'<p><a href="{_address(name)}"><code>wlbook.{name}</code></a>: {_code(_sentence(tree))}</p>'
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
