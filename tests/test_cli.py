import hashlib
import json
import re
import shutil
import signal
import time
from pathlib import Path

import minibook
import pytest
from minibook import log, wlbook
from typer.testing import CliRunner

from wlbook.cli import app

PAGES = ["intro", "01_data", "02_network", "claims", "glossary", "references"]


def html_of(root: Path, page: str, run: str = "demo") -> str:
    return (root / "build" / run / "html" / "book" / f"{page}.html").read_text()


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> tuple[Path, str]:
    """The short book, built, and what the build printed."""
    root = minibook.write(tmp_path_factory.mktemp("book"))
    return root, wlbook(root, "build")


@pytest.fixture
def book(once, tmp_path) -> Path:
    """A copy of the built book that a test may spoil."""
    return shutil.copytree(once[0], tmp_path / "book", symlinks=True)


@pytest.fixture
def sources(tmp_path, monkeypatch) -> Path:
    """The book's sources, for commands that end before any work."""
    root = minibook.write(tmp_path / "sources")
    monkeypatch.setenv("WLBOOK_ROOT", str(root))
    return root


# Bad input: one line, status 2, before any work.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "run 02_netwrk",
            "unknown chapter: 02_netwrk (did you mean 02_network?); there is 01_data, 02_network, claims",
        ),
        ("why 7", "unknown chapter: 7; there is"),
        ("params 02_data", "unknown chapter: 02_data (did you mean 01_data?)"),
        ("run 02_network -p n_galaxies=1", "unknown parameter of 02_network: n_galaxies"),
        ("run 02_network -p 01_data.steps=1", "unknown parameter of 01_data: steps; there is n_models, seed"),
        ("run 02_network -p 03_x.steps=1", "unknown chapter: 03_x"),
        ("run 02_network -p n_gal=-1", "02_network.n_gal = -1: must be a number, 0 < n_gal <= 200 [arcmin^-2]"),
        ("run 02_network -p n_gal=nan", "02_network.n_gal = 'nan': must be a number"),
        ("run 02_network -p smoothing=abc", "02_network.smoothing = 'abc': must be a number, 0 <= smoothing [arcmin]"),
        ("run 02_network -p steps=1.5", "02_network.steps = 1.5: must be a whole number, 1 <= steps <= 1000"),
        ("run 02_network -p steps=True", "02_network.steps = True: must be a whole number"),
        ("run 02_network -p kind=middle", '02_network.kind = \'middle\': must be one of "low", "high"'),
        (
            "run 02_network -p ell_edges=[1,-2]",
            "02_network.ell_edges = [1, -2]: must be a list of whole numbers, 0 < each <= 40000",
        ),
        ("run 02_network -p n_gal", "-p n_gal: must read NAME=VALUE"),
        ("build -p 01_data.n_models=0", "01_data.n_models = 0: must be a whole number, 1 <= n_models <= 512"),
        ("build -p nothing=0", "unknown parameter: nothing"),
        ("build --profile dem", "unknown profile: dem (did you mean demo?); there is demo, large"),
        ("build --name ../up", "--name '../up': must be one word"),
        ("build --name ..", "--name '..': must be one word"),
        ("build --name .", "--name '.': must be one word"),
        ("build --name .hidden", "--name '.hidden': must be one word"),
        (f"build --name {'n' * 101}", "must be one word of at most 100 letters"),
        ("build --name store", "--name store: must not be one of store, compiled"),
        ("build --name compiled", "--name compiled: must not be one of store, compiled"),
        ("build --name large", "--name large: is kept for the run of that profile without changes"),
        ("simulate --shard 3/2", "--shard 3/2: must be I/N with 1 <= I <= N"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_allowed(sources, arguments, said):
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 2, result.output
    assert said in result.stderr and result.stderr.count("\n") == 1
    assert not (sources / "build").exists()


def test_a_name_of_something_else_below_build_is_refused(sources, monkeypatch):
    (sources / "build" / "mine").mkdir(parents=True)
    (sources / "build" / "mine" / "notes.txt").write_text("mine")
    monkeypatch.setenv("WLBOOK_STORE", str(sources / "build" / "kept"))
    for name, said in (("mine", "is there already and no run made it"), ("kept", "must not be one of")):
        result = CliRunner().invoke(app, ["build", "--name", name])
        assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1


def test_profiles_of_one_file_name_do_not_share_a_folder(sources):
    from wlbook.runner import runs

    for folder in ("one", "other"):
        (sources / folder).mkdir()
        for name in ("demo.yml", "store.yml", "...yml", "my profile.yml"):
            (sources / folder / name).write_text("{}")
    given = [str(path) for path in sorted(sources.glob("o*/*.yml"))]
    names = [runs.run_name(profile, []) for profile in ["demo", "large", *given]]
    assert len(given) == 8 and len(set(names)) == 10 and names[:2] == ["demo", "large"]
    assert all(re.fullmatch(r"\w[\w-]*", name) for name in names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing: {n: 1}", "profile bad: unknown chapter: nothing"),
        ("shared: {nothing: 1}", "profile bad, shared: unknown parameter: nothing"),
        ("01_data: {n_models: 0}", "profile bad: 01_data.n_models = 0: must be"),
        ("01_data: 3", "must hold chapters"),
        ("a: [", "not YAML"),
    ],
)
def test_bad_profile_is_one_line(sources, text, said):
    (sources / "profiles" / "bad.yml").write_text(text)
    result = CliRunner().invoke(app, ["build", "--profile", "bad"])
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1


def test_params_shows_every_profile_and_rule(sources):
    result = CliRunner().invoke(app, ["params", "01_data"])
    rows = [re.split(r"\s{2,}", line) for line in result.output.splitlines()]
    assert rows[0] == ["parameter", "demo", "large", "allowed", "what it is"]
    assert rows[1] == ["n_models", "3", "4", "a whole number, 1 <= n_models <= 512", "boxes"]
    assert rows[2][:3] == ["seed", "1", "2"]


# A whole build.


@pytest.mark.slow
def test_build_draws_every_page_with_its_values(once):
    root, printed = once
    assert [page for page in PAGES if page not in html_of(root, "intro") and page != "intro"] == []
    assert (root / "build" / "demo" / "html" / "index.html").is_file()
    assert "3 boxes" in html_of(root, "01_data") and "profile demo" in html_of(root, "01_data")
    network = html_of(root, "02_network")
    assert "result 12.0 n_gal 30.0" in network and 'alt="a line"' in network and "injected" not in network
    assert "1.00 ± 0.10" in html_of(root, "claims") and "reproduced" in html_of(root, "claims")
    assert printed.count("executed in") == 3 and printed.endswith("open build/demo/html/index.html\n")
    assert log(root) == ["box 0", "box 1", "box 2", "train"]
    costs = json.loads((root / "build" / "demo" / "costs.json").read_text())
    assert list(costs["pages"]) == ["01_data", "02_network", "claims"] and costs["seconds"] > 0


@pytest.mark.slow
def test_second_build_executes_nothing(book):
    before = digest(book / "build" / "demo" / "html")
    printed = wlbook(book, "build")
    assert "executed" not in printed and printed.count("reused") == 4
    assert digest(book / "build" / "demo" / "html") == before
    assert "nothing changed since it ran" in wlbook(book, "why", "02_network")


@pytest.mark.slow
def test_run_shows_its_value_and_leaves_the_built_book_alone(book):
    before = digest(book / "build" / "demo")
    printed = wlbook(book, "run", "02_network", "-p", "n_gal=10")
    page = book / printed.split("open ")[1].strip()
    assert "result 12.0 n_gal 10.0" in page.read_text()
    assert re.search(r"n_gal.{,200}10\.0.{,200}source density", page.read_text(), re.DOTALL)
    assert digest(book / "build" / "demo") == before
    assert log(book) == ["box 0", "box 1", "box 2", "train"], "n_gal changes nothing that is stored"


@pytest.mark.slow
def test_why_names_the_edit_and_only_what_it_touches_is_made_again(book):
    edit(book, "wlbook/plots.py", "def draw", "# an edit\ndef draw")
    said = wlbook(book, "why", "02_network")
    assert "wlbook/plots.py was edited" in said and "nothing stored is made again" in said
    assert "nothing changed" in wlbook(book, "why", "01_data")
    assert minibook.executed(book) == ["02_network"] and log(book).count("train") == 1

    edit(book, "wlbook/network.py", "+ steps", "+ steps + 1")
    said = wlbook(book, "why", "02_network")
    assert "wlbook/network.py was edited" in said and "made again" in said
    assert "network.train: wlbook/network.py was edited" in said and "reused: simulation.boxes.simulate_box (3)" in said
    assert minibook.executed(book) == ["02_network"]
    assert log(book).count("train") == 2 and log(book).count("box 0") == 1
    assert "result 13.0" in minibook.page(book, "02_network")


@pytest.mark.slow
def test_change_of_another_chapters_parameter_reaches_the_pages_that_read_it(book):
    said = wlbook(book, "why", "02_network", "-p", "01_data.seed=5")
    assert "parameter seed of 01_data: 1 -> 5" in said and "network.train" in said
    said = wlbook(book, "why", "02_network", "-p", "steps=20")
    assert "parameter steps: 10 -> 20" in said and "reused: simulation.boxes.simulate_box (3)" in said
    assert minibook.executed(book, "01_data.n_models=2") == ["01_data", "02_network"]
    assert "2 boxes" in minibook.page(book, "01_data", "demo+01_data.n_models=2")
    assert "3 boxes" in minibook.page(book, "01_data")


@pytest.mark.slow
def test_an_edited_file_outside_the_book_is_named_and_runs_the_pages_again_that_read_it(book):
    edit(book, "book/01_data.py", "seed = 1 ", 'table = ""  # read; a file\nseed = 1 ')
    edit(book, "book/01_data.py", 'print(len(boxes), "boxes")', 'print("read", open(table).read())')
    edit(book, "wlbook/simulation/maps.py", "seed, call", 'seed, call, table=""')
    path = book / "profiles" / "nz.txt"
    path.write_text("one")
    (book / "profiles" / "demo.yml").write_text("01_data: {table: nz.txt}\n")
    assert minibook.executed(book) == ["01_data", "02_network"] and minibook.executed(book) == []
    path.write_text("two")
    said = wlbook(book, "why", "02_network")
    assert f"{path} was edited" in said and "nothing stored is made again" in said
    assert minibook.executed(book) == ["01_data", "02_network"] and "read two" in minibook.page(book, "01_data")
    assert log(book).count("train") == 1, "the network did not learn from that file"
    path.unlink()
    said = wlbook(book, "build", status=2)
    told = "wlbook: 01_data.table = nz.txt: must be a file; there is no /"
    assert said.startswith(told) and said.count("\n") == 1


@pytest.mark.slow
def test_claims_page_follows_records_and_claims(book):
    edit(book, "book/claims.yml", "low: 0.5, high: 1.5", "low: 0.5, high: 0.6")
    edit(book, "book/intro.md", "# Intro", "# The beginning")
    said = wlbook(book, "why", "claims")
    assert "book/claims.yml was edited" in said
    printed = wlbook(book, "build")
    assert re.findall(r"(\w+) +executed", printed) == ["claims"]
    assert "not reproduced</strong>" in html_of(book, "claims") and "The beginning" in html_of(book, "intro")
    edit(book, "book/02_network.py", '"a1-gain", 1.0', '"a1-gain", 0.55')
    assert minibook.executed(book) == ["02_network", "claims"]
    assert "0.55 ± 0.10" in minibook.page(book, "claims")


@pytest.mark.slow
def test_list_tells_fresh_from_stale(book):
    edit(book, "book/02_network.py", "# # Network", "# # A network")
    lines = wlbook(book, "list").splitlines()
    assert [line.split()[:2] for line in lines] == [["01_data", "fresh"], ["02_network", "stale"], ["claims", "fresh"]]
    assert lines[1].endswith("A network: one number")


# What goes wrong on the way.


@pytest.mark.slow
def test_failing_cell_is_named_and_the_built_book_stays(book):
    before = digest(book / "build" / "demo" / "html")
    edit(book, "book/02_network.py", 'print("result"', 'raise ValueError("a bad thing")\nprint("result"')
    said = wlbook(book, "build", status=1)
    assert "wlbook: 02_network, cell 3: ValueError: a bad thing; all of it is in" in said
    assert "what is done is kept" in said and "Traceback" not in said
    assert "a bad thing" in (book / "build" / "demo" / "logs" / "02_network.log").read_text()
    assert digest(book / "build" / "demo" / "html") == before


@pytest.mark.slow
def test_warning_of_sphinx_fails_the_build_and_the_built_book_stays(book):
    before = digest(book / "build" / "demo" / "html")
    edit(book, "book/intro.md", "{term}`map`", "{term}`no such term`")
    for _ in range(2):  # a second try must not pass because Sphinx remembers the page
        said = wlbook(book, "build", status=1)
        assert "no such term" in said and "Sphinx found something wrong" in said
    assert digest(book / "build" / "demo" / "html") == before


@pytest.mark.slow
def test_damaged_page_is_named_and_made_again(book):
    (path,) = (book / "build" / "store").glob("page.02_network/*/payload/page.ipynb")
    path.write_bytes(path.read_bytes()[:-10])
    printed = wlbook(book, "build")
    said = r"wlbook: damaged: page\.02_network/\w+: payload/page\.ipynb has \d+ bytes instead of \d+"
    assert len(re.findall(said, printed)) == 1
    assert re.findall(r"(\w+) +executed", printed) == ["02_network"] and log(book).count("train") == 1
    assert re.search(r"html +reused", printed), "the same page, made again, needs no drawing"


@pytest.mark.slow
def test_damaged_result_is_named_at_the_terminal_and_not_on_the_page(book):
    (path,) = (book / "build" / "store").glob("network.train/*/payload/value.json")
    path.write_text("13.0")
    edit(book, "wlbook/plots.py", "def draw", "# an edit\ndef draw")
    page, note = minibook.executed(book)
    assert page == "02_network" and note.startswith("damaged: network.train/") and log(book).count("train") == 2
    assert "result 12.0" in minibook.page(book, page) and "damaged" not in minibook.page(book, page)


@pytest.mark.slow
def test_killed_simulation_goes_on_with_the_boxes_that_are_there(tmp_path):
    root = minibook.write(tmp_path / "book")
    process = minibook.execute(root, BOX_SECONDS="2", names='["01_data"]')
    until = time.monotonic() + 100
    while "box 1" not in log(root):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert minibook.executed(root, names='["01_data"]') == ["01_data"]
    assert log(root).count("box 0") == 1 and "3 boxes" in minibook.page(root, "01_data")


@pytest.mark.slow
def test_kill_while_drawing_leaves_the_old_pages_whole(book):
    before = digest(book / "build" / "demo" / "html")
    edit(book, "book/intro.md", "# Intro", "# The beginning")
    process = minibook.start(book, "build")
    sphinx = book / "build" / "demo" / "sphinx"
    until = time.monotonic() + 100
    while not list(sphinx.rglob("*.doctree")):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert digest(book / "build" / "demo" / "html") == before
    wlbook(book, "build")
    assert "The beginning" in html_of(book, "intro") and not sphinx.exists()


@pytest.mark.slow
def test_unwritable_store_is_one_line(book):
    said = wlbook(book, "build", status=1, WLBOOK_STORE=str(book / "_toc.yml" / "store"))
    assert said.count("\n") == 1 and "cannot be written to" in said


# The map store.


@pytest.mark.slow
def test_simulate_fills_the_store_in_shards_for_the_pages(tmp_path):
    root = minibook.write(tmp_path / "book")
    printed = wlbook(root, "simulate", "--shard", "1/2")
    assert "2 boxes, 2 of them to make" in printed and "GB needed" in printed and "GB free" in printed
    wlbook(root, "simulate", "--shard", "2/2")
    assert sorted(log(root)) == ["box 0", "box 1", "box 2"]
    assert "3 boxes, 0 of them to make" in wlbook(root, "simulate")
    kept, freed = wlbook(root, "gc", "--dry-run").splitlines()
    assert kept.startswith("kept 3 results for ") and freed == "       0.0 MB  could be freed"
    assert minibook.executed(root, names='["01_data"]') == ["01_data"] and len(log(root)) == 3


@pytest.mark.slow
def test_gc_frees_what_no_run_uses_and_nothing_else(book):
    minibook.executed(book, "steps=20")
    shutil.rmtree(book / "build" / "demo+steps=20")
    said = wlbook(book, "gc", "--dry-run").splitlines()
    free = [line for line in said[:-1] if not line.startswith("kept")]
    assert sorted(line.split()[2].split("/")[0] for line in free) == ["network.train", "page.02_network"]
    assert wlbook(book, "gc").splitlines()[:-1] == said[:-1]
    assert minibook.executed(book) == []
    *kept, freed = wlbook(book, "gc").splitlines()
    assert any(re.fullmatch(rf"kept \d+ results for {book}, run demo \(.+\)", line) for line in kept)
    assert freed == "       0.0 MB  freed"


@pytest.mark.slow
def test_gc_knows_a_run_in_progress_from_its_first_result(tmp_path):
    root = minibook.write(tmp_path / "book")
    process = minibook.execute(root, BOX_SECONDS="1")
    until = time.monotonic() + 100
    while "box 1" not in log(root):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    for _ in range(3):
        assert wlbook(root, "gc").splitlines()[-1] == "       0.0 MB  freed"
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0 and sorted(log(root)) == ["box 0", "box 1", "box 2", "train"], output + errors


@pytest.mark.slow
def test_gc_of_a_clone_without_runs_removes_nothing_of_others_and_asks_for_the_rest(tmp_path):
    book, other = (minibook.write(tmp_path / name) for name in ("book", "other"))
    store = {"WLBOOK_STORE": str(book / "build" / "store")}
    minibook.executed(book)
    assert wlbook(other, "gc", "--all", "--yes", **store).splitlines()[-1] == "       0.0 MB  freed"
    shutil.rmtree(book / "build" / "demo")
    said = wlbook(other, "gc", status=1, **store)
    assert "this clone has no run in it, nothing is removed; --all removes the above" in said
    assert "page.01_data" in said and (book / "build" / "store" / "page.01_data").is_dir()
    wlbook(other, "gc", "--all", status=1, **store)  # asks, and nobody answers
    assert list((book / "build" / "store").glob("page.01_data/*"))
    wlbook(other, "gc", "--all", "--yes", **store)
    assert list((book / "build" / "store").glob("page.01_data/*")) == []


STATES = ("build/demo/run.json", "build/demo/drawn.json", "build/store/needs/*.json", "build/store/leases/*/kept.json")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "[", "null", "5", '["nothing"]', '{"pages": {"01_data": 5}}'])
def test_notes_of_runs_may_be_damaged(book, text):
    minibook.executed(book)
    for pattern in STATES:
        for path in book.glob(pattern):
            path.write_text(text)
    kept = wlbook(book, "gc")
    assert "is damaged" in kept and kept.endswith("0.0 MB  freed\n"), kept
    for command in ("list", "why 02_network"):
        assert "Traceback" not in wlbook(book, *command.split())
    said = wlbook(book, "build")
    assert "result 12.0" in minibook.page(book, "02_network") and "Traceback" not in said
    assert "damaged" not in wlbook(book, "build") and len(log(book)) == 4
