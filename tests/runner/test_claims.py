import json
import math

import minibook
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlbook.runner import chapters, claims
from wlbook.runner.claims import Claim, Record, verdict

REAL = st.floats(-10, 10)


def claim(low: float, high: float) -> Claim:
    return Claim("c", "A", "zorrilla2020", "It is.", "a number", low, high, "a test", "01_data")


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.setenv("WLBOOK_ROOT", str(minibook.write(tmp_path / "book")))
    monkeypatch.setenv("WLBOOK_RECORDS", str(tmp_path / "records"))
    return tmp_path / "records"


@pytest.mark.parametrize(
    ("low", "high", "value", "error", "said"),
    [
        (0.75, 0.85, 0.80, 0.01, "reproduced"),
        (0.75, 0.85, 0.80, 0.20, "inconclusive"),
        (0.75, 0.85, 0.84, 0.02, "inconclusive"),
        (0.75, 0.85, 0.90, 0.03, "inconclusive"),
        (0.75, 0.85, 0.90, 0.02, "not reproduced"),
        (0.75, 0.85, 0.70, 0.02, "not reproduced"),
        (0.75, 0.85, 0.85, 0.0, "reproduced"),
        (1.0, math.inf, 5.0, 1.0, "reproduced"),
        (1.0, math.inf, 0.5, 0.1, "not reproduced"),
        (-math.inf, 1.0, 0.5, 0.1, "reproduced"),
        (0.0, 1.0, 0.5, math.inf, "inconclusive"),
        (0.0, 1.0, 50.0, math.inf, "inconclusive"),
    ],
)
def test_verdict(low, high, value, error, said):
    assert verdict(claim(low, high), value, error) == said


@given(REAL, REAL, REAL, st.floats(0, 5), st.floats(0, 5))
def test_a_larger_error_never_makes_a_stronger_statement(low, high, value, error, more):
    low, high = sorted((low, high))
    if low < high and verdict(claim(low, high), value, error) == "inconclusive":
        assert verdict(claim(low, high), value, error + more) == "inconclusive"


@given(REAL, REAL, REAL, st.floats(0, 5))
def test_verdict_mirrors_with_its_band(low, high, value, error):
    low, high = sorted((low, high))
    assert verdict(claim(low, high), value, error) == verdict(claim(-high, -low), -value, error)


def test_record_is_read_back(records):
    claims.record("a1-gain", 0.9, 0.1, "so")
    claims.record("a1-gain", 0.8, 0.1)
    assert claims.records() == {"a1-gain": Record("a1-gain", 0.8, 0.1, "")}
    assert [path.name for path in records.iterdir()] == ["a1-gain.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a1-gian", 1.0, 0.1), "unknown claim: a1-gian .did you mean a1-gain"),
        (("a1-gain", math.nan, 0.1), "must be numbers"),
        (("a1-gain", 1.0, -0.1), "the error >= 0"),
    ],
)
def test_bad_record_is_refused(records, arguments, said):
    with pytest.raises(ValueError, match=said):
        claims.record(*arguments)
    assert not records.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  quantity: a ratio\n", "", "a1-gain lacks quantity"),
        ("low: 0.5, high: 1.5", "low: 1.5, high: 0.5", "a1-gain: must be there once, with band low < high"),
        ("id: a2-other", "id: a1-gain", "a1-gain: must be there once"),
    ],
)
def test_malformed_claims_are_named(tmp_path, monkeypatch, old, new, said):
    assert old in minibook.FILES["book/claims.yml"]
    (tmp_path / "book").mkdir()
    (tmp_path / "book/claims.yml").write_text(minibook.FILES["book/claims.yml"].replace(old, new))
    monkeypatch.setenv("WLBOOK_ROOT", str(tmp_path))
    with pytest.raises(ValueError, match=said):
        claims.load()


def test_table_has_a_row_for_every_claim_measured_or_not(records):
    claims.record("a1-gain", 0.9, 0.1, "so")
    known, found = claims.load(), claims.records()
    rows = claims.table(known, found).splitlines()
    assert len(rows) == 2 + len(known) and all(row.count("|") == 4 for row in rows)
    assert "0.90 ± 0.10" in rows[2] and "**reproduced**" in rows[2] and "not measured" in rows[3]
    assert claims.tally(known, found) == {
        "reproduced": 1,
        "not reproduced": 0,
        "inconclusive": 0,
        "not measured": 1,
    }
    assert "This run: so" in claims.details(known, found)


def test_number_without_an_error_shows_none(records):
    claims.record("a1-gain", 0.9, math.inf)
    (row,) = [row for row in claims.table(claims.load(), claims.records()).splitlines() if "0.90" in row]
    assert "inf" not in row and "without a usable error" in row and "**inconclusive**" in row


def test_claims_of_the_book_are_whole_and_their_pages_record_them():
    known = claims.load()
    assert {claim.paper for claim in known.values()} == {"A", "B"}
    sources = {name: chapters.read(name).path.read_text() for name in chapters.names()}
    bibliography = (minibook.REPOSITORY / "book" / "references.bib").read_text()
    for claim in known.values():
        assert claim.source in bibliography and claim.page in sources


def test_verdict_survives_the_way_to_disk(records):
    claims.record("a1-gain", 0.1 + 0.2, math.inf)
    entry = json.loads((records / "a1-gain.json").read_text())
    assert entry["value"] == 0.1 + 0.2 and entry["error"] == math.inf
