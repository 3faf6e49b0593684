# %% [markdown]
# # Explore α
#
# **Key points**
#
# - One slider sets α. Accuracy, selectivity by layer and dimensionality by layer move with it.
# - Every position of the slider is an α at which networks were trained. Nothing is drawn in between.
# - It works without a network. With scripts off, and in a notebook, the figure below the slider holds the same numbers.
#
# *Run time: seconds from the cache.*
#
# **Question.** The paper's claims are about what happens to several measures of a network when α is changed {cite}`leavitt2020linking`. What does that look like
# for one network at a time? The verdicts are those of the chapters, not of this page: {doc}`03-average-case`, {doc}`04-worst-case`.

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, 0.0, 0.2, 0.4, 1.0]  # below 0: less selective
seeds: list[int] = [3, 4, 5, 6, 7]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %% tags=["hide-input"]
from lib import runs
from lib.book import chapter, figures, rounds

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.runs.tables import cached

figures.setup()
summary = rounds.with_all(here, runs.summary(here.trainings))
dimensionality = cached("dimensionality", here.trainings)
shown = figures.explored(
    summary, runs.table("selectivity", here.trainings), dimensionality
)
count = {one["name"]: sum(one["networks"]) for one in shown["measures"]}
whose = rounds.whose(here)
networks = f"{len(summary)} networks ({here.setting})"
is_checked = "ball_worst_doubtful" in summary
failed = "checks say that all three attacks may have failed"
hollow = f"; hollow: {failed} on one of the networks" if is_checked else ""
glue("hollow", hollow)
glue("networks", networks)
counts = (
    f"{count['corrupted']} of them tested on corrupted images, "
    f"{count['attacked']} attacked, {count['dimension']} measured for dimensionality"
)
glue("counts", counts)

# %% [markdown]
# *Shown here: {glue:text}`networks`, {glue:text}`counts`; each is listed in {doc}`19-runs`.*
#
# ## The slider

# %% tags=["hide-input"]
figures.show_interactive(shown)

# %% [markdown]
# Dimensionality is the number of principal components that hold 95 % of the variance, over the number of units; of clean activations, and of what corruptions or
# PGD change in them, on the same images. In the table it is the mean over the early layers. Accuracy under attack is the lowest of those under three
# attacks{glue:text}`hollow`. {doc}`04-worst-case` says how the attacks were checked.
#
# Selectivity is that of all units, dead ones counting as 0. Values are means over the networks that have the measurement.
#
# ## The same on paper

# %% tags=["hide-input"]
means = summary.groupby("alpha")[
    ["clean_accuracy", "corrupted_accuracy", "ball_worst", "mean_selectivity"]
].mean()
low, high = means.iloc[0], means.iloc[-1]
told = "; ".join(
    f"{words} {factor * low[column]:.{digits}f} and {factor * high[column]:.{digits}f}"
    for column, words, factor, digits in (
        ("clean_accuracy", "clean accuracy in percent", 100, 1),
        ("corrupted_accuracy", "on corrupted images", 100, 1),
        ("ball_worst", "under attack", 100, 1),
        ("mean_selectivity", "mean selectivity", 1, 2),
    )
    if low[column] == low[column] and high[column] == high[column]
)
unmeasured = (
    "" if len(dimensionality) else " The third panel is empty: nothing is measured yet."
)

# %% tags=["hide-input"]
figures.show(
    figures.explorer(shown),
    read=here.read(
        "selectivity",
        "corruption",
        "attack",
        "transfer",
        "autoattack",
        "dimensionality",
    ),
    name="fig-explorer",
    alt=f"""Three panels: three accuracies against α, selectivity by layer and
    dimensionality by layer, one line per α. At the lowest α, {means.index[0]:g}, and at
    the highest, {means.index[-1]:g}: {told}.{unmeasured}""",
    caption=f"""{whose}. What the slider shows, for all α at once: accuracy on clean
    images, on corrupted ones and under the strongest of three attacks (one point per
    network, lines through means{hollow}); selectivity and dimensionality of each ReLU
    layer (means over seeds). {networks}, {counts}.""",
)

# %% [markdown]
# Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
