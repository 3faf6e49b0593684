"""The main text's network, ResNet18 on Tiny ImageNet: chapters with `dataset: tiny-imagenet`, and its panels beside
ResNet20's, with none of its networks, with one α and with three.

No such network is cached; tables of the digits' networks stand in for theirs, under other labels.
"""

import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib import measurements, runs
from lib.book import grid as grid_of
from lib.book import main_text, needs, notebooks
from lib.book.figures import accuracy_by_strength, main_text_corrupted, main_text_selectivity
from lib.corruptions import NAMES
from lib.measurements import Asked
from lib.papers.resnet18 import CORRUPTED, FGSM, RESNET18_TINY_IMAGENET
from lib.runs import tables
from lib.training.training import LABELS, Training, labels

THREE, ONE = (-2.0, 0.0, 2.0), (0.0,)
REAL = {name: getattr(runs.tables, name) for name in ("table", "summary", "cached")}


def grid(alphas, seeds=(0,), recipe: str = "paper") -> list[Training]:
    return [Training("tiny-imagenet", "resnet18", alpha, seed, recipe) for alpha in alphas for seed in seeds]


def twin(training: Training) -> Training:
    """The network of the digits whose tables stand in for one of Tiny ImageNet."""
    if training.dataset != "tiny-imagenet":
        return training
    return Training("digits", "resnet8", training.alpha, training.seed, "fast")


def relabelled(rows: pd.DataFrame, training: Training) -> pd.DataFrame:
    return rows.assign(**labels(training)) if len(rows) else rows


def stand_in(measurement: str, trainings, **settings) -> pd.DataFrame:
    """As `runs.table`; what was asked of Tiny ImageNet's networks is read of their twins, with the usual sizes."""
    parts = []
    for one in trainings:
        own = {} if one.dataset == "tiny-imagenet" and measurement != "autoattack" else settings
        if measurement == "image_attack":  # the digits have none
            continue
        parts.append(relabelled(REAL["cached"](measurement, [twin(one)], **own), one))
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def summary_of(trainings, **_) -> pd.DataFrame:
    rows = [relabelled(REAL["summary"]([twin(one)]), one) for one in trainings]
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def stood_in(monkeypatch):
    """Tables of Tiny ImageNet's networks are those of their twins; nothing is asked of a store."""
    monkeypatch.setenv("RUNS_FROZEN", "1")
    monkeypatch.setattr(runs, "table", stand_in)
    monkeypatch.setattr(runs, "summary", summary_of)
    for module in (tables, grid_of, main_text):
        monkeypatch.setattr(module, "cached", stand_in)
    monkeypatch.setattr(main_text, "at_hand", summary_of)
    monkeypatch.setattr(tables, "check_images", lambda *_, **__: None)


@pytest.fixture
def cached_are(monkeypatch, stood_in):
    """A function that says which networks of the main text are cached."""
    return lambda networks: monkeypatch.setattr(main_text, "trainings", lambda: networks)


# ---- chapters ----------------------------------------------------------------------------------------------

# figures of each chapter that need no further networks
CHAPTERS = {
    "02-approach": {"fig-selectivity", "fig-layers", "fig-dead", "fig-accuracy", "fig-main-text-selectivity"},
    "03-average-case": {
        "fig-by-corruption",
        "fig-corrupted",
        "fig-corrupted-clean",
        "fig-changes",
        "fig-main-text-corrupted",
    },
    "04-worst-case": {"fig-strength", "fig-jacobian", "fig-survival", "fig-average-worst"},
    "05-gradients": {
        "fig-gradients",
        "fig-gradients-apart",
        "fig-gradients-firing",
        "fig-main-text-gradients",
    },
    "06-dimensionality": {"fig-dimensions", "fig-changes-both", "fig-twonn", "fig-main-text-dimensions"},
}


def executed(name: str, monkeypatch, **given) -> tuple[dict[str, dict], dict[str, str]]:
    """Run a chapter's cells; the figures that it shows, by name, and what it glues."""
    shown, glued = {}, {}
    monkeypatch.setattr(
        "lib.book.figures.show",
        lambda figure, **facts: shown.update({facts["name"]: facts | {"figure": figure}}),
    )
    monkeypatch.setattr("lib.book.figures.show_ledger", lambda *_, **__: None)
    monkeypatch.setattr("lib.book.figures.show_table", lambda *_, **__: None)
    monkeypatch.setattr("myst_nb.glue", lambda name, value, **_: glued.update({name: value}))
    names: dict[str, object] = {"In": ()}
    for cell in notebooks.read(name).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, name, "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= given
    return shown, glued


@pytest.mark.slow
@pytest.mark.parametrize("alphas", [ONE, THREE], ids=["one", "three"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_shows_the_networks_that_there_are(name, alphas, cached_are, monkeypatch):
    """One seed: points, no interval and no verdict."""
    networks = grid(alphas)
    cached_are(networks)
    shown, glued = executed(
        name, monkeypatch, dataset="tiny-imagenet", alphas=list(alphas), seeds=[0], recipe="paper"
    )
    assert set(shown) >= CHAPTERS[name]
    for figure in shown.values():
        assert isinstance(figure["figure"], Figure) and figure["alt"] and figure["caption"]
    assert (
        "first round: reproduced" not in glued["found"]
        and "first round: not reproduced" not in glued["found"]
    )
    if name != "04-worst-case":
        assert glued["main-text"].startswith(f"Here: {len(alphas)} network")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAPTERS)
def test_the_panels_beside_resnet20s(name, cached_are, monkeypatch):
    """The page of another data set: without networks of the main text, published numbers alone, and it is said."""
    for networks, start, told in (
        ([], "We have trained no such network yet.", "no network of ours yet"),
        (grid(THREE), "Here: 3 networks of ours, paper recipe", "3 networks of ours, paper recipe"),
    ):
        cached_are(networks)
        shown, glued = executed(name, monkeypatch, dataset="digits", alphas=[-2.0, 0.0, 2.0], seeds=[0])
        if name == "04-worst-case":
            continue  # its panel stands in the figure of the digits only with published numbers, see below
        assert glued["main-text"].startswith(start)
        published = name in ("02-approach", "03-average-case")
        there = [figure for label, figure in shown.items() if label.startswith("fig-main-text-")]
        assert len(there) == bool(networks or published)
        if published:
            assert told in " ".join(there[0]["caption"].split())


# ---- panels ------------------------------------------------------------------------------------------------


def alike(alphas) -> pd.DataFrame:
    rows = [
        {
            "alpha": alpha,
            "seed": 0,
            "recipe": "paper",
            "mean_selectivity": 0.5 + 0.2 * alpha,
            "clean_accuracy": 0.5,
        }
        for alpha in alphas
    ]
    columns = ["alpha", "seed", "recipe", "mean_selectivity", "clean_accuracy"]
    return pd.DataFrame(rows, columns=columns).assign(corrupted_accuracy=0.15)


@pytest.mark.parametrize("alphas", [(), ONE, THREE], ids=["none", "one", "three"])
def test_published_numbers_are_drawn_whatever_there_is_of_ours(alphas):
    ours = alike(alphas)
    figure = main_text_selectivity(ours, RESNET18_TINY_IMAGENET, title="a title")
    left, right = figure.axes
    dotted = next(line for line in left.lines if line.get_linestyle() == ":")
    assert dotted.get_ydata().tolist() == RESNET18_TINY_IMAGENET.selectivity.tolist()
    assert len(right.collections[1].get_offsets()) == len(alphas)
    bars = [segment[:, 1].tolist() for segment in right.collections[0].get_segments()]
    assert bars[0] == [52.5, 53.8] and len(bars) == len(RESNET18_TINY_IMAGENET)
    (axes,) = main_text_corrupted(ours, CORRUPTED, title="a title").axes
    dotted = next(line for line in axes.lines if line.get_linestyle() == ":")
    assert dotted.get_ydata().tolist() == [17.3, 13.8]
    assert sum(len(points.get_offsets()) for points in axes.collections) == len(alphas)


def curves(alphas, epsilons=(0.0, 0.002, 0.004, 0.006, 8 / 255)) -> pd.DataFrame:
    rows = [
        {"alpha": alpha, "seed": seed, "epsilon": epsilon, "accuracy": 0.5 - 50 * min(epsilon, 0.01)}
        for alpha in alphas
        for seed in (0, 1)
        for epsilon in epsilons
    ]
    return pd.DataFrame(rows, columns=["alpha", "seed", "epsilon", "accuracy"])


@pytest.mark.parametrize("alphas", [(), ONE, THREE], ids=["none", "one", "three"])
def test_fgsm_has_the_nine_published_values_and_a_line_a_network(alphas):
    plain = curves(THREE).assign(steps=lambda rows: 1e4 * rows.epsilon, step_size=1e-4)
    figure = accuracy_by_strength(plain, plain, FGSM, alike=curves(alphas))
    panel = figure.axes[2]
    dotted = [line for line in panel.lines if line.get_linestyle() == ":"]
    assert sorted(
        y for line in dotted for y, x in zip(line.get_ydata(), line.get_xdata(), strict=True) if x
    ) == sorted([28.9, 27.2, 22.9, 17.0, 13.6, 8.8, 10.1, 7.0, 3.4])
    ours = [line for line in panel.lines if line.get_linestyle() == "-"]
    assert len(ours) == 2 * len(alphas) and all(max(line.get_xdata()) == 0.006 for line in ours)
    assert ("no network of ours yet" in panel.get_title()) == (not alphas)


# ---- which networks there are ------------------------------------------------------------------------------


def test_networks_in_words():
    assert main_text.told(alike(())) == main_text.NONE_YET
    assert main_text.told(alike(ONE)) == "1 network of ours, paper recipe, α = 0, 1 seed for each"
    assert main_text.told(alike(THREE)) == "3 networks of ours, paper recipe, α = −2, 0, 2, 1 seed for each"
    more = pd.concat([alike(THREE), alike(ONE).assign(seed=1)])
    assert main_text.told(more) == "4 networks of ours, paper recipe, α = −2, 0, 2, 1 to 2 seeds for each"
    assert main_text.alt(alike(()), "corrupted_accuracy", ".1f") == "There is no network of ours yet."
    said = main_text.alt(alike(ONE), "corrupted_accuracy", ".1f", 100, " percent")
    assert said == "Ours: 15.0 percent at α = 0."


def test_an_empty_store_has_none(empty_store):
    assert main_text.trainings() == []
    assert main_text.summary([]).empty and main_text.table("gradient", []).empty
    assert main_text.fgsm([]).empty and set(LABELS) < set(main_text.fgsm([]))


def test_networks_of_the_recipe_with_most_are_shown(tmp_path, monkeypatch):
    """Not those of another length, another way of training or the other recipe."""
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    few = Training("tiny-imagenet", "resnet18", 0.0, 0, "paper", 3)
    wanted = grid((2.0, 0.0, -2.0))
    found = {}
    for place, one in enumerate([
        few,
        *wanted,
        Training("tiny-imagenet", "resnet18", 0.0, 0, "paper", variant="augmix"),
    ]):
        folder = tmp_path / "tiny-imagenet-resnet18" / str(place)
        folder.mkdir(parents=True)
        (folder / runs.CONFIG).touch()
        found[folder] = {"training": json.loads(json.dumps(one.canonical()))}
    monkeypatch.setattr(main_text.store, "Folder", lambda folder: folder)
    monkeypatch.setattr(main_text, "config", found.__getitem__)
    assert main_text.trainings() == sorted(wanted, key=lambda one: one.alpha)


# ---- sizes of tables ---------------------------------------------------------------------------------------


def test_a_chapter_asks_for_tables_of_the_data_sets_size(monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "table", lambda name, trainings, **settings: asked.append((name, settings)))
    monkeypatch.setattr(grid_of, "cached", lambda name, trainings, **settings: asked.append((name, "cached")))
    for dataset, model in (("tiny-imagenet", "resnet18"), ("cifar10", "resnet20")):
        here = grid_of.Parameters(dataset, model, (0.0,), (0,), "paper")
        for name in ("corruption", "attack", "transfer", "gradient"):
            here.table(name)
    assert asked == [
        ("corruption", {"limit": 1000}), ("attack", {"limit": 500}), ("transfer", "cached"), ("gradient", {}),
        ("corruption", {}), ("attack", {}), ("transfer", {}), ("gradient", {}),
    ]  # fmt: skip


def of_tiny_imagenet() -> grid_of.Parameters:
    return grid_of.Parameters("tiny-imagenet", "resnet18", (0.0,), (0,), "fast")


def test_a_rerun_plans_the_same_tables():
    every, _ = needs.tables("04-worst-case", of_tiny_imagenet())
    assert set(every) == {Asked("attack", (("limit", 500),)), Asked("jacobian"), Asked("selectivity")}
    every, _ = needs.tables("03-average-case", of_tiny_imagenet())
    assert Asked("corruption", (("limit", 1000),)) in every
    assert {Asked("attack"), Asked("transfer")} < set(needs.tables("04-worst-case")[0])


def test_what_saving_as_jpeg_changes_is_said(monkeypatch):
    one = Training("tiny-imagenet", "resnet18", 0.0, 0, "fast")
    shown = pd.DataFrame([labels(one) | {"corrupted_accuracy": 0.30}])
    monkeypatch.setattr(main_text, "table", lambda name, networks: pd.DataFrame())
    assert main_text.saved(shown, [one]).endswith("is not measured yet (table `saved_corruption`).")
    # fifteen corruptions count, the extra ones and the clean images do not
    cells = [
        ("clean", 0, 40),
        *((name, 1, 26) for name in NAMES[:15]),
        *((name, 1, 0) for name in NAMES[15:]),
    ]
    rows = [
        labels(one)
        | {"corruption": name, "severity": severity, "class": "a", "images": 100, "correct": correct}
        for name, severity, correct in cells
    ]
    monkeypatch.setattr(main_text, "table", lambda name, networks: pd.DataFrame(rows))
    assert main_text.saved(shown, [one]).endswith("accuracy on ours changes by −4.0 points.")


@pytest.mark.parametrize("sweep", ["tiny-imagenet-resnet18", "tiny-imagenet-resnet18-fast"])
def test_the_sweep_makes_what_chapters_ask_for(sweep):
    from lib.base import paths
    from lib.sweeps.file import read

    made = {
        table.name: dict(table.settings)
        for table in read(paths.ROOT / "sweeps" / f"{sweep}.yml").measurements
    }
    for name, settings in made.items():
        wanted = measurements.MEASUREMENTS[name].shown("tiny-imagenet")
        assert measurements.file_name(name, settings) == measurements.file_name(name, wanted), name
    for name in CHAPTERS:
        every, _ = needs.tables(name, of_tiny_imagenet())
        assert {asked.name for asked in every} <= set(made), name
