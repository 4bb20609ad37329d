"""A reader's own statistics, degradations and networks: known by name, and part of the keys of what uses them only."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from wlbook import degradation, network, statistics
from wlbook.common import degradation_names, extras, random
from wlbook.runner.store import Store
from wlbook.simulation import Survey

TEXT = """
import equinox as eqx
from wlbook.common import extras
from wlbook.network import layers as nn
from wlbook.network.architectures import Network


@extras.statistic
def third_moment(kappa):
    return (kappa**3).mean(axis=(-2, -1))


@extras.statistic
def seen_mean(kappa, *, mask, side):
    return kappa.mean(axis=(-2, -1)) * side


@extras.degradation
def scaled(kappa, factor):
    return factor * kappa


@extras.network
class Flat(Network):
    pixels: int = eqx.field(static=True)
    widest = 1

    def __init__(self, *, bins=1, outputs=2, width=1, pixels=16, key):
        self._settle(bins=bins, outputs=outputs, width=width)
        self.pixels = pixels
        self.layers = (nn.ChannelsLast(), nn.Flatten(), nn.Dense(bins * pixels**2, outputs, key=key))

    def check_pixels(self, y, x):
        pass
"""
KAPPA = np.random.default_rng(1).normal(scale=0.02, size=(3, 1, 16, 16)).astype(np.float32)
LOOK = Survey(sigma_e=0.0, smoothing=0.0)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The file, read; nothing of it is known after the test."""
    monkeypatch.setattr(extras, "_known", {})
    path = tmp_path / "mine.py"
    path.write_text(TEXT)
    extras.load(str(path))
    yield path
    for name in [name for name in sys.modules if name.startswith("wlbook_extra_")]:
        del sys.modules[name]


def test_what_a_file_marks_is_found_without_running_it(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TEXT + "\nraise SystemExit('ran')\n")
    found = {"third_moment": ("statistic", 0), "seen_mean": ("statistic", 0), "scaled": ("degradation", 1)}
    assert extras.named_in(path) == {**found, "Flat": ("network", 0)}


def test_a_statistic_is_measured_under_its_name(mine):
    names = ["third_moment", "seen_mean", "moments"]
    found = statistics.measure(KAPPA, LOOK, statistics.Bins(), side=2.0, seed=1, names=names)
    np.testing.assert_allclose(found["third_moment"], (KAPPA**3).mean(axis=(2, 3)), rtol=1e-4)
    np.testing.assert_allclose(found["seen_mean"], 2 * KAPPA.mean(axis=(2, 3)), rtol=1e-4, atol=1e-8)


def test_a_degradation_is_read_with_its_numbers_alone_and_behind_others(mine):
    twice = degradation.parse("scaled:2", side=3.5)(jnp.asarray(KAPPA), key=random.key(1))
    np.testing.assert_array_equal(twice, 2 * KAPPA)
    six = degradation.parse("scaled:2+scaled:3", side=3.5)(jnp.asarray(KAPPA), key=random.key(1))
    np.testing.assert_allclose(six, 6 * KAPPA, rtol=1e-6)
    with pytest.raises(ValueError, match="scaled takes 1 numbers, found 0"):
        degradation.parse("scaled", side=3.5)
    with pytest.raises(ValueError, match="'scaled' is no degradation"):
        degradation_names.read("scaled:2", {})


def test_a_network_is_built_under_its_name(mine):
    built = network.Architecture("Flat").build(bins=1, outputs=2, pixels=16, key=random.key(1))
    assert built(KAPPA[0]).shape == (2,)


def test_only_results_that_use_a_name_depend_on_its_file(mine, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")

    def keys():
        inputs = {"kappa": KAPPA, "survey": LOOK, "bins": statistics.Bins(), "side": 2.0, "seed": 1}
        return [store.describe(statistics.measure, **inputs, names=names) for names in (["third_moment"], ["moments"])]

    (own, other), transform = keys(), degradation.parse("scaled:2", side=3.5)
    described = store.describe(statistics.measure, kappa=KAPPA, survey=LOOK, transform=transform)
    monkeypatch.setattr(extras, "_known", {})
    mine.write_text(TEXT.replace("kappa**3", "kappa**5"))
    extras.load(str(mine))
    again, same = keys()
    assert again != own and same == other
    assert store.describe(statistics.measure, kappa=KAPPA, survey=LOOK, transform=transform) != described


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", r"marks nothing; must mark a function or class as one of statistic, degradation, network"),
        ("def f(:\n", "cannot be read as Python"),
        (TEXT + "\n1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_is_no_use_is_one_line(tmp_path, monkeypatch, text, said):
    monkeypatch.setattr(extras, "_known", {})
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^extra = {path}: .*{said}") as caught:
        extras.load(str(path))
    assert "\n" not in str(caught.value) and not extras._known


def test_a_name_of_ours_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "_known", {})
    path = tmp_path / "mine.py"
    path.write_text(
        "from wlbook.common.extras import statistic\n\n\n@statistic\ndef moments(kappa):\n    return kappa\n"
    )
    extras.load(str(path))
    with pytest.raises(ValueError, match="there is a statistic moments already"):
        statistics.measure(KAPPA, LOOK, statistics.Bins(), side=2.0, seed=1, names=["moments"])
