"""A page is a result like any other: made from its text, parameters and our sources, kept, made again when they change.

What a page reads of the run beyond its own parameters (other chapters' parameters, the records of other pages, the
claims) is noted while it runs. The note is found again by what does not change between runs, so that the next key
covers exactly what the page reads.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wlbook.runner import chapters, children, compiled, contents, parameters, scratch
from wlbook.runner.cache_keys import key_of
from wlbook.runner.environment import remembered, write_json
from wlbook.runner.fingerprint import fingerprint, imports, sha256
from wlbook.runner.runs import Run
from wlbook.runner.store import Store


class PageError(RuntimeError):
    """A page did not run to its end. The message says where and why, in lines meant for people."""


@dataclasses.dataclass(frozen=True)
class Executed:
    """What the execution of a page left."""

    notebook: str  # executed, as JSON text
    records: dict[str, Any]  # claim -> record
    used: list[dict[str, Any]]  # stage, key, seconds and made or not, of every stored result
    needs: list[str]  # what it read of the run beyond its own parameters
    notes: list[str]  # what the reader at the terminal should know
    seconds: float  # wall time of the execution, the makings of stored results left out [s]

    def save(self, folder: Path) -> None:
        """Write the notebook and the rest into a folder."""
        rest = dataclasses.asdict(self)
        (folder / "page.ipynb").write_text(rest.pop("notebook"), encoding="utf-8")
        (folder / "page.json").write_text(json.dumps(rest, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Executed":
        """What `save` wrote."""
        rest = json.loads((folder / "page.json").read_text(encoding="utf-8"))
        return cls(notebook=(folder / "page.ipynb").read_text(encoding="utf-8"), **rest)


def device_class() -> str:
    """What JAX will run on in a page, without importing it: "cpu" or "gpu"."""
    plugins = any(importlib.util.find_spec(f"jax_cuda{n}_plugin") for n in (12, 13))
    here = any(Path("/dev").glob("nvidia[0-9]*")) or Path("/proc/driver/nvidia/version").exists()
    return "gpu" if plugins and here and "cpu" not in os.environ.get("JAX_PLATFORMS", "") else "cpu"


def xla_flags() -> str:
    """What a page tells XLA, behind it what the caller's environment does.

    On a CPU, LLVM's first level of optimisation takes two thirds of the default's time to compile, and what it makes
    runs as fast: the heavy kernels are libraries'.
    """
    ours = ["--xla_backend_optimization_level=1"] if device_class() == "cpu" else []
    return " ".join([*ours, *os.environ.get("XLA_FLAGS", "").split()])


def describe(run: Run, page: str, records: Mapping[str, Any], needs: list[str] | None = None) -> dict[str, Any]:
    """Everything a page depends on; its key is the hash of it. `needs` is what it reads beyond its own parameters."""
    source = run.source(page).read_text(encoding="utf-8")
    try:
        modules = imports(source)
    except SyntaxError as error:
        raise PageError(f"{page}: {error.msg}: {(error.text or '').strip()}") from None
    lock = run.root / "requirements.lock"
    inputs: dict[str, Any] = {
        "source": hashlib.sha256(source.encode()).hexdigest(),
        "parameters": run.parameters[page],
        "profile": Path(run.profile).stem,
        "lock": sha256(lock) if lock.is_file() else None,
        "device": device_class(),
    }
    read = {page, *(needs or [])} & {*run.parameters}
    if files := _outside(run, read):
        inputs["files"] = files
    for need in needs or []:
        if need == "records":
            # As text, for an error may be infinite.
            inputs["records"] = {claim: json.dumps(entry) for claim, entry in records.items()}
        elif need in run.parameters:
            inputs[f"parameters of {need}"] = run.parameters[need]
        else:
            path = run.root / need  # or a path of its own, outside the book
            inputs[need] = contents.digest([path], run.root) if path.exists() else "missing"
    return {"stage": f"page.{page}", "inputs": inputs, "upstream": [], "fingerprint": fingerprint(modules)}


def _outside(run: Run, pages: set[str]) -> dict[str, str]:
    """What the files and folders hold that the parameters of some pages name: path -> hash."""
    found = {}
    for page in sorted(pages):
        known = chapters.read(page, run.root).parameters
        for name, given in run.parameters[page].items():
            if name in known and known[name].outside(given):
                path = known[name].path(given)
                found[str(path)] = contents.digest([path], run.root) if path.exists() else "missing"
    return found


def notebook(source: str, values: Mapping[str, Any] | None = None) -> Any:
    """A py:percent text as a notebook, with other values in its parameters cell."""
    import jupytext

    found = jupytext.reads(source, fmt="py:percent")
    if "language" not in found.metadata.get("kernelspec", {}):
        raise PageError("its header must hold jupyter: kernelspec: with name, display_name and language")
    for number, cell in enumerate(found.cells):
        cell["id"] = f"cell-{number}"  # jupytext draws them at random
        if values and "parameters" in cell.metadata.get("tags", []):
            cell.source = parameters.write_parameters(cell.source, values)
    return found


def make(run: Run, page: str, store: Store, records: Mapping[str, Any]) -> tuple[Executed, str, bool]:
    """The executed page, from the store or by running it: what it left, its key, and whether it ran now."""
    seen = describe(run, page, records)
    known = f"needs/{key_of(seen)}.json"
    ran: list[Executed] = []

    def execute_now() -> Executed:
        if not ran:
            ran.append(execute(run, page, store, records))
            if describe(run, page, records) != seen:
                changed = "its text, a source of wlbook or a file that it reads changed while it ran"
                raise PageError(f"{page}: {changed}; run the same command again")
        return ran[0]

    with store.lock(known.replace("/", "-").removesuffix(".json")):
        noted = remembered(store.find(known), list, _texts)
        needs = execute_now().needs if noted is None else noted
        while True:
            what = describe(run, page, records, needs)
            kept = store.obtain(what, execute_now, {})
            if set(kept.needs) <= set(needs):
                break
            needs = sorted({*needs, *kept.needs})  # with other parameters it reads more than it did before
        if needs != noted:
            write_json(store.root / known, needs)
    return kept, key_of(what), bool(ran)


def _texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def execute(run: Run, page: str, store: Store, records: Mapping[str, Any]) -> Executed:
    """Run a page's cells in a fresh kernel; the log of one that raises lies in the run's folder."""
    import logging

    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    for name in ("papermill", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they tell of an error or interrupt is told below
    values, started = run.parameters[page], time.perf_counter()
    log = run.folder / "logs" / f"{page}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    said = log.with_suffix(".process.log")
    for path in (log, said):
        path.unlink(missing_ok=True)
    with scratch.folder() as work:
        for claim, entry in records.items():
            write_json(work / "records" / f"{claim}.json", entry)
        told = {"profile": Path(run.profile).stem, "run": run.name, "page": page, "parameters": run.parameters}
        write_json(work / "run.json", told)
        try:
            nbformat.write(notebook(run.source(page).read_text(encoding="utf-8"), values), work / "in.ipynb")
            with _environment(run, work, store), children.kernels(said) as kernels:
                papermill.execute_notebook(
                    work / "in.ipynb",
                    work / "out.ipynb",
                    parameters=values,
                    cwd=run.source(page).parent,
                    progress_bar=False,
                    log_output=False,
                    kernel_manager_class=kernels,
                    config=Config(KernelManager=_connection(work)),
                    extra_arguments=["--log-level=50"],
                )
        except PageError as error:
            raise PageError(f"{page}: {error}") from None
        except papermill.PapermillExecutionError as error:
            cell = _number(_saved(work), error.cell_index)
            log.write_text(without_colours("\n".join(error.traceback)), encoding="utf-8")
            reason = f"{error.ename}: {error.evalue or _failing_line(log)}".splitlines()[0]
            raise PageError(f"{page}, cell {cell}: {reason}; all of it is in {log}") from None
        except DeadKernelError:
            begun = [index for index, cell in enumerate(_saved(work)) if cell.metadata.papermill.get("start_time")]
            where = f"{page}, cell {_number(_saved(work), begun[-1])}" if begun else page
            died = "its process died (killed, or out of memory)"
            words = f" (what it said last is in {said})" if said.stat().st_size else ""
            raise PageError(f"{where}: {died}; run the same command again{words}") from None
        except (RuntimeError, TimeoutError) as error:
            raise PageError(f"{page}: its process does not answer ({error}); run the same command again") from None
        executed = nbformat.read(work / "out.ipynb", 4)
        events = [json.loads(line) for line in (work / "used.jsonl").read_text().splitlines()]
        own = {path.stem: json.loads(path.read_text()) for path in sorted((work / "records").glob("[!.]*.json"))}
    # A page made again must be the same page: clocks stay out. So does papermill's copy of the parameters: the values
    # in force are in the parameters cell already.
    for part in (executed, *executed.cells):
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    executed.cells = [cell for cell in executed.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    used: dict[str, Any] = {}
    for event in events:
        if "key" in event:
            used.setdefault(event["key"], event)
    makings = sum(event["seconds"] for event in used.values() if event["made"])
    return Executed(
        notebook=nbformat.writes(executed),
        records={claim: entry for claim, entry in own.items() if entry != records.get(claim)},
        used=list(used.values()),
        needs=sorted({event["needs"] for event in events if "needs" in event} - {page}),
        notes=[event["note"] for event in events if "note" in event] + list(_complaints(page, executed)),
        seconds=round(time.perf_counter() - started - makings, 3),
    )


def without_colours(text: str) -> str:
    """Text without what colours it in a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _saved(work: Path) -> list[Any]:
    """The cells of a page as far as they ran."""
    import nbformat

    return nbformat.read(work / "out.ipynb", 4).cells


def _number(cells: list[Any], index: int) -> int:
    """The place of a cell among the page's code cells, from 1, as a reader counts them."""
    ours = [cell for cell in cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    code = (cell for cell in ours[: index + 1] if cell.cell_type == "code")
    return sum("injected-parameters" not in cell.metadata.get("tags", []) for cell in code)


def _failing_line(log: Path) -> str:
    """The line of the page that raised, from its traceback."""
    pointed = re.search(r"^-+> \d+ (.*)", log.read_text(encoding="utf-8"), re.MULTILINE)
    return pointed[1] if pointed else "no message"


def _complaints(page: str, executed: Any) -> Iterator[str]:
    for number, cell in enumerate([cell for cell in executed.cells if cell.cell_type == "code"], start=1):
        for output in cell.outputs:
            if output.get("name") == "stderr" and output.text.strip():
                yield f"{page}, code cell {number} wrote to stderr: {output.text.strip().splitlines()[0]}"


@contextlib.contextmanager
def _environment(run: Run, work: Path, store: Store) -> Iterator[None]:
    """What a page's kernel is told, by its environment."""
    (work / "used.jsonl").touch()
    values = {
        "WLBOOK_ROOT": str(run.root),
        "WLBOOK_RUN": str(work / "run.json"),
        "WLBOOK_PROFILE": Path(run.profile).stem,
        "WLBOOK_STORE": str(store.root),
        "WLBOOK_STORE_BASE": os.pathsep.join(map(str, store.bases)),
        "WLBOOK_LEASE": store.lease,
        "WLBOOK_USED": str(work / "used.jsonl"),
        "WLBOOK_RECORDS": str(work / "records"),
        "WLBOOK_PROGRESS": terminal(),
        # Emulators solve many tiny systems: BLAS threads wait for each other there, 30 times longer than one works.
        "OPENBLAS_NUM_THREADS": "1",
        "XLA_FLAGS": xla_flags(),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "IPYTHONDIR": str(work / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(work / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    with compiled.lent(run.root) as cache:
        values |= cache
        before = {name: os.environ[name] for name in values if name in os.environ}
        os.environ.update(values)
        try:
            yield
        finally:
            for name in values:
                del os.environ[name]
            os.environ.update(before)


def _connection(work: Path) -> dict[str, str]:
    """How to talk with a kernel: through files that nobody else can open, if their names are not too long for that."""
    address, noted = work / "ipc", {"connection_file": str(work / "kernel.json")}
    return {**noted, "transport": "ipc", "ip": str(address)} if len(os.fsencode(address)) < 90 else noted


def terminal() -> str:
    """Where a page's kernel can reach the person who started this process; empty if nowhere."""
    with contextlib.suppress(OSError):
        if sys.stderr.isatty():
            return os.ttyname(sys.stderr.fileno())
        path = Path(f"/proc/{os.getpid()}/fd/2")
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))  # a socket, for one, cannot be opened
        return str(path)
    return ""
