"""Memory kept for the next array: counted in the pages that the system had to fetch."""

import os
import subprocess
import sys

import pytest

from wlbook import memory

PROGRAM = """
import resource, sys
from wlbook import memory

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
    for how, settings in (("leave", {}), ("reuse", {}), ("born so", memory.environment())):
        others = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        command = [sys.executable, "-c", PROGRAM, how]
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=others | settings)
        pages[how] = int(done.stdout)
    assert pages["leave"] > 10_000  # 64 MB of 4 kB pages are 16,384
    assert pages["reuse"] < 100
    assert pages["born so"] < 100
