"""Memory that a simulation frees, kept by the process for the next array."""

import ctypes
import functools
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # parameters of mallopt in <malloc.h>
_GROWTH = 2**28  # the heap grows in steps of so many bytes


@functools.cache
def reuse() -> bool:
    """Let the C library keep freed memory, from now on and for the whole process; False if it cannot be told.

    On a CPU every array of a simulation, hundreds of megabytes, is otherwise fetched page by page from the system and
    given back moments later: a third of a simulation's time. The price: memory that was once used stays with the
    process until it ends. Only the C library of Linux can be told.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library without it
        return False
    return all([adjust(_MMAP_MAX, 0), adjust(_ARENA_MAX, 1), adjust(_TRIM_THRESHOLD, -1), adjust(_TOP_PAD, _GROWTH)])
