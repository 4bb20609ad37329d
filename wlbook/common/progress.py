"""Progress bars that reach the person who waits, and never a saved page."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, *, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Go through `items` under a bar with rate and time left.

    The runner names the terminal of the person who started it in `$WLBOOK_PROGRESS`: a page's kernel draws there.
    A chapter opened by hand draws in its notebook; a program whose error stream is no terminal draws nothing. What is
    over within a second shows no bar.
    """
    target = os.environ.get("WLBOOK_PROGRESS")
    options = {"desc": what, "total": total, "unit": unit, "delay": 1.0}
    if target is not None:
        # Opened for appending: the target may be a log file, where a line now and then is enough.
        with Path(target or os.devnull).open("a") as stream:
            live = stream.isatty()
            yield from tqdm(items, file=stream, leave=not live, mininterval=0.5 if live else 15.0, **options)
    elif "ipykernel" in sys.modules or sys.stderr.isatty():
        yield from tqdm(items, leave=False, **options)
    else:
        yield from items


def note(line: str) -> None:
    """Tell the person who waits one line, where the bars are drawn; nothing where there are none."""
    target = os.environ.get("WLBOOK_PROGRESS")
    if target:
        with Path(target).open("a") as stream:
            stream.write(line + "\n")
    elif target is None and sys.stderr.isatty():
        print(line, file=sys.stderr)
