"""Tables of dimensions and of input-unit gradients: against plain computation; from tables to curves and
claims, on planted tables.
"""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from lib import attacks, corruptions, measurements, models, papers, runs
from lib.base.errors import InputError
from lib.base.text import number
from lib.book import tables
from lib.data.images import Images
from lib.dimensionality import twonn
from lib.gradients import input_unit_gradients
from lib.measurements.dimensionality import dimensionality
from lib.measurements.gradient import gradient as gradient_gradient
from lib.measurements.gradient import variability, with_gradients
from lib.measurements.layers import CHANGES, dimensions, over_live_units, with_dimensions
from lib.measurements.measurement import is_early
from lib.papers import first_round, first_statistics
from lib.papers.statistics import t_interval
from lib.runs.tables import _label
from lib.training.training import LABELS, Training

LIMIT, SPLIT = 40, 70
CELLS = [("contrast", 1), ("contrast", 5), ("gaussian_noise", 1), ("gaussian_noise", 5)]
LAYERS = ["relu", *(f"layer{stage}.0.relu{place}" for stage in (1, 2, 3) for place in (1, 2))]
WIDTHS = [8, 8, 8, 16, 16, 32, 32]
HERE = Training("digits", "resnet8", 0.0, 0, "fast")
DEAD_LAYER, DEAD_UNIT = "layer1.0.relu1", ("layer2.0.relu1", 3)


def labelled(table: pd.DataFrame, training: Training = HERE) -> pd.DataFrame:
    return _label(table.copy(), training)


@pytest.fixture(scope="module")
def images(digits) -> Images:
    return digits["test"][:SPLIT]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        return runs.load(HERE)


@pytest.fixture(scope="module")
def dying(network) -> torch.nn.Module:
    """An early layer in which nothing fires, and a unit more."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        for norm, units in ((network.layer1[0].bn1, slice(None)), (network.layer2[0].bn1, DEAD_UNIT[1])):
            norm.weight[units] = 0
            norm.bias[units] = -1
    return network


@pytest.fixture(scope="module")
def dead(network) -> torch.nn.Module:
    """Nothing of an image reaches any layer."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        network.bn1.weight.zero_()
        network.bn1.bias.fill_(-1)
    return network


@pytest.fixture(scope="module", autouse=True)
def few_corruptions(tmp_path_factory):
    """Two corruptions at two severities in place of 19 at five, in a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.corruptions.NAMES", tuple(dict.fromkeys(name for name, _ in CELLS)))
        patch.setattr("lib.corruptions.SEVERITIES", tuple(dict.fromkeys(severity for _, severity in CELLS)))
        patch.setenv("LIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def table(network, images) -> pd.DataFrame:
    return dimensionality(network, images, limit=LIMIT, precision="float32")


@pytest.fixture(scope="module")
def selective() -> torch.nn.Module:
    """A network many of whose units fire on some images alone, and some on none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        return runs.load(Training("digits", "resnet8", 2.0, 0, "fast"))


@pytest.fixture(scope="module")
def gradient(selective, images) -> pd.DataFrame:
    return gradient_gradient(selective, images, limit=12, precision="float32")


def activations(network: torch.nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every ReLU averaged over space, in float64, by hooks of our own."""
    found, network = {}, copy.deepcopy(network).double()
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_hook(
                lambda m, i, output, name=name: found.update({name: output.mean(3).mean(2)})
            )
    with torch.no_grad():
        network(x.double())
    return found


def facts(points: torch.Tensor) -> dict[str, float]:
    """Plainly computed from all points at once."""
    from sklearn.decomposition import PCA

    variances = PCA(svd_solver="full").fit(points.numpy()).explained_variance_
    shares = (variances / variances.sum()).cumsum()
    counts = {f"components_{share}": int((shares < share / 100).sum()) + 1 for share in (90, 95, 99)}
    return counts | {
        "participation_ratio": variances.sum() ** 2 / (variances**2).sum(),
        "variance": variances.sum(),
    }


# ---- The table `dimensionality` ----------------------------------------------------------------------------


def test_a_row_for_every_layer_and_change(table):
    names = [
        "change",
        "corruption",
        "severity",
        "layer",
        "depth",
        "units",
        "images",
        "components_90",
        "components_95",
        "components_99",
    ]
    assert list(table) == [*names, "participation_ratio", "variance", "twonn", "points"]
    assert len(table) == 7 * (2 + len(CELLS) + 1)
    for (_, *cell), rows in table.groupby(
        ["change", "images", "corruption", "severity"], dropna=False, sort=False
    ):
        assert (
            rows.layer.tolist() == LAYERS
            and rows.depth.tolist() == list(range(1, 8))
            and rows.units.tolist() == WIDTHS
        ), cell
    cells = table[table.change == "corruption"][["corruption", "severity"]].drop_duplicates()
    assert list(cells.itertuples(index=False, name=None)) == CELLS
    assert table[table.change != "corruption"][["corruption", "severity"]].isna().all(axis=None)
    clean = table[table.change == "none"]
    assert (
        clean.images.value_counts().to_dict() == {SPLIT: 7, LIMIT: 7}
        and (table[table.change != "none"].images == LIMIT).all()
    )
    assert (clean.images == SPLIT).tolist() == clean.twonn.isna().tolist() == clean.points.isna().tolist()
    assert table[table.images == LIMIT].drop(columns=["corruption", "severity"]).notna().all(axis=None)


def test_numbers_are_possible(table):
    most = table[["units", "images"]].min(axis=1)
    assert (table.components_90 <= table.components_95).all() and (
        table.components_95 <= table.components_99
    ).all()
    assert (table.components_90 >= 1).all() and (table.components_99 <= most).all()
    assert (
        (table.participation_ratio >= 1).all()
        and (table.participation_ratio <= most).all()
        and (table.variance > 0).all()
    )
    severe = table[table.corruption == "contrast"].set_index(["severity", "depth"]).variance
    assert (severe[5] > severe[1]).all()
    assert table.components_95.nunique() > 3


@pytest.mark.parametrize("layer", ["relu", "layer2.0.relu1", "layer3.0.relu2"])
@pytest.mark.parametrize("change", ["whole split", "none", "contrast", "gaussian_noise", "attack"])
def test_rows_are_those_of_plain_computation(table, network, images, layer, change):
    some = images if change == "whole split" else images[:LIMIT]
    x = models.to_unit(some.pixels)
    points, row = activations(network, x)[layer], table[(table.layer == layer) & (table.images == len(some))]
    if change in ("whole split", "none"):
        row = row[row.change == "none"]
    elif change == "attack":
        row = row[row.change == "attack"]
        made = attacks.pgd(network, x, some.labels, epsilon=16 / 255, step_size=1e-4, steps=40)
        assert 0 < (made - x).abs().max() <= 40e-4 * (1 + 1e-3)
        points = points - activations(network, made)[layer]
    else:
        row = row[(row.corruption == change) & (row.severity == 5)]
        made = corruptions.corrupted_block(some.pixels, 0, change, 5)
        points = points - activations(network, models.to_unit(made))[layer]
    (row,) = row.to_dict("records")
    expected = facts(points)
    # a change of some thousandths is a difference of two float32 numbers
    assert row["variance"] == pytest.approx(expected["variance"], rel=1e-3)
    assert row["participation_ratio"] == pytest.approx(expected["participation_ratio"], rel=1e-3)
    counts = ["components_90", "components_95", "components_99"]
    assert [row[name] for name in counts] == [expected[name] for name in counts]
    if change != "whole split":
        assert row["points"] == LIMIT and row["twonn"] == pytest.approx(twonn(points), rel=0.02)


@pytest.mark.slow
def test_a_limit_of_the_whole_split_leaves_one_kind_of_clean_rows(network, images, monkeypatch):
    monkeypatch.setattr("lib.corruptions.NAMES", ("contrast",))
    monkeypatch.setattr("lib.corruptions.SEVERITIES", (5,))
    few = images[:8]
    every, eight, more = (
        dimensionality(network, few, limit=limit, precision="float32") for limit in (0, 8, 500)
    )
    assert every.equals(eight) and every.equals(more)
    assert len(every) == 7 * 3 and (every.images == 8).all() and every.twonn.notna().all()
    summary = with_dimensions(networks([0.0], 1), labelled(every, Training(**network_labels(0.0, 0)))).iloc[0]
    assert summary.dimension_clean == summary.dimension_same > 0


@pytest.mark.parametrize("limit", [-1, 2.0, True, "10", None])
@pytest.mark.parametrize("name", ["dimensionality", "gradient"])
def test_a_limit_is_a_number_of_images(network, images, name, limit):
    with pytest.raises(InputError, match="limit is a number of images, 0 for all of them, got"):
        measurements.MEASUREMENTS[name].function(network, images, limit=limit, precision="float32")


@pytest.mark.parametrize("name", ["dimensionality", "gradient"])
def test_what_cannot_be_measured(network, images, name):
    measure = measurements.MEASUREMENTS[name].function
    with pytest.raises(InputError, match="at least 2 images, got limit 1"):
        measure(network, images, limit=1, precision="float32")
    with pytest.raises(InputError, match="unknown precision 'float64'; known: bfloat16, float32"):
        measure(network, images, limit=3, precision="float64")
    fresh = models.build("resnet8", 10)
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    with pytest.raises(InputError, match="evaluation mode"):
        measure(fresh, images, limit=3, precision="float32")
    assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())


def test_measuring_leaves_the_network_as_it_was(network, selective, table, gradient):
    for one in (network, selective):
        assert not one.training and all(
            parameter.requires_grad and parameter.grad is None for parameter in one.parameters()
        )
        assert not any(module._forward_hooks for module in one.modules())


# ---- The table `gradient` ----------------------------------------------------------------------------------


def test_a_row_for_every_unit(gradient):
    assert list(gradient) == [
        "layer",
        "depth",
        "unit",
        "images",
        "active",
        "mean",
        "deviation",
        "active_mean",
        "active_deviation",
        "dead",
    ]
    assert len(gradient) == sum(WIDTHS) and (gradient.images == 12).all() and gradient.dead.dtype == bool
    assert gradient.drop_duplicates("layer").layer.tolist() == LAYERS
    assert gradient.groupby("depth").unit.apply(list).tolist() == [list(range(width)) for width in WIDTHS]


def test_units_are_summed_up_over_images(gradient, selective, images):
    lengths = input_unit_gradients(selective, models.to_unit(images.pixels[:12]))
    partly = 0
    for layer, rows in gradient.groupby("layer"):
        for row in rows.itertuples():
            own = lengths[layer][:, row.unit].numpy()
            fires = own[own > 0]
            partly += 1 < len(fires) < 12
            assert (row.active, row.dead) == (len(fires), len(fires) == 0)
            assert [row.mean, row.deviation] == pytest.approx([own.mean(), own.std(ddof=1)])
            if len(fires) > 1:
                assert [row.active_mean, row.active_deviation] == pytest.approx([
                    fires.mean(),
                    fires.std(ddof=1),
                ])
                assert row.active_mean * row.active == pytest.approx(row.mean * 12)
    assert partly > 1


def test_bfloat16_changes_means_little(gradient, selective, images):
    other = gradient_gradient(selective, images, limit=12, precision="bfloat16")
    assert (
        np.allclose(other["mean"], gradient["mean"], rtol=0.02, atol=0)
        and (other.active == gradient.active).all()
    )
    assert not np.allclose(other["mean"], gradient["mean"], rtol=1e-6, atol=0)


# ---- Dead units and dead layers ----------------------------------------------------------------------------


def test_dead_units_and_layers_in_the_tables(dying, dead, images):
    units = gradient_gradient(dying, images, limit=6, precision="bfloat16")
    assert set(zip(*[units[units.dead][name] for name in ("layer", "unit")], strict=True)) >= {
        DEAD_UNIT,
        *((DEAD_LAYER, unit) for unit in range(8)),
    }
    assert (units[units.dead][["active", "mean", "deviation"]] == 0).all(axis=None)
    curves = variability(labelled(units)).set_index("layer")
    assert curves.dead[DEAD_LAYER] == 8 and curves.dead[DEAD_UNIT[0]] >= 1 and curves.units.tolist() == WIDTHS
    # of a layer without units there is nothing to draw
    assert curves.drop(index=DEAD_LAYER).notna().all(axis=None)
    numbers = with_gradients(networks([0.0], 1), labelled(units, Training(**network_labels(0.0, 0)))).iloc[0]
    assert (
        numbers[["cv_samples", "cv_firing", "cv_units", "cv_units_early", "cv_units_late"]]
        .astype(float)
        .notna()
        .all()
    )

    rows = dimensionality(dying, images, limit=12, precision="bfloat16")
    silent = rows[rows.layer == DEAD_LAYER]
    assert (
        silent[["components_90", "components_95", "components_99", "participation_ratio", "variance"]] == 0
    ).all(axis=None)
    assert (silent.twonn.dropna() == 0).all() and (silent.points.dropna() == 1).all()
    curves = dimensions(labelled(rows))
    assert curves.notna().all(axis=None) and (curves[curves.layer != DEAD_LAYER].per_unit_95 > 0).all()
    assert dimensions(labelled(rows), whole=True).drop(columns="twonn").notna().all(axis=None)
    numbers = with_dimensions(networks([0.0], 1), labelled(rows, Training(**network_labels(0.0, 0)))).filter(
        regex="dimension_|twonn_"
    )
    assert numbers.shape[1] == 7 and numbers.notna().all(axis=None) and (numbers > 0).all(axis=None)


def test_a_network_that_says_nothing(dead, images):
    units = gradient_gradient(dead, images, limit=3, precision="float32")
    assert units.dead.all()
    both = pd.concat([labelled(units), planted_gradients([1.0], 1)], ignore_index=True)
    for rows in (labelled(units), both):
        curves = variability(rows)
        mute = curves[curves.alpha == 0]
        assert (mute.dead == mute.units).all() and mute[["cv_samples", "cv_units", "mu"]].isna().all(
            axis=None
        )
    rows = dimensionality(dead, images, limit=5, precision="float32")
    assert (rows[["components_99", "participation_ratio", "variance"]] == 0).all(axis=None) and (
        rows.twonn.dropna() == 0
    ).all()
    assert dimensions(labelled(rows)).notna().all(axis=None)


# ---- From tables to curves, by hand ------------------------------------------------------------------------

ALPHAS = (-2.0, 0.0, 2.0)
SEEDS = 4
DEPTHS = 17  # of which the first 9 are early


def network_labels(alpha: float, seed: int) -> dict[str, object]:
    return {
        "dataset": "digits",
        "model": "resnet8",
        "alpha": alpha,
        "seed": seed,
        "recipe": "fast",
        "variant": "plain",
        "epochs": 16,
    }


def networks(alphas, seeds: int) -> pd.DataFrame:
    """The columns of a summary that say which network a row is about."""
    summary = pd.DataFrame([network_labels(alpha, seed) for seed in range(seeds) for alpha in alphas])
    return summary[LABELS].assign(clean_accuracy=0.9)


def planted_gradients(
    alphas, seeds, *, cv=lambda alpha, depth: 1.0, spread=lambda alpha, depth: 0.3
) -> pd.DataFrame:
    """Three units per layer: coefficients of variation over images cv, over units spread, a little different
    for each seed; and a dead unit.
    """
    rows = []
    for seed, alpha in ((seed, alpha) for seed in range(seeds) for alpha in alphas):
        for depth in range(1, DEPTHS + 1):
            for unit, place in enumerate((-1, 0, 1)):
                mean = 2.0 * (1 + place * (spread(alpha, depth) + 1e-3 * seed * alpha))
                deviation = mean * (cv(alpha, depth) + 1e-3 * seed * alpha)
                row = {
                    "layer": f"layer {depth}",
                    "depth": depth,
                    "unit": unit,
                    "images": 10,
                    "active": 10,
                    "mean": mean,
                    "deviation": deviation,
                }
                rows.append(
                    network_labels(alpha, seed)
                    | row
                    | {"active_mean": mean, "active_deviation": deviation / 2, "dead": False}
                )
            dead = {
                "unit": 3,
                "active": 0,
                "mean": 0.0,
                "deviation": 0.0,
                "active_mean": np.nan,
                "active_deviation": np.nan,
                "dead": True,
            }
            rows.append(rows[-1] | dead)
    return pd.DataFrame(rows)


def planted_dimensions(alphas, seeds, *, whole, same, corruption, attack, twonn, late=None) -> pd.DataFrame:
    """Components for 95 % of the variance of 100 units, and TwoNN, by α: functions of α; `late`: of late
    layers in place of all of them.
    """
    rows = []
    for seed, alpha in ((seed, alpha) for seed in range(seeds) for alpha in alphas):
        for depth in range(1, DEPTHS + 1):

            def row(
                change,
                images,
                components,
                intrinsic,
                name=None,
                severity=None,
                depth=depth,
                alpha=alpha,
                seed=seed,
            ):
                components = late(alpha) if late and depth > 9 else components(alpha)
                row = {
                    "change": change,
                    "corruption": name,
                    "severity": severity,
                    "layer": f"layer {depth}",
                    "depth": depth,
                    "units": 100,
                    "images": images,
                }
                row |= {
                    f"components_{share}": 100 * components + 0.01 * seed * alpha + share - 95
                    for share in (90, 95, 99)
                }
                rows.append(
                    network_labels(alpha, seed)
                    | row
                    | {"participation_ratio": 3.0, "variance": 1.0, "twonn": intrinsic, "points": images}
                )

            row("none", 1000, whole, np.nan)
            row("none", 500, same, twonn["none"](alpha))
            # whose mean is what is planted
            for place, (name, severity) in zip((-0.1, 0, 0, 0.1), CELLS, strict=True):
                row(
                    "corruption",
                    500,
                    lambda alpha, place=place: corruption(alpha) + place,
                    twonn["corruption"](alpha) + place,
                    name,
                    severity,
                )
            row("attack", 500, attack, twonn["attack"](alpha))
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("depths", "early"), [(1, 0), (7, 3), (17, 9), (19, 10), (49, 25)])
def test_early_layers_are_nine_of_seventeen(depths, early):
    rows = pd.concat([
        pd.DataFrame([network_labels(0.0, seed) | {"depth": depth} for depth in range(1, deep + 1)])
        for seed, deep in enumerate((depths, 34))
    ])
    rows = rows.reset_index(drop=True)
    assert is_early(rows).groupby(rows.seed).sum().tolist() == [early, 18]
    assert (rows[is_early(rows) & (rows.seed == 0)].depth <= early).all()


def test_variability_by_hand():
    row = {"layer": "relu", "depth": 1, "images": 4}
    units = [
        {
            "unit": 0,
            "active": 4,
            "mean": 2.0,
            "deviation": 1.0,
            "active_mean": 2.0,
            "active_deviation": 1.0,
            "dead": False,
        },
        {
            "unit": 1,
            "active": 2,
            "mean": 6.0,
            "deviation": 6.0,
            "active_mean": 12.0,
            "active_deviation": 3.0,
            "dead": False,
        },
        {
            "unit": 2,
            "active": 1,
            "mean": 1.0,
            "deviation": 2.0,
            "active_mean": 4.0,
            "active_deviation": np.nan,
            "dead": False,
        },
        {
            "unit": 3,
            "active": 0,
            "mean": 0.0,
            "deviation": 0.0,
            "active_mean": np.nan,
            "active_deviation": np.nan,
            "dead": True,
        },
    ]
    (found,) = variability(pd.DataFrame([network_labels(0.0, 0) | row | unit for unit in units])).to_dict(
        "records"
    )
    assert (found["units"], found["dead"]) == (4, 1)
    assert found["cv_samples"] == pytest.approx((0.5 + 1 + 2) / 3) and found["cv_firing"] == pytest.approx(
        (0.5 + 0.25) / 2
    )
    assert (found["mu"], found["sigma"]) == (3.0, 3.0)
    assert found["sigma_units"] == pytest.approx(7**0.5) and found["cv_units"] == pytest.approx(7**0.5 / 3)


def test_dimensions_average_over_cells_and_count_units():
    how = {
        "whole": lambda a: 0.5,
        "same": lambda a: 0.4,
        "corruption": lambda a: 0.3,
        "attack": lambda a: 0.2,
    }
    rows = planted_dimensions([0.0], 2, **how, twonn={change: lambda a: 4.0 for change in CHANGES})
    rows = rows.sample(frac=1, random_state=0)  # in whatever order, under whatever index
    found = dimensions(rows).sort_values(["seed", "depth"]).groupby("change")
    for change, share, cells in (("none", 0.4, 1), ("corruption", 0.3, 4), ("attack", 0.2, 1)):
        one = found.get_group(change)
        assert (
            one.depth.tolist() == [*range(1, 18)] * 2
            and (one.cells == cells).all()
            and (one.images == 500).all()
            and (one.units == 100).all()
        )
        assert one.per_unit_95.tolist() == pytest.approx(
            [share] * 34
        ) and one.twonn.tolist() == pytest.approx([4.0] * 34)
        assert one.per_unit_90.tolist() == pytest.approx(
            [share - 0.05] * 34
        ) and one.per_unit_99.tolist() == pytest.approx([share + 0.04] * 34)
    clean = dimensions(rows, whole=True).groupby("change").get_group("none")
    assert (
        (clean.images == 1000).all()
        and clean.per_unit_95.tolist() == pytest.approx([0.5] * 34)
        and clean.twonn.isna().all()
    )


def test_changes_are_compared_in_each_way_of_counting():
    shares = {"attack": lambda alpha: 0.3, "corruption": lambda alpha: 0.5 + alpha / 10}
    rows = [
        (alpha, seed, change, of(alpha) + seed / 100)
        for alpha in (-1.0, 0.0)
        for seed in (0, 1, 2)
        for change, of in shares.items()
    ]
    changes = pd.DataFrame(rows, columns=["alpha", "seed", "change", "per_unit_90"]).assign(
        per_unit_95=lambda found: found.per_unit_90 / 2
    )
    ways = {"90 %": "per_unit_90", "95 %": "per_unit_95"}
    table = tables.by_counting(changes, [-1.0, 0.0, 0.0, 7.0], ways, [-1.0, 0.0, 7.0])
    assert table.to_dict("list") == {
        "": ["90 %", "95 %"],
        "at −1": ["−10.0 (−10.0 to −10.0)", "−5.0 (−5.0 to −5.0)"],
        "at 0": ["−20.0 (−20.0 to −20.0)", "−10.0 (−10.0 to −10.0)"],
        "mean of 2 α": ["−15.0 (−15.0 to −15.0)", "−7.5 (−7.5 to −7.5)"],
    }


def test_a_difference_of_logarithms_is_told_as_a_change_in_percent():
    values = pd.Series([0.0, 0.1, 0.2])
    low, high = t_interval(values)
    assert tables.estimate(values, "+.1f", tables.as_percent) == (
        f"{number(100 * (10**0.1 - 1), '+.1f')} "
        f"({number(100 * (10**low - 1), '+.1f')} to {number(100 * (10**high - 1), '+.1f')})"
    )


@pytest.mark.parametrize(
    ("values", "clear"),
    [([1.0, 1.1, 1.2], True), ([-1.0, -1.1, -1.2], True), ([-1.0, 0.0, 1.0], False), ([1.0, 1.1], False)],
)
def test_a_change_is_clear_where_its_interval_leaves_out_0(values, clear):
    assert tables.is_clear(pd.Series(values)) is clear


def test_components_over_live_units():
    rows = pd.DataFrame([
        network_labels(0.0, seed) | {"depth": depth, "components_95": 3}
        for seed in (0, 1)
        for depth in (1, 2, 3)
    ])
    fires = {(0, 1): 4, (0, 2): 6, (1, 1): 3, (1, 3): 1}  # of ten units; in no other layer any
    units = pd.DataFrame([
        network_labels(0.0, s) | {"depth": d, "dead": u >= fires.get((s, d), 0)}
        for s in (0, 1)
        for d in (1, 2, 3)
        for u in range(10)
    ])
    found = over_live_units(rows.assign(components_95=[3, 3, 0, 3, 0, 1]), units)
    assert found.per_live_95.tolist() == [0.75, 0.5, 0.0, 1.0, 0.0, 1.0] and list(found.columns) == [
        *rows.columns,
        "per_live_95",
    ]


def test_a_layer_without_an_answer_is_left_out_of_the_mean():
    planted = {
        "corruption": lambda a: 0.3,
        "attack": lambda a: 0.2,
        "whole": lambda a: 0.5,
        "same": lambda a: 0.4,
    }
    rows = planted_dimensions([0.0], 1, **planted, twonn={change: lambda a: 4.0 for change in CHANGES})
    rows.loc[(rows.depth == 2) & (rows.change == "attack"), "twonn"] = np.nan
    rows.loc[(rows.depth == 3) & (rows.corruption == "contrast"), "twonn"] = np.nan
    found = with_dimensions(networks([0.0], 1), rows).iloc[0]
    assert found.twonn_attack == found.twonn_clean == 4.0 and found.twonn_corruption == pytest.approx(
        4 + 0.05 / 9
    )
    assert (
        found.dimension_clean,
        found.dimension_same,
        found.dimension_corruption,
        found.dimension_attack,
    ) == pytest.approx((0.5, 0.4, 0.3, 0.2))


def test_networks_that_are_not_in_a_table_have_no_numbers():
    summary = networks(ALPHAS, 2)
    one = with_gradients(summary, planted_gradients([0.0], 1))
    assert one[LABELS].equals(summary[LABELS]) and one.cv_samples.notna().tolist() == [
        alpha == 0 and seed == 0 for seed in (0, 1) for alpha in ALPHAS
    ]
    for function, columns in (
        (with_gradients, ["cv_units_early", "cv_units_late"]),
        (with_dimensions, ["dimension_clean", "twonn_attack"]),
    ):
        none = function(summary, pd.DataFrame())
        assert none[LABELS].equals(summary[LABELS]) and none[columns].isna().all(axis=None)


# ---- Claims, from planted tables ---------------------------------------------------------------------------


def falling(start: float, slope: float):
    return lambda alpha: start - slope * alpha


HOLDS = {
    "cv": lambda alpha, depth: 1 + 0.1 * alpha,
    "spread": lambda alpha, depth: 0.3 + (0.1 if depth <= 9 else 0.05) * alpha,
    "whole": falling(0.4, 0.05),
    "same": falling(0.38, 0.05),
    "corruption": falling(0.5, 0.1),
    "attack": falling(0.6, 0.1),
    "twonn": {"none": falling(5, 0.5), "corruption": falling(7, 0.4), "attack": falling(9, 0.3)},
}
OURS = [f"LM-{number}" for number in range(13, 19)]


def summed(*, alphas=ALPHAS, seeds=SEEDS, mirrored=False, late=None, **changes) -> pd.DataFrame:
    """A summary of networks from planted tables in which all six claims hold, but for the changes; mirrored:
    α is −α.
    """
    planted = HOLDS | changes
    units = planted_gradients(alphas, seeds, cv=planted["cv"], spread=planted["spread"])
    names = ("whole", "same", "corruption", "attack")
    rows = planted_dimensions(
        alphas,
        seeds,
        **{name: planted[name] for name in names},
        twonn=HOLDS["twonn"] | planted["twonn"],
        late=late,
    )
    if mirrored:
        units["alpha"], rows["alpha"] = -units.alpha, -rows.alpha
    return with_dimensions(with_gradients(networks(alphas, seeds), units), rows)


@pytest.fixture(scope="module")
def holding() -> pd.DataFrame:
    return summed()


@pytest.mark.parametrize("identifier", OURS)
@pytest.mark.parametrize("seeds", [3, 4])
def test_claims_are_reproduced_where_they_hold(identifier, seeds, holding):
    found = first_round.decide(papers.claim(identifier), holding[holding.seed < seeds])
    assert (found.verdict, found.seeds) == ("reproduced", seeds) and all(part.low > 0 for part in found.parts)


def test_claims_are_about_networks_and_not_the_order_of_rows(holding):
    shuffled = holding.sample(frac=1, random_state=1).reset_index(drop=True)
    assert [first_round.decide(papers.claim(one), shuffled) for one in OURS] == [
        first_round.decide(papers.claim(one), holding) for one in OURS
    ]


def test_mirrored_networks_turn_the_verdicts():
    mirrored = summed(mirrored=True)
    decided = {one: first_round.decide(papers.claim(one), mirrored).verdict for one in OURS}
    # which compares two changes of the same network
    assert decided == dict.fromkeys(OURS, "not reproduced") | {"LM-17": "reproduced"}


TURNED = [
    ("LM-13", {"cv": lambda alpha, depth: 1 + 0.1 * abs(alpha)}, "from −2 to 0"),
    ("LM-13", {"cv": lambda alpha, depth: 1 - 0.1 * abs(alpha)}, "from 0 to 2"),
    (
        "LM-14",
        {"spread": lambda alpha, depth: 0.3 + (0.05 if depth <= 9 else 0.1) * alpha},
        "early beyond late",
    ),
    (
        "LM-14",
        {"spread": lambda alpha, depth: 0.3 + (0.1 if depth <= 9 else 0.05) * abs(alpha)},
        "all layers, from −2 to 0",
    ),
    (
        "LM-14",
        {"spread": lambda alpha, depth: 0.3 - (0.05 if depth <= 9 else 0.1) * alpha},
        "all layers, from 0 to 2",
    ),
    ("LM-15", {"whole": lambda alpha: 0.4 + 0.05 * abs(alpha)}, "from 0 to 2"),
    ("LM-15", {"whole": lambda alpha: 0.4 - 0.05 * abs(alpha)}, "from −2 to 0"),
    ("LM-16", {"same": falling(0.38, 0.15)}, "corruptions beyond clean"),
    ("LM-16", {"corruption": falling(0.5, 0.04)}, "corruptions beyond clean"),
    ("LM-16", {"attack": falling(0.6, 0.04)}, "PGD beyond clean"),
    (
        "LM-16",
        {"corruption": lambda alpha: 0.5 - 0.1 * alpha + 0.15 * abs(alpha)},
        "corruptions, from 0 to 2",
    ),
    ("LM-16", {"attack": lambda alpha: 0.6 - 0.1 * alpha - 0.15 * abs(alpha)}, "PGD, from −2 to 0"),
    ("LM-17", {"attack": falling(0.6, 0.2)}, "at 2"),
    ("LM-17", {"attack": falling(0.6, 0.0)}, "at −2"),
    ("LM-17", {"attack": lambda alpha: 0.45 if alpha == 0 else 0.9}, "at 0"),
    ("LM-17", {"attack": HOLDS["corruption"], "corruption": HOLDS["attack"]}, "at 0"),
    ("LM-18", {"twonn": {"none": falling(5, -0.5)}}, "clean"),
    ("LM-18", {"twonn": {"corruption": falling(7, -0.4)}}, "corruptions"),
    ("LM-18", {"twonn": {"attack": falling(9, -0.3)}}, "PGD"),
    ("LM-18", {"twonn": {"attack": falling(6, 0.3)}}, "PGD beyond corruptions, at 0"),
    ("LM-18", {"twonn": {"corruption": falling(4, 0.4)}}, "corruptions beyond clean, at 0"),
    ("LM-18", {"twonn": {"none": falling(10, 0.5)}}, "PGD beyond clean, at 0"),
]


@pytest.mark.parametrize(
    ("identifier", "changes", "part"),
    TURNED,
    ids=[f"{one}, {part}, {place}" for place, (one, _, part) in enumerate(TURNED)],
)
def test_one_part_that_does_not_hold_is_enough(identifier, changes, part):
    found = first_round.decide(papers.claim(identifier), summed(**changes))
    assert found.verdict == "not reproduced"
    assert part in {one.name for one in found.parts if one.high < 0}


def test_every_part_of_every_claim_is_turned_once(holding):
    parts = {
        identifier: {part.name for part in first_round.decide(papers.claim(identifier), holding).parts}
        for identifier in OURS
    }
    turned = {identifier: {part for one, _, part in TURNED if one == identifier} for identifier in OURS}
    spoken_for = {"LM-16": {"corruptions, from −2 to 0", "PGD, from 0 to 2"}}  # their twins are
    assert {identifier: parts[identifier] - turned[identifier] for identifier in OURS} == {
        one: spoken_for.get(one, set()) for one in OURS
    }


def test_dimensions_are_those_of_early_layers(holding):
    other = summed(late=lambda alpha: 0.5 + 0.1 * alpha)
    for identifier in ("LM-15", "LM-16", "LM-17"):
        assert first_round.decide(papers.claim(identifier), other) == first_round.decide(
            papers.claim(identifier), holding
        )


def test_estimates_by_hand(holding):
    for identifier, wanted in {
        "LM-13": [0.2, 0.2],
        "LM-14": [2 * (9 * 0.1 + 8 * 0.05) / 17] * 2 + [4 * 0.05],
        "LM-15": [10, 10],
        "LM-16": [20, 20, 20, 20, 20, 20],
        "LM-17": [10, 10, 10],
        "LM-18": [2, 1.6, 1.2, 2, 2, 4],
    }.items():
        found = first_round.decide(papers.claim(identifier), holding[holding.seed == 0])
        assert [part.estimate for part in found.parts] == pytest.approx(wanted), identifier


@pytest.mark.parametrize("identifier", OURS)
def test_what_is_not_measured_is_not_tested(identifier, holding):
    one, bare = papers.claim(identifier), networks(ALPHAS, SEEDS)
    for summary in (bare, with_dimensions(with_gradients(bare, pd.DataFrame()), pd.DataFrame())):
        assert (first_round.decide(one, summary).verdict, first_round.decide(one, summary).reason) == (
            "not tested",
            "its networks are not measured yet",
        )
    assert first_round.decide(one, None).verdict == "not tested"
    for some in (holding[holding.alpha >= 0], holding[holding.alpha != 0], holding[holding.alpha <= 0]):
        assert (first_round.decide(one, some).verdict, first_round.decide(one, some).seeds) == (
            "inconclusive",
            0,
        )
    few = first_round.decide(one, holding[holding.seed < 2])
    assert (few.verdict, few.seeds) == ("inconclusive", 2)
    holes = holding.copy()
    holes.loc[(holes.seed == 1) & (holes.alpha == 2), one.needs] = np.nan
    assert first_round.decide(one, holes).seeds == 3


def test_two_falls_are_compared_between_the_same_alphas():
    """Where the outermost α has one of the two columns alone, the next one is the end of both."""
    summary = networks((-2.0, 0.0, 1.0, 2.0), 3)
    summary = summary.assign(one=-summary.alpha, other=-summary.alpha.where(summary.alpha < 2))
    assert (
        first_statistics.fall(summary, "one", *first_statistics.outermost(summary, "one")).tolist()
        == [4.0] * 3
    )
    assert (
        first_statistics.fall_beyond(summary, "one", "other").tolist()
        == first_statistics.fall_beyond(summary, "other", "one").tolist()
        == [0.0] * 3
    )
    assert first_statistics.fall_beyond(summary[summary.alpha != 1.0], "one", "other").empty


def test_changes_by_seed_and_what_they_say_of_the_scale():
    table = pd.DataFrame({-2.0: [1.0, 2.0, 3.0], 0.0: [2.0, 3.1, 4.2]}, index=[3, 4, 5])
    up, none = tables.moved(table, -2.0, 0.0), tables.moved(table, 0.0, float("nan"))
    assert up.tolist() == pytest.approx([1, 1.1, 1.2]) and none.isna().all() and list(none.index) == [3, 4, 5]
    flat = pd.Series([-1.0, 0.0, 1.0])
    assert tables.of_scale([up, up]).endswith("changes clearly on both sides.")
    assert tables.of_scale([up, flat]).endswith("changes clearly on one side alone.")
    assert tables.of_scale([flat, none]).endswith("LM-10 may be one of scale.")
    assert tables.of_scale([none, up.head(2)]).endswith("takes more seeds, or an α on either side of 0.")
