"""What ends a command early: signals, full or closed places, dead kernels. One line, and nothing left behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import minibook
import nbformat
import pytest

from wlbook.runner import refusals, scratch

SAID = "wlbook: interrupted; what is done is kept: the same command goes on from here\n"
INTERRUPTS = (signal.SIGTERM, signal.SIGINT)


def until(come: Callable[[], object], seconds: float = 100.0) -> None:
    end = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < end
        time.sleep(0.01)


def family(temporary: Path) -> list[str]:
    """The processes of the book beside this folder, by their commands."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"STAGES_LOG={temporary.parent}/book/log\0".encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().decode())
        except OSError:
            continue
    return [command for command in found if command]  # a zombie has none


@pytest.fixture(autouse=True)
def heard():
    """What is started here hears signals, even where this process was started by nohup or a shell's `&`."""
    before = {number: signal.getsignal(number) for number in (*INTERRUPTS, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def book(tmp_path) -> Path:
    return minibook.write(tmp_path / "book")


@pytest.fixture
def temporary(tmp_path) -> Path:
    path = tmp_path / "temporary"
    path.mkdir()
    return path


def interrupted(process: subprocess.Popen, number: signal.Signals, temporary: Path) -> None:
    """Send the signal to this process alone; all of its family must go, with one line."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (128 + number, SAID)
    assert family(temporary) == [] and list(temporary.iterdir()) == []


def hears(process: subprocess.Popen) -> bool:
    """Whether it has a handler of its own for SIGTERM, which Python has not."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(status.split("SigCgt:")[1].split()[0], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", INTERRUPTS)
def test_a_signal_during_the_first_imports_is_one_line(book, temporary, number):
    process = minibook.start(book, "build", TMPDIR=str(temporary))
    until(lambda: hears(process))
    interrupted(process, number, temporary)


@pytest.mark.slow
@pytest.mark.parametrize("number", INTERRUPTS)
@pytest.mark.parametrize("command", ["run 01_data", "simulate"])
def test_a_signal_while_a_result_is_made_ends_all_of_it(book, temporary, number, command):
    process = minibook.start(book, *command.split(), TMPDIR=str(temporary), BOX_SECONDS="300")
    until(lambda: "box 0" in minibook.log(book))
    interrupted(process, number, temporary)
    assert minibook.executed(book, names='["01_data"]') == ["01_data"] and minibook.log(book).count("box 0") == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", INTERRUPTS)
def test_a_signal_while_a_kernel_starts_leaves_none(book, temporary, number):
    process = minibook.start(book, "run", "01_data", TMPDIR=str(temporary))
    until(lambda: any("ipykernel" in command for command in family(temporary)))
    interrupted(process, number, temporary)


@pytest.mark.slow
def test_a_signal_while_pages_are_drawn_leaves_no_sphinx(book, temporary):
    process = minibook.start(book, "run", "01_data", TMPDIR=str(temporary))
    until(lambda: list((book / "build").glob("*/sphinx")))
    until(lambda: any("jupyter_book" in command for command in family(temporary)))
    interrupted(process, signal.SIGTERM, temporary)


def test_a_signal_in_a_callback_that_cannot_raise_is_heard_all_the_same():
    code = """
import os, signal, sys, types, time
cli = types.ModuleType("wlbook.cli")
sys.modules["wlbook.cli"] = cli

class Callback:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def app():
    Callback()
    time.sleep(100)

cli.app = app
from wlbook.__main__ import main
main()
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (found.returncode, found.stderr) == (143, SAID)


def test_folders_of_killed_processes_go_and_no_others(monkeypatch, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch.folder() as mine:
        assert mine.parent == tmp_path
        gone = mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
        kept = [mine.name, gone.replace(gone.split("-")[2], "0000"), f"wlbook-{dead.pid}", "other", f"{gone}.tar"]
        for name in (gone, *kept):
            (tmp_path / name / "some").mkdir(parents=True, exist_ok=True)
        scratch._sweep.cache_clear()
        with scratch.folder() as second:
            assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, second.name])
    assert not mine.exists() and not second.exists()


# Places that are full, closed or strange.


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">/dev/full", 1, "wlbook: the output cannot be written (No space left on device)\n"),
        ("2>/dev/full", 0, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("| sleep 0; exit ${PIPESTATUS[0]}", None, ""),
    ],
)
def test_output_that_nobody_takes_is_no_traceback(book, redirection, status, said):
    command = f'"{sys.executable}" -m wlbook list {redirection}'
    found = subprocess.run(
        ["bash", "-c", command], cwd=book, env=minibook.environment(book), capture_output=True, text=True
    )
    assert found.stderr == said
    assert found.returncode == status or (status is None and found.returncode in (0, 1))


def test_a_folder_that_cannot_be_written_is_one_line(book):
    (book / "build").write_text("a file")
    for command in ("build", "run 01_data"):
        said = minibook.wlbook(book, *command.split(), status=1, WLBOOK_STORE=str(book / "store"))
        assert said.count("\n") == 1 and str(book / "build") in said and "cannot be used" in said


def test_a_full_disk_is_named_with_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("WLBOOK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("WLBOOK_ROOT", str(tmp_path))
    free = r"no space left \([\d.]+ \wB free now, of [\d.]+ \wB\); free some"
    for name, place in {"store": "store/a/b", "build": "build/demo/html", "TMPDIR": "temporary/x"}.items():
        said = refusals.refused(OSError(28, "No space left on device", str(tmp_path / place)))
        assert said and re.match(rf"{name} = {tmp_path}/\w+: {free}", said)
    assert refusals.refused(FileNotFoundError(2, "No such file or directory", "x")) is None


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["t" * 90, "missing"])
def test_a_temporary_folder_that_is_strange_will_do(book, tmp_path, folder):
    path = tmp_path / folder
    if folder != "missing":
        path.mkdir()
    process = minibook.execute(book, names='["01_data"]', TMPDIR=str(path))
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors


@pytest.mark.slow
def test_a_build_whose_files_may_not_grow_is_one_line(book, temporary):
    command = f'ulimit -f 16; exec "{sys.executable}" -m wlbook run 01_data'
    environment = minibook.environment(book, TMPDIR=str(temporary))
    found = subprocess.run(["bash", "-c", command], cwd=book, env=environment, capture_output=True, text=True)
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert found.stderr.count("wlbook: ") == 1 and list(temporary.iterdir()) == []


# Kernels that die.


@pytest.mark.slow
def test_a_kernel_that_is_killed_is_told_with_its_cell(book, temporary):
    page = book / "book" / "01_data.py"
    page.write_text(page.read_text().replace("print(len(", "import os; os.kill(os.getpid(), 9)\nprint(len("))
    said = minibook.wlbook(book, "run", "01_data", status=1, TMPDIR=str(temporary))
    lines = [line for line in said.splitlines() if not line.startswith("01_data ")]
    assert lines[0].startswith("wlbook: 01_data, cell 3: its process died (killed, or out of memory); run the same")
    assert lines[1:] == ["what is done is kept: the same command goes on from here"]
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_kernel_that_dies_under_nbval_fails_its_cell_at_once(tmp_path, temporary):
    cells = [
        nbformat.v4.new_code_cell(code, execution_count=1) for code in ("x = 1", "import os; os.kill(os.getpid(), 9)")
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "page.ipynb")
    shutil.copy(minibook.REPOSITORY / "tests" / "pages" / "conftest.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "--nbval", "-c", os.devnull, "--rootdir", str(tmp_path), "page.ipynb"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert found.returncode == 1 and "1 failed, 1 passed" in found.stdout, found.stdout
    assert "the kernel died (killed, or out of memory)" in found.stdout and list(temporary.glob("wlbook-*")) == []
