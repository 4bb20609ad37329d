"""The book's page of functions: a line for each public one, from its docstring, linked to its source."""

import ast
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

MARK = "<!-- functions -->"  # in the text of a page: replaced by the list
Definition = ast.FunctionDef | ast.ClassDef


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every module of `wlbook` with its parsed source, packages' faces left out."""
    for path in sorted((root / "wlbook").rglob("*.py")):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(root / "wlbook").with_suffix("").parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def public(tree: ast.Module) -> list[Definition]:
    """The public functions and classes of a module."""
    return [node for node in tree.body if isinstance(node, Definition) and not node.name.startswith("_")]


def _takes(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        return ""
    given = node.args
    star = [f"*{given.vararg.arg}"] if given.vararg else ["*"] if given.kwonlyargs else []
    rest = [f"**{given.kwarg.arg}"] if given.kwarg else []
    plain, named = ([one.arg for one in some] for some in ((*given.posonlyargs, *given.args), given.kwonlyargs))
    return f"({', '.join([*plain, *star, *named, *rest])})"


def sentence(node: ast.Module | Definition) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def filled(text: str, root: Path) -> str:
    """A page with the list in place of its mark; every function named in full in backticks leads to its source."""
    known = {f"{name}.{one.name}": _address(name, one.lineno) for name, tree in modules(root) for one in public(tree)}

    def linked(code: re.Match[str]) -> str:
        address = known.get(code[1]) or known.get(code[1].rpartition(".")[0])  # a method: to its class
        return f'<a href="{address}"><code>{code[1]}</code></a>' if address else code[0]

    return re.sub(r"`([\w.]+)`", linked, text).replace(MARK, listing(root))


def _address(module: str, line: int | None = None) -> str:
    return f"../_static/source/{module}.html" + (f"#line-{line}" if line else "")


def listing(root: Path) -> str:
    """All modules by package, as HTML that stands in a Markdown page; links lead to what `sources` writes."""
    blocks = []
    for name, tree in modules(root):
        if not (found := public(tree)):
            continue
        heading = f"## `wlbook.{name.partition('.')[0]}`\n"
        blocks += [] if heading in blocks else [heading]
        rows = "\n".join(
            f'<tr><td><a href="{_address(name, one.lineno)}"><code>{one.name}</code></a>'
            f"<code>{escape(_takes(one))}</code></td><td>{_code(sentence(one))}</td></tr>"
            for one in found
        )
        head = f'<p><a href="{_address(name)}"><code>wlbook.{name}</code></a>: {_code(sentence(tree))}</p>'
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
