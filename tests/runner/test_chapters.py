import ast
import json
import os
from pathlib import Path

import minibook
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlbook.runner import chapters, runs
from wlbook.runner.parameters import parse_parameters, write_parameters

CELL = """\
n_gal = 30.0  # source density [arcmin^-2]; 0 < n_gal <= 200
side = 3.5  # of a map [degrees]; side < 20
kind = "a#b"  # with a # and a ";" in it; one of "a#b", "c"
edges = [0.5, 1.0]  # bins [sigma]; -5 <= each <= 5
label = "x"  # of the figure; any text
anything = []  # whatever; any list
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("WLBOOK_ROOT", str(minibook.write(tmp_path)))
    monkeypatch.delenv("WLBOOK_RUN", raising=False)
    return tmp_path


def chapter(cell: str) -> chapters.Chapter:
    return chapters.Chapter("c", Path("c.py"), "C", {p.name: p for p in parse_parameters(cell)})


def test_a_line_gives_name_value_unit_and_rule():
    first, second, third, *_ = parse_parameters(CELL)
    assert (first.name, first.default, first.unit, first.allowed) == ("n_gal", 30.0, "arcmin^-2", "0 < n_gal <= 200")
    assert first.description == "source density" and first.rule == "a number, 0 < n_gal <= 200 [arcmin^-2]"
    assert second.rule == "a number, side < 20 [degrees]"
    assert third.rule == 'one of "a#b", "c"' and third.default == "a#b"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("n_gal", [200, 1e-6, 30], [0, 200.1, -1, "30", True, None, float("inf"), float("nan")]),
        ("side", [-3.0, 19.99], [20, 20.0]),
        ("kind", ["c"], ["d", 1]),
        ("edges", [[], [5, -5.0]], [[6.0], [0.0, "a"], 0.5]),
        ("label", ["", "anything; at [all]"], [1]),
        ("anything", [[1, "a"]], ["text"]),
    ],
)
def test_values_are_checked_by_type_and_range(name, good, bad):
    page = chapter(CELL)
    for value in good:
        assert page.check({name: value})[name] == value
    for value in bad:
        with pytest.raises(ValueError, match=f"^c.{name} = .*: must be ") as caught:
            page.check({name: value})
        assert "\n" not in str(caught.value)


def test_a_whole_number_stands_for_a_float_and_is_one_afterwards():
    assert isinstance(chapter(CELL).check({"n_gal": 10})["n_gal"], float)


@pytest.mark.parametrize(
    "line",
    [
        "n = 4",
        "n = 4  # no range",
        "n = f(4)  # a call; 0 < n",
        "n, m = 4, 5  # two; 0 < n",
        "n += 4  # more; 0 < n",
        "import os",
    ],
)
def test_lines_that_break_the_grammar_are_quoted(line):
    with pytest.raises(ValueError, match=r"must read: NAME = VALUE  # description \[unit\]; RANGE") as caught:
        parse_parameters(line)
    assert line.strip() in str(caught.value)


@pytest.mark.parametrize("allowed", ["0 < m", "n", "between 1 and 2", "one of a, b", "0 << n", "any thing"])
def test_ranges_that_break_the_grammar_are_quoted(allowed):
    (parameter,) = parse_parameters(f"n = 4  # a number; {allowed}")
    with pytest.raises(ValueError, match="must read"):
        parameter.field()


@given(
    st.fixed_dictionaries(
        {
            "n_gal": st.floats(0.01, 200),
            "kind": st.sampled_from(["a#b", "c"]),
            "edges": st.lists(st.floats(-5, 5), min_size=1, max_size=3),
            "label": st.text(max_size=8),
        }
    )
)
def test_written_values_are_read_back_and_all_else_stays(values):
    written = write_parameters(CELL, values)
    before, after = parse_parameters(CELL), parse_parameters(written)
    assert {p.name: p.default for p in after} == {p.name: p.default for p in before} | values
    assert [(p.name, p.rule, p.description) for p in after] == [(p.name, p.rule, p.description) for p in before]
    assert write_parameters(CELL, {p.name: p.default for p in before}) == CELL


@pytest.mark.parametrize(("name", "text"), [("n_gal", "10"), ("n_gal", "1e-3"), ("edges", "[1, 2]"), ("side", "-0.5")])
def test_command_line_values_are_python_literals(name, text):
    assert chapter(CELL).parameters[name].read(text) == ast.literal_eval(text)


def test_other_command_line_values_are_text():
    (flag,) = parse_parameters("flag = True  # whether; any text")
    assert flag.read("false") is False and flag.read("low_pass:1000") == "low_pass:1000"


def test_relative_files_begin_where_the_reader_stands_and_a_profiles_at_its_folder(root, monkeypatch):
    page = root / "book" / "01_data.py"
    page.write_text(
        page.read_text().replace("seed = 1", 'mask = "none"  # observed; a file, or one of "none"\nseed = 1')
    )
    (root / "here").mkdir()
    for where in ("here", "profiles"):
        (root / where / "mask.npy").touch()
    (root / "profiles" / "mine.yml").write_text("01_data: {mask: mask.npy}\n")
    monkeypatch.chdir(root / "here")
    assert runs.plan("mine", []).parameters["01_data"]["mask"] == f"{root}/profiles/mask.npy"
    assert runs.plan("mine", ["mask=mask.npy"]).parameters["01_data"]["mask"] == f"{root}/here/mask.npy"
    with pytest.raises(ValueError, match=r'^01_data.mask = other.npy: must be a file, or one of "none"; there is no /'):
        runs.plan("mine", ["mask=other.npy"])


def test_values_come_from_chapter_then_shared_then_profile_then_command_line(root):
    (root / "profiles" / "mine.yml").write_text("shared: {seed: 7}\n01_data: {n_models: 9}\n")
    values = runs.resolve("mine", runs.overrides(["n_models=11"]))
    assert values["01_data"] == {"n_models": 11, "seed": 7} and values["02_network"]["steps"] == 10
    (root / "profiles" / "mine.yml").write_text("shared: {seed: 7}\n01_data: {seed: 8}\n")
    assert runs.resolve("mine", {})["01_data"]["seed"] == 8


@pytest.mark.parametrize("text", ["010", "1:30", "0x10"])
def test_a_profile_has_decimal_numbers_only(root, text):
    (root / "profiles" / "mine.yml").write_text(f"shared: {{seed: {text}}}\n")
    with pytest.raises(ValueError, match=f"seed = '{text}': must be a whole number"):
        runs.resolve("mine", {})


def test_a_profile_knows_powers_of_ten(root):
    (root / "profiles" / "mine.yml").write_text("02_network: {n_gal: 1e2}\n")
    assert runs.resolve("mine", {})["02_network"]["n_gal"] == 100.0


def test_setting_without_a_chapter_is_for_the_one_that_runs(root):
    assert runs.overrides(["n_gal=10"], chapter="02_network") == {"02_network": {"n_gal": 10}}
    assert runs.overrides(["01_data.seed=3", "n_gal=10"], chapter="02_network")["01_data"] == {"seed": 3}


def test_chapter_opened_by_hand_has_its_own_values(root):
    assert chapters.parameters("01_data") == {"n_models": 3, "seed": 1}


def test_chapter_in_a_run_has_the_runs_values(root, monkeypatch):
    (root / "run.json").write_text(json.dumps({"parameters": {"01_data": {"seed": 4}}}))
    monkeypatch.setenv("WLBOOK_RUN", str(root / "run.json"))
    assert chapters.parameters("01_data") == {"seed": 4}
    with pytest.raises(ValueError, match=r"unknown chapter: 01_dat \(did you mean 01_data"):
        chapters.parameters("01_dat")


def test_page_of_the_contents_without_a_file_is_named(root):
    (root / "book" / "glossary.md").unlink()
    with pytest.raises(ValueError, match=r"book/glossary is neither"):
        chapters.pages(root)


def test_runs_that_differ_have_folders_that_differ():
    names = {
        runs.run_name("demo", []),
        runs.run_name("demo", [], "02_network"),
        runs.run_name("demo", ["n=1"]),
        runs.run_name("demo", ["n=2"]),
        runs.run_name("demo", [f"n={'1' * 200}"]),
        runs.run_name("demo", [f"n={'1' * 201}"]),
        runs.run_name("other/paper.yml", []),
    }
    assert len(names) == 7 and all(len(name) <= 100 and "/" not in name for name in names)


# The real book.


@pytest.mark.parametrize("profile", ["demo", "laptop", "paper", "tests/profiles/tiny.yml"])
def test_profiles_of_the_book_hold_only_what_chapters_allow(profile):
    values = runs.resolve(profile if "/" not in profile else str(minibook.REPOSITORY / profile), {})
    assert list(values) == chapters.names()


def test_chapters_of_the_book_have_headers_and_titles():
    from wlbook.runner import pages

    for name in chapters.names():
        page = chapters.read(name)
        assert pages.notebook(page.path.read_text()).cells[0].source.startswith(f"# {page.title}")


def test_a_callers_options_for_xla_overrule_the_books(monkeypatch):
    from wlbook.runner import pages

    monkeypatch.setattr(pages, "device_class", lambda: "cpu")
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=3 --xla_cpu_ftz=true")
    ours, *theirs = pages.xla_flags().split()
    assert ours.startswith("--xla_backend_optimization_level=") and theirs == os.environ["XLA_FLAGS"].split()
    monkeypatch.setattr(pages, "device_class", lambda: "gpu")
    assert pages.xla_flags() == os.environ["XLA_FLAGS"]
