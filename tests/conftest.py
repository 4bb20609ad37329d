"""Shapes and types are checked while the tests run, and only then. What was compiled once is kept, as in the book."""

import os
from pathlib import Path

from jaxtyping import install_import_hook

# Before JAX is imported; child processes inherit it.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "jax-cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a page's kernel

install_import_hook("wlbook", "beartype.beartype").__enter__()

from wlbook.runner.pages import xla_flags  # noqa: E402 - the hook first; it does not import JAX

os.environ["XLA_FLAGS"] = xla_flags()

# The longest: one core would wait for them at the end.
FIRST = ("test_book.py", "test_trainer.py", "test_contributing.py")


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, all else in its order."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))
