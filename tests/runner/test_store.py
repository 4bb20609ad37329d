import errno
import functools
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stages
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from wlbook.runner import formats
from wlbook.runner.cache_keys import canonical, describe, key_of
from wlbook.runner.environment import StateWarning
from wlbook.runner.store import Store, StoreError, StoreWarning

HERE = Path(__file__).parent
formats.OBJECTS.add(("stages", "Weights"))


@pytest.fixture
def log(tmp_path, monkeypatch):
    """What the stages noted when they ran."""
    path = tmp_path / "log"
    monkeypatch.setenv("STAGES_LOG", str(path))
    return lambda: path.read_text().splitlines() if path.is_file() else []


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


BEGIN = """
import stages
from wlbook.runner import formats
from wlbook.runner.store import Store, StoreError
formats.OBJECTS.add(("stages", "Weights"))
"""


def python(code: str, **environment: str) -> subprocess.Popen:
    """A process of its own that runs `code` with the stages at hand."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{BEGIN}\n{code}"],
        env={**os.environ, "PYTHONPATH": str(HERE), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "what was waited for never came"
        time.sleep(0.02)


def payload_files(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/*/payload/**/*") if path.is_file())


# What comes back is what went in.


def test_second_call_reads_instead_of_computing(store, log):
    first = store.make(stages.dataset, maps=3)
    again = Store(store.root).make(stages.dataset, maps=3)
    assert log() == ["dataset"]
    assert first.identical(again)


def test_dataset_comes_back_as_it_was(store):
    kept, made = store.make(stages.dataset, maps=3), stages.dataset(maps=3)
    xr.testing.assert_identical(kept, made)
    assert list(kept.data_vars) == list(made.data_vars)
    assert {name: v.dtype for name, v in kept.variables.items()} == {n: v.dtype for n, v in made.variables.items()}


@pytest.mark.parametrize("call", [lambda s: s.make(stages.array, n=5), lambda s: s.make(stages.array, n=0)])
def test_array_comes_back_as_it_was(store, call):
    kept = call(store)
    np.testing.assert_array_equal(kept, np.arange(len(kept), dtype=np.float32))
    assert kept.dtype == np.float32


def test_dict_of_arrays_keeps_odd_names_and_order(store):
    data = store.make(stages.dataset, maps=3)
    kept = store.make(stages.arrays, data=data)
    assert list(kept) == ["power spectrum", "peaks/low"]
    np.testing.assert_array_equal(kept["power spectrum"], stages.arrays(data=data)["power spectrum"])


def test_labelled_array_json_and_objects_come_back(store):
    xr.testing.assert_identical(store.make(stages.labelled, n=4), stages.labelled(n=4))
    assert store.make(stages.numbers, x=1) == {"x": [1, 2.5, None], "text": "κ"}
    assert store.make(stages.weights, n=3) == stages.Weights((0, 1, 2))


def test_stored_arrays_cannot_be_changed_in_place(store):
    data = store.make(stages.dataset, maps=2)
    with pytest.raises(ValueError, match="read-only"):
        data["kappa"].values[:] = 0


# The key.


def test_results_of_the_store_are_known_by_their_key(store):
    data = store.make(stages.dataset, maps=2)
    made = store.describe(stages.arrays, data=data)
    assert made["upstream"] == [key_of(store.describe(stages.dataset, maps=2))]
    part = store.describe(stages.total, values=data["kappa"].values)
    assert part["upstream"] == made["upstream"]


def test_changed_copy_of_a_result_is_not_taken_for_it(store):
    data = store.make(stages.dataset, maps=2)
    changed = data.assign(kappa=data["kappa"] * 2)
    before, after = (store.describe(stages.arrays, data=value) for value in (data, changed))
    assert key_of(before) != key_of(after)
    assert store.make(stages.total, values=changed["kappa"].values) == pytest.approx(
        2 * store.make(stages.total, values=data["kappa"].values), rel=1e-5
    )


def scaled(kappa, factor, *, key=None):
    return kappa * factor


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        (0, None),
        ("1", 1),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"b": 1}),
        (float("nan"), float("inf")),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([0.0, 1.0]), np.array([1.0, 0.0])),
        (jnp.zeros(3), jnp.ones(3)),
        (jax.random.key(1), jax.random.key(2)),
        (xr.Dataset({"a": ("x", [1])}), xr.Dataset({"a": ("y", [1])})),
        (xr.Dataset({"a": ("x", [1])}), xr.Dataset({"a": ("x", [1])}, attrs={"side": 1})),
        (stages.array, stages.total),
        (functools.partial(scaled, factor=1), functools.partial(scaled, factor=2)),
        (stages.Weights((1,)), stages.Weights((2,))),
    ],
)
def test_different_inputs_have_different_keys(store, one, other):
    assert key_of(store.describe(stages.numbers, x=one)) != key_of(store.describe(stages.numbers, x=other))
    assert store.describe(stages.numbers, x=one) == store.describe(stages.numbers, x=one)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_keys_are_equal_only_for_equal_json(one, other):
    def key(value):
        return key_of(describe(stages.numbers, {"x": value}, lambda _: None))

    finite = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert (key(one) == key(other)) == (finite[0] == finite[1])


def test_order_of_named_inputs_does_not_matter(store):
    one, other = store.describe(stages.steps, n=1, seconds=0.0), store.describe(stages.steps, seconds=0.0, n=1)
    assert canonical(one) == canonical(other)


def test_partial_is_the_function_with_its_arguments(store, log):
    store.make(stages.total, values=np.ones(2))
    store.make(functools.partial(stages.total, values=np.ones(2)))
    assert log() == ["total"]


def test_manifest_says_where_a_result_came_from(store):
    store.make(stages.dataset, maps=2, seed=5)
    (manifest,) = store.manifests()
    assert manifest["stage"] == "stages.dataset" and manifest["inputs"] == {"maps": 2, "seed": 5}
    assert manifest["seed"] == 5 and manifest["seconds"] >= 0 and "numpy" in manifest["versions"]
    assert set(manifest["fingerprint"]) == {"stages"}
    assert all(len(file["sha256"]) == 64 for file in manifest["files"].values())


# Bad input.


@pytest.mark.parametrize("function", [lambda: 1, functools.partial(stages.array, 3)])
def test_functions_whose_source_cannot_be_followed_are_refused(store, function):
    with pytest.raises(ValueError, match="function = "):
        store.make(function)


def test_input_that_cannot_be_told_from_another_is_named(store):
    with pytest.raises(ValueError, match=r"x = <object.*must be a number, text"):
        store.make(stages.numbers, x=object())


def test_result_without_an_open_format_is_named_and_leaves_nothing(store):
    with pytest.raises(ValueError, match=r"stages\.useless returned <object"):
        store.make(stages.useless)
    assert list(store.manifests()) == [] and list(store.root.glob("stages.useless/*")) == []


# Damage.


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_damage_to_any_file_is_named_set_aside_and_made_good(store, log, damage):
    whole = store.make(stages.dataset, maps=3)
    names = [
        path.relative_to(store.root) for path in [*payload_files(store.root), *store.root.glob("*/*/manifest.json")]
    ]
    assert len(names) > 8
    for runs, name in enumerate(names, start=2):
        damage(store.root / name)
        with pytest.warns(StoreWarning, match=r"damaged: stages\.dataset/\w+: .*set aside in .*, made again") as caught:
            again = Store(store.root).make(stages.dataset, maps=3)
        assert len(caught) == 1 and "\n" not in str(caught[0].message)
        xr.testing.assert_identical(whole, again)
        assert log() == ["dataset"] * runs
        assert len(list((store.root / "damaged").iterdir())) == runs - 1


def test_added_file_counts_as_damage(store):
    store.make(stages.array, n=3)
    (payload_files(store.root)[0].parent / "more").write_text("")
    with pytest.warns(StoreWarning, match="added"):
        Store(store.root).make(stages.array, n=3)


# Kills, crowds, refusals: in processes of their own.


@pytest.mark.slow
def test_killed_stage_goes_on_from_its_checkpoint(tmp_path, log):
    code = f"print(Store({str(tmp_path / 'store')!r}).make(stages.steps, n=6, seconds=0.1))"
    process = python(code)
    wait_for(lambda: "step 2" in log())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = Store(tmp_path / "store")
    assert list(store.manifests()) == []
    steps_before = sum(line.startswith("step") for line in log())
    started, n = store.make(stages.steps, n=6, seconds=0.1)
    assert n == 6 and 3 <= started <= steps_before + 1
    assert [path.name for path in store.root.glob("stages.steps/*") if path.suffix == ".partial"] == []


@pytest.mark.slow
def test_kill_while_writing_leaves_nothing_half_written(tmp_path, log):
    process = python(f"Store({str(tmp_path / 'store')!r}).make(stages.weights, n=3)", STAGES_SLOW_SAVE="60")
    wait_for(lambda: "saving" in log())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = Store(tmp_path / "store")
    assert list(store.manifests()) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.make(stages.weights, n=3) == stages.Weights((0, 1, 2))


@pytest.mark.slow
def test_two_processes_share_one_making(tmp_path, log):
    code = f"print(Store({str(tmp_path / 'store')!r}).make(stages.steps, n=10, seconds=0.2))"
    pair = [python(code), python(code)]
    outputs = [process.communicate(timeout=100) for process in pair]
    assert [output for output, _ in outputs] == ["[0, 10]\n"] * 2, outputs
    assert log().count("start 0") == 1


def test_store_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    for attempt in (store.check, lambda: store.make(stages.array, n=3)):
        with pytest.raises(StoreError, match=r"store = .*/file/store: cannot be written to .*WLBOOK_STORE") as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_full_disk_is_one_clear_line_and_keeps_nothing(tmp_path):
    code = f"""
import resource
store = Store({str(tmp_path / "store")!r})
store.make(stages.array, n=3)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    store.make(stages.large, megabytes=4)
except StoreError as error:
    print(error)
"""
    output, errors = python(code).communicate(timeout=100)
    assert output.count("\n") == 1 and "no space left" in output and "wlbook gc" in output, output + errors
    store = Store(tmp_path / "store")
    assert [manifest["stage"] for manifest in store.manifests()] == ["stages.array"]
    assert list(store.root.glob("stages.large/*")) == []
    assert store.make(stages.large, megabytes=4).size == 2**20


def test_error_of_a_stage_about_its_own_files_is_not_blamed_on_the_store(store, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/data.fits")

    what = {"stage": "test.refuse", "inputs": {}, "upstream": [], "fingerprint": {}}
    with pytest.raises(PermissionError, match=r"data\.fits"):
        store.obtain(what, refuse, {})


# Cost.


def test_cost_counts_what_a_result_took_when_it_was_made(tmp_path):
    Store(tmp_path).make(stages.steps, n=2, seconds=0.1)
    later = Store(tmp_path)
    later.make(stages.steps, n=2, seconds=0.1)
    cost = later.cost()
    assert cost.stages["stages.steps"] >= 0.2 and cost.seconds >= cost.stages["stages.steps"]
    assert cost.memory > 10 * 2**20 and "profile" in str(cost)


def test_threads_that_make_at_once_share_the_time_that_passed(tmp_path, log):
    started = time.perf_counter()
    store = Store(tmp_path / "store")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: store.make(stages.steps, n=n, seconds=0.1), (4, 5, 6, 4)))
    passed = time.perf_counter() - started
    assert made == [[0, 4], [0, 5], [0, 6], [0, 4]] and log().count("start 0") == 3
    cost = store.cost()
    assert 0.6 <= sum(cost.stages.values()) <= passed and cost.own >= 0


# What a manifest may say, and what may lie in a folder.


def rewritten(manifest: Path, **changes) -> None:
    """A manifest that agrees with itself, with other entries."""
    known = json.loads(manifest.read_text()) | changes
    known.pop("digest")
    digest = hashlib.sha256(canonical(known).encode()).hexdigest()
    manifest.write_text(json.dumps(known | {"digest": digest}))


DAMAGES = {
    "an unknown kind": lambda folder: rewritten(folder / "manifest.json", payload={"kind": "pickle"}),
    "no kind": lambda folder: rewritten(folder / "manifest.json", payload=[]),
    "a type that is not ours": lambda folder: rewritten(
        folder / "manifest.json", payload={"kind": "object", "module": "pathlib", "name": "Path"}
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_manifest_that_agrees_with_itself_loads_only_what_is_listed(store, log, damage):
    whole = store.make(stages.dataset, maps=3)
    (folder,) = store.root.glob("stages.dataset/*")
    damage(folder)
    with pytest.warns(StoreWarning, match=r"damaged: stages\.dataset/\w+: .*set aside in .*, made again") as caught:
        again = Store(store.root).make(stages.dataset, maps=3)
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    xr.testing.assert_identical(whole, again)
    assert log() == ["dataset"] * 2 and len(list(store.manifests())) == 1


def test_the_result_of_another_key_is_not_believed(store):
    store.make(stages.array, n=5)
    (one,) = store.root.glob("stages.array/*")
    store.make(stages.array, n=6)
    (other,) = (path for path in store.root.glob("stages.array/*") if path != one)
    shutil.rmtree(one)
    shutil.copytree(other, one)
    with pytest.warns(StoreWarning, match=rf"it is the result stages\.array/{other.name}"):
        assert len(Store(store.root).make(stages.array, n=5)) == 5


def test_types_that_are_not_listed_are_not_kept(store, monkeypatch):
    monkeypatch.setattr(formats, "OBJECTS", set())
    with pytest.raises(ValueError, match=r"stages\.weights returned Weights.*formats\.OBJECTS"):
        store.make(stages.weights, n=3)


# Stores below, and stores of several people.


def test_what_a_store_below_has_is_read_from_there_and_never_written_to(tmp_path, log):
    below = Store(tmp_path / "below", [])
    below.make(stages.dataset, maps=3)
    before = {path: path.stat().st_mtime_ns for path in below.root.rglob("*")}
    store = Store(tmp_path / "own", [below.root])
    data = store.make(stages.dataset, maps=3)
    store.make(stages.arrays, data=data)
    assert log() == ["dataset", "arrays"]
    assert {path: path.stat().st_mtime_ns for path in below.root.rglob("*")} == before
    assert {manifest["stage"] for manifest in store.manifests()} == {"stages.dataset", "stages.arrays"}
    assert [path.name for path in store.root.glob("stages*")] == ["stages.arrays"]


def test_damage_in_a_store_below_is_named_and_the_result_made_in_the_own_one(tmp_path, log, monkeypatch):
    below = Store(tmp_path / "below", [])
    below.make(stages.dataset, maps=3)
    truncate(payload_files(below.root)[0])
    monkeypatch.setenv("WLBOOK_STORE_BASE", f"{tmp_path / 'nothing'}:{below.root}")
    with pytest.warns(StateWarning, match=r"damaged: .*/below/stages\.dataset/\w+: .*; it is done without"):
        Store(tmp_path / "own").make(stages.dataset, maps=3)
    Store(tmp_path / "own").make(stages.dataset, maps=3)
    assert log() == ["dataset"] * 2


@pytest.mark.parametrize("others", [0o022, 0o020, 0o000])
def test_those_who_may_write_to_the_store_may_replace_what_is_in_it(tmp_path, others):
    store = Store(tmp_path / "store")
    store.root.mkdir()
    store.root.chmod(0o755 | others)
    store.make(stages.dataset, maps=3)
    store.make(stages.steps, n=2)
    lease = store.belongs_to(tmp_path, "demo")
    store.make(stages.array, n=3)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in store.root.rglob("*")}
    assert len(modes) > 20 and lease.folder in modes
    assert {mode & 0o022 for path, mode in modes.items() if path.suffix != ".json" or "leases" not in path.parts} == {
        others
    }


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be several users")
def test_a_class_shares_a_store(tmp_path, log):
    """Three users, one of whom may only read: all get everything, and nothing is made twice."""
    root = tmp_path / "class"
    root.mkdir()
    root.chmod(0o777)
    for folder in tmp_path.parents:  # pytest's are the caller's own
        if str(folder).startswith(tempfile.gettempdir() + "/"):
            folder.chmod(0o755)
    tmp_path.chmod(0o777)
    kept = Path(os.environ["STAGES_LOG"])
    kept.touch()
    kept.chmod(0o666)
    code = f"""
import os, tempfile

def all_of_it(store):
    data = store.make(stages.dataset, maps=3)
    return sorted(store.make(stages.arrays, data=data)), store.make(stages.steps, n=3, seconds=0.1)

del os.environ["STAGES_LOG"]
with tempfile.TemporaryDirectory() as folder:  # while Python's own files can be read
    all_of_it(Store(folder, []))
os.environ["STAGES_LOG"] = {str(kept)!r}
os.setgid(4000 + USER)
os.setuid(4000 + USER)
print(*all_of_it(Store()))
"""

    def user(number, **environment):
        process = python(code.replace("USER", str(number)), HOME=str(tmp_path), **environment)
        return process.communicate(timeout=100)

    own = {"WLBOOK_STORE": str(tmp_path / "own"), "WLBOOK_STORE_BASE": str(root)}
    outputs = [user(1, WLBOOK_STORE=str(root)), user(2, WLBOOK_STORE=str(root)), user(3, **own)]
    assert [output for output, _ in outputs] == ["['peaks/low', 'power spectrum'] [0, 3]\n"] * 3, outputs
    assert [line for line in log() if not line.startswith("step")] == ["dataset", "arrays", "start 0"]
    truncate(payload_files(root)[0])
    output, errors = user(2, WLBOOK_STORE=str(root))
    assert "set aside" in errors and output == outputs[0][0], errors
