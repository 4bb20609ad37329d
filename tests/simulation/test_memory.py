"""Memory kept for the next array: counted in the pages that the system had to fetch."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from wlbook.simulation import memory

def faults(fill):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "reuse":
    assert memory.reuse()
fill = lambda: b"1" * 2**26
fill()
print(faults(fill))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only the C library of Linux can be told to keep memory")
def test_freed_memory_serves_the_next_array_and_without_it_every_page_is_fetched_anew():
    pages = {}
    for how in ("leave", "reuse"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True, text=True)
        pages[how] = int(done.stdout)
    assert pages["leave"] > 10_000  # 64 MB of 4 kB pages are 16,384
    assert pages["reuse"] < 100
