"""What names a run: the key is stable across spellings, changes with every field, and bad values are
refused.
"""

import dataclasses
import doctest
import hashlib
import json

import pytest

from lib import data, models
from lib.base.errors import InputError
from lib.training import training as training_module
from lib.training.datasets import AUGMENTATIONS, USUAL_MODELS, usual_model
from lib.training.recipe import RECIPES, Recipe
from lib.training.training import Training, described
from lib.training.variants import PGD_STEP, Adversarial, AdversarialL2, AugMix, Trades, Weighted

DIGITS = {"dataset": "digits", "model": "resnet8", "recipe": "fast"}


@pytest.mark.parametrize("spellings", [(2, 2.0), (-1, -1.0), (0, 0.0, -0.0), (0.1, 1e-1)])
def test_one_setting_has_one_key(spellings):
    made = [Training(**DIGITS, alpha=alpha) for alpha in spellings]
    assert (
        len({training.key for training in made})
        == len({training.name for training in made})
        == len(set(made))
        == 1
    )
    assert "-0.0" not in made[-1].name


def test_key_is_the_hash_of_the_canonical_json():
    training = Training(**DIGITS, alpha=2)
    text = json.dumps(training.canonical(), sort_keys=True)
    assert training.key == hashlib.sha256(text.encode()).hexdigest()[:8]
    # nothing in it that JSON would change
    assert json.loads(text) == json.loads(json.dumps(training.canonical()))
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
        {"variant": "augmix"},
        {"variant": "pgd-4"},
        {"variant": "pgd-4-linf-16"},
        {"variant": "l2-pgd-4-0.5"},
    ],
    ids=str,
)
def test_every_field_changes_the_key(change):
    plain = Training(**DIGITS)
    changed = Training(**DIGITS | change)
    assert changed.key != plain.key and changed.name != plain.name


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Recipe)])
def test_every_number_of_the_recipe_changes_the_key(name, monkeypatch):
    before = Training(**DIGITS).key
    recipe = RECIPES["fast"]["resnet8"]
    value = (5,) if name == "milestones" else getattr(recipe, name) * 2
    monkeypatch.setitem(RECIPES["fast"], "resnet8", dataclasses.replace(recipe, **{name: value}))
    assert Training(**DIGITS).key != before


def test_plain_trainings_keep_the_keys_they_had_before_there_were_variants():
    assert "variant" not in Training().canonical()
    assert (
        Training().key == "eb55ff16"
        and Training(alpha=-2, recipe="fast").name == "cifar10-resnet20/alpha-2.0-seed0-fast-1cae5899"
    )


@pytest.mark.parametrize(
    ("variant", "recipe", "settings"),
    [
        ("plain", "fast", None),
        ("augmix", "fast", AugMix(width=3, depth=-1, severity=2.0, jsd=12.0)),
        ("pgd-3-linf-8", "fast", Adversarial(3, 2.5 * 8 / 255 / 3, 8 / 255)),
        ("pgd-3-linf-8", "paper", Adversarial(3, 2.5 * 8 / 255 / 3, 8 / 255)),
        ("pgd-2-linf-0.5", "fast", Adversarial(2, 1.25 * 0.5 / 255, 0.5 / 255)),
        ("l2-pgd-5-0.5", "fast", AdversarialL2(5, 0.25, 0.5, "l2")),
        ("trades-6-5-linf-8", "fast", Trades(5, 0.5 * 8 / 255, 8 / 255, beta=6.0)),
        ("weighted-2-linf-4", "paper", Weighted(2, 1.25 * 4 / 255, 4 / 255)),
        ("augmix", "paper", AugMix(width=3, depth=-1, severity=2.0, jsd=12.0)),
        ("pgd-1", "fast", Adversarial(1, step_size=1 / 255, epsilon=16 / 255)),
        ("pgd-40", "paper", Adversarial(40, step_size=1e-4, epsilon=16 / 255)),
    ],
)
def test_a_variant_is_its_numbers(variant, recipe, settings):
    training = Training(**DIGITS | {"recipe": recipe}, variant=variant)
    assert training.variant_settings == settings
    if settings:
        assert training.canonical()["variant"] == {"name": variant} | dataclasses.asdict(settings)
        assert training.name == f"digits-resnet8/alpha0.0-seed0-{recipe}-{variant}-{training.key}"


@pytest.mark.parametrize("change", [{"width": 4}, {"depth": 2}, {"severity": 3.0}, {"jsd": 0.0}], ids=str)
def test_every_number_of_augmix_changes_the_key(change, monkeypatch):
    before = Training(**DIGITS, variant="augmix").key
    monkeypatch.setattr("lib.training.variants.AugMix", lambda: AugMix(**change))
    assert Training(**DIGITS, variant="augmix").key != before


def test_steps_and_step_size_of_the_attack_change_the_key(monkeypatch):
    before = Training(**DIGITS, variant="pgd-4")
    assert Training(**DIGITS, variant="pgd-5").key != before.key
    key = before.key
    monkeypatch.setitem(PGD_STEP, "fast", 2 / 255)
    assert Training(**DIGITS, variant="pgd-4").key != key


@pytest.mark.parametrize("name", ["flip", "pad"])
def test_augmentation_changes_the_key(name, monkeypatch):
    before = Training(**DIGITS)
    key, value = before.key, 1 - getattr(before.augmentation, name)
    monkeypatch.setitem(AUGMENTATIONS, "digits", dataclasses.replace(before.augmentation, **{name: value}))
    assert Training(**DIGITS).key != key


def test_the_default_is_the_papers():
    training = Training()
    assert (training.dataset, training.model, training.alpha, training.recipe) == (
        "cifar10",
        "resnet20",
        0.0,
        "paper",
    )
    settings = training.settings
    assert (settings.epochs, settings.batch, settings.learning_rate, settings.milestones) == (
        200,
        256,
        0.1,
        (100, 150),
    )
    assert (settings.momentum, settings.weight_decay) == (0.9, 1e-4)


@pytest.mark.parametrize(
    ("epochs", "milestones"),
    [(None, (100, 150)), (200, (100, 150)), (20, (10, 15)), (400, (200, 300)), (8, (4, 6))],
)
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
    "epochs without end": (
        {"epochs": 10**6 + 1},
        "epochs must be a whole number of at most 1,000,000, got 1000001",
    ),
    "seed of 19 digits": (
        {"seed": 10**18},
        "seed must be a whole number of at most 999,999,999,999,999,999, got 1000",
    ),
    "epochs float": ({"epochs": 2.5}, r"epochs must be a whole number >= 1, got 2\.5"),
    "unknown data set": (
        {"dataset": "cifar11"},
        "unknown data set 'cifar11'; known: cifar10, digits, tiny-imagenet",
    ),
    "unknown model": (
        {"model": "vgg"},
        "unknown model 'vgg'; known: alexnet, cnn-large, cnn-small, resnet18, resnet20, resnet50, resnet8",
    ),
    "unknown recipe": (
        {"recipe": "quick"},
        "unknown recipe 'quick'; known: certified, check, fast, paper, tune",
    ),
    "unknown variant": (
        {"variant": "mixup"},
        "unknown variant 'mixup'; known: plain, augmix, pgd-K for PGD training with K steps, such as pgd-4",
    ),
    "variant without steps": ({"variant": "pgd-0"}, "unknown variant 'pgd-0'"),
    "variant of too many steps": ({"variant": "pgd-10000"}, "unknown variant 'pgd-10000'"),
    "radius of nothing": (
        {"variant": "pgd-3-linf-0"},
        "such as pgd-3-linf-8, l2-pgd-K-R, such as l2-pgd-3-0.5",
    ),
    "radius in two spellings": ({"variant": "l2-pgd-3-0.50"}, "unknown variant 'l2-pgd-3-0.50'"),
    "radius with no number": ({"variant": "pgd-3-linf-8/255"}, "unknown variant 'pgd-3-linf-8/255'"),
    "TRADES without β": ({"variant": "trades-7-linf-8"}, "unknown variant 'trades-7-linf-8'"),
    "class weights without a radius": ({"variant": "weighted-7"}, "unknown variant 'weighted-7'"),
    "variant in two spellings": ({"variant": "pgd-04"}, "unknown variant 'pgd-04'"),
    "variant with more behind": ({"variant": "pgd-4\n"}, "unknown variant"),
    "variant no name": ({"variant": 4}, "unknown variant 4"),
    "variant none": ({"variant": None}, "unknown variant None"),
    "data set no name": ({"dataset": 10}, "dataset must be a name, got 10"),
    "model no name": ({"model": ["resnet8"]}, r"model must be a name, got \['resnet8'\]"),
    "recipe no name": ({"recipe": None}, "recipe must be a name, got None"),
    "model does not fit": (
        {"model": "resnet18"},
        "'resnet18' takes 64-pixel images, 'digits' has 32; fitting models: resnet8, resnet20",
    ),
    "no recipe written": (
        {"model": "cnn-small"},
        "recipe 'fast' is not written for 'cnn-small'; it has: certified",
    ),
    "recipe not written": (
        {"dataset": "tiny-imagenet", "model": "resnet50"},
        "recipe 'fast' is not written for 'resnet50'; it has: paper",
    ),
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
    assert set(AUGMENTATIONS) == set(data.DATASETS) == set(USUAL_MODELS)
    for table in RECIPES.values():
        assert set(table) <= set(models.MODELS)
    assert set(models.MODELS) - set(RECIPES["paper"]) == set(RECIPES["certified"])
    for dataset in data.DATASETS:
        Training(dataset, usual_model(dataset), recipe="paper")  # raises if it does not fit


def test_usual_model():
    assert usual_model("cifar10") == "resnet20"
    with pytest.raises(InputError, match="unknown data set 'mnist'"):
        usual_model("mnist")


# ---- read from a run's config.json -------------------------------------------------------------------------

TRAININGS = [
    Training(),
    Training("digits", "resnet8", -0.4, 3, "fast"),
    Training("digits", "resnet8", 1, 0, "fast", 3),
    Training("cifar10", "resnet20", 0, 1, "paper", 20, "pgd-10"),
    Training("digits", "resnet8", 0, 0, "fast", 8, "augmix"),
]


def as_read(training: Training) -> dict:
    return json.loads(json.dumps(training.canonical()))


@pytest.mark.parametrize("training", TRAININGS, ids=lambda training: training.name)
def test_a_training_is_known_again_by_its_canonical_form(training):
    assert described(as_read(training)) == training


def test_what_a_changed_recipe_has_made_is_not_described(monkeypatch):
    facts = [as_read(training) for training in TRAININGS]
    monkeypatch.setitem(
        RECIPES["fast"], "resnet8", dataclasses.replace(RECIPES["fast"]["resnet8"], momentum=0.8)
    )
    assert [described(one) is None for one in facts] == [False, True, True, False, True]
    monkeypatch.setitem(PGD_STEP, "paper", 2e-4)
    assert described(facts[3]) is None


HUGE = 10**400
ODD = {
    "nothing": None,
    "a list": [],
    "a word": "digits",
    "a number": 3,
    "empty": {},
    "no settings": {"settings": None},
    "settings without epochs": {"settings": {}},
    "epochs of another kind": {"settings": {"epochs": "16"}},
    "huge epochs": {"recipe": "paper", "settings": {"epochs": HUGE}},
    "a data set that is gone": {"dataset": "mnist"},
    "a data set that is a list": {"dataset": ["digits"]},
    "a model that is gone": {"model": "vgg"},
    "a model that is nothing": {"model": None},
    "a recipe that is a mapping": {"recipe": {"fast": 1}},
    "a huge alpha": {"alpha": HUGE},
    "a seed that is true": {"seed": True},
    "a variant that is gone": {"variant": {"name": "mixup"}},
    "a variant that is a word": {"variant": "augmix"},
    "a variant that is a list": {"variant": ["augmix"]},
    "a variant without name": {"variant": {}},
    "a variant whose name is a list": {"variant": {"name": ["augmix"]}},
    "a plain variant": {"variant": {"name": "plain"}},
    "a variant without its numbers": {"variant": {"name": "augmix"}},
    "one fact more": {"colour": "red"},
}


@pytest.mark.parametrize("case", ODD)
def test_odd_facts_describe_no_training(case):
    odd = ODD[case]
    facts = as_read(Training(**DIGITS)) | odd if isinstance(odd, dict) and odd else odd
    assert described(facts) is None


def test_doctests():
    assert doctest.testmod(training_module).failed == 0
