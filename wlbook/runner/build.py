"""From chapters to HTML: execute what is stale, stage it, let Sphinx draw it, put it in place whole."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import filelock
import yaml

from wlbook.runner import api, chapters, children, pages, refusals, runs
from wlbook.runner.environment import remembered, write_json
from wlbook.runner.pages import Executed, PageError
from wlbook.runner.runs import Run
from wlbook.runner.store import Store

Tell = Callable[[str], None]  # receives a line for people, now and then

_BESIDE = ("book/glossary", "book/references")  # other pages link to them: drawn beside a page that is run alone


class BuildError(RuntimeError):
    """The pages could not be drawn. The message says why, in lines meant for people."""


def build(run: Run, tell: Tell) -> Path:
    """Execute the stale pages of a run and draw the whole book; the path of its `index.html`."""
    table = yaml.safe_load((run.root / "_toc.yml").read_text(encoding="utf-8"))
    with _alone(run, tell):
        executed = execute(run, chapters.names(run.root), tell)
        return draw(run, table, chapters.pages(run.root), executed, tell, strict=True)


def build_page(run: Run, page: str, tell: Tell) -> Path:
    """Execute one page if it is stale and draw it beside the pages it may link to; the path of its HTML."""
    beside = [name for name in _BESIDE if name in chapters.pages(run.root)]
    here = run.source(page).relative_to(run.root).with_suffix("")
    table = {"format": "jb-book", "root": str(here), "chapters": [{"file": name} for name in beside]}
    with _alone(run, tell):
        executed = execute(run, [page], tell)
        index = draw(run, table, [str(here), *beside], executed, tell, strict=False)
    return index.parent / f"{here}.html"


def execute(run: Run, names: Iterable[str], tell: Tell) -> dict[str, Executed]:
    """Execute those of the pages that are stale, and write down what the run consists of and cost."""
    store = Store()
    store.check()
    lease = store.belongs_to(run.root, run.name)
    done: dict[str, Executed] = {}
    keys: dict[str, str] = {}
    records: dict[str, Any] = {}
    for name in names:
        started = time.perf_counter()
        tell(f"{name:<18} ...\r")
        try:
            done[name], keys[name], ran = pages.make(run, name, store, records)
        except PageError as error:
            raise PageError(f"{error}\nwhat is done is kept: the same command goes on from here") from None
        took = time.perf_counter() - started
        tell(f"{name:<18} {f'executed in {took:.0f} s' if ran else 'reused'}")
        for note in done[name].notes if ran else []:
            tell(f"  {note}")
        records |= done[name].records
    cost, known = costs(done), run.folder / "run.json"
    before = runs.last(run.folder)
    used = {name: [use["key"] for use in page.used] for name, page in done.items()}
    both = {"pages": {**before["pages"], **keys}, "used": {**before["used"], **used}}
    told = {"profile": run.profile, "changes": run.changes, "parameters": run.parameters}
    write_json(run.folder / "costs.json", {"profile": run.profile, **cost})
    write_json(run.folder / "records.json", records)
    write_json(known, {**told, **both})
    lease.settle(runs.consists_of(both))
    tell(f"from an empty store all of this takes {cost['seconds'] / 60:.1f} minutes")
    return done


def costs(done: Mapping[str, Executed]) -> dict[str, Any]:
    """What pages cost [s], each with the stored results it used, and together with each result counted once."""
    made = {use["key"]: use["seconds"] for page in done.values() for use in page.used}
    total = sum(page.seconds for page in done.values()) + sum(made.values())
    used = {name: round(sum(use["seconds"] for use in page.used), 3) for name, page in done.items()}
    each = {name: {"own": page.seconds, "results": used[name]} for name, page in done.items()}
    return {"pages": each, "seconds": round(total, 3)}


def draw(
    run: Run, table: Any, listed: Iterable[str], executed: Mapping[str, Executed], tell: Tell, *, strict: bool
) -> Path:
    """The path of `index.html`, once the executed pages are staged and Sphinx has drawn what changed.

    A page that is not there is a BuildError; when `strict`, so is a warning of Sphinx.
    """
    listed = list(listed)
    files = staged(run, table, listed, executed)
    html, drawn = run.folder / "html", run.folder / "drawn.json"
    digest = hashlib.sha256(repr((strict, sorted(files.items()))).encode()).hexdigest()
    if (remembered(drawn, dict) or {}).get("digest") == digest and not _missing(html, listed):
        tell(f"{'html':<18} reused")
        return html / "index.html"
    started = time.perf_counter()
    drawn.unlink(missing_ok=True)
    source, output, old = (run.folder / name for name in ("source", "sphinx", "html.old"))
    for folder in (source, output, old):
        shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    _sphinx(run, source, output, strict=strict)
    if missing := _missing(output / "_build" / "html", listed):
        raise BuildError(f"Sphinx left out {', '.join(missing)}; its log is {run.folder / 'logs' / 'sphinx.log'}")
    if html.exists():
        html.rename(old)
    (output / "_build" / "html").rename(html)
    for folder in (old, output):
        shutil.rmtree(folder, ignore_errors=True)
    write_json(drawn, {"digest": digest})
    tell(f"{'html':<18} drawn in {time.perf_counter() - started:.0f} s")
    return html / "index.html"


def staged(run: Run, table: Any, listed: Iterable[str], executed: Mapping[str, Executed]) -> dict[str, bytes]:
    """The source that Sphinx gets, path -> content: executed pages instead of their texts, all else as it is."""
    files = {"_config.yml": (run.root / "_config.yml").read_bytes(), "_toc.yml": yaml.safe_dump(table).encode()}
    for path in sorted((run.root / "book").rglob("*")):
        name = path.relative_to(run.root)
        hidden = any(part.startswith((".", "__")) for part in name.parts)
        if path.is_file() and not hidden and path.suffix not in (".py", ".ipynb"):
            files[str(name)] = path.read_bytes()
    if lists := [name for name in files if name.endswith(".md") and api.MARK.encode() in files[name]]:
        files |= {name: api.filled(files[name].decode(), run.root).encode() for name in lists}
        files |= api.sources(run.root)
    for page in listed:
        if Path(page).name in executed:
            files[f"{page}.ipynb"] = executed[Path(page).name].notebook.encode()
    return files


def _missing(html: Path, listed: Iterable[str]) -> list[str]:
    return [page for page in (*listed, "index") if not (html / f"{page}.html").is_file()]


def _sphinx(run: Run, source: Path, output: Path, *, strict: bool) -> None:
    """Run jupyter-book, with a bar for those who watch."""
    from tqdm import tqdm

    log = run.folder / "logs" / "sphinx.log"
    for folder in (log.parent, output):
        folder.mkdir(parents=True, exist_ok=True)
    code = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", code, "build", str(source), "--path-output", str(output), "-n", "--keep-going"]
    command += ["-W"] if strict else []
    environment = {**os.environ, "NO_COLOR": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "TMPDIR": str(output)}
    piped: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    bar = tqdm(desc="drawing pages", total=200, unit="%", leave=False, disable=not sys.stderr.isatty())
    with log.open("w", encoding="utf-8") as stream, bar, children.started(command, env=environment, **piped) as process:
        assert process.stdout is not None
        for line in process.stdout:
            stream.write(line)
            if step := re.search(r"(reading sources|writing output).*\[ *(\d+)%\]", line):
                bar.update(int(step[2]) + (100 if step[1].startswith("w") else 0) - bar.n)
    if process.returncode < 0:
        raise BuildError("Sphinx's process died (killed, or out of memory); run the same command again")
    if process.returncode:
        text = pages.without_colours(log.read_text(encoding="utf-8")).replace(f"{source}/", "")
        if refusal := re.search(rf"\[Errno ({'|'.join(map(str, refusals.FULL))})\]", text):
            at = OSError(int(refusal[1]), "", str(output))
            raise BuildError(f"Sphinx could not write its pages: {refusals.full(at)}")
        wrong = [line for line in text.splitlines() if re.search(r"WARNING|ERROR|Error\b", line)]
        raise BuildError("\n".join(["Sphinx found something wrong:", *wrong[:20], f"all of it is in {log}"]))


@contextlib.contextmanager
def _alone(run: Run, tell: Tell) -> Any:
    """Hold a run's folder against another build of it."""
    run.folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(run.folder / ".lock")
    try:
        held = lock.acquire(timeout=0.1)
    except filelock.Timeout:
        tell(f"waiting for another build of {run.folder}")
        held = lock.acquire()
    with held:
        yield
