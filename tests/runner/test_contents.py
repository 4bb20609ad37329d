import json
import os

import pytest

from wlbook.runner import contents
from wlbook.runner.parameters import parse_parameters

CELL = """\
sources = "plane"  # n(z); a file, or one of "plane", "stage-iii"
mask = "none"  # what is observed; a file, or one of "none", "holes:SHARE:RADIUS"
labels = ""  # of the maps; a file
title = "x"  # whatever; any text
seed = 1  # of everything; 0 <= seed
"""


@pytest.fixture
def parameters():
    return {one.name: one for one in parse_parameters(CELL)}


def aged(path, text):
    """A file that has not changed for a minute, so that its hash may be remembered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    past = path.stat().st_mtime - 60
    os.utime(path, (past, past))
    return path


def test_an_edited_file_has_another_digest_and_a_copy_the_same(tmp_path):
    one, other = aged(tmp_path / "nz.txt", "0 1\n"), aged(tmp_path / "copy.txt", "0 1\n")
    first = contents.digest([one], tmp_path)
    assert contents.digest([other], tmp_path) == first
    one.write_text("0 2\n")
    assert contents.digest([one], tmp_path) != first


@pytest.mark.parametrize("change", ["edit", "add", "rename", "remove"])
def test_a_folder_changes_with_any_of_its_files(tmp_path, change):
    folder = tmp_path / "maps"
    for name in ("a.fits", "deeper/b.fits"):
        aged(folder / name, name)
    aged(folder / ".hidden", "of the desktop")
    first = contents.digest([folder], tmp_path)
    (folder / ".hidden").write_text("another day")
    assert contents.digest([folder], tmp_path) == first
    {
        "edit": lambda: (folder / "deeper/b.fits").write_text("B.fits"),
        "add": lambda: (folder / "c.fits").write_text("c"),
        "rename": lambda: (folder / "a.fits").rename(folder / "z.fits"),
        "remove": lambda: (folder / "a.fits").unlink(),
    }[change]()
    assert contents.digest([folder], tmp_path) != first


def test_names_and_contents_are_kept_apart(tmp_path):
    aged(tmp_path / "one" / "a", "bc")
    aged(tmp_path / "two" / "ab", "c")
    assert contents.digest([tmp_path / "one"], tmp_path) != contents.digest([tmp_path / "two"], tmp_path)


def test_a_file_of_the_same_size_and_time_in_another_inode_is_read_anew(tmp_path):
    path = aged(tmp_path / "nz.txt", "0 1\n")
    first, time = contents.digest([path], tmp_path), path.stat()
    (tmp_path / "new").write_text("0 2\n")
    os.utime(tmp_path / "new", ns=(time.st_atime_ns, time.st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert path.stat().st_size == time.st_size and path.stat().st_mtime_ns == time.st_mtime_ns
    assert contents.digest([path], tmp_path) != first


def test_what_has_not_changed_is_not_read_again(tmp_path):
    path = aged(tmp_path / "large.npy", "0123456789")
    first = contents.digest([path], tmp_path)
    (kept,) = (tmp_path / "build" / "contents").glob("*.json")
    memory = json.loads(kept.read_text())
    memory[str(path)][3] = "remembered"  # what a second look must give back
    kept.write_text(json.dumps(memory))
    assert contents.digest([path], tmp_path) != first
    kept.write_text("no JSON")
    assert contents.digest([path], tmp_path) == first


def test_a_file_that_changed_this_second_is_not_remembered(tmp_path):
    path = tmp_path / "nz.txt"
    path.write_text("0 1\n")
    contents.digest([path], tmp_path)
    assert not (tmp_path / "build").exists()


def test_words_of_the_rule_are_no_files_and_all_else_is_one(parameters):
    assert not parameters["sources"].outside("plane") and parameters["sources"].outside("planes")
    assert not parameters["mask"].outside("holes:0.1:6") and parameters["mask"].outside("holes.fits")
    assert not parameters["labels"].outside("") and parameters["labels"].outside("l.csv")
    assert not parameters["title"].outside("nz.txt") and not parameters["seed"].outside(1)


def test_a_relative_path_begins_at_its_base_with_what_follows_the_file_kept(parameters, tmp_path):
    aged(tmp_path / "nz.fits", "")
    aged(tmp_path / "odd[1].txt", "")
    sources = parameters["sources"]
    assert sources.located("nz.fits[nz_source]", tmp_path) == f"{tmp_path}/nz.fits[nz_source]"
    assert sources.located("odd[1].txt", tmp_path) == f"{tmp_path}/odd[1].txt"
    assert sources.path(f"{tmp_path}/nz.fits[nz_source]") == tmp_path / "nz.fits"
    assert parameters["labels"].located("nz.fits: omega_m s_8", tmp_path) == f"{tmp_path}/nz.fits: omega_m s_8"
    assert sources.located("plane", tmp_path) == "plane"


def test_a_missing_file_is_told_with_what_is_allowed(parameters, tmp_path):
    with pytest.raises(ValueError, match=r'^sources = nz.txt: must be a file, or one of "plane", .*; there is no /'):
        parameters["sources"].located("nz.txt", tmp_path)


@pytest.mark.parametrize(
    ("text", "found"), [("007", "007"), ("1e3", "1e3"), ("'a b'", "a b"), ("[1]", "[1]"), ("", "")]
)
def test_text_that_looks_like_a_number_stays_text_where_text_is_asked_for(parameters, text, found):
    assert parameters["title"].read(text) == found
