"""Who uses a store: nobody's results are removed, whoever looks and whenever."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stages

from wlbook.runner import history, leases
from wlbook.runner.cache_keys import key_of
from wlbook.runner.environment import write_json
from wlbook.runner.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "clone" / "build" / "demo").mkdir(parents=True)
    return tmp_path / "clone"


def made(store: Store, n: int) -> str:
    """The key of a result that is in the store, made by a process that has ended since."""
    other = Store(store.root)
    other.make(stages.array, n=n)
    (ours,) = (store.root / "leases" / leases.BY_HAND).glob(f"*-{os.getpid()}-*")
    ours.rename(ours.with_name(f"{platform.node()}-{ended()}-1"))
    return key_of(store.describe(stages.array, n=n))


def ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def free(store: Store, clone: Path, forget: float = float("inf"), days: float = 0.0) -> list[str]:
    """The keys of what could be removed."""
    known = leases.Leases(store.root, forget)
    return [path.name for path in history.unused(store, history.usage(store, clone, known), days)]


def removed(store: Store, clone: Path) -> list[str]:
    known = leases.Leases(store.root)
    found = history.unused(store, history.usage(store, clone, known))
    return [path.name for path in found if history.remove(store, path, known)]


def test_what_nobody_uses_is_free_and_then_gone(store, clone):
    key = made(store, 3)
    assert free(store, clone) == [key] and free(store, clone, days=1.0) == []
    assert removed(store, clone) == [key] and list(store.manifests()) == []
    assert removed(store, clone) == []


def test_a_process_keeps_what_it_reads_while_it_lives(store, clone):
    store.make(stages.array, n=3)
    assert free(store, clone) == []


def test_a_run_keeps_what_it_noted_until_its_folder_goes(store, clone):
    run = Store(store.root)
    run.belongs_to(clone, "demo")
    run.make(stages.array, n=3)
    (noted,) = (store.root / "leases" / run.lease).glob("*-*-*")
    noted.rename(noted.with_name(f"{platform.node()}-{ended()}-1"))  # killed: it may go on from there
    assert free(store, clone) == []
    (clone / "build" / "demo").rmdir()
    assert free(store, clone) == [key_of(store.describe(stages.array, n=3))]


def test_a_run_that_ended_well_keeps_what_it_consists_of(store, clone):
    run, keys = Store(store.root), [made(store, 3), made(store, 4)]
    lease = run.belongs_to(clone, "demo")
    run.keep(keys)
    lease.settle(keys[:1])
    assert free(store, clone) == keys[1:]
    assert history.usage(store, clone, leases.Leases(store.root)).owners == {
        f"{clone}, run demo ({leases._user(os.getuid())} on {platform.node()})": 1
    }


def test_what_a_used_result_was_made_from_is_kept(store, clone):
    data = store.make(stages.dataset, maps=2)
    store.make(stages.arrays, data=data)
    run = Store(store.root)
    run.belongs_to(clone, "demo").settle([key_of(store.describe(stages.arrays, data=data))])
    for path in (store.root / "leases" / leases.BY_HAND).iterdir():
        path.unlink()
    assert free(store, clone) == []


def test_leases_of_machines_that_cannot_be_seen_last_until_they_are_given_up(store, clone):
    key = made(store, 3)
    folder = store.root / "leases" / "0123456789abcdef"
    about = {"clone": "/home/reader/book", "run": "demo", "host": "elsewhere", "user": "reader"}
    write_json(folder / "about.json", about)
    write_json(folder / "kept.json", [key])
    old = time.time() - 10 * 86400
    for path in (folder, *folder.iterdir()):
        os.utime(path, (old, old))
    assert free(store, clone) == [] == free(store, clone, forget=11.0)
    assert free(store, clone, forget=9.0) == [key]
    history.forget(leases.Leases(store.root, forget=11.0))
    assert folder.is_dir()
    history.forget(leases.Leases(store.root, forget=9.0))
    assert not folder.exists()


@pytest.mark.parametrize("text", ["", "[", "null", "[5]", '["short"]', "[" * 100000])
def test_a_damaged_lease_keeps_everything_and_is_named(store, clone, text):
    key = made(store, 3)
    run = Store(store.root)
    run.belongs_to(clone, "demo").settle([])
    kept = store.root / "leases" / run.lease / "kept.json"
    assert free(store, clone) == [key]
    kept.write_text(text)
    used = history.usage(store, clone, leases.Leases(store.root))
    assert used.unknown == [f"{kept} is damaged"] and history.unused(store, used) == []


@pytest.mark.parametrize("text", ["", "null", '{"pages": 5}', '{"pages": {"01_data": 5}, "used": {}}', '{"pages": {}}'])
def test_a_damaged_record_of_a_run_keeps_everything_unless_the_lease_knows(store, clone, text):
    key = made(store, 3)
    record = clone / "build" / "demo" / "run.json"
    record.write_text(text)
    used = history.usage(store, clone, leases.Leases(store.root))
    assert used.unknown == [f"{record} is damaged"] and history.unused(store, used) == []
    Store(store.root).belongs_to(clone, "demo").settle([])
    assert free(store, clone) == [key]


def test_a_record_without_a_lease_counts(store, clone):
    key = made(store, 3)
    (clone / "build" / "demo" / "run.json").write_text(json.dumps({"pages": {"p": key}, "used": {}}))
    assert free(store, clone) == []


def test_leftovers_and_damaged_results_are_free_whoever_uses_the_rest(store, clone):
    store.make(stages.array, n=3)
    for name in ("stages.array/0.partial/checkpoint", "stages.array/.1.removed", "damaged/stages.array-2-3"):
        (store.root / name).mkdir(parents=True)
    (store.root / "damaged" / "file").write_text("")
    assert len(removed(store, clone)) == 4
    assert [path.name for path in store.root.glob("stages.array/*")] == [key_of(store.describe(stages.array, n=3))]


def test_what_is_made_just_now_is_not_removed(store, clone):
    (store.root / "stages.array" / "0.partial").mkdir(parents=True)
    with store.lock("stages.array-0"):
        assert removed(store, clone) == []
    assert removed(store, clone) == ["0.partial"]


def test_what_somebody_begins_to_use_after_the_look_stays(store, clone):
    key = made(store, 3)
    known = leases.Leases(store.root)
    (path,) = history.unused(store, history.usage(store, clone, known))
    Store(store.root).keep([key])
    assert not history.remove(store, path, known)
    assert Store(store.root).read("stages.array", key).size == 3
