"""The command `wlbook`: build the book, run a page, ask why, fill the map store."""

import contextlib
import math
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from wlbook.common import prices
from wlbook.common.wording import clipped
from wlbook.runner import chapters, runs
from wlbook.runner.environment import remembered, repository
from wlbook.runner.fingerprint import SourceChangedError

app = typer.Typer(
    help="A paper that runs: execute its pages, change their parameters, see what follows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Profile = Annotated[str, typer.Option("--profile", "-P", help="A file of profiles/ without .yml, or a path to one.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="[CHAPTER.]NAME=VALUE", help="Change a parameter; may be given again. See `params`."),
]
ChapterName = Annotated[str, typer.Argument(help="A chapter, such as 03_network. See `list`.")]


def _say(line: object) -> None:
    with contextlib.suppress(OSError):  # who cannot be told still gets the status
        print(f"wlbook: {line}", file=sys.stderr)


def _fail(message: str, status: int) -> None:
    _say(message)
    raise typer.Exit(status)


@contextlib.contextmanager
def _input() -> Iterator[None]:
    """What goes wrong in here was asked for wrongly: one line, status 2."""
    try:
        yield
    except ValueError as error:
        _fail(str(error), 2)


@contextlib.contextmanager
def _work() -> Iterator[None]:
    """What goes wrong in here has a reason outside the code: its lines, status 1."""
    from wlbook.runner.build import BuildError
    from wlbook.runner.pages import PageError
    from wlbook.runner.store import StoreError

    warnings.showwarning = lambda message, *_, **__: _say(message)
    try:
        yield
    except (BuildError, PageError, StoreError, SourceChangedError) as error:
        _fail(str(error), 1)


def _tell(line: str) -> None:
    if line.endswith("\r"):  # to be written over by the line that follows
        if sys.stdout.isatty():
            print(line, end="", flush=True)
    else:
        print(line, flush=True)


def _price(parameters: Mapping[str, Mapping[str, Any]], *, ladder: bool) -> None:
    """Refuse maps that cannot be had on this machine, and tell how long they take if that is long."""
    from wlbook.runner import pages

    line = prices.of_maps(parameters.get("01_data", {}), ladder=ladder, gpu=pages.device_class() == "gpu")
    if line:
        print(line)


def _near(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


@app.command()
def build(
    profile: Profile = "demo",
    settings: Settings = None,
    name: Annotated[str | None, typer.Option(help="Folder under build/; by default the profile and changes.")] = None,
) -> None:
    """Run the pages that are stale and draw the whole book to build/<run>/html.

    A setting without a chapter goes to every chapter that has the parameter. A run with settings has a folder of its
    own: the profile's own run stays as it is.
    """
    with _input():
        run = runs.plan(profile, settings or [], name=name)
        _price(run.parameters, ladder=True)
    with _work():
        from wlbook.runner import build as building

        index = building.build(run, _tell)
    print(f"open {_near(index)}")


@app.command(name="run")
def run_page(chapter: ChapterName, profile: Profile = "demo", settings: Settings = None) -> None:
    """Run one page and what it needs, with other parameters if you like; the book that was built stays as it is.

    A setting without a chapter is for this one.
    """
    with _input():
        run = runs.plan(profile, settings or [], chapter=chapter)
        _price(run.parameters, ladder=chapter == "01_data")
    with _work():
        from wlbook.runner import build as building

        path = building.build_page(run, chapter, _tell)
    print(f"open {_near(path)}")


@app.command()
def why(chapter: ChapterName, profile: Profile = "demo", settings: Settings = None) -> None:
    """Say what changed since a page last ran in this profile's book, and what that makes necessary."""
    with _input():
        chapters.read(chapter)
        asked = runs.plan(profile, settings or [], chapter=chapter, name=runs.run_name(profile, []))
    with _work():
        from wlbook.runner import history
        from wlbook.runner.store import Store

        records = remembered(asked.folder / "records.json", dict) or {}
        lines = history.why(asked, chapter, Store(), records)
    print("\n".join(lines))


@app.command(name="list")
def list_chapters(profile: Profile = "demo") -> None:
    """List the chapters: whether they are fresh in this profile's book, when they ran and what they cost."""
    with _input():
        run = runs.plan(profile, [])
    with _work():
        from wlbook.runner import history
        from wlbook.runner.store import Store

        for state in history.states(run, Store()):
            cost = "" if state.seconds is None else f"{state.seconds / 60:.1f} min"
            print(f"{state.page:<16} {state.state:<10} {state.when[:16]:<17} {cost:>9}  {state.title}")


@app.command()
def params(
    chapter: ChapterName, profile: Annotated[str | None, typer.Option("--profile", "-P", help="Only this one.")] = None
) -> None:
    """Show a chapter's parameters: value in each profile, what is allowed, what it is."""
    with _input():
        page = chapters.read(chapter)
        known = sorted(path.stem for path in (repository() / "profiles").glob("*.yml"))
        known = known if profile is None else [profile]
        values = {name: runs.resolve(name, {})[chapter] for name in known}
    rows = [("parameter", *(Path(name).stem for name in known), "allowed", "what it is")]
    for name, parameter in page.parameters.items():
        rows.append((name, *(str(values[one][name]) for one in known), parameter.rule, parameter.description))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for row in rows:
        print("  ".join([*map(str.ljust, row, widths), row[-1]]))


@app.command()
def simulate(
    profile: Profile = "demo",
    shard: Annotated[str, typer.Option(help="I/N: the I-th of N parts, for N machines with one store.")] = "1/1",
    settings: Settings = None,
) -> None:
    """Fill the map store with every box of chapter 01_data; a run that was interrupted goes on where it stopped."""
    with _input():
        part, _, parts = shard.partition("/")
        digits = all(text.isascii() and text.isdigit() and len(text) < 10 for text in (part, parts))
        if not (digits and 1 <= int(part) <= int(parts)):
            raise ValueError(f"--shard {clipped(shard)}: must be I/N with 1 <= I <= N")
        values = runs.checked(profile, settings or [], chapter="01_data")["01_data"]
        name = runs.run_name(profile, settings or [])
        _price({"01_data": values}, ladder=False)
        from wlbook import pipeline
        from wlbook.runner import pages
        from wlbook.runner.store import Store

        if values.get("source", "simulate") != "simulate":
            raise ValueError(f'01_data.source = {values["source"]!r}: must be "simulate", there is nothing to make')
        every = pipeline.simulations(values)
        mine = every[int(part) - 1 :: int(parts)]
    with _work():
        os.environ["XLA_FLAGS"] = pages.xla_flags()  # a box is then the same, to the last bit, as a page makes it
        store = Store()
        store.check()
        keys = [pipeline.simulation_key(store, box) for box in every]
        there = {manifest["key"] for manifest in store.manifests()}
        missing = [box for box, key in zip(every, keys, strict=True) if box in mine and key not in there]
        need, free = sum(box.size for box in missing), shutil.disk_usage(store.root).free
        print(f"{len(mine)} boxes, {len(missing)} of them to make")
        print(f"{need / 1e9:.2f} GB needed in {store.root}, {free / 1e9:.0f} GB free")
        if need > free:
            _fail(f"store = {store.root}: {need / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free; set WLBOOK_STORE", 1)
        (repository() / "build" / name).mkdir(parents=True, exist_ok=True)
        store.belongs_to(repository(), name)
        store.keep(keys)
        pipeline.fill(store, mine)
    print("done")


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also from a clone that has no run of its own; it asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    older_than: Annotated[float, typer.Option(metavar="DAYS", min=0, help="Only what was made before that.")] = 0.0,
    forget: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Give up what unreachable clones have not touched for so long."),
    ] = None,
) -> None:
    """Free the store of what no run uses, of what was damaged, and of leftovers of killed runs.

    Runs of every clone that shares the store count, those in progress too.
    """
    with _work():
        from wlbook.runner import history
        from wlbook.runner.leases import Leases
        from wlbook.runner.store import Store

        store = Store()
        if not dry_run and store.root.exists():
            store.check()
        leases = Leases(store.root, math.inf if forget is None else forget)
        used = history.usage(store, repository(), leases)
        free = history.unused(store, used, older_than)
        sizes = [history.size(path) for path in free]
        for path, size in zip(free, sizes, strict=True):
            print(f"{size / 1e6:10.1f} MB  {path.relative_to(store.root)}, of {history.owner(path)}")
        for run, number in used.owners.items():
            print(f"kept {number} results for {run}")
        for why in used.unknown:
            print(f"kept all results: {why}; build that run again or remove its folder")
        if free and not (used.here or dry_run):
            if not everything:
                _fail(f"{store.root}: this clone has no run in it, nothing is removed; --all removes the above", 1)
            if not yes:
                typer.confirm(f"remove these {len(free)} from {store.root}?", abort=True)
        freed = sum(
            size for path, size in zip(free, sizes, strict=True) if dry_run or history.remove(store, path, leases)
        )
        if not dry_run:
            history.forget(leases)
    print(f"{freed / 1e6:10.1f} MB  {'could be freed' if dry_run else 'freed'}")


if __name__ == "__main__":
    app()
