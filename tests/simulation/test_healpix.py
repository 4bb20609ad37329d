"""Squares of the sky: what is known on the sphere is found on them, and they neither overlap nor miss much of it."""

import numpy as np
import pytest
from astropy.io import fits

from wlbook.simulation import Reading, healpix, read_maps
from wlbook.simulation.images import UNSEEN

astropy_healpix = pytest.importorskip("astropy_healpix")
pytestmark = pytest.mark.filterwarnings("ignore::wlbook.simulation.healpix.FinePixelsWarning")
NSIDE = 64


def angles(order="ring", nside=NSIDE):
    """Longitude and latitude of the middles of all pixels [rad]."""
    found = astropy_healpix.healpix_to_lonlat(np.arange(12 * nside**2), nside, order=order)
    return tuple(np.asarray(one) for one in found)


def harmonic(longitude, latitude):
    """A smooth function on the sphere: a sum of a few spherical harmonics of low degree."""
    return 0.02 * np.cos(3 * longitude) * np.cos(latitude) ** 3 + 0.03 * np.sin(latitude)


def written(path, values, *, ordering="RING", nside=NSIDE, pixels=None, name="SIGNAL", rows=1, **cards):
    form = f"{rows}E" if rows > 1 else "E"
    columns = [fits.Column(name, form, array=values.reshape(-1, rows) if rows > 1 else values, unit="K_CMB/weird")]
    if pixels is not None:
        columns.insert(0, fits.Column("PIXEL", "K", array=pixels))
    table = fits.BinTableHDU.from_columns(columns)
    scheme = "IMPLICIT" if pixels is None else "EXPLICIT"
    table.header.update({"PIXTYPE": "HEALPIX", "ORDERING": ordering, "NSIDE": nside, "INDXSCHM": scheme, **cards})
    table.writeto(path, overwrite=True)
    return path


def middles(side):
    return [healpix.directions(*one, side, 16) for one in healpix.centres(side)]


@pytest.mark.parametrize("ordering", ["RING", "NESTED"])
@pytest.mark.parametrize("rows", [1, 1024])
def test_a_harmonic_is_found_on_every_square(tmp_path, ordering, rows):
    values = harmonic(*angles("ring" if ordering == "RING" else "nested"))
    path = written(tmp_path / "sky.fits", values, ordering=ordering, rows=rows)
    found = healpix.cut(path, side=10.0, pixels=16)
    expected = [harmonic(*np.radians(both)) for both in middles(10.0)]
    np.testing.assert_allclose(found, expected, atol=3e-4)  # of 0.05: what linear interpolation leaves of curvature


def test_a_part_of_the_sky_is_read_by_its_pixels(tmp_path):
    longitude, latitude = angles()
    north = np.flatnonzero(latitude > 0.3)
    path = written(tmp_path / "sky.fits", harmonic(longitude, latitude)[north], pixels=north)
    found = healpix.cut(path, side=10.0, pixels=16)
    whole = [both for both in middles(10.0) if both[1].min() > np.degrees(0.3) + 1]
    assert len(whole) <= len(found) < len(middles(10.0)) / 2
    expected = harmonic(*np.radians(whole[0]))
    assert min(np.abs(one - expected).max() for one in found) < 3e-4


@pytest.mark.parametrize("mark", [UNSEEN, np.nan, np.inf])
def test_squares_that_touch_unseen_pixels_are_left_out(tmp_path, mark):
    longitude, latitude = angles()
    values = np.where(np.abs(latitude) < 0.4, mark, harmonic(longitude, latitude))
    found = healpix.cut(written(tmp_path / "sky.fits", values), side=10.0, pixels=16)
    touched = [np.abs(np.radians(both[1])).min() < 0.4 for both in middles(10.0)]
    assert np.isfinite(found).all() and np.abs(found).max() < 0.1
    assert 0 < len(found) <= len(touched) - sum(touched)


@pytest.mark.parametrize("side", [3.5, 10.0, 25.0])
def test_squares_do_not_overlap_and_cover_most_of_the_sky(side):
    centres = healpix.centres(side)
    assert len(centres) * side**2 > {3.5: 0.85, 10.0: 0.75, 25.0: 0.5}[side] * 41253
    centres = centres if side > 5 else centres[np.abs(centres[:, 1]) > 60]
    edge = np.linspace(-0.499, 0.499, 9)
    around = [(a, b) for a in edge for b in edge if max(abs(a), abs(b)) > 0.45]
    points, frames = [], []
    for longitude, latitude in np.radians(centres):
        east = np.array([-np.sin(longitude), np.cos(longitude), 0])
        middle = np.array([np.cos(latitude) * east[1], -np.cos(latitude) * east[0], np.sin(latitude)])
        frames.append((middle, east, np.cross(middle, east)))
        points.append([middle + np.radians(side) * (a * east + b * frames[-1][2]) for a, b in around])
    points = np.array(points)
    for number, (middle, east, north) in enumerate(frames):
        depth = points @ middle
        x, y = (np.abs(points @ axis) / np.where(depth > 0, depth, np.nan) for axis in (east, north))
        inside = (np.fmax(x, y) < np.radians(side) / 2) & (depth > 0)
        inside[number] = False
        assert not inside.any(), (number, np.argwhere(inside)[0])


def test_any_first_squares_are_spread_over_the_sky():
    first = healpix.centres(5.0)[:100]
    up = np.sin(np.radians(first[:, 1]))
    assert np.abs(np.histogram(up, 4, (-1, 1))[0] - 25).max() <= 5
    assert np.abs(np.histogram(first[:, 0], 4, (0, 360))[0] - 25).max() <= 10


def test_pixels_finer_than_the_sky_are_told():
    sky = harmonic(*angles())
    with pytest.warns(healpix.FinePixelsWarning, match="flat pixels of 37.5 arcmin are finer than .* sky, 55"):
        healpix.cut(sky, side=10.0, pixels=16, n_maps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ordering": "SPIRAL"}, "ORDERING = 'SPIRAL': must be RING or NESTED"),
        ({"nside": 32}, "holds 49152 pixels, NSIDE = 32 has 12288"),
        ({"nside": 10**9}, "NSIDE = 1000000000: must be a whole number"),
        ({"nside": "big"}, "NSIDE = big"),
        ({"pixels": np.zeros(12 * NSIDE**2, int)}, "PIXEL must number each pixel once"),
        ({"pixels": np.arange(12 * NSIDE**2) - 5}, "PIXEL reaches from -5"),
        ({"PIXTYPE": "OTHER"}, "holds no HEALPix map"),
    ],
)
def test_a_sky_that_is_none_is_named(tmp_path, options, message):
    path = written(tmp_path / "sky.fits", harmonic(*angles()), **options)
    with pytest.raises(ValueError, match=message) as error:
        healpix.cut(path, side=10.0, pixels=16)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_arrays_of_a_wrong_size_are_refused():
    with pytest.raises(ValueError, match="100 pixels: must be 12 nside"):
        healpix.cut(np.zeros(100), side=10.0, pixels=16)


def test_a_table_of_skies_gives_squares_with_the_seed_of_their_sky(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["file,omega_m,sigma_8,split,seed,side"]
    for i, split in enumerate(("train", "test", "fiducial")):
        written(tmp_path / f"s{i}.fits", rng.normal(scale=0.01, size=12 * NSIDE**2))
        lines.append(f"s{i}.fits,{0.2 + 0.1 * (split == 'fiducial')},0.8,{split},{7 + i},20")
    (tmp_path / "maps.csv").write_text("\n".join(lines))
    data = read_maps(tmp_path, pixels=16, n_maps=5)
    assert data["kappa"].shape == (15, 1, 16, 16) and data.attrs["side"] == 20.0
    assert data["seed"].values.tolist() == [7] * 5 + [8] * 5 + [9] * 5
    own = healpix.cut(tmp_path / "s1.fits", side=20.0, pixels=16, n_maps=5)
    np.testing.assert_allclose(data["kappa"].values[5:10, 0], own, atol=1e-7)
    assert read_maps(tmp_path, n_maps=1)["kappa"].shape[-1] == 21  # by default pixels of the sky's size


def test_a_sky_without_a_side_is_refused_and_a_square_that_is_not_seen_is_told(tmp_path):
    longitude, latitude = angles()
    values = np.where(latitude > 0, np.random.default_rng(0).normal(scale=0.01, size=longitude.size), UNSEEN)
    written(tmp_path / "s.fits", values)
    lines = [f"s.fits,0.3,0.8,{split},{i}" for i, split in enumerate(("train", "test", "fiducial"))]
    (tmp_path / "maps.csv").write_text("\n".join(["file,omega_m,sigma_8,split,seed", *lines]))
    with pytest.raises(ValueError, match=r"s\.fits: is a sky: the side of its squares"):
        read_maps(tmp_path)
    with pytest.warns(UserWarning, match=r"s\.fits: \d+ squares touch pixels that were not observed: left out"):
        assert read_maps(tmp_path, Reading(side=20.0)).sizes["map"] > 15
