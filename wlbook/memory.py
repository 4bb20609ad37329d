"""Memory that a computation frees, kept by the process for the next array."""

import ctypes
import functools
import sys

# The C library's settings, each with its name in the environment, its number in <malloc.h>, and what is wanted: no
# array apart from the heap, one heap for all threads, nothing given back, growth in steps of so many bytes.
_SETTINGS = (
    ("MALLOC_MMAP_MAX_", -4, 0),
    ("MALLOC_ARENA_MAX", -8, 1),
    ("MALLOC_TRIM_THRESHOLD_", -1, 2**31 - 1),
    ("MALLOC_TOP_PAD_", -2, 2**28),
)


@functools.cache
def reuse() -> bool:
    """Let the C library keep freed memory, from now on and for the whole process.

    On a CPU every array of a simulation, hundreds of megabytes, is otherwise fetched page by page from the system and
    given back moments later: a third of a simulation's time. The price: memory that was once used stays with the
    process until it ends.

    Returns:
        Whether this C library can be told; only that of Linux can.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library without it
        return False
    return all([adjust(number, value) for _, number, value in _SETTINGS])


def environment() -> dict[str, str]:
    """Variables that make a new process keep freed memory from its first array on; other C libraries ignore them.

    One heap for all threads is left out: a process that trains networks, too, would wait for it.
    """
    return {name: str(value) for name, _, value in _SETTINGS if name != "MALLOC_ARENA_MAX"}
