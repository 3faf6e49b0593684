"""One place to add a thing: a toy of each kind is put into its table, and all that reads the table knows it."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import nn

from lib import data, measurements, models, papers, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import Unfit
from lib.book import notebooks, pdf
from lib.data.datasets import _SOURCES, _load
from lib.data.images import Images, Source
from lib.measurements.measurement import COUNT, FLOAT, PLACE, SHARE, TEXT, Measurement
from lib.measurements.selectivity import selectivity
from lib.papers import first_round
from lib.papers.claim import Claim
from lib.runs import validity
from lib.runs.run import as_parquet
from lib.runs.tables import full_summary
from lib.training import datasets, objective, parts, recipe, variants
from lib.training.datasets import USUAL_MODELS, usual_model
from lib.training.engine import Engine, best_engine
from lib.training.objective.base import Objective
from lib.training.recipe import Recipe
from lib.training.training import LABELS, Training, described
from lib.training.variants import Variant

EAGER = Engine("cpu", low_precision=False, compiled=False)

# ---- a measurement -----------------------------------------------------------------------------------------


def guesses(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """One row per class: how many of the first images are taken for it, and their mean softmax."""
    some = images.first(limit)
    with torch.inference_mode():
        likely, taken = network(models.to_unit(some.pixels)).softmax(1).max(1)
    counts = taken.bincount(minlength=len(some.classes))
    sums = torch.zeros(len(some.classes)).index_add_(0, taken, likely)
    facts = {"class": list(some.classes), "taken": counts, "confidence": sums / counts}
    return pd.DataFrame(facts)


def with_guesses(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add `most_taken`, the number of images in the class that most are taken for."""
    if table.empty:
        return summary.assign(most_taken=float("nan"))
    most = table.groupby(LABELS, sort=False).taken.max().rename("most_taken")
    return summary.merge(most.reset_index(), on=LABELS, how="left")


GUESSES_TABLE = {"class": TEXT, "taken": COUNT, "confidence": SHARE}


@pytest.fixture
def measurement(monkeypatch) -> Measurement:
    one = Measurement(
        guesses, "what images are taken for", GUESSES_TABLE, {"limit": 60}, columns=with_guesses
    )
    monkeypatch.setitem(measurements.MEASUREMENTS, "guesses", one)
    monkeypatch.setattr(
        "lib.runs.provenance.table_digest", lambda *names: "2:" + "0" * 12
    )  # it is not in lib
    return one


def test_a_measurement_is_made_checked_and_summarised(measurement, own_store, trainings):
    plain = runs.summary(trainings)
    assert full_summary(plain, trainings).most_taken.isna().all()  # nothing is made for a summary
    table = runs.table("guesses", trainings, progress=False)
    assert table.groupby("alpha").taken.sum().tolist() == [60, 60]
    summary = full_summary(plain, trainings)
    assert summary.most_taken.tolist() == table.groupby("alpha").taken.max().tolist()
    (file,) = (own_store / trainings[0].name).glob("guesses-*.parquet")
    validity.table("guesses", file.read_bytes(), trainings[0])
    validity.run(
        trainings[0].name, {one.name: one.read_bytes() for one in (own_store / trainings[0].name).iterdir()}
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda rows: rows.drop(columns="taken"), "has the columns .*, not class, taken, confidence"),
        (lambda rows: rows.assign(taken=rows.taken - 1), "has -1 to .* in column taken, not 0 to"),
        (lambda rows: rows.assign(confidence=rows.confidence + 1), "in column confidence, not 0 to 1"),
        (lambda rows: rows.assign(taken=rows.taken * 1.0), "has double in column taken, not a whole number"),
        (lambda rows: rows.assign(**{"class": None}), "in column class"),
    ],
)
def test_a_table_is_held_against_the_columns_of_its_measurement(change, fault, measurement, digits):
    network = models.build("resnet8", 10, seed=4).eval()
    rows = guesses(network, digits["test"], limit=60).astype({"confidence": "float32"})
    training = Training("digits", "resnet8", recipe="fast")
    validity.table("guesses", as_parquet(rows), training)
    with pytest.raises(Unfit, match=fault):
        validity.table("guesses", as_parquet(change(rows)), training)


def test_cells_may_be_empty_where_the_column_says_so(measurement, monkeypatch):
    training, rows = (
        Training("digits", "resnet8", recipe="fast"),
        pd.DataFrame({"place": pd.array([1, None])}),
    )
    for column, fits in ((PLACE, False), (PLACE.or_empty, True)):
        one = dataclasses.replace(measurement, table={"place": column})
        monkeypatch.setitem(measurements.MEASUREMENTS, "guesses", one)
        if fits:
            validity.table("guesses", as_parquet(rows), training)
        else:
            with pytest.raises(Unfit, match="has empty cells in column place"):
                validity.table("guesses", as_parquet(rows), training)
    assert FLOAT.empty and not TEXT.empty


# ---- a claim -----------------------------------------------------------------------------------------------


def dead_share(summary: pd.DataFrame) -> pd.Series:
    """For each seed, the share of dead units at α = 1."""
    return summary[summary.alpha == 1].set_index("seed").dead


def test_a_claim_is_decided_and_in_the_ledger(monkeypatch):
    one = Claim("LM-99", "units die at α = 1", "recalled", rule="share of dead units", statistic=dead_share)
    for module in (
        "lib.papers.registry",
        "lib.papers.first_round",
    ):  # each has taken the one tuple by its name
        monkeypatch.setattr(f"{module}.CLAIMS", (*papers.CLAIMS, one))
    assert papers.claim("LM-99") is one and papers.written().id.tolist().count("LM-99") == 1
    planted = pd.DataFrame({"alpha": [1.0] * 4, "seed": range(4), "dead": [0.2, 0.21, 0.19, 0.2]})
    verdict = first_round.decide(one, planted)
    assert verdict.verdict == "reproduced" and verdict.seeds == 4 and verdict.estimate == pytest.approx(0.2)
    assert first_round.decide(one, planted.assign(dead=[0.5, -0.5, 0.4, -0.4])).verdict == "inconclusive"
    ledger = first_round.ledger().set_index("id")
    assert len(ledger) == len(papers.CLAIMS) + 1 and ledger.loc["LM-99", "verdict"] == "not tested"


# ---- a chapter ---------------------------------------------------------------------------------------------


def test_a_chapter_is_found_and_in_the_contents(tmp_path, monkeypatch):
    shutil.copytree(paths.CHAPTERS, tmp_path / "chapters", ignore=shutil.ignore_patterns("*.ipynb"))
    example = re.search(
        r":caption: chapters/99-best.py\n(.*?)```", (paths.ROOT / "reference" / "adding.md").read_text(), re.S
    )
    (tmp_path / "chapters" / "99-best.py").write_text(example[1])
    monkeypatch.setattr("lib.base.paths.CHAPTERS", tmp_path / "chapters")
    assert notebooks.find("best") == "99-best" and list(notebooks.sources())[-1] == "99-best"
    assert set(notebooks.declared("99-best")) == {"dataset", "model", "alphas", "seeds", "recipe"}
    toc = yaml.safe_load((paths.ROOT / "_toc.yml").read_text())
    toc["parts"][1]["chapters"].append({"file": "chapters/99-best"})
    assert "chapters/99-best" in pdf.contents(toc)
    with pytest.raises(InputError, match="unknown parameter 'alpah'"):
        notebooks.execute("best", {"alpah": 1})


# ---- a data set, a model, a way of training ----------------------------------------------------------------


class Shallow(nn.Module):
    """One convolution, on pixels in [0, 1]."""

    def __init__(self, classes: int, *, width: int) -> None:
        super().__init__()
        self.conv, self.relu, self.linear = nn.Conv2d(3, width, 3, 2), nn.ReLU(), nn.Linear(width, classes)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.linear(self.relu(self.conv(pixels)).mean((2, 3)))


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> str:
    """Dark and light squares."""
    shades = torch.tensor([0, 1] * 10)
    made = Images(
        (shades * 200).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32), shades, ("dark", "light")
    )
    _load.cache_clear()
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(data.DATASETS, "squares", (32, 2, "ask its makers"))
    monkeypatch.setitem(_SOURCES, "squares", lambda root, split: [Source(tmp_path, [tmp_path], lambda: made)])
    monkeypatch.setitem(datasets.AUGMENTATIONS, "squares", datasets.Augmentation(flip=True, pad=2))
    monkeypatch.setitem(USUAL_MODELS, "squares", "resnet8")
    return "squares"


@pytest.fixture
def model(monkeypatch) -> str:
    monkeypatch.setitem(models.MODELS, "shallow", (Shallow, {"width": 8}, 32))
    own = Recipe(epochs=2, batch=5, learning_rate=0.1)
    monkeypatch.setitem(recipe.RECIPES, "fast", recipe.RECIPES["fast"] | {"shallow": own})
    return "shallow"


@dataclasses.dataclass(frozen=True)
class Noisy:
    """Training on images with noise."""

    sigma: float = 0.5


def on_noisy(around, settings):
    def loss(pixels, labels, generator):
        noise = settings.sigma * torch.randn(pixels.shape, generator=generator)
        cross_entropy = F.cross_entropy(around.network(models.to_unit(pixels) + noise), labels)
        return around.regularised(cross_entropy, around.means, labels)

    return Objective(around, loss)


@pytest.fixture
def variant(monkeypatch) -> str:
    def make(name: str, recipe: str) -> Variant:
        return Variant(name, "noise", float("nan"), Noisy(), "choice: for tests", draws=True)

    monkeypatch.setitem(variants.VARIANTS, "noisy", ("noisy", make))
    monkeypatch.setitem(objective.OBJECTIVES, "noisy", on_noisy)
    return "noisy"


def test_a_data_set_is_loaded_and_names_a_training(dataset):
    assert data.load(dataset, "test").classes == ("dark", "light") and data.image_side(dataset) == 32
    training = Training(dataset, usual_model(dataset), recipe="fast")
    assert training.name.startswith("squares-resnet8/alpha0.0-seed0-fast-")
    assert training.canonical()["augmentation"] == {"flip": True, "pad": 2}
    units = selectivity(models.build("resnet8", 2).eval(), data.load(dataset, "test"))
    validity.table("selectivity", as_parquet(units), training)


def test_a_model_is_built_measured_and_named(model, digits):
    network = models.build(model, 10, seed=1).eval()
    units, training = selectivity(network, digits["test"].first(80)), Training("digits", model, recipe="fast")
    assert units.unit.tolist() == list(range(8)) and np.isfinite(units.selectivity).all()
    validity.table("selectivity", as_parquet(units), training)
    assert (
        training.name.startswith("digits-shallow/")
        and described(json.loads(json.dumps(training.canonical()))) == training
    )
    with pytest.raises(InputError, match="recipe 'paper' is not written for 'shallow'; it has: fast"):
        Training("digits", model, recipe="paper")


def test_a_way_of_training_has_a_name_a_key_and_a_loss(variant, digits, monkeypatch):
    plain = Training("digits", "resnet8", recipe="fast")
    training = dataclasses.replace(plain, variant=variant)
    assert training.key != plain.key and "-fast-noisy-" in training.name
    assert training.canonical()["variant"] == {"name": "noisy", "sigma": 0.5}
    assert described(json.loads(json.dumps(training.canonical()))) == training
    monkeypatch.setattr("lib.training.engine.COMPILE_FROM", 0)
    monkeypatch.setattr("lib.training.engine.trouble_of_compiler", lambda device: "none is tried here")
    assert best_engine(plain, device="cuda").captured and not best_engine(training, device="cuda").captured
    some, network = digits["train"].first(30), models.build("resnet8", 10)
    losses = []
    for one in (plain, training):
        with models.spatial_means(network) as means:
            step = parts.objective(one, network, means, 10, EAGER, one.alpha, lambda: None)
            losses.append(step.loss(some.pixels, some.labels, torch.Generator().manual_seed(0))[0].item())
    assert losses[0] != losses[1]


def test_all_three_are_trained_together(dataset, model, variant, empty_store, monkeypatch):
    """A run of a toy network on a toy data set, in a toy way, from command to summary."""
    monkeypatch.setattr("lib.runs.provenance.training_digest", lambda training: "2:" + "0" * 12)
    monkeypatch.setattr("lib.runs.provenance.table_digest", lambda *names: "2:" + "0" * 12)
    training = Training(dataset, model, alpha=-1.0, recipe="fast", variant=variant)
    summary = runs.summary([training], progress=False)
    assert summary[["dataset", "model", "variant", "epochs"]].iloc[0].tolist() == [dataset, model, variant, 2]
    assert summary.clean_accuracy.between(0, 1).all() and summary.mean_selectivity.between(0, 1).all()
    assert "--variant noisy" in runs.command(training)
