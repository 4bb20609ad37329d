"""The names of statistics, known without JAX, which the module that measures them takes seconds to import."""

import ast
from pathlib import Path

_HOME = Path(__file__).parents[1] / "statistics" / "vectors.py"


def names() -> list[str]:
    """`wlbook.statistics.vectors.NAMES`, read from that module's text."""
    found = []
    for node in ast.parse(_HOME.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("DEFAULT", "NAMES"):
            found += [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
    return [name for name in found if isinstance(name, str)]
