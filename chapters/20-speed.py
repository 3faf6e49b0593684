# %% [markdown]
# # Speed
#
# **Key points**
#
# - Of the targets, {glue:text}`met` are met, and {glue:text}`met-types` of those for single types of corruption. The others are hollow in the first figure.
# - Everything that is fast here is compared with what people would use instead: ours and the peer in turn, in one process, medians of several pairs.
# - No ratio is printed unless both sides compute the same. For training that means accuracy, mean selectivity and confidence over three α and three seeds.
# - Targets were written down before they were measured. A target that is missed is printed as missed.
#
# *Run time: seconds. `make bench` measures anew, about half an hour on two CPU cores, and writes `_build/bench.json`;
# `python -m benchmarks --publish` also changes what this page shows.*

# %% tags=["parameters", "hide-input"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet; all show the same here
model: str = "usual"  # the data set's usual network
alphas: list[float] = [0.0]  # not used here
seeds: list[int] = [0]  # not used here
recipe: str = "fast"  # fast or paper

# %% tags=["hide-input"]
import json

import pandas as pd
import scipy.stats

from lib.base import paths, text
from lib.book import chapter, figures

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.training.recipe import RECIPES

figures.setup()
source = "benchmarks/results.json"
rows = pd.DataFrame(json.loads((paths.ROOT / source).read_text(encoding="utf-8")))
measured = rows[rows.ratio.notna()]
glue(
    "machines",
    "; ".join(
        sorted({
            f"{text.machine(one.machine)} (torch {one.torch})"
            for one in measured.itertuples()
        })
    ),
)
single = measured.name.str.startswith("corruption: ")
for key, some in (("met", measured[~single]), ("met-types", measured[single])):
    glue(key, f"{int(some.met.astype(bool).sum())} of {len(some)}")
missed = measured[~measured.met.astype(bool)]

# %% tags=["hide-input"]
glue("missed", ", ".join(missed.name) or "none")
glue("gpu", f"{(measured.device == 'cuda').sum() or 'none'}")
glue("dates", ", ".join(sorted(set(measured.date))))

# %% [markdown]
# *Measured on {glue:text}`machines`, {glue:text}`dates`. Missed: {glue:text}`missed`. Measured on a GPU, for which training and attacks have targets of their own:
# {glue:text}`gpu`.*
#
# A ratio of 2 says that the peer takes twice as long. For the regulariser the ratio is the time of a step with it over that of a step without; the closer to 1, the
# better. The machines are shared and noisy: the range is that of the single pairs.

# %% tags=["hide-input"]
types = measured[single]
others = measured.drop(types.index)
figures.show(
    figures.ratios(others),
    name="fig-ratios",
    source=source,
    alt="Time of the peer over time of ours, one row per benchmark: "
    + "; ".join(
        f"{one.name} {one.ratio:.2g}, target {one.target}"
        for one in others.itertuples()
    )
    + ".",
    caption=f"""Time of the peer over time of ours: median (dot, hollow where it misses
    the target) and range of {others.repeats.min()} to {others.repeats.max()} pairs; the
    vertical stroke is the target.""",
)

# %% tags=["hide-input"]
shown = pd.DataFrame({
    "benchmark": rows.name,
    "against": rows.peer_name,
    "ours and peer": [
        f"{one.ours:.3g} and {one.peer:.3g} {one.unit}" if pd.notna(one.ratio) else ""
        for one in rows.itertuples()
    ],
    "ratio": rows.ratio.map("{:.2f}".format, na_action="ignore"),
    "target": rows.target,
    "device": rows.device,
    "outcome": [
        one.note if pd.isna(one.ratio) else "met" if one.met else "missed"
        for one in rows.itertuples()
    ],
}).fillna("")
figures.show_table(
    shown.drop(types.index).drop(
        columns=["device"] if rows.device.nunique() == 1 else []
    )
)

# %% [markdown]
# ## Corruptions, type by type
#
# All severities of each corruption on CIFAR-10 images, in batches, against the same done image by image as the original script does; both on one thread. In the
# geometric mean over types the ratio is {glue:text}`geometric` (target: 8).

# %% tags=["hide-input"]
glue("geometric", f"{scipy.stats.gmean(types.ratio):.1f}")
figures.show(
    figures.ratios(
        types.assign(
            name=types.name.str.removeprefix("corruption: ").str.replace("_", " ")
        ).sort_values("ratio")
    ),
    name="fig-corruption-ratios",
    source=source,
    alt=f"""Time of image by image over time of ours, one row per corruption, from
    {types.ratio.min():.2g} for the least to {types.ratio.max():.2g} for the most;
    geometric mean {scipy.stats.gmean(types.ratio):.1f}.""",
    caption=f"""Time of the corruptions image by image over time of ours: median (dot,
    hollow where it misses the target) and range of {types.repeats.min()} pairs; the
    vertical stroke is the target.""",
)

# %% [markdown]
# ## What the paper's study costs
#
# The paper trained many networks. How many for CIFAR-10 is not known exactly; take 23 α, 20 seeds and 200 epochs. At the rate of the steps above, one after
# the other:

# %% tags=["hide-input"]
networks, epochs, images = 23 * 20, RECIPES["paper"]["resnet20"].epochs, 45_000
steps = measured[measured.name == "train-step"]
batch = RECIPES["fast"]["resnet20"].batch
cost = pd.DataFrame({
    "device": steps.device,
    "images per second": [f"{1000 * batch / ours:,.0f}" for ours in steps.ours],
    "one network": [
        f"{epochs * images / (1000 * batch / ours) / 3600:.1f} hours"
        for ours in steps.ours
    ],
    "the whole study": [
        f"{networks * epochs * images / (1000 * batch / ours) / 86400:.1f} days"
        for ours in steps.ours
    ],
})
figures.show_table(cost)

# %% [markdown]
# Where no GPU has been measured, only the CPU stands here. The step for a GPU (everything in one captured CUDA graph) is written and rehearsed on a CPU, and
# `python -m benchmarks.together` will decide there whether several networks are trained at once.
