"""What is refused before any work: each odd value by its right line, and hundreds of odd sets by their form."""

import os
import random
import re
from typing import Any

import minibook
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from wlbook.cli import app
from wlbook.common import mask_names, page_inputs, prices, statistic_names, wording
from wlbook.runner import chapters, runs
from wlbook.runner.parameters import Parameter

SETS = int(os.environ.get("WLBOOK_TEST_SETS", "200"))  # of odd parameters
BYTES = os.fsdecode(b"\xff\xfe")  # an argument that is no UTF-8
BIG = "1000000000000000000000000000000"


def refused(changes: list[str], profile: str = "demo", most: int = 200, **more: Any) -> str:
    """The one line that a plan ends with."""
    with pytest.raises(ValueError) as caught:
        runs.plan(profile, changes, **more)
    line = str(caught.value)
    assert type(caught.value) is ValueError and "\n" not in line and len(line) <= most, line
    return line


# Values, one at a time.


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("02_statistics.scales={[]:1}", "02_statistics.scales = '{[]:1}': must be a whole number, 2 <= scales <= 5"),
        ("05_degradation.n_seeds={{}}", "05_degradation.n_seeds = '{{}}': must be a whole number, 1 <= n_seeds <= 16"),
        (f"02_statistics.ell_bins={'-' * 3000}1", "02_statistics.ell_bins = '---"),
        (f"02_statistics.ell_bins={'[' * 90}{']' * 90}", "02_statistics.ell_bins = [[[[...]]]]: must be a whole"),
        (f"02_statistics.ell_bins={'[' * 3000}", "02_statistics.ell_bins = '[[["),
        (f"03_network.sigma_e=0x{'f' * 5000}", "03_network.sigma_e = a number of more than 4300 digits: must be a num"),
        (f"03_network.seed=0x{'f' * 5000}", "03_network.seed = a number of more than 4300 digits: must be a whole"),
        (f"03_network.steps={'n' * 5000}", "03_network.steps = 'nnn"),
        (f"01_data.design={'n' * 5000}", "01_data.design = 'nnn"),
        (f"01_data.mask={'n' * 5000}", "01_data.mask = nnn"),
        (f"01_data.labels={'n/' * 2500}", "01_data.labels = n/n"),
        (f"06_constraints.extra={'n' * 5000}", "06_constraints.extra = nnn"),
        ("02_statistics.mask=~nobody-of-this-name/x", "02_statistics.mask = ~nobody-of-this-name/x: must be a file"),
        (f"01_data.mask={BYTES}", r"-p 01_data.mask=\udcff\udcfe: must be text in UTF-8"),
        (f"01_data.{BYTES}=1", r"-p 01_data.\udcff\udcfe=1: must be text in UTF-8"),
        (f"01_data.{'n' * 5000}=1", "unknown parameter of 01_data: nnn"),
        (f"{'n' * 5000}", "-p nnn"),
        ("01_data.a\nb=1", r"unknown parameter of 01_data: a\nb"),
        ("01_data.n_model=1", "unknown parameter of 01_data: n_model (did you mean n_models?); there is source, axes"),
        (f"02_statistics.seed={BIG}", f"02_statistics.seed = {BIG}: must be a whole number, 0 <= seed < 4294967296"),
        ("03_network.seed=-1", "03_network.seed = -1: must be a whole number, 0 <= seed < 4294967296"),
        (f"03_network.batch={2**63}", f"03_network.batch = {2**63}: must be a whole number, 1 <= batch <= 65536"),
        ("05_degradation.n_cuts=100000", "05_degradation.n_cuts = 100000: must be a whole number, 3 <= n_cuts <= 64"),
        (f"04_saliency.n_draws={BIG}", f"04_saliency.n_draws = {BIG}: must be a whole number, 2 <= n_draws <= 10000"),
        ("01_data.n_gal=nan", "01_data.n_gal = 'nan': must be a number, 0.01 <= n_gal <= 1000"),
        ("01_data.n_gal=1e999", "01_data.n_gal = inf: must be a number"),
        ("05_degradation.n_fields=inf", "05_degradation.n_fields = 'inf': must be a number"),
        ("source_redshift=5e-324", "01_data.source_redshift = 5e-324: must be a number, 0.01 <= source_redshift < 8"),
        ("particles=17", "01_data.particles = 17: must be a whole number, even, 16 <= particles <= 1024"),
        ("source=/dev/zero", "01_data.source = /dev/zero: must be a file or folder, or \"simulate\"; /dev/zero is n"),
        ("06_constraints.extra=/dev/null", "06_constraints.extra = /dev/null: must be a file, or \"\"; /dev/null is"),
        ("sources=\N{TELESCOPE}", "01_data.sources = \N{TELESCOPE}: must be a file, or one of \"plane\""),
        ("combine=[]", "06_constraints.combine = []: must be a list of texts, not empty, no two alike, each a stat"),
        ('combine=["peaks","peaks"]', "06_constraints.combine = ['peaks', 'peaks']: must be a list of texts, not"),
        ('combine=["nonsense"]', "06_constraints.combine: unknown statistic: nonsense; there is power spectrum, peaks"),
        ('combine=["peak"]', "06_constraints.combine: unknown statistic: peak (did you mean peaks?); there is power"),
        ("degradations=[]", "05_degradation.degradations = []: must be a list of texts, not empty, each a deg"),
        ('degradations=["low_pas:1"]', "05_degradation.degradations: degradation = 'low_pas:1': 'low_pas' is no deg"),
        (f'degradations=["{"n" * 5000}"]', "05_degradation.degradations: degradation = 'nnn"),
    ],
)  # fmt: skip
def test_an_odd_value_is_named_in_one_short_line(setting, said):
    assert refused([setting]).startswith(said)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["box=50"], "01_data.box = 50.0: must be >= 158 [Mpc/h]: so wide is a field of side = 3.5 deg at the source"),
        (["box=170", "sources=stage-iii"], "01_data.box = 170.0: must be >= 217 [Mpc/h]"),
        (["a_ia=1"], '01_data.a_ia = 1.0: must be 0 for galaxies in planes; sources = "stage-iii" has others'),
        (["02_statistics.mask=holes:2:2"], "02_statistics.mask = 'holes:2:2': share = 2.0: must be >= 0 and < 0.9"),
        (["01_data.mask=holes:0.1:nan"], "01_data.mask = 'holes:0.1:nan': radius = nan: must be > 0 [arcmin] and fin"),
        (["01_data.mask=holes:0.1"], '01_data.mask = \'holes:0.1\': must be "none", "holes:SHARE:RADIUS" or a file'),
        (["01_data.mask=holes:0.5:5e-324"], "01_data.mask = 'holes:0.5:5e-324': radius = 5e-324: asks for more than"),
        (["01_data.mask=holes:0.5:0.1"], "01_data.mask = 'holes:0.5:0.1': radius = 0.1: asks for more than 100,000 h"),
        (["03_network.width=40"], "03_network.width = 40: must be <= 32 for architecture = Compact"),
        (["pixels=17"], "03_network.architecture = Compact: 01_data.pixels = 17 must be even and >= 32"),
        (["coarsen=3"], "05_degradation.coarsen = 3: must be a divisor of 01_data.pixels = 64 that leaves 16 or more"),
        (['degradations=["single_bin:1"]'], "05_degradation.degradations: 'single_bin:1' must name one of 1 bins"),
        (['degradations=["coarsen:5"]'], "05_degradation.degradations: 'coarsen:5' must divide the 32 pixels"),
        (['degradations=["mask_holes:0.5:1e-9"]'], "05_degradation.radius = 1e-09: asks for more than 100,000 holes"),
    ],
)
def test_values_that_do_not_go_together_are_refused(settings, said):
    assert refused(settings).startswith(said)


@pytest.mark.parametrize(
    "settings",
    [
        ["particles=16"],
        ["sources=stage-iii", "a_ia=1", 'degradations=["single_bin:3", "sum_bins", "coarsen:2"]'],
        ["mask=holes:0.2:10"],
        ["box=158"],
        ["03_network.architecture=Ribli18", "03_network.width=64"],
        ['combine=["starlet l1", "peaks"]'],
        ["seed=1999"],
        [f"03_network.seed={2**32 - 1}", "n_gal=0.01"],
        ["axes=" + "\N{TELESCOPE}" * 200],
        ["axes=" + "\N{CJK UNIFIED IDEOGRAPH-6F22}" * 90],
    ],
)
def test_what_fits_is_accepted_and_its_folder_has_a_name_that_fits(settings):
    assert len(runs.plan("demo", settings).name.encode()) < 128


def test_a_page_alone_is_asked_only_for_what_it_needs():
    assert runs.plan("demo", ["01_data.pixels=65"], chapter="02_statistics").parameters["01_data"]["pixels"] == 65
    assert "01_data.pixels = 65 must be even" in refused(["01_data.pixels=65"], chapter="06_constraints")


def test_a_readers_statistic_is_known_by_its_name(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from wlbook.common.extras import statistic\n@statistic\ndef mine(kappa): return kappa\n")
    asked = [f"06_constraints.extra={path}", '06_constraints.combine=["mine"]']
    assert runs.plan("demo", asked).parameters["06_constraints"]["combine"] == ["mine"]
    assert "unknown statistic: mine" in refused(asked[1:])


@pytest.mark.parametrize("text", ["\0", "(" * 5000, "def f(:"])
def test_a_readers_file_that_is_no_python_is_named(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    line = refused([f"06_constraints.extra={path}"], most=300)
    assert line.startswith("06_constraints.extra = ") and "cannot be read as Python" in line


# Profiles.


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"01_data: {1: 2}", "1 is no name: must be the text of a chapter or parameter"),
        (b"01_data: {null: 2}", "None is no name"),
        (b"shared: {1: 2}", "1 is no name"),
        (b"{1: {n_models: 2}}", "1 is no name"),
        (b"01_data: []", "must hold chapters, and under each its parameters with their values"),
        (b"01_data: ''", "must hold chapters"),
        (b"[]", "must hold chapters"),
        (b"text", "must hold chapters"),
        (b"01_data: " + b"[" * 2000, "not YAML"),
        (b"01_data: {n_models: " + b"[" * 2000 + b"]" * 2000 + b"}", "not YAML"),
        ("01_data: {n_models: 2}".encode("utf-16"), "must be a file of text in UTF-8 that can be read"),
        (bytes(range(256)), "must be a file of text in UTF-8"),
        (b"01_data: {n_models: !!int x}", "not YAML that can be read"),
        (b"01_data: {n_models: !!timestamp x}", "not YAML that can be read"),
        (b"01_data: {n_models: !!bool x}", "not YAML that can be read"),
        (b"01_data: {n_models: 2026-13-45}", "not YAML that can be read"),
        (b"01_data: {n_models: " + b"9" * 5000 + b"}", "not YAML that can be read"),
        (b"01_data: {? [1] : 2}", "not YAML"),
        (b"01_data: {n_models: 2026-01-01}", "01_data.n_models = datetime.date(2026, 1, 1): must be a whole number"),
        (b"01_data: {design: [paper-a]}", "01_data.design = ['paper-a']: must be one of"),
        (b"01_data: {design: {}}", "01_data.design = {}: must be one of"),
        (b"01_data: {mask: [1]}", "01_data.mask = [1]: must be a file"),
        (b"01_data: {n_gal: .nan}", "01_data.n_gal = nan: must be a number"),
        (b"06_constraints: {extra: 3}", "06_constraints.extra = 3: must be a file"),
        (b"06_constraints: {combine: &a [*a]}", "06_constraints.combine = [[[[...]]]]: must be a list"),
        (b"06_constraints: {combine: null}", "06_constraints.combine = None: must be a list"),
        (b"a: &a [x, x]\nb: &b [*a, *a]", "must hold chapters"),
    ],
)
def test_a_profile_that_is_none_is_named_in_one_short_line(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.yml").write_bytes(content)
    line = refused([], "odd.yml")
    assert line.startswith("profile odd.yml: ") and said in line


@pytest.mark.parametrize("content", [b"", b"01_data:\n", b"{}", b"shared:\n01_data: {n_models: 2}\n"])
def test_a_profile_that_changes_nothing_or_little_is_one(tmp_path, content):
    (tmp_path / "good.yml").write_bytes(content)
    assert runs.plan(str(tmp_path / "good.yml"), []).parameters["01_data"]["n_models"] in (2, 24)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "../environment", "/etc/passwd", "n" * 5000, "n" * 5000 + ".yml", "a\nb", BYTES]
)
@pytest.mark.parametrize("command", [["params", "01_data"], ["build"], ["why", "01_data"], ["list"], ["simulate"]])
def test_a_name_of_no_profile_is_one_line(command, name):
    result = CliRunner().invoke(app, [*command, "--profile", name])
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and len(result.stderr) <= 200
    assert result.stderr.startswith(("wlbook: unknown profile: ", "wlbook: --profile "))


def test_a_folder_is_no_profile(tmp_path):
    (tmp_path / "folder.yml").mkdir()
    assert "must be a file of text" in refused([], str(tmp_path / "folder.yml"))


@pytest.mark.parametrize("shard", ["²/²", f"1/{'9' * 5000}", "1/2/3", "/", "n" * 5000])
def test_a_shard_that_is_none_is_one_line(shard):
    result = CliRunner().invoke(app, ["simulate", "--shard", shard])
    assert result.exit_code == 2 and len(result.stderr) < 200 and "must be I/N with 1 <= I <= N" in result.stderr


# The conditions of the grammar.


@pytest.mark.parametrize(
    ("default", "allowed", "rule", "good", "bad"),
    [
        (4, "even, 2 <= n <= 8", "a whole number, even, 2 <= n <= 8", [2, 8], [3, 10, 0]),
        (["a"], "not empty, any list", "a list of texts, not empty, any list", [["b", "b"]], [[], [1]]),
        ([2], "not empty, no two alike, 0 < each", None, [[1, 2]], [[], [1, 1], [0]]),
    ],
)
def test_a_condition_stands_before_the_rule(default, allowed, rule, good, bad):
    parameter = Parameter("n", default, "something", "", allowed)
    page = chapters.Chapter("c", minibook.REPOSITORY, "C", {"n": parameter})
    assert rule in (None, parameter.rule)
    for value in good:
        assert page.check({"n": value}) == {"n": value}
    for value in bad:
        with pytest.raises(ValueError, match=re.escape(f"c.n = {value}: must be {parameter.rule}")):
            page.check({"n": value})


def test_a_condition_is_for_its_own_kind():
    with pytest.raises(ValueError, match='"even" is not for text'):
        Parameter("n", "a", "something", "", "even, any text").field()


# What the checks without JAX say is what the pages' functions say.


def test_names_of_statistics_are_those_that_are_measured():
    from wlbook.statistics import vectors

    assert statistic_names.names() == list(vectors.NAMES)


@pytest.mark.parametrize(("omega_m", "redshift"), [(0.14, 1.0), (0.26, 1.495), (0.26, 7.9), (0.5, 0.01)])
def test_distance_is_that_of_the_simulation(omega_m, redshift):
    from wlbook.simulation import cosmology

    expected = float(cosmology.distance(cosmology.Cosmology(omega_m, 0.8), redshift))
    assert page_inputs.distance(omega_m, redshift) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("design", ["paper-a", "paper-b"])
@pytest.mark.parametrize("seed", range(3))
def test_boxes_are_refused_where_the_simulation_refuses_them(design, seed):
    from wlbook.simulation import boxes, cosmology, lens_planes, sources

    draw = random.Random(seed)
    demo, seen = chapters.read("01_data").check({}), set()
    for _ in range(40):
        chosen = {
            "box": round(draw.uniform(50, 500), 1), "side": round(draw.uniform(1, 6), 1), "steps": draw.randint(6, 30),
            "source_redshift": round(draw.uniform(0.3, 3), 2), "n_models": draw.randint(1, 60), "design": design,
        }  # fmt: skip
        try:
            where = sources.at(chosen["source_redshift"])
            box = boxes.Box(side=chosen["side"], box=chosen["box"], steps=chosen["steps"], sources=where)
            every = boxes.universes(box, n_models=chosen["n_models"], n_fiducial=1, seed=1, design=design)
            deepest = cosmology.Cosmology(min(one.omega_m for one in every), 0.8)
            path = {"box": box.box, "steps": box.steps, "source_redshift": chosen["source_redshift"]}
            lens_planes.light_cone(deepest, **path)
            expected = ""
        except ValueError as error:
            expected = str(error).split(" = ")[0]
        seen.add(expected)
        try:
            page_inputs.check({"01_data": demo | chosen})
            found = ""
        except ValueError as error:
            found = str(error).split(" = ")[0].removeprefix("01_data.")
        assert found == expected, chosen
    assert {"", "box"} <= seen


def test_the_farthest_galaxies_and_the_networks_are_those_of_the_science():
    import jax

    from wlbook.network import architectures
    from wlbook.simulation import cosmology, sources

    assert sources.smail().redshift.max() == pytest.approx(page_inputs._FARTHEST)
    assert cosmology.DESIGN_RANGE[0][0] == page_inputs._LOWEST and cosmology.FIDUCIAL[0] == page_inputs._FIDUCIAL
    assert {name: centre[0] for name, centre in cosmology.CENTRES.items()} == page_inputs._CENTRES
    assert cosmology.CONCENTRATION == page_inputs._CONCENTRATION
    assert {name: one.widest for name, one in architectures.NETWORKS.items()} == {
        name: widest for name, (widest, _) in page_inputs._NETWORKS.items()
    }
    for name, (_, fewest) in page_inputs._NETWORKS.items():
        made = architectures.Architecture(name, {"width": 2})
        assert made.build(bins=1, outputs=2, pixels=fewest, key=jax.random.key(0)).smallest <= fewest
        with pytest.raises(ValueError, match="pixels"):
            small = made.build(bins=1, outputs=2, pixels=fewest - 1, key=jax.random.key(0))
            small(np.zeros((1, fewest - 1, fewest - 1), np.float32))


def test_seeds_beyond_32_bits_would_repeat_those_below():
    import jax

    low, high = (jax.random.key_data(jax.random.key(seed)).tolist() for seed in (3, 3 + 2**32))
    assert low == high


@pytest.mark.parametrize(("share", "radius"), [(0.5, 1e-3), (0.1, 1e-300), (0.899, 5e-324)])
def test_random_holes_refuse_an_absurd_number_of_them(share, radius):
    from wlbook.common import random as keys
    from wlbook.simulation import survey

    with pytest.raises(ValueError, match="asks for more than 100,000 holes"):
        survey.random_holes(64, pixel=3.0, share=share, radius=radius, key=keys.key(1))


def test_the_number_of_holes_is_what_covers_the_share():
    holes = mask_names.Holes(0.2, 3.0)
    assert holes.number(64.0) == round(-np.log(0.8) * 70**2 / (np.pi * 9))


# Prices.


def test_boxes_that_cannot_fit_into_memory_are_refused_with_both_numbers():
    demo = runs.resolve("demo", {})["01_data"]
    with pytest.raises(ValueError, match=r"^01_data.particles = 1024: boxes of 1,024\^3 .* least 301 GB .*, 16 GB are"):
        prices.of_maps(demo | {"particles": 1024}, ladder=False, memory=16e9)
    with pytest.raises(
        ValueError, match=r"^01_data.finest = 1024: boxes of 1,024\^3 .* 301 GB of memory, 100 GB are th"
    ):
        prices.of_maps(demo | {"particles": 512, "finest": 1024}, ladder=True, memory=100e9)
    with pytest.raises(
        ValueError, match=r"^01_data.n_maps: 52 boxes with n_maps = 4096 of pixels = 1024 need 1,787 GB"
    ):
        prices.of_maps(demo | {"n_maps": 4096, "pixels": 1024}, ladder=False, memory=16e9)


def test_only_days_are_told_and_only_where_they_can_be_known():
    demo, paper = (runs.resolve(name, {})["01_data"] for name in ("demo", "paper"))
    assert prices.of_maps(demo, ladder=True, memory=4e9) is None
    assert prices.of_maps(paper, ladder=True, memory=200e9, gpu=True) is None
    line = prices.of_maps(paper | {"steps": 200}, ladder=False, memory=200e9)
    # 200 boxes, 200 steps, 256^3 particles, 0.41 microseconds each: 3.2 days
    assert line is not None and "200 boxes of 256^3 particles in 200 steps take some 3 days on two cores" in line


def test_memory_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(prices, "_memory", lambda: 1e9)
    result = CliRunner().invoke(app, ["run", "01_data", "-p", "particles=256"])
    assert result.exit_code == 2 and "need at least 5 GB of memory, 1 GB are there" in result.stderr


# Words.


def test_long_and_odd_values_are_shown_short():
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    bomb: Any = ["x"] * 9
    for _ in range(12):
        bomb = [bomb] * 9
    for value in ("n" * 5000, list(range(5000)), {1: deep}, deep, bomb, 10**5000, [10**5000], BYTES, "a\nb", 1e300):
        assert len(wording.shown(value)) <= 60 and wording.shown(value).isprintable()
    assert wording.shown([1, "a"]) == "[1, 'a']"
    assert wording.listed(["a", "b"]) == "a, b" and wording.listed([]) == "none"
    assert wording.listed(["abc"] * 5, most=10) == "abc, abc and 3 more"


# All at once.


def odd_value(draw: random.Random, parameter: Parameter) -> Any:
    """A value of a kind that somebody may give: right, at an edge, of another kind, or nonsense."""
    numbers = [float(one) for one in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", parameter.allowed)] or [1.0]
    edge = draw.choice(numbers)
    edges = [edge, edge + 1, edge - 1, int(edge), int(edge) + 1, np.nextafter(edge, 9e99).item(), edge * 1e-9]
    far = [0, -1, 2**31, 2**32, 2**63, 2**64, 10**30, 10**400, 10**5000, 5e-324, 1e308, float("nan"), float("inf")]
    deep: Any = 1
    for _ in range(draw.choice([3, 90, 400])):
        deep = [deep]
    kinds: list[Any] = [True, None, "", [], {}, [[]], [None], deep, {"a": [1]}, "n" * 5000, "\N{TELESCOPE}", "a\nb\tc"]
    texts = [
        "holes:2:2", "holes:0.5:1e-12", "holes:::", "/dev/zero", "/dev/null", "..", "/", "~", "~nobody/x", "x.fits[1]",
        "{[]:1}", "{{}}", "-" * 3000 + "1", "[" * 3000, "(" * 150 + ")" * 150, "0x" + "f" * 5000, "9" * 5000, "1if 2",
        "__import__('os').getcwd()", "lambda: 1", BYTES, "\0", "\x1b[31m", "a;b", "%s", "nan", "inf", "-inf", "1e999",
        "1_000", "0b1", "010", "1j", "b'a'", "...", "None", "{1}", "[1,", "'", '"', "''", "\N{ARABIC-INDIC DIGIT ONE}",
        '["peaks"]', '["low_pass:1000+"]', '["low_pass:1e400"]', '["nonsense"]', '["coarsen:' + "9" * 5000 + '"]',
        "[[]]",
        '["single_bin:99"]', '["' + "+" * 3000 + '"]', '["low_pass:10Mpc/h@' + "1," * 2000 + '"]',
        '["mask_holes:0.5:1e-99"]',
    ]  # fmt: skip
    words = re.findall(r'"([^"]*)"', parameter.allowed)
    return draw.choice(draw.choice([[parameter.default], edges, edges, far, kinds, texts, texts, words or [1]]))


def odd_set(draw: random.Random, book: dict[str, chapters.Chapter], folder: Any) -> tuple[str, list[str], str | None]:
    """A profile, settings, and a chapter or none; a quarter of the sets are profiles, a few of them no YAML."""
    having = [name for name in book if book[name].parameters]
    chosen: dict[str, dict[str, Any]] = {}
    for _ in range(draw.randint(1, 3)):
        name = draw.choice(having)
        parameter = draw.choice(list(book[name].parameters.values()))
        key = parameter.name
        if draw.random() < 0.05:
            key = draw.choice(["", "n" * 5000, key[:-1], "\N{TELESCOPE}"])
        chosen.setdefault(name, {})[key] = odd_value(draw, parameter)
    chapter = draw.choice([None, None, *having])
    if draw.random() > 0.25:
        settings = [f"{page}.{name}={text_of(value)}" for page in chosen for name, value in chosen[page].items()]
        return "demo", settings, chapter
    path = folder / f"{draw.randrange(10**9)}.yml"
    profile: Any = chosen
    if draw.random() < 0.2:
        odd = {1: chosen}, {"shared": chosen}, {"01_data": []}, {"01_data": {None: 1}}, {"x": {}}
        profile = draw.choice([[], 3, *odd])
    try:
        text = yaml.safe_dump(profile, allow_unicode=True)
        path.write_bytes(text.encode("utf-16" if draw.random() < 0.05 else "utf-8"))
    except (RecursionError, ValueError, yaml.YAMLError):  # what cannot be written as YAML is given as bytes
        path.write_bytes(draw.randbytes(200))
    return str(path), [], chapter


def text_of(value: Any) -> str:
    try:
        return value if isinstance(value, str) else repr(value)
    except ValueError:  # too many digits
        return hex(value)


def test_every_set_is_a_run_or_one_line_that_names_an_argument(tmp_path):
    draw, counts = random.Random(1), {"accepted": 0, "refused": 0}
    longest, book = "", {name: chapters.read(name) for name in chapters.names()}
    for number in range(SETS):
        profile, settings, chapter = odd_set(draw, book, tmp_path)
        told = f"set {number}: {profile} {wording.clipped(' '.join(settings), 400)} {chapter}"
        try:
            run = runs.plan(profile, settings, chapter=chapter)
        except ValueError as error:
            line = str(error)
            assert type(error) is ValueError and "\n" not in line and len(line) <= 300, f"{told}: {line}"
            named = any(name in line for name in (*book, "-p ", "unknown ", "profile "))
            allowed = any(word in line for word in ("must", "there is", "YAML", "prints", "cannot be read as Python"))
            assert named and allowed, f"{told}: {line}"
            longest = max(longest, line, key=len)
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{told}: {type(error).__name__}") from error
        else:
            assert isinstance(run, runs.Run) and len(run.name.encode()) < 128, told
            counts["accepted"] += 1
    print(f"{SETS} sets: {counts}; the longest line has {len(longest)} characters: {longest}")
    assert min(counts.values()) > SETS / 20
