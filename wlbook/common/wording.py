"""Values and names as messages show them: short, on one line, whatever they hold."""

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxset, _short.maxtuple = 3, 8, 8, 8, 8
_short.maxstring = _short.maxother = _short.maxlong = 60


def shown(value: Any) -> str:
    """A value as Python writes it, at most 60 characters of it."""
    try:
        return clipped(_short.repr(value))
    except ValueError:  # digits beyond those that Python prints
        return "a number of more than 4300 digits"


def clipped(text: str, most: int = 60) -> str:
    """Text on one line: what cannot be printed is written as Python does, and a long middle is left out."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= most else f"{text[: most - 3 - most // 3]}...{text[-(most // 3) :]}"


def unknown(what: str, name: Any, allowed: Iterable[str]) -> str:
    """One line for a name that does not exist: what was meant, perhaps, and the first of what there is."""
    allowed = list(allowed)
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6) if isinstance(name, str) else []
    guess = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown {what}: {clipped(str(name))}{guess}; there is {listed(allowed)}"


def listed(names: Iterable[str], most: int = 80) -> str:
    """Names in a row, as many as fit into so many characters, and how many more there are."""
    names, told = list(names), ""
    for number, name in enumerate(names):
        longer = f"{told}, {name}" if told else name
        if len(longer) > most:
            return f"{told or clipped(name, most)} and {len(names) - max(number, 1)} more".removesuffix(" and 0 more")
        told = longer
    return told or "none"
