"""What a page's process is told by its environment, and what it tells back."""

import contextlib
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class StateWarning(UserWarning):
    """A file in which the runner remembers something was damaged; it was set aside."""


class DamagedFileError(Exception):
    """A file of JSON does not hold what was written there."""


def run() -> dict[str, Any] | None:
    """What the runner said about the run this process is part of ($WLBOOK_RUN); None for a chapter opened by hand."""
    path = os.environ.get("WLBOOK_RUN")
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else None


def repository() -> Path:
    """The folder that holds `book/` and `wlbook/`: $WLBOOK_ROOT, else where this package lies."""
    return Path(os.environ.get("WLBOOK_ROOT") or Path(__file__).parents[2]).resolve()


def store_folder() -> Path:
    """Where results are kept: $WLBOOK_STORE, else `build/store` of the repository."""
    return Path(os.environ.get("WLBOOK_STORE") or repository() / "build" / "store").absolute()


def records_folder() -> Path:
    """Where the records of the run at hand lie: $WLBOOK_RECORDS, else `build/records` of the repository."""
    return Path(os.environ.get("WLBOOK_RECORDS") or repository() / "build" / "records")


def write_json(path: Path, value: Any) -> None:
    """Write a file so that a reader finds the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1), encoding="utf-8")
    try:
        aside.replace(path)
    except IsADirectoryError:
        path.rename(_damaged(path))
        aside.replace(path)


def load_json(path: Path, kind: type[T], good: Callable[[T], bool] = lambda _: True) -> T | None:
    """The JSON value in a file, which must be of a kind and good; None if there is no such file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, kind) and good(value):
            return value
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError):
        pass
    raise DamagedFileError(f"{path} is damaged")


def remembered(path: Path, kind: type[T], good: Callable[[T], bool] = lambda _: True) -> T | None:
    """As `load_json`; a damaged file is named once, set aside, and nothing is remembered."""
    try:
        return load_json(path, kind, good)
    except DamagedFileError as damage:
        aside = _damaged(path)
        with contextlib.suppress(OSError):
            path.replace(aside)
        tell(f"{damage}; {'it stays there' if path.exists() else f'set aside as {aside.name}'}, and is done without")
        return None


def _damaged(path: Path) -> Path:
    """Where to set a file aside."""
    return path.with_name(f".{path.name}.damaged.{time.time_ns()}")


def tell(line: str) -> None:
    """Tell the person who waits that something was wrong and has been put right."""
    if not tell_runner({"note": line}):
        warnings.warn(line, StateWarning, stacklevel=3)


def tell_runner(event: dict[str, Any]) -> bool:
    """Note what a page used, for the runner: a line of JSON in the file $WLBOOK_USED; False if there is no runner."""
    path = os.environ.get("WLBOOK_USED")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
    return bool(path)
