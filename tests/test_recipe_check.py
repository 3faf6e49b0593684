"""What the recipe changes about the effects of α: pairs of networks of one seed, from tables that are made up."""

import pandas as pd
import pytest

from lib.base.text import number
from lib.book import recipe_check
from lib.training.training import labels


@pytest.fixture
def measured(monkeypatch):
    """Networks of all recipes but the last; accuracies fall by 1 point for each unit of -α, and by a tenth of
    a point for each seed.
    """

    def summary(trainings):
        rows = pd.DataFrame([labels(training) for training in trainings])
        there = rows.recipe != "check"
        for column in ("mean_selectivity", "clean_accuracy", "corrupted_accuracy", "fgsm_accuracy"):
            rows[column] = (0.5 + 0.01 * rows.alpha * (1 + 0.1 * rows.seed)).where(there)
        return rows

    monkeypatch.setattr(recipe_check, "at_hand", summary)
    monkeypatch.setattr(recipe_check, "full_summary", lambda rows, trainings: rows)


def test_effects_are_paired_by_seed(measured):
    rows = recipe_check.effects()
    assert rows["α"].tolist() == [number(alpha) for alpha in (-2, 0.4, -2, 0.4, -2)]
    assert rows.seeds.tolist() == ["3", "3", "3", "3", "0"]
    # seeds 0, 1, 2: -2, -2.2, -2.4 points; t of two degrees of freedom is 4.303
    half = 4.303 * 0.2 / 3**0.5
    assert rows["clean, points"][0] == f"−2.2\n(−{2.2 + half:.1f} to −{2.2 - half:.1f})"
    assert rows["FGSM (ε = 0.002), points"][4] == "not measured"


def test_the_recipes_are_those_of_the_rules():
    """Half the epochs, and a batch of 256 with a weight decay of 1e-4, as the rules were written."""
    first, half, batch = (trainings[0].settings for trainings in recipe_check.recipes().values())
    assert (half.epochs, half.batch, half.weight_decay) == (
        first.epochs // 2,
        first.batch,
        first.weight_decay,
    )
    assert (batch.epochs, batch.batch, batch.weight_decay) == (first.epochs, 256, 1e-4)
    assert (batch.learning_rate, batch.warm) == (first.learning_rate, first.warm)
    asked = {
        name: {(training.alpha, training.seed) for training in trainings}
        for name, trainings in recipe_check.recipes().items()
    }
    assert asked["half the epochs"] == {(alpha, seed) for alpha in (-2, 0, 0.4) for seed in (0, 1, 2)}
    assert asked["another minibatch"] == {(-2, 0), (0, 0)}


def test_what_is_not_there_is_said(empty_store):
    rows = recipe_check.effects()
    assert len(rows) == 5 and set(rows.seeds) == {"0"} and set(rows["clean, points"]) == {"not measured"}
    assert recipe_check.sentence() == "None of the others is cached yet."


def test_signs_that_another_recipe_keeps_are_counted(measured, monkeypatch):
    assert recipe_check.sentence() == "With half the epochs, 8 of 8 effects keep their sign."
    usual = recipe_check.at_hand

    def turned(trainings):
        """With fewer epochs clean accuracy turns at both α, and seed 0 is all there is of one."""
        rows = usual(trainings)
        few = rows.epochs == 8
        rows.loc[few, "clean_accuracy"] = 1 - rows.clean_accuracy[few]
        gone = few & (rows.alpha == -2) & (rows.seed > 0)
        rows.loc[gone, "fgsm_accuracy"] = float("nan")
        return rows

    monkeypatch.setattr(recipe_check, "at_hand", turned)
    assert recipe_check.sentence() == "With half the epochs, 6 of 8 effects keep their sign."
