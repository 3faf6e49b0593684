"""What names a run: the key is stable across spellings, changes with every field, and bad values are refused."""

import dataclasses
import doctest
import hashlib
import json

import pytest

from lib import data, models, recipes
from lib.errors import InputError
from lib.recipes import RECIPES, Training, usual_model

DIGITS = {"dataset": "digits", "model": "resnet8", "recipe": "fast"}


@pytest.mark.parametrize("spellings", [(2, 2.0), (-1, -1.0), (0, 0.0, -0.0), (0.1, 1e-1)])
def test_one_setting_has_one_key(spellings):
    made = [Training(**DIGITS, alpha=alpha) for alpha in spellings]
    assert len({training.key for training in made}) == len({training.name for training in made}) == len(set(made)) == 1
    assert "-0.0" not in made[-1].name


def test_key_is_the_hash_of_the_canonical_json():
    training = Training(**DIGITS, alpha=2)
    text = json.dumps(training.canonical(), sort_keys=True)
    assert training.key == hashlib.sha256(text.encode()).hexdigest()[:8]
    assert json.loads(text) == json.loads(json.dumps(training.canonical()))  # nothing in it that JSON would change
    assert training.name == f"digits-resnet8/alpha2.0-seed0-fast-{training.key}"


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "cifar10", "model": "resnet8"},
        {"model": "resnet20"},
        {"alpha": 0.5},
        {"alpha": -1e-9},
        {"seed": 1},
        {"recipe": "paper"},
        {"epochs": 3},
    ],
    ids=str,
)
def test_every_field_changes_the_key(change):
    plain = Training(**DIGITS)
    changed = Training(**DIGITS | change)
    assert changed.key != plain.key and changed.name != plain.name


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(recipes.Recipe)])
def test_every_number_of_the_recipe_changes_the_key(name, monkeypatch):
    before = Training(**DIGITS).key
    recipe = RECIPES["fast"]["resnet8"]
    value = (5,) if name == "milestones" else getattr(recipe, name) * 2
    monkeypatch.setitem(RECIPES["fast"], "resnet8", dataclasses.replace(recipe, **{name: value}))
    assert Training(**DIGITS).key != before


@pytest.mark.parametrize("name", ["flip", "pad"])
def test_augmentation_changes_the_key(name, monkeypatch):
    before = Training(**DIGITS)
    key, value = before.key, 1 - getattr(before.augmentation, name)
    monkeypatch.setitem(recipes.AUGMENTATIONS, "digits", dataclasses.replace(before.augmentation, **{name: value}))
    assert Training(**DIGITS).key != key


def test_the_default_is_the_papers():
    training = Training()
    assert (training.dataset, training.model, training.alpha, training.recipe) == ("cifar10", "resnet20", 0.0, "paper")
    settings = training.settings
    assert (settings.epochs, settings.batch, settings.learning_rate, settings.milestones) == (200, 256, 0.1, (100, 150))
    assert (settings.momentum, settings.weight_decay) == (0.9, 1e-4)


@pytest.mark.parametrize(("epochs", "milestones"), [(None, (100, 150)), (200, (100, 150)), (20, (10, 15)), (400, (200, 300)), (8, (4, 6))])
def test_epochs_scale_the_schedule(epochs, milestones):
    settings = Training(epochs=epochs).settings
    assert settings.epochs == (epochs or 200)
    assert settings.milestones == milestones


@pytest.mark.parametrize(("dataset", "epochs"), [("cifar10", 1), ("cifar10", 2), ("tiny-imagenet", 3)])
def test_a_short_schedule_starts_at_the_peak_and_keeps_its_steps_apart(dataset, epochs):
    milestones = Training(dataset, usual_model(dataset), epochs=epochs).settings.milestones
    assert min(milestones) > 0 and len(set(milestones)) == len(milestones) and max(milestones) < epochs


def test_spelling_out_the_recipes_epochs_is_the_same_run():
    plain = Training(**DIGITS)
    spelled = Training(**DIGITS, epochs=plain.settings.epochs)
    assert spelled.key == plain.key
    assert spelled.name == plain.name


# fields, what the message says
ERRORS = {
    "alpha nan": ({"alpha": float("nan")}, "alpha must be a finite number, got nan"),
    "alpha inf": ({"alpha": float("-inf")}, "alpha must be a finite number, got -inf"),
    "alpha text": ({"alpha": "1.0"}, "alpha must be a finite number, got '1.0'"),
    "alpha bool": ({"alpha": True}, "alpha must be a finite number, got True"),
    "alpha none": ({"alpha": None}, "alpha must be a finite number, got None"),
    "seed negative": ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    "seed float": ({"seed": 1.0}, r"seed must be a whole number >= 0, got 1\.0"),
    "seed bool": ({"seed": True}, "seed must be a whole number >= 0, got True"),
    "seed none": ({"seed": None}, "seed must be a whole number >= 0, got None"),
    "epochs zero": ({"epochs": 0}, "epochs must be a whole number >= 1, got 0"),
    "epochs float": ({"epochs": 2.5}, r"epochs must be a whole number >= 1, got 2\.5"),
    "unknown data set": ({"dataset": "cifar11"}, "unknown data set 'cifar11'; known: cifar10, digits, tiny-imagenet"),
    "unknown model": ({"model": "vgg"}, "unknown model 'vgg'; known: resnet18, resnet20, resnet50, resnet8"),
    "unknown recipe": ({"recipe": "quick"}, "unknown recipe 'quick'; known: fast, paper"),
    "data set no name": ({"dataset": 10}, "dataset must be a name, got 10"),
    "model no name": ({"model": ["resnet8"]}, r"model must be a name, got \['resnet8'\]"),
    "recipe no name": ({"recipe": None}, "recipe must be a name, got None"),
    "model does not fit": ({"model": "resnet18"}, "'resnet18' takes 64-pixel images, 'digits' has 32; fitting models: resnet8, resnet20"),
    "recipe not written": ({"dataset": "tiny-imagenet", "model": "resnet50"}, "recipe 'fast' is not written for 'resnet50'; it has: paper"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    fields, message = ERRORS[case]
    with pytest.raises(InputError, match=message) as caught:
        Training(**DIGITS | fields)
    assert "\n" not in str(caught.value)


def test_a_gigantic_alpha_is_refused():
    with pytest.raises(InputError, match="alpha must be a finite number"):
        Training(**DIGITS, alpha=10**400)


def test_a_training_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Training().alpha = 3.0


def test_tables_fit_together():
    assert set(recipes.AUGMENTATIONS) == set(data.DATASETS) == set(recipes.USUAL_MODELS)
    for table in RECIPES.values():
        assert set(table) <= set(models.MODELS)
    assert set(RECIPES["paper"]) == set(models.MODELS)
    for dataset in data.DATASETS:
        Training(dataset, usual_model(dataset), recipe="paper")  # raises if it does not fit


def test_usual_model():
    assert usual_model("cifar10") == "resnet20"
    with pytest.raises(InputError, match="unknown data set 'mnist'"):
        usual_model("mnist")


def test_doctests():
    assert doctest.testmod(recipes).failed == 0
