"""What processes compile at the same time: each reads whole entries, and leaves whole ones."""

from pathlib import Path

import pytest

from wlbook.runner import compiled


def folder(environment: dict[str, str]) -> Path:
    return Path(environment["JAX_COMPILATION_CACHE_DIR"])


def shared(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root / "build" / "compiled").glob("*") if path.is_file()}


def test_what_one_process_compiled_the_next_one_has(tmp_path):
    with compiled.lent(tmp_path) as cache:
        (folder(cache) / "a").write_text("program a")
        (folder(cache) / "notes").mkdir()
        (folder(cache) / "notes" / "n").write_text("note")
    assert not folder(cache).exists()
    with compiled.lent(tmp_path) as cache:
        assert (folder(cache) / "a").read_text() == "program a"
        assert (folder(cache) / "notes" / "n").read_text() == "note"
        (folder(cache) / "b").write_text("program b")
    assert shared(tmp_path) == {"a": "program a", "b": "program b"}


def test_a_half_written_entry_is_seen_by_nobody_else(tmp_path):
    with compiled.lent(tmp_path) as one, compiled.lent(tmp_path) as other, (folder(one) / "a").open("w") as stream:
        stream.write("program")
        stream.flush()
        assert list(folder(other).iterdir()) == [] and shared(tmp_path) == {}
        stream.write(" a")
    assert shared(tmp_path) == {"a": "program a"}


def test_a_process_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="no space"), compiled.lent(tmp_path) as cache:
        (folder(cache) / "a").write_text("prog")
        raise OSError("no space left")
    assert shared(tmp_path) == {} and not folder(cache).exists()
