"""The command `wlbook` from its first moment to its last: whatever ends it early is told in one line."""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

_INTERRUPTED = "interrupted; what is done is kept: the same command goes on from here"
_TIDYING = 10.0  # for so long after a signal no other one is heard: what it ended tidies up [s]
_heard: list[tuple[int, float]] = []  # signals, and when


class _OutputError(Exception):
    """What is printed cannot be written."""


class _Output:
    """Standard output, whose errors are told from those of other files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _explained():
            return self._stream.write(text)

    def flush(self) -> None:
        with _explained():
            self._stream.flush()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever closed it has seen enough: nothing to say
        raise _OutputError from None
    except OSError as error:
        raise _OutputError(f"the output cannot be written ({error.strerror})") from None


def main() -> NoReturn:
    """Run the command; its status is 128 and the number of a signal that ended it, 1 where the system refused."""
    _open_streams()
    _on_signal(_leave)
    from wlbook.cli import app
    from wlbook.runner.refusals import refused

    _on_signal(_interrupt)
    sys.unraisablehook = _lost
    output: Any = _Output(sys.stdout)
    sys.stdout = output
    status, line = 1, ""
    try:
        try:
            app()
        except SystemExit as end:  # as typer ends, also after a KeyboardInterrupt
            status = int(end.code or 0)
        output.flush()
    except KeyboardInterrupt:
        pass
    except _OutputError as error:
        status, line = status or 1, str(error)
    except Exception as error:
        line = refused(error) or ""
        if not (line or _heard):  # after a signal, whatever follows from it
            raise
    _on_signal(lambda *_: None)
    if _heard:
        status, line = 128 + _heard[0][0], _INTERRUPTED
    if line:
        _say(line)
    for stream in (sys.stdout, sys.stderr):
        _give_up_if_broken(stream)
    if _heard:
        os._exit(status)  # what libraries left unfinished neither talks nor waits
    _on_signal(signal.SIG_DFL)
    sys.exit(status)


def _open_streams() -> None:
    """Let a standard stream that is closed be /dev/null; else the next file that is opened gets its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is this one
            setattr(sys, name, os.fdopen(number, mode))


def _on_signal(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup or a shell's `&` wants it
            signal.signal(number, handler)


def _leave(number: int, _: Any) -> None:
    """Nothing has begun: imports alone are not worth tidying up."""
    _say(_INTERRUPTED)
    os._exit(128 + number)


def _interrupt(number: int, _: Any) -> None:
    now = time.monotonic()
    if not _heard or now - _heard[-1][1] > _TIDYING:
        _heard.append((number, now))
        warnings.simplefilter("ignore")  # of coroutines that will never be awaited
        raise KeyboardInterrupt


def _lost(what: Any) -> None:
    """Try an interrupt again that met a callback in which nothing can be raised, as JAX has for garbage collection."""
    if what.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(what)
    elif _heard:
        threading.Timer(0.05, os.kill, (os.getpid(), _heard.pop()[0])).start()


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        print(f"wlbook: {line}", file=sys.stderr, flush=True)


def _give_up_if_broken(stream: TextIO) -> None:
    """Lose what a stream cannot write; else the interpreter tries again at its end, and complains."""
    try:
        stream.flush()
    except (OSError, _OutputError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
