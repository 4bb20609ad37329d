#!/usr/bin/env bash
# When a kernel dies in the middle of a notebook, papermill marks every cell that never ran as "completed" in the
# notebook that it leaves behind; the one that killed it is "completed" too, and "exception" is true nowhere. Only
# start_time, which is missing, tells the difference. One expects "pending", which papermill writes before it begins.
# Who is hit: whoever reads the status of cells of a saved run to see how far it came (progress of a survey of runs,
# reports of failed jobs), after memory ran out.
# Source: papermill/engines.py, NotebookExecutionManager.notebook_complete.
# Run on 2026-11-28, papermill 2.7.0, nbclient 0.11.0, ipykernel 7.4.0: three cells, the second kills its process; the
# third, which never ran, is "completed".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check papermill==2.7.0 nbclient==0.11.0 ipykernel==7.4.0 \
    jupyter-client==8.10.0
cd "$work"
PATH="$work/venv/bin:$PATH" "$work/venv/bin/python" - <<'PYTHON'
import logging
import sys

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError

logging.disable(logging.CRITICAL)
texts = ["first = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "third = 3"]
cells = [nbformat.v4.new_code_cell(text) for text in texts]
kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), "in.ipynb")
try:
    papermill.execute_notebook("in.ipynb", "out.ipynb", progress_bar=False)
    sys.exit("CHANGED: papermill does not notice that its kernel died")
except DeadKernelError:
    pass
left = [cell.metadata["papermill"] for cell in nbformat.read("out.ipynb", 4).cells]
print(f"papermill {papermill.__version__}; the second of three cells kills its process, as lack of memory does")
print("expected: the third cell, which never ran, is pending")
for number, told in enumerate(left, start=1):
    print(f"seen: cell {number}: {told['status']}, exception {told['exception']}, started {told['start_time'] is not None}")
if not (left[2]["status"] == "completed" and left[2]["start_time"] is None and not any(told["exception"] for told in left)):
    sys.exit("CHANGED: a cell that never ran is told apart")
PYTHON
