"""What a page asks for by name: each result under its name, no more of it than was wanted, recipes of chapter 3."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from wlbook import pipeline
from wlbook.runner import chapters
from wlbook.runner.store import Store
from wlbook.simulation import cosmology, shape_noise_sigma


def test_results_come_back_under_their_names_and_only_what_was_asked_of_them(tmp_path):
    store = Store(tmp_path)
    wanted = {n: {"n": n, "centre": (0.26, 0.8)} for n in (5, 3, 4)}
    whole = pipeline.together(store, cosmology.design, wanted)
    assert list(whole) == [5, 3, 4]
    for n, models in whole.items():
        np.testing.assert_array_equal(models, cosmology.design(n, centre=(0.26, 0.8)))
    assert pipeline.together(store, cosmology.design, wanted, then=len) == {5: 5, 3: 3, 4: 4}
    assert len(list(store.manifests())) == 3, "made once, whatever is taken of it"


def test_an_error_for_one_name_reaches_who_asked(tmp_path):
    with pytest.raises(ValueError, match="n_models = 0"):
        pipeline.together(Store(tmp_path), cosmology.design, {"none": {"n": 0}})


def test_results_made_together_share_inputs_unless_they_have_their_own(tmp_path):
    wanted = {"fine": {"pixel": 1.0}, "coarse": {"pixel": 2.0}, "deep": {"pixel": 1.0, "n_gal": 120.0}}
    found = pipeline.together(Store(tmp_path), shape_noise_sigma, wanted, n_gal=30.0)
    assert list(found) == list(wanted)
    assert found["coarse"] == found["deep"] == found["fine"] / 2


def test_other_recipes_differ_from_chapter_3_where_they_say_and_nowhere_else():
    data = xr.Dataset(attrs={"noise": "add"})
    recipe, parameters = pipeline.recipe(data), chapters.parameters("03_network")
    noiseless, small = pipeline.noiseless(data), pipeline.small(data)
    assert set(noiseless) == {"survey", "training"} and set(small) == {"training"}
    assert dataclasses.replace(noiseless["survey"], sigma_e=recipe["survey"].sigma_e) == recipe["survey"]
    assert noiseless["survey"].sigma_e == 0
    for changed, steps in ((noiseless, "noiseless_steps"), (small, "small_steps")):
        assert changed["training"].steps == parameters[steps]
    restored = dataclasses.replace(small["training"], steps=parameters["steps"], coarsen=1)
    assert restored == recipe["training"] and small["training"].coarsen == 2
