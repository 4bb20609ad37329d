import os
import subprocess
import sys

import pytest

from wlbook.common.progress import progress

LOOP = """
import time
from wlbook.common.progress import progress
print(sum(time.sleep(0.4) or number for number in progress(range(5), "adding", unit="number")))
"""


def run_loop(target: str | None) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "WLBOOK_PROGRESS"}
    if target is not None:
        environment["WLBOOK_PROGRESS"] = target
    return subprocess.run([sys.executable, "-c", LOOP], env=environment, capture_output=True, text=True, check=True)


def test_bar_reaches_the_named_terminal_and_not_the_page():
    ours, theirs = os.openpty()
    run = run_loop(os.ttyname(theirs))
    assert (run.stdout, run.stderr) == ("10\n", "")
    drawn = os.read(ours, 100_000).decode()
    assert "adding" in drawn
    assert "number/s" in drawn or "s/number" in drawn


def test_a_log_is_appended_to(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    run_loop(str(log))
    assert log.read_text().startswith("before\n")


@pytest.mark.parametrize("target", [None, ""])
def test_no_terminal_no_bar(target):
    run = run_loop(target)
    assert (run.stdout, run.stderr) == ("10\n", "")


def test_an_error_in_the_loop_passes_through():
    with pytest.raises(ZeroDivisionError):
        for number in progress([1, 0], "dividing"):
            assert 1 / number == 1
