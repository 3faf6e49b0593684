"""Tables of one network: against plain computation on its activations, with units that are known to be
dead.
"""

import pandas as pd
import pytest
import torch

from lib import models
from lib.base.errors import InputError
from lib.data.images import Images
from lib.measurements.asked import file_name, settled
from lib.measurements.measurement import Measurement
from lib.measurements.registry import MEASUREMENTS
from lib.measurements.selectivity import class_means, selectivity, spatial_activations

DEAD_LAYER, DEAD_UNIT = "layer1.0.relu1", 3


@pytest.fixture(scope="module")
def network():
    """An untrained network in which one unit can never fire."""
    network = models.build("resnet8", 10, seed=4)
    with torch.no_grad():
        network.layer1[0].bn1.weight[DEAD_UNIT] = 0
        network.layer1[0].bn1.bias[DEAD_UNIT] = -1
    return network.eval()


@pytest.fixture(scope="module")
def images(digits) -> Images:
    return digits["test"][slice(0, 90)]


@pytest.fixture(scope="module")
def activations(network, images) -> dict[str, torch.Tensor]:
    """What every ReLU gives, by hooks of our own and one forward pass."""
    found = {}
    hooks = [
        module.register_forward_hook(
            lambda m, i, output, name=name: found.update({name: output.mean(3).mean(2)})
        )
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.ReLU)
    ]
    with torch.no_grad():
        network(images.pixels.float() / 255)
    for hook in hooks:
        hook.remove()
    return found


@pytest.fixture(scope="module")
def units(network, images) -> pd.DataFrame:
    return selectivity(network, images)


@pytest.mark.parametrize("batch", [7, 45, 500])
def test_spatial_activations_whatever_the_batch(batch, network, images, activations):
    found = spatial_activations(network, images, batch=batch)
    assert list(found) == list(activations)
    for layer, expected in activations.items():
        assert found[layer].dtype == torch.float32 and not found[layer].requires_grad
        torch.testing.assert_close(found[layer], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("measure", [spatial_activations, selectivity, class_means])
def test_a_network_in_training_mode_is_refused_and_unchanged(measure, images):
    network = models.build("resnet8", 10)
    before = network.bn1.running_mean.clone()
    with pytest.raises(InputError, match="need a network in evaluation mode; call network.eval"):
        measure(network, images)
    assert torch.equal(network.bn1.running_mean, before)


def test_measuring_leaves_the_network_as_it_was(network, images):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    selectivity(network, images)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not network.training and not any(module._forward_hooks for module in network.modules())


def test_selectivity_has_one_row_a_unit(units, activations):
    assert list(units.columns) == ["layer", "depth", "unit", "selectivity", "dead", "best_class"]
    assert len(units) == 120
    assert units.selectivity.between(0, 1).all() and units.dead.dtype == bool
    assert list(units.drop_duplicates("layer").layer) == list(activations)
    assert list(units.drop_duplicates("depth").depth) == list(range(1, 8))
    for layer, rows in units.groupby("layer"):
        assert rows.unit.tolist() == list(range(activations[layer].shape[1]))


def plain_means(activations: torch.Tensor, images: Images) -> torch.Tensor:
    return torch.stack([activations[images.labels == label].double().mean(0) for label in range(10)])


def test_selectivity_is_the_index_of_the_whole_split(units, activations, images):
    for layer, rows in units.groupby("layer"):
        means = plain_means(activations[layer], images)
        ordered = means.sort(0).values
        best, rest = ordered[-1], ordered[:-1].mean(0)
        expected = (best - rest) / (best + rest + 1e-6)
        torch.testing.assert_close(
            torch.tensor(rows.selectivity.to_numpy()).double(), expected, rtol=1e-3, atol=1e-5
        )
        living = ~rows.dead.to_numpy()
        assert (rows.best_class.to_numpy() == means.argmax(0).numpy())[living].all()
    assert units.selectivity.max() > 0.05  # not a table of zeros


def test_dead_units_are_marked_and_zero(units):
    row = units[(units.layer == DEAD_LAYER) & (units.unit == DEAD_UNIT)].iloc[0]
    assert row.dead and row.selectivity == 0
    assert units.dead.sum() == (units.groupby("layer").dead.sum()[DEAD_LAYER]) == 1


def test_class_means_table(network, images, activations):
    table = class_means(network, images)
    assert list(table.columns) == ["layer", "depth", "unit", "class", "mean"]
    assert len(table) == 120 * 10
    assert list(table.drop_duplicates("depth").layer) == list(activations)
    for layer, rows in table.groupby("layer"):
        wide = rows.pivot(index="class", columns="unit", values="mean").loc[list(images.classes)]
        torch.testing.assert_close(
            torch.tensor(wide.to_numpy()).double(),
            plain_means(activations[layer], images),
            rtol=1e-4,
            atol=1e-6,
        )


def test_selectivity_follows_from_the_class_means(network, images, units):
    means = class_means(network, images).set_index(["depth", "unit"])["mean"]
    ranked = means.groupby(level=[0, 1]).apply(lambda m: sorted(m))
    expected = ranked.map(lambda m: (m[-1] - sum(m[:-1]) / 9) / (m[-1] + sum(m[:-1]) / 9 + 1e-6))
    found = units.set_index(["depth", "unit"]).selectivity
    pd.testing.assert_series_equal(
        found, expected, check_names=False, check_dtype=False, rtol=1e-3, atol=1e-5
    )


# ---- names and settings ------------------------------------------------------------------------------------


@pytest.fixture
def toy(monkeypatch) -> str:
    """A measurement with two settings."""
    settings = {"steps": 40, "norm": "linf"}
    monkeypatch.setitem(
        MEASUREMENTS, "toy", Measurement(lambda network, images, **given: None, "for tests", {}, settings)
    )
    return "toy"


def test_settings_are_filled_in(toy):
    assert settled(toy, {}) == {"steps": 40, "norm": "linf"}
    assert settled(toy, {"steps": 2}) == {"steps": 2, "norm": "linf"}
    assert MEASUREMENTS[toy].settings == {"steps": 40, "norm": "linf"}


def test_the_file_is_named_by_measurement_and_settings(toy):
    plain = file_name(toy, {})
    assert plain.startswith("toy-") and plain.endswith(".parquet")
    assert (
        file_name(toy, {"norm": "linf", "steps": 40})
        == file_name(toy, {"steps": 40, "norm": "linf"})
        == plain
    )
    assert (
        len({
            plain,
            file_name(toy, {"steps": 2}),
            file_name(toy, {"norm": "l2"}),
            file_name("selectivity", {}),
        })
        == 4
    )


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "robustness",
            {},
            "unknown measurement 'robustness'; known: alignment, attack, autoattack, certificate",
        ),
        ("toy", {"step": 2}, "unknown setting of toy 'step'; known: norm, steps"),
        ("selectivity", {"batch": 2}, "unknown setting of selectivity 'batch'"),
        ("toy", {"steps": 2.0}, "setting steps of toy must be a value like 40, got 2.0"),
        ("toy", {"steps": True}, "setting steps of toy must be a value like 40, got True"),
        ("toy", {"steps": 10**400}, "setting steps of toy must be a value like 40, got 1000"),
        ("toy", {"norm": ["linf"]}, "setting norm of toy must be a value like 'linf', got .'linf'.$"),
        ("autoattack", {"seed": torch.Generator()}, "setting seed of autoattack must be a value like 0, got"),
        ("autoattack", {"generator": 0}, "unknown setting of autoattack 'generator'"),
        ("autoattack", {"epsilon": float("nan")}, "must be a value like 0.00392156862745098, got nan"),
        ("transfer", {"sources": 0}, "setting sources of transfer must be a value like .0, 1., got 0"),
        ("transfer", {"sources": [0, "1"]}, "setting sources of transfer must be a value like .0, 1., got"),
        ("selectivity", {"epoch": "1"}, "setting epoch of selectivity must be a value like 0, got '1'"),
    ],
)
def test_unknown_names_and_settings(name, settings, message, toy):
    for function in (settled, file_name):
        with pytest.raises(InputError, match=message):
            function(name, settings)


def test_every_measurement_says_what_it_is_for():
    assert all(
        measurement.summary and callable(measurement.function) for measurement in MEASUREMENTS.values()
    )
