"""What the chapter on certified training shows: from planted tables, and with nothing at hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib import data, measurements, runs, sweeps
from lib.base import paths
from lib.base.errors import InputError
from lib.book import certified, figures
from lib.book.certified import networks as certified_networks
from lib.book.grid import Parameters
from lib.measurements import per_image
from lib.measurements.certificate import shares
from lib.papers import singleprop
from lib.papers.singleprop import method
from lib.training.training import Training, labels

WAYS = ("plain", "adversarial-2", "ibp-2", "singleprop-zero-2", "singleprop-fastlin-2")
RADIUS = 2 / 255


@pytest.fixture(scope="module")
def images():
    return data.load("digits", "test").first(8)


def training(way: str, seed: int = 0) -> Training:
    return Training("digits", "cnn-small", recipe="certified", variant=way, seed=seed)


def proofs(images, proven: dict[str, list[int]], *, larger: bool = False) -> pd.DataFrame:
    """A `certificate` table: the images that are certified by way of training, all right and standing."""
    rows = []
    for way, some in proven.items():
        right = torch.zeros(len(images), dtype=torch.bool)
        right[some] = True
        every = torch.ones(len(images), dtype=torch.bool)
        parts = [("clean", 0.0, every), ("pgd", RADIUS, every), ("interval", RADIUS, right)]
        parts += [("larger", RADIUS, every)] if larger else []
        for how, epsilon, bits in parts:
            rows.append(labels(training(way)) | per_image.row(bits, images, method=how, epsilon=epsilon))
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("text", "value"), [("2/255", 2 / 255), ("0.01", 0.01), ("0", 0.0), (0.5, 0.5), ("1/1", 1.0)]
)
def test_radius(text, value):
    assert certified.radius(text) == value


@pytest.mark.parametrize("text", ["-1/255", "2/0", "two", "", "nan", "1.5", True, None])
def test_bad_radius(text):
    with pytest.raises(InputError, match="'epsilon' must be a radius in .0, 1., such as '2/255', got "):
        certified.radius(text)


def test_grid():
    assert certified.on_grid(2 / 255) and certified.on_grid(2 / 255 + 1e-10)
    assert not certified.on_grid(3 / 255)


def radii_of(images, table: pd.DataFrame, radii: list[float]) -> pd.DataFrame:
    """A `certified_radius` table of the networks of another table, all with the same radii."""
    keys = table[list(labels(training("plain")))].drop_duplicates().to_dict("records")
    rows = [
        key | {"class": "0", "correct": radius >= 0, "radius": max(radius, 0.0)}
        for key in keys
        for radius in radii
    ]
    return pd.DataFrame(rows)


def test_a_radius_between_those_of_the_table_is_read_off_the_images_own(images):
    """Of eight images, one is wrong and one certified nowhere; PGD is bounded by the next smaller radius."""
    table = proofs(images, {"ibp-2": [0, 1], "plain": []})
    larger = table[table.epsilon > 0].assign(epsilon=4 / 255)
    broken = torch.arange(len(images)) < 3
    larger.loc[larger.method == "pgd", "right"] = [per_image.row(broken, images)["right"]] * 2
    table = pd.concat([table, larger], ignore_index=True)
    right = torch.arange(len(images)) != 1
    table.loc[table.method == "clean", "right"] = [per_image.row(right, images)["right"]] * 2
    own = radii_of(images, table, [0.0, -1.0, 1 / 255, 2.5 / 255, 3 / 255, 3.5 / 255, 5 / 255, 6 / 255])
    found = certified.at_radius(table, own, 3 / 255)
    rows = certified.accuracies(found, pd.DataFrame(), 3 / 255).set_index("variant")
    assert rows.certified["ibp-2"] == rows.certified["plain"] == 4 / 8
    assert rows.attacked["ibp-2"] == 1.0  # all stand at 2/255, and three of eight at 4/255
    further = certified.accuracies(certified.at_radius(table, own, 5 / 255), pd.DataFrame(), 5 / 255)
    assert further.attacked.tolist() == [3 / 8] * 2 and further.certified.tolist() == [2 / 8] * 2
    # at 0 every image that is right, and no other
    least = certified.accuracies(certified.at_radius(table, own, 0.0), pd.DataFrame(), 0.0)
    assert least.certified.tolist() == [7 / 8] * 2 and least.attacked.tolist() == [7 / 8] * 2
    # a network without radii gets no row; radii of other images are refused
    part = certified.at_radius(table, own[own.variant == "plain"], 3 / 255)
    assert part[part.epsilon == 3 / 255].variant.tolist() == ["plain", "plain"]
    for other in (own.groupby("variant").head(4), own.assign(correct=True)):
        with pytest.raises(InputError, match="are not about the same images"):
            certified.at_radius(table, other, 3 / 255)
    # what the table has is not read off, and without radii there is nothing to read
    assert certified.at_radius(table, own, 4 / 255) is table
    assert certified.at_radius(table, pd.DataFrame(), 3 / 255) is table
    assert "3/255" in certified.by_radius(found) and "3/255" not in certified.by_radius(table)


def test_what_radii_say_agrees_with_the_published_table():
    """At each radius of the table, of every published network of the digits."""
    asked = [training(way, seed) for way in WAYS for seed in (0, 1, 2)]
    table, radii = runs.table("certificate", asked), runs.table("certified_radius", asked)
    keys = list(labels(asked[0]))
    for key, own in radii.groupby(keys):
        rows = table[(table[keys] == list(key)).all(axis=1) & (table.method == "interval")]
        for one in rows.to_dict("records"):
            proven, said = per_image.unpacked(one), (own.radius >= one["epsilon"] * (1 - 1e-12)).to_numpy()
            assert (proven == said).all(), (key, one["epsilon"])


def test_accuracies_and_what_two_networks_certify_together(images):
    table = proofs(images, {"ibp-2": [0, 1, 2], "singleprop-fastlin-2": [2, 3], "plain": []})
    bounded = proofs(images.first(4), {"ibp-2": [0]}, larger=True)
    found = certified.accuracies(table, bounded, RADIUS).set_index("variant")
    assert found.certified.to_dict() == {"ibp-2": 3 / 8, "singleprop-fastlin-2": 2 / 8, "plain": 0.0}
    assert found.attacked.eq(1).all()
    assert found.certified_by_any["singleprop-fastlin-2"] == 4 / 8
    assert found.certified_by_any.drop("singleprop-fastlin-2").isna().all()
    assert (found.certified_few["ibp-2"], found.certified_larger["ibp-2"]) == (1 / 4, 1.0)
    elsewhere = certified.accuracies(table, pd.DataFrame(), 5 / 255)
    assert {"certified", "attacked"} <= set(elsewhere) and elsewhere.certified.isna().all()
    assert certified.accuracies(pd.DataFrame(), pd.DataFrame(), RADIUS).empty


def test_by_radius(images):
    table = proofs(images, {"ibp-2": [0, 1, 2], "plain": []})
    other = table[table.variant == "ibp-2"].assign(seed=1)
    found = certified.by_radius(pd.concat([table, other])).set_index("training")["2/255"]
    assert found.to_dict() == {"IBP, ε = 2/255": "37.5 ± 0.0", "plain": "0.0"}


def units(way: str) -> pd.DataFrame:
    """A `half_width` table of two layers of three units."""
    rows = [
        {
            "layer": f"relu{depth}",
            "depth": depth,
            "unit": unit,
            "radius": 1.0,
            "zero": 1.0,
            "fastlin": unit + 1.0,
            "centre_error": 0.5 * depth,
            "unstable": 0.2 * depth,
            "covered_zero": 0.9 if depth == 1 else 0.1,
            "covered_fastlin": 0.8,
        }
        for depth in (1, 2)
        for unit in range(4)
    ]
    return pd.DataFrame(rows).assign(**labels(training(way)))


def test_inside():
    table = units("ibp-2")
    selective = table[["layer", "depth", "unit"]].assign(
        selectivity=-table.unit.astype(float), dead=table.unit == 3, **labels(training("ibp-2"))
    )
    found = certified.inside(table, selective).iloc[0]
    wanted = {
        "unstable": 0.3,  # mean over layers
        "relative_centre_error": 0.375,  # 0.5 and 1 of an interval of 2
        "uncovered_zero": 0.1,  # of the first layer
        "uncovered_fastlin": 0.2,
        "width_and_selectivity": -1.0,
    }
    assert found[list(wanted)].to_dict() == pytest.approx(wanted)
    assert "width_and_selectivity" not in certified.inside(table, pd.DataFrame())
    assert certified.inside(pd.DataFrame(), pd.DataFrame()).empty


def test_a_network_that_two_tables_have_counts_once():
    """As where α = 1 is asked for and the table over α has it too; a claim over α then has each of them once."""
    rows = pd.DataFrame([
        labels(training("singleprop-fastlin-2"))
        | {"alpha": alpha, "certified": 0.3 + alpha / 100, "clean_accuracy": 0.5, "mean_selectivity": 0.4}
        for alpha in (-1.0, 0.0, 1.0)
    ])
    found = certified.together(rows, pd.DataFrame(), rows[rows.alpha == 1].assign(certified=0.9))
    pd.testing.assert_frame_equal(found, rows)
    decided = {one.claim.id: one for one in singleprop.verdicts(found)}
    assert decided["SP-X3"].seeds == 1


def test_figures_show_networks_that_have_proofs():
    rows = pd.DataFrame({"alpha": [0.0, 0.0, 1.0], "certified": [0.4, np.nan, 0.5]})
    assert certified.shown(rows).index.tolist() == [0]


def test_the_headline_is_about_seeds_that_have_all_three():
    rows = pd.DataFrame({
        "variant": [*WAYS, *WAYS[:3]],
        "alpha": 0.0,
        "epochs": 28,
        "seed": [0] * 5 + [1] * 3,
        "certified": [0.001, 0.1, 0.4, 0.3, 0.351, 0.9, 0.9, 0.9],
    })
    assert certified.headline(rows, "digits", RADIUS) == (
        "Within 2/255, interval bounds prove 35.1 % of the test images of digits for networks trained by "
        "SingleProp (fastlin), 40.0 % for IBP, and 0.1 % for plain ones (one seed)."
    )
    two = pd.concat([rows, rows[rows.variant == WAYS[4]].assign(seed=1, certified=0.4)])
    said = certified.headline(two, "digits", 3 / 255)
    assert "Within 3/255" in said and "prove 37.5 %" in said and "(mean over seeds)" in said
    assert certified.headline(rows[rows.variant != "ibp-2"], "digits", RADIUS) == ""
    assert certified.headline(rows.drop(columns="certified"), "digits", RADIUS) == ""


def test_networks_that_are_watched(monkeypatch):
    asked = [training(way, seed) for way in WAYS for seed in (2, 1)]
    first, second = (
        [training(way, seed) for way in ("plain", "ibp-2", "singleprop-fastlin-2")] for seed in (1, 2)
    )
    monkeypatch.setattr(certified_networks, "_was_followed", lambda one, epochs, more: False)
    assert certified.watched(asked, (0, 1)) == first
    # the seed of which all were looked at along their training, if there is one
    monkeypatch.setattr(certified_networks, "_was_followed", lambda one, epochs, more: one.seed == 2)
    assert certified.watched(asked, (0, 1)) == second
    monkeypatch.setattr(certified_networks, "_was_followed", lambda one, epochs, more: one.variant != "plain")
    assert certified.watched(asked, (0, 1)) == first
    # with no network at α = 0 there is none
    assert certified.watched([replace(one, alpha=1.0) for one in asked], (0, 1)) == []


def test_a_cached_network_is_not_trained_again_to_be_looked_at(monkeypatch):
    """What lacks its snapshots is left out; what is missing altogether is looked at as it is trained."""
    asked, made = [training("plain", seed) for seed in (0, 1, 2)], []
    monkeypatch.setattr(
        certified_networks.runs, "missing", lambda some: [one for one in some if one.seed == 2]
    )
    monkeypatch.setattr(certified_networks, "_was_followed", lambda one, epochs, more: one.seed == 1)
    monkeypatch.setattr(
        certified_networks.runs,
        "snapshots",
        lambda name, some, epochs: made.append([one.seed for one in some]) or pd.DataFrame({"a": [1]}),
    )
    certified.along(asked, (0, 1), make=True)
    certified.along(asked, (0, 1), make=False)
    assert made == [[1, 2], [1]]
    assert certified.along(asked[:1], (0, 1), make=True).empty and len(made) == 2


def test_how_often_the_estimate_covers_the_logits(images):
    rows = []
    for rule, held in (("zero", [0]), ("fastlin", [0, 1, 2, 3])):
        right = torch.zeros(len(images), dtype=torch.bool)
        right[held] = True
        facts = {"method": f"covered-{rule}", "epsilon": RADIUS}
        rows.append(labels(training("ibp-2")) | per_image.row(right, images, **facts))
    table = pd.concat([proofs(images, {"ibp-2": [0], "plain": []}), pd.DataFrame(rows)])
    found = certified.covered(pd.concat([table, table.assign(alpha=1.0)]), RADIUS).set_index("training")
    assert found.loc["IBP, ε = 2/255"].to_dict() == {"zero": "12.5", "fastlin": "50.0"}
    assert found.loc["plain"].to_dict() == {"zero": "–", "fastlin": "–"}
    assert certified.covered(pd.DataFrame(), RADIUS).empty and certified.covered(table, 0.3).empty


def test_what_two_networks_certify_together_with_and_without_the_filter(images):
    """Eight images, all right but the first for SingleProp, which IBP certifies."""
    table = proofs(images, {"ibp-2": [0, 1, 2], "singleprop-fastlin-2": [2, 3], "plain": [4]})
    wrong = torch.arange(len(images)) > 0
    clean = (table.variant == "singleprop-fastlin-2") & (table.method == "clean")
    table.loc[clean, "right"] = [per_image.row(wrong, images)["right"]]
    alone = proofs(images, {"ibp-2": [0]}).assign(seed=1)  # with no network beside it
    found = certified.jointly(pd.concat([table, alone, table.assign(alpha=1.0)]), RADIUS)
    assert found.to_dict("records") == [
        {"seed": "0", "IBP": "37.5", "SingleProp": "25.0", "either": "50.0", "either, both right": "37.5"}
    ]
    assert certified.jointly(pd.DataFrame(), RADIUS).empty and certified.jointly(table, 0.3).empty


def test_nothing_at_hand_says_how_to_make_it(own_store, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    asked = [training(way) for way in WAYS]
    for name in ("certificate", "half_width"):
        assert certified.found(name, asked, make=False).empty
    assert certified.along(asked, (0, 1), make=False).empty and certified.extra(asked, RADIUS).empty
    said = certified.missing(asked)
    assert said.startswith("0 of 5 networks are cached")
    assert (
        "`python -m lib train --dataset digits --model cnn-small --alpha=0.0 --seed 0 --recipe certified`"
        in said
    )
    rows = certified.summary(asked, pd.DataFrame(), make=False)
    assert len(rows) == 5 and rows.clean_accuracy.isna().all()
    # and what needs no network is decided all the same
    here = Parameters("digits", "cnn-small", (0.0,), (0,), "certified", variants=WAYS)
    verdicts = certified.on_digits(here, RADIUS).set_index("id").verdict
    assert verdicts["SP-4"] == "reproduced" and verdicts["SP-1"] == "not tested"
    assert certified.gathered(here, RADIUS, make=False).summary.clean_accuracy.isna().all()


def test_what_claims_read_of_the_published_networks(monkeypatch):
    """By another way than the chapter's: SP-1 and SP-10 from the accuracies of the digits' own tables."""
    monkeypatch.setenv("RUNS_FROZEN", "1")
    here = Parameters("cifar10", "cnn-small", (0.0,), (0, 1), "certified", variants=WAYS)
    found = certified.on_digits(here, RADIUS).set_index("id")
    asked = [training(way, seed) for way in WAYS for seed in (0, 1, 2)]
    table = shares(runs.table("certificate", asked))
    table = table[(table.method == "interval") & ((table.epsilon - RADIUS).abs() < 1e-6)]
    wide = 100 * table.pivot(index="seed", columns="variant", values="accuracy")
    by = {"SP-1": wide["singleprop-fastlin-2"] - wide["ibp-2"] + 3}
    by["SP-10"] = wide["singleprop-fastlin-2"] - wide["singleprop-zero-2"]
    for name, values in by.items():
        assert found.ours[name].startswith(f"{values.mean():+.3g} points"), (found.ours[name], values)


def test_further_networks_are_of_the_first_seed_and_keep_the_radius():
    here = Parameters("digits", "cnn-small", (0.0,), (3, 4), "certified", variants=WAYS)
    crossed, weighted = certified.with_alphas(here), certified.with_adaptive_weight(here)
    assert crossed.seeds == (3,) and crossed.variants == ("plain", "singleprop-fastlin-2")
    assert len(crossed.trainings) == 10 and weighted.seeds == (3, 4)
    assert weighted.variants == ("ibp-2-ada", "singleprop-fastlin-2-ada")
    assert certified.epochs_seen(training("plain"))[-1] == training("plain").settings.epochs


def test_how_long_networks_were_trained(tmp_path, monkeypatch):
    asked = [training("plain", seed) for seed in (0, 1, 2, 99)]  # the last is not cached
    found = [json.loads((paths.ROOT / "runs" / one.name / "config.json").read_text()) for one in asked[:3]]
    seconds = sum(one["result"]["seconds"] for one in found)
    assert certified.took(asked) == f"{seconds:.0f} seconds for 3 networks, one core each"
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    assert certified.took(asked) == "no time yet"


def test_passes_are_counted():
    assert certified.passes() == {"plain": 1, "singleprop": 2, "ibp": 3, "pgd": 9}


def test_memory_is_that_of_images():
    """SingleProp keeps more than a plain step and less than interval bounds; as often counted, as much."""
    found = certified.kept("cnn-small")
    assert found["plain"] < found["singleprop"] < found["ibp"]
    assert found["pgd"] == pytest.approx(2 * found["plain"], rel=0.1)  # the images' own pass and the attacked
    assert certified.kept("cnn-small") == found
    # two ReLU layers of 16 x 16 places and 16 and 32 channels, and little else
    assert 0.05 < found["plain"] < 0.15


def test_rules_are_what_lines_give(monkeypatch):
    assert certified.difference(1000) < 1e-12
    monkeypatch.setattr("lib.book.certified.cost.half_width", lambda z, v, rule: v)
    assert certified.difference(1000) > 0.1


def test_benchmark_rows(tmp_path, monkeypatch):
    assert certified.steps("benchmarks/no-such.json") == []
    rows = [
        {"name": "certified-small", "ratio": 1.5, "low": 1.4, "high": 1.6},
        {"name": "certified-large", "ratio": None, "low": None, "high": None},
        {"name": "fgsm", "ratio": 2.0, "low": 1.0, "high": 3.0},
    ]
    (tmp_path / "rows.json").write_text(pd.Series(rows).to_json(orient="values"), encoding="utf-8")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert [one["name"] for one in certified.steps("rows.json")] == ["certified-small"]


def test_the_sweep_makes_the_tables_that_the_chapter_reads():
    asked = sweeps.read(paths.ROOT / "sweeps" / "singleprop.yml")
    made = {one.file for one in asked.measurements}
    wanted = [("certificate", {}), ("certificate", certified.LINEAR), ("half_width", {}), ("corruption", {})]
    assert {measurements.file_name(name, settings) for name, settings in wanted} <= made
    assert [one.variant for one in asked.trainings[::3]] == list(WAYS)


def test_figures(images):
    figures.setup()
    table = proofs(images, dict(zip(WAYS, ([], [0], [0, 1], [2], [0, 1, 2]), strict=True)))
    rows = shares(table).assign(kind=table.method, method=table.variant.map(method))
    drawn = figures.accuracy_by_radius(rows)
    solid = [line for line in drawn.axes[0].lines if line.get_linestyle() == "-"]
    # from clean accuracy to what is certified
    ends = sorted(tuple(np.round(line.get_ydata(), 1)) for line in solid)
    assert ends == [(100.0, 0.0), (100.0, 12.5), (100.0, 12.5), (100.0, 25.0), (100.0, 37.5)]
    assert len(drawn.axes[0].collections) == 5  # a shaded gap each
    both = pd.concat([units("plain"), units("ibp-2")])
    means = certified.order(both.assign(epoch=0)).groupby(["method", "epoch", "depth"])[
        ["radius", "unstable"]
    ].mean().reset_index()  # fmt: skip
    panels = {"radius": "radius", "unstable": "unstable"}
    assert len(figures.half_widths(means, panels).axes[0].lines) == 2  # a method each
    along = pd.concat([means, means.assign(epoch=1)])
    assert len(figures.half_widths(along, panels).axes[0].lines) == 4  # a layer of a method each
    four = pd.DataFrame({"method": ["plain", "ibp"], "clean": [0.9, 0.5], "certified": [0.0, 0.4]})
    assert len(figures.four_accuracies(four, {"clean": "clean", "certified": "certified"}).axes) == 2


def test_the_unit_that_is_drawn_is_the_protocols():
    """z = 0.3, v = 1: short by (v - |z|) / 2 = 0.35 under zero and by (v - |z|)^2 / 4v = 0.1225 under fastlin."""
    figures.setup()
    said = [text.get_text() for text in figures.one_unit().axes[1].texts]
    assert said == ["0.35 short", "0.12 short"]


def test_order():
    rows = certified.order(pd.DataFrame({"variant": list(WAYS[::-1]), "alpha": 0.0, "seed": 0}))
    assert rows.variant.tolist() == list(WAYS)
    assert certified.labels([training("ibp-2")]) == "IBP, ε = 2/255"


def test_a_method_in_two_balls_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    mixed = ("plain", "ibp-2", "singleprop-fastlin-2", "ibp-8")
    here = Parameters("digits", "cnn-small", (0.0,), (0,), "certified", variants=mixed)
    for ask in (certified.one_radius, lambda here: certified.wanted(here, RADIUS)):
        with pytest.raises(
            InputError, match="has ibp-2 and ibp-8, and claims compare networks of one radius"
        ):
            ask(here)
    alike = replace(here, variants=("plain", "ibp-2", "adversarial-2", "singleprop-zero-2"))
    assert certified.one_radius(alike) is alike
    assert certified.trained_radius(alike) == RADIUS and certified.inside_settings(alike) == {}
    wider = replace(here, variants=("plain", "ibp-8"))
    assert certified.inside_settings(wider) == {"epsilon": pytest.approx(8 / 255)}
    assert certified.trained_radius(replace(here, variants=("plain",))) == 0.0
    # of two methods too, and ways that no figure here can show
    with pytest.raises(InputError, match="has ibp-2 and singleprop-fastlin-8"):
        certified.one_radius(replace(here, variants=("ibp-2", "singleprop-fastlin-8")))
    for name in ("augmix", "pgd-1", "ibp-2-ada"):
        with pytest.raises(InputError, match=f"has '{name}', which this chapter does not compare"):
            certified.one_radius(replace(here, variants=("plain", name)))


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 3 / 255, 8 / 255, 1.0])
def test_any_radius_gives_a_result(epsilon, monkeypatch):
    """At a radius that the networks were not trained for, what is certified is shown and decides nothing."""
    monkeypatch.setenv("RUNS_FROZEN", "1")
    here = Parameters("digits", "cnn-small", (0.0,), (0, 1, 2), "certified", variants=WAYS)
    own = certified.gathered(here, epsilon)
    rows = certified.shown(own.summary)
    assert len(rows) == 15 and rows.certified.between(0, rows.clean_accuracy).all()
    assert (rows.certified <= rows.attacked + 0.02).all()  # of more images than were attacked
    if epsilon == 0:
        assert rows.certified.equals(rows.clean_accuracy)
    found = certified.ledger(own.asked, here, epsilon).set_index("id")
    assert set(found.verdict[["SP-1", "SP-7", "SP-10", "SP-X3"]]) == {"not tested"}
    assert found.verdict["SP-5"] == "reproduced" and len(certified.by_radius(own.there)) == 5


@pytest.mark.parametrize("way", ["ibp-256", "ibp-999", "singleprop-zero-300.5", "adversarial-255.1"])
def test_a_radius_beyond_all_pixels_is_refused(way):
    with pytest.raises(
        InputError, match=r"has the radius [\d.]+/255, and pixels lie in \[0, 1\]: at most 255"
    ):
        training(way)
    assert training("ibp-255").variant_settings.epsilon == 1


@pytest.mark.parametrize("way", ["pgd-3-linf-300.5", "trades-6-3-linf-256", "weighted-3-linf-256"])
def test_so_it_is_in_other_ways_of_training(way):
    with pytest.raises(InputError, match="at most 255"):
        Training("digits", "resnet8", variant=way)
    assert Training("digits", "resnet8", variant="l2-pgd-3-2").variant_settings.epsilon == 2


@pytest.mark.parametrize(("ours", "most"), [(1.5, True), (1.1, False)])
def test_what_plain_code_says_of_the_ratio(ours, most, tmp_path, monkeypatch):
    """Of SingleProp and IBP written layer by layer; who gains from it hangs on the numbers."""
    monkeypatch.setattr("lib.book.certified.cost.paths.ROOT", tmp_path)
    assert certified.in_plain_code("rows.json") == ""
    plain = {"certified-plain-singleprop": 40.0, "certified-plain-ibp": 44.0}
    rows = [{"name": name, "peer": peer, "ratio": 1.0} for name, peer in plain.items()]
    rows += [{"name": "certified-small", "peer": 1.0, "ratio": ours}]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    said = certified.in_plain_code("rows.json")
    assert "takes 1.10 times as long" in said and ("most of our ratio" in said) == most


def test_singleprops_step_stands_beside_those_of_both_others(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.book.certified.cost.paths.ROOT", tmp_path)
    assert certified.beside("rows.json").empty
    usual = {
        "ours": 25.0,
        "peer": 50.0,
        "ratio": 2.0,
        "low": 1.8,
        "high": 2.25,
        "machine": "a machine",
        "date": "today",
    }
    rows = [
        usual | {"name": "certified-small", "ours_mib": 46.3, "peer_mib": 65.0},
        usual | {"name": "certified-pgd-large"},
        usual | {"name": "certified-plain-ibp"},
        usual | {"name": "certified-large", "ratio": None},
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    found = certified.beside("rows.json")
    assert list(zip(found.network, found.beside, strict=True)) == [
        ("cnn-small", "IBP"),
        ("cnn-large", "PGD, 7 steps"),
    ]
    assert found.ratio[0] == "2.00 (1.80 to 2.25)" and found["MiB at most"].tolist() == ["46 and 65", ""]
    assert set(found["timed on"]) == {"a machine, today"}
