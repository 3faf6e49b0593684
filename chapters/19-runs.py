# %% [markdown]
# # Cached runs
#
# Every figure and number of the book is made from the runs listed here; nothing is trained or measured while the book is built. A run's name ends in the
# hash of everything that determines it. Its folder below `runs/` holds its configuration and provenance (`config.json`), its history, a table for each
# measurement, and for some seeds its weights. `manifest.json` holds the SHA-256 of each file, which is checked on every reading. A
# simulation is a run without images and without a network: its tables alone.
#
# *Run time: seconds.*

# %% tags=["parameters", "hide-input"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # below 0: less selective
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %% tags=["hide-input"]
from lib.base import text
from lib.book import chapter, figures
from lib.runs import catalogue

here = chapter.parameters(globals())
from lib.book.prose import glue

cached = catalogue.catalogue()
status = cached.status.value_counts()
glue("runs", f"{len(cached)}")
glue("status", ", ".join(f"{n} {name}" for name, n in status.items()))

# %% [markdown]
# **{glue:text}`runs` runs: {glue:text}`status`.** `python -m lib runs` prints this table, `python -m lib runs --csv` the whole of it.
#
# - *stale*: library code that the run depends on has changed since it was made, and is not known to give the same bits;
# - *diverged*: its loss stopped being finite, or it ended at chance accuracy (kept, because that is a result);
# - *damaged*: a file fails its checksum.

# %% tags=["hide-input"]
shown = cached.assign(
    accuracy=(100 * cached.clean_accuracy).map("{:.1f} %".format),
    SI=cached.mean_selectivity.map("{:.3f}".format),
    minutes=(cached.seconds / 60).map("{:.1f}".format),
    commit=cached.commit.str[:7],
    id=cached.run.str.rsplit("-", n=1).str[-1],
    device=cached.device.map(text.machine),
)
columns = [
    "id",
    "variant",
    "alpha",
    "seed",
    "epochs",
    "accuracy",
    "SI",
    "device",
    "commit",
    "date",
    "status",
    "tables",
]
for (dataset, model, recipe), rows in shown[shown.dataset != "simulations"].groupby([
    "dataset",
    "model",
    "recipe",
]):
    print(f"{model} on {dataset}, {recipe} recipe: {len(rows)} runs")
    figures.show_table(rows[columns], anchors=True)

# %% tags=["hide-input"]
for kind, rows in shown[shown.dataset == "simulations"].groupby("model"):
    print(f"simulation {kind}: {len(rows)} runs")
    figures.show_table(
        rows[
            [
                "id",
                "variant",
                "seed",
                "minutes",
                "device",
                "commit",
                "date",
                "status",
                "tables",
            ]
        ],
        anchors=True,
    )
