"""Chapter 5's trainings: which there are, that they are told before and kept, and that answers fit the questions."""

import lessons_data
import numpy as np
import pytest

from wlbook import experiments
from wlbook.degradation import parse
from wlbook.experiments import Experiment
from wlbook.network import Architecture, Training
from wlbook.runner.store import Store
from wlbook.simulation import Survey

SPECS = ("none", "randomize_phases")
PLAN = Experiment(
    survey=Survey(30.0, 0.4, 1.0),
    training=Training(steps=2, batch=8, learning_rate=0.01),
    architecture=Architecture("Compact", {"width": 2, "ramps": 2}),
    seed=3,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def networks(store):
    transforms = {spec: parse(spec, side=lessons_data.SIDE) for spec in SPECS}
    data = lessons_data.data()
    return lambda: experiments.degraded(store, data, PLAN, transforms, amortised_steps=3)


def test_the_reference_is_trained_twice_and_all_are_told_and_kept(networks, capsys):
    made = networks()
    assert set(made) == {
        ("amortised", "all", 0),
        ("retrained", "none", 0),
        ("retrained", "none", 1),
        ("retrained", "randomize_phases", 0),
        ("spectra twin", "none", 0),
        ("spectra twin", "randomize_phases", 0),
        ("histogram twin", "none", 0),
    }
    assert "7 of 7 trainings to do: 9 steps" in capsys.readouterr().out
    assert made["histogram twin", "none", 0].survey.smoothing == 0 != made["spectra twin", "none", 0].survey.smoothing
    assert all(one.seconds > 0 for one in made.values())
    networks()
    assert "All 7 trainings are in the store" in capsys.readouterr().out


def test_every_network_is_asked_on_maps_degraded_as_it_learnt(networks, store):
    made, kappa = networks(), np.asarray(lessons_data.maps(4))
    start = made["amortised", "all", 0].network
    further = Training(steps=2, batch=8, learning_rate=0.002)
    tuned = experiments.tuned(store, lessons_data.data(), PLAN, start, ["high_pass:400"], further)
    assert list(tuned) == [("tuned", "high_pass:400", 0)]
    asked = {"kappa": kappa, "experiment": PLAN, "side": lessons_data.SIDE}
    single = experiments.answers(store, made, **asked)
    assert set(single) == set(made) - {("amortised", "all", 0)}
    ladder = experiments.answers(store, made, **asked, ladder=["none", "low_pass:400"])
    assert set(ladder) - set(single) == {("amortised", "none", 0), ("amortised", "low_pass:400", 0)}
    found = ladder | experiments.answers(store, tuned, **asked)
    assert all(values.shape == (4, 2) and np.isfinite(values).all() for values in found.values())
    assert not np.allclose(found["amortised", "none", 0], found["amortised", "low_pass:400", 0])
