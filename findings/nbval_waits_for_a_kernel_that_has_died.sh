#!/usr/bin/env bash
# nbval waits for a cell's answer as long as a cell may take, 2000 s by default, without a look at whether its kernel
# still lives. A page whose process runs out of memory so keeps CI for half an hour in silence, and then the report says
# that the cell took too long. nbclient, which executes the same notebook, says within a second that the kernel died.
# Who is hit: CI that checks notebooks which simulate or train, where out of memory is the likeliest end.
# Source: nbval/kernel.py, RunningKernel.get_message; nbval/plugin.py, the option --nbval-cell-timeout.
# Run on 2026-11-28, nbval 0.11.0, nbclient 0.11.0, pytest 9.2.0, ipykernel 7.4.0: with a timeout of 25 s the failing
# cell takes 30 s with its start, nbclient 2 s.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check nbval==0.11.0 nbclient==0.11.0 pytest==9.2.0 \
    ipykernel==7.4.0 jupyter-client==8.10.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import re
import subprocess
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

# As the kernel of a system that is out of memory ends a process.
cells = [nbformat.v4.new_code_cell("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")]
notebook = nbformat.v4.new_notebook(cells=cells)
nbformat.write(notebook, "page.ipynb")
started = time.monotonic()
try:
    NotebookClient(notebook, timeout=25).execute()
except DeadKernelError:
    other = time.monotonic() - started
command = [sys.executable, "-m", "pytest", "--nbval-lax", "page.ipynb", "--nbval-cell-timeout=25", "--durations=0"]
printed = subprocess.run(command, capture_output=True, text=True).stdout
seconds = max(float(found) for found in re.findall(r"([\d.]+)s call", printed))
reason = "Timeout" if "imeout" in printed else "dead kernel" if "ead" in printed else "?"
print("expected: both say that the kernel died, within seconds of a limit of 25 s")
print(f"seen: nbclient after {other:.1f} s; nbval after {seconds:.1f} s, its reason: {reason}")
if not (other < 12 and seconds > 24 and reason == "Timeout"):
    sys.exit("CHANGED: nbval notices a dead kernel")
PYTHON
