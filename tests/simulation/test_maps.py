"""The dataset: its shape and meaning, its splits, and that nothing depends on the order of the work."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from wlbook.runner.cache_keys import canonical, describe
from wlbook.simulation import cosmology, dataset, map_files, maps, redshift_tables, sources
from wlbook.simulation.boxes import Box, Universe, disk_need, simulate_box, trusted_ell, universes

SMALL = {"n_maps": 3, "side": 3.5, "pixels": 16, "box": 240.0, "particles": 16, "steps": 6}
COUNTS = {"n_models": 2, "n_fiducial": 2, "seed": 1}


def box(**changes) -> Box:
    return Box(**(SMALL | changes))


def places(**changes) -> list[Universe]:
    return universes(box(), **(COUNTS | changes))


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    return maps.simulate(box(), places())


def test_dataset_has_the_promised_names_shapes_and_types(data):
    assert data["kappa"].dims == ("map", "bin", "y", "x")
    assert data["kappa"].shape == ((2 * 2 + 2) * 3, 1, 16, 16)
    types = {"kappa": "float32", "omega_m": "float64", "sigma_8": "float64", "model": "int32", "seed": "int64"}
    for name, dtype in {**types, "split": "int8"}.items():
        assert data[name].dtype == dtype, name
    assert np.isfinite(data["kappa"]).all() and 0.001 < float(data["kappa"].std()) < 0.05
    assert data.attrs["mesh"] == 32 and data.attrs["pixel"] == pytest.approx(3.5 * 60 / 16)
    assert data.attrs["source_redshift"] == [1.0]
    assert data["split"].attrs["flag_meanings"] == "train test fiducial"


def test_every_model_is_trained_and_tested_on_different_seeds(data):
    train, test, fiducial = (dataset.select(data, split) for split in dataset.SPLITS)
    assert not set(train["seed"].values) & set(test["seed"].values)
    assert len(np.unique(data["seed"])) == 6
    np.testing.assert_array_equal(train["model"], test["model"])
    np.testing.assert_array_equal(np.unique(train["omega_m"]), np.sort(cosmology.design(2)[:, 0]))
    assert set(fiducial["model"].values) == {-1}
    assert set(fiducial["omega_m"].values) == {cosmology.FIDUCIAL[0]}


def test_order_of_the_boxes_changes_no_byte(data):
    last = places()[-1]
    alone = simulate_box(box(), last)
    there = data.isel(map=np.flatnonzero(data["seed"].values == last.seed))
    np.testing.assert_array_equal(alone["kappa"], there["kappa"])


def test_more_models_leave_the_first_ones_alone():
    few, many = places(), places(n_models=5, n_fiducial=3)
    assert set(few) <= set(many)
    assert len({one.seed for one in many}) == len(many) == 13


def test_another_seed_is_another_universe():
    seeds = [{one.seed for one in places(seed=seed)} for seed in (1, 2, 12)]
    assert not seeds[0] & seeds[1] and not seeds[0] & seeds[2]


def test_every_box_is_asked_for_through_call(data):
    asked = []

    def call(function, **inputs):
        asked.append((function, inputs))
        return data.isel(map=slice(0, 3))

    made = maps.simulate(box(), places(), call=call)
    assert [inputs for _, inputs in asked] == [{"box": box(), "universe": one} for one in places()]
    assert {function for function, _ in asked} == {simulate_box}
    assert made.sizes["map"] == 18 and made.attrs == data.attrs


def test_several_sources_are_bins_and_farther_ones_are_lensed_more():
    kappa = simulate_box(box(sources=sources.at([0.5, 1.0])), places()[0])["kappa"].values
    assert kappa.shape[1] == 2
    assert kappa[:, 1].std() > 1.3 * kappa[:, 0].std()
    assert np.corrcoef(kappa[:, 0].ravel(), kappa[:, 1].ravel())[0, 1] > 0.3


def test_long_waves_of_kappa_grow_with_sigma_8_as_in_linear_theory():
    first = places()[0]
    small, large = (simulate_box(box(), dataclasses.replace(first, sigma_8=one)) for one in (0.4, 0.8))
    assert set(small["sigma_8"].values) == {0.4} and set(large["sigma_8"].values) == {0.8}
    waves = [np.fft.fft2(one["kappa"].values[:, 0])[:, [0, 1, 1, -1], [1, 0, 1, 1]].ravel() for one in (small, large)]
    growth = np.vdot(waves[0], waves[1]).real / np.vdot(waves[0], waves[0]).real
    assert growth == pytest.approx(2, rel=0.1)


def test_disk_need_counts_every_pixel():
    assert disk_need(box()) == 3 * 16**2 * 4
    assert disk_need(box(sources=sources.smail())) == 4 * 3 * 16**2 * 4


def test_trusted_ell_grows_with_resolution():
    coarse, fine = (trusted_ell(box=240.0, particles=n, source_redshift=1.0) for n in (64, 128))
    assert fine == pytest.approx(2 * coarse, rel=1e-3)
    assert 400 < coarse < 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_maps": 0}, "n_maps = 0: must be >= 1"),
        ({"pixels": 4}, "pixels = 4: must be >= 8"),
        ({"particles": 8}, "particles = 8: must be >= 16"),
        ({"particles": 33}, "particles = 33: must be even"),
        ({"steps": 5}, "steps = 5: must be >= 6"),
        ({"planes_per_step": 0}, "planes_per_step = 0: must be >= 1"),
        ({"side": 0.0}, r"side = 0\.0: must be > 0 \[deg\]"),
        ({"box": -240.0}, r"box = -240\.0: must be > 0 \[Mpc/h\]"),
        ({"method": "guess"}, "method = 'guess': must be one of"),
    ],
)
def test_a_bad_box_is_named_when_it_is_made(change, message):
    with pytest.raises(ValueError, match=message) as error:
        box(**change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_models": 0}, "n_models = 0: must be >= 1"),
        ({"n_fiducial": 0}, "n_fiducial = 0: must be >= 1"),
        ({"seed": -1}, "seed = -1: must be >= 0"),
        ({"design": "paper-c"}, 'design = \'paper-c\': must be one of "paper-a", "paper-b"'),
        ({"n_second": -1}, "n_second = -1: must be >= 0"),
    ],
)
def test_bad_counts_are_named(change, message):
    with pytest.raises(ValueError, match=message) as error:
        places(**change)
    assert "\n" not in str(error.value)


def test_a_field_wider_than_the_box_is_refused_before_any_work():
    with pytest.raises(ValueError, match=r"box = 240\.0: a field of side = 6\.0 deg .* box must be >= 271 \[Mpc/h\]"):
        universes(box(side=6.0), **COUNTS)


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(ValueError, match='source = heaven: must be "simulate", a folder or a file'):
        map_files.read_maps("heaven", pixels=16, n_maps=3)


@pytest.mark.parametrize(
    ("redshift", "message"),
    [
        (0.0, r"source_redshift = 0\.0: must be > 0"),
        ([0.5, -1.0], r"source_redshift = -1\.0: must be > 0"),
        ([], r"source_redshift = \[\]: must be one redshift or more"),
    ],
)
def test_bad_redshifts_are_named(redshift, message):
    with pytest.raises(ValueError, match=message):
        redshift_tables.named("plane", redshift)


def test_a_missing_file_of_sources_is_named():
    with pytest.raises(ValueError, match=r"sources = nowhere\.txt: must be"):
        redshift_tables.named("nowhere.txt", 1.0)


def test_an_unknown_split_is_named(data):
    with pytest.raises(ValueError, match='split = \'validation\': must be one of "train", "test", "fiducial"'):
        dataset.select(data, "validation")


def test_bins_of_galaxies_are_bins_of_the_maps():
    deep = box(sources=sources.smail(), a_ia=1.0)
    data = simulate_box(deep, places()[-1])
    assert data["kappa"].shape == (3, 4, 16, 16)
    assert np.all(np.diff(data.attrs["source_redshift"]) > 0.1)
    assert np.all(np.diff(data["kappa"].values.std((0, 2, 3))) > 0), "farther galaxies are lensed more"


def test_what_a_box_is_made_from_is_known_to_the_store_and_tells_boxes_apart():
    def key(one: Box, universe: Universe) -> str:
        return canonical(describe(simulate_box, {"box": one, "universe": universe}, lambda _: None)["inputs"])

    here = places()[0]
    assert key(box(), here) == key(box(sources=sources.at(1.0), side=3.5), here)
    changes = {"a_ia": 1.0, "method": "born", "sources": sources.at(0.9), "planes_per_step": 2}
    keys = {key(box(**{name: value}), here) for name, value in changes.items()} | {key(box(), here)}
    assert len(keys) == len(changes) + 1
    assert key(box(), here) != key(box(), dataclasses.replace(here, seed=here.seed + 1))


def test_sources_in_a_box_are_the_same_on_every_processor():
    table = sources.smail()
    noisy = sources.Sources(table.redshift + 1e-12, table.share * (1 + 1e-12))
    assert box(sources=noisy) == box(sources=table)
    np.testing.assert_allclose(box(sources=table).galaxies.share.sum(axis=1), 1, rtol=1e-12)


def test_the_second_universe_is_tested_on_and_never_learnt_from():
    boxes = places(n_second=2)
    second = [one for one in boxes if one.model == -2]
    assert [(one.split, one.omega_m, one.sigma_8) for one in second] == [("test", *cosmology.SECOND)] * 2
    assert len({one.seed for one in boxes}) == len(boxes)


def test_each_papers_design_has_its_own_sky():
    sky = [places(design=name)[-1] for name in ("paper-a", "paper-b")]
    assert [(one.omega_m, one.sigma_8) for one in sky] == [(0.26, 0.80), (0.2915, 0.7835)]


def test_independent_maps_are_counted():
    draw = np.random.default_rng(1)
    model, seed = np.repeat(np.arange(60), 40), np.repeat(np.arange(120), 20)
    free = draw.normal(size=(2400, 3))
    np.testing.assert_allclose(dataset.independent(free, model, seed), 20, rtol=0.5)
    # A part that all maps of a box share: its variance v leaves 1 / (v + 1 / 20) maps.
    shared = free + 0.5 * draw.normal(size=(120, 3))[seed]
    np.testing.assert_allclose(dataset.independent(shared, model, seed), 1 / (0.25 + 1 / 20), rtol=0.5)
    assert np.isnan(dataset.independent(free, seed, seed)).all()  # no model has two boxes
    # Boxes of a single map tell nothing, and spoil nothing.
    model, seed = np.append(model, [0, 60, 60]), np.append(seed, [120, 121, 122])
    more = np.concatenate([free, draw.normal(size=(3, 3))])
    np.testing.assert_array_equal(
        dataset.independent(more, model, seed), dataset.independent(free, model[:-3], seed[:-3])
    )


def of_sky(universes):
    made_of = {"omega_m": [0.2, *(m for m, _ in universes)], "sigma_8": [0.9, *(s for _, s in universes)]}
    made_of |= {"model": 0, "seed": 1, "split": [0] + [2] * len(universes)}
    return dataset.labelled(np.zeros((1 + len(universes), 2, 4, 4), np.float32), made_of, "kappa")


def test_the_fiducial_is_the_one_universe_of_the_observed_maps():
    assert dataset.fiducial(of_sky([(0.3, 0.82), (0.3, 0.82)])) == (0.3, 0.82)
    message = r'^maps of split "fiducial" are of the universes \(0.26, 0.8\), \(0.3, 0.82\): must be of one'
    with pytest.raises(ValueError, match=message):
        dataset.fiducial(of_sky([(0.3, 0.82), (0.26, 0.8)]))
    with pytest.raises(ValueError, match=r"are of the universes none: must be of one"):
        dataset.fiducial(of_sky([]))


def test_pixels_that_every_map_has_are_those_of_all_masks_together():
    data, mask = of_sky([(0.3, 0.82)]), np.arange(16).reshape(4, 4) != 5
    assert dataset.seen_in_all(data) is None and dataset.seen_in_all(data, mask) is mask
    own = np.ones((2, 2, 4, 4), bool)
    own[0, 1, 0, 0] = own[1, 0, 3, 2] = False
    data["observed"] = (("map", "bin", "y", "x"), own)
    assert np.argwhere(~dataset.seen_in_all(data)).tolist() == [[0, 0], [3, 2]]
    assert np.argwhere(~dataset.seen_in_all(data, mask)).tolist() == [[0, 0], [1, 1], [3, 2]]
    data["observed"][0], data["observed"][1] = own[0] & mask, ~mask  # nothing in common
    with pytest.raises(ValueError, match=r"^masks: these maps have 0% of the pixels in common; must be half"):
        dataset.seen_in_all(data)
