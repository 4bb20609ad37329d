"""Shapes and types are checked while the tests run, and only then. What was compiled once is kept, as in the book."""

import contextlib
import os

from jaxtyping import install_import_hook

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a page's kernel

install_import_hook("wlbook", "beartype.beartype").__enter__()

from wlbook.runner import compiled, environment, pages  # noqa: E402 - the hook first; they do not import JAX

# Before JAX is imported; child processes inherit it.
_end = contextlib.ExitStack()
os.environ |= {"XLA_FLAGS": pages.xla_flags()} | _end.enter_context(compiled.lent(environment.repository()))

# The longest: one core would wait for them at the end.
FIRST = ("test_book.py", "test_trainer.py", "test_contributing.py")


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, all else in its order."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_unconfigure():
    _end.close()
