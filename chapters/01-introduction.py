# %% [markdown]
# # Introduction
#
# **Key points**
#
# - Class selectivity is easy to see in a network and hard to judge: it may be how networks compute, or a side effect.
# - The paper *sets* selectivity through the loss, so that its effect on robustness can be read as cause and effect.
# - For each kind of robustness two opposite outcomes were possible. This book states both before it shows a number.
#
# *Run time: seconds, with or without a GPU; everything is read from cached runs.*
#
# ## Two kinds of robustness
#
# A classifier meets two kinds of bad input. **Average-case** perturbations come from the world: noise, blur, weather, compression; they were not made
# with the network in mind {cite}`hendrycks2019benchmarking`. **Worst-case** perturbations are searched for with the network's own gradient
# {cite}`goodfellow2015explaining,madry2018towards`. Methods that help against one often do little against the other, and it is not known which property
# of a network decides.
#
# {cite:t}`leavitt2020linking` propose one such property: how selective single units are for single classes. Their earlier work
# {cite}`leavitt2020selectivity` found that selectivity can be lowered a good way without loss of clean accuracy, and that raising it does harm.
#
# ## The hypothesis, both ways
#
# | | if selectivity helps | if selectivity hurts |
# |---|---|---|
# | **corruptions** (average case) | Units tuned to one class ignore what is irrelevant to it. Corrupted accuracy *rises* with α. | A class hangs on few units; what distorts them is not averaged out. Corrupted accuracy *falls* with α. |
# | **attacks** (worst case) | A distributed code offers the gradient many directions to push in; a selective one offers few. Accuracy under attack *rises* with α. | A selective unit is a single lever: push it, and the class flips. Accuracy under attack *falls* with α. |
#
# The paper's answer is split: selectivity **hurts** in the average case and **helps** in the worst case. The words in the table are ours; the paper
# states two opposite outcomes for each experiment too.
#
# Its explanation is **dimensionality**: networks of low selectivity use more dimensions in their early layers, and a perturbation of either kind moves
# them along more dimensions.
#
# ## What is set here, and what is only seen
#
# α is set by us, all else equal, so a difference between networks that differ in α alone is caused by α. Selectivity and dimensionality both change with
# α; that one of them *causes* robustness is not shown by this design, and the paper does not claim it of dimensionality.
#
# ## Where our networks stand

# %% tags=["parameters", "remove-input"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, 0.0, 0.2, 0.4, 1.0]  # below 0: less selective
seeds: list[int] = [3, 4, 5, 6, 7]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %% tags=["remove-input"]
from lib import runs
from lib.book import chapter, figures, prose

here = chapter.parameters(globals())
from lib.book.prose import glue

figures.setup()
summary = runs.summary(here.trainings)

# %% tags=["remove-input"]
means = summary.groupby("alpha")[["mean_selectivity", "clean_accuracy"]].mean()
for place, alpha in (("lowest", means.index.min()), ("highest", means.index.max())):
    glue(f"{place}-alpha", prose.number(alpha, "g"))
    glue(f"{place}-si", f"{means.mean_selectivity[alpha]:.3f}")
    glue(f"{place}-accuracy", f"{100 * means.clean_accuracy[alpha]:.1f} %")
glue("networks", f"{len(summary)}")

# %% tags=["hide-input"]
by_alpha = means.mean_selectivity
figures.show(
    figures.scale_of_selectivity(summary),
    name="fig-question",
    read=here.read("selectivity"),
    alt=f"""A horizontal scale of mean class selectivity with one dot per network. The
    lowest, at {by_alpha.min():.2f}, has α = {prose.number(by_alpha.idxmin(), "g")}; the
    highest, at {by_alpha.max():.2f}, has α = {prose.number(by_alpha.idxmax(), "g")}.
    Words at the low end say robust to corruptions, at the high end robust to
    attacks.""",
    caption=f"""The scale on which the paper places its networks, with ours on it:
    {len(summary)} networks ({here.setting}), trained on {prose.machines(summary)}. α
    scales the selectivity term of the loss: negative values lower selectivity, 0 is
    plain cross-entropy, positive values raise it.""",
)

# %% [markdown]
# Mean selectivity of the {glue:text}`networks` networks behind the first chapters goes from {glue:text}`lowest-si` at α = {glue:text}`lowest-alpha` to
# {glue:text}`highest-si` at α = {glue:text}`highest-alpha`.
#
# Their clean test accuracy is {glue:text}`lowest-accuracy` at the lowest α and {glue:text}`highest-accuracy` at the highest. How α does that, and at what
# price, is the next chapter: {doc}`02-approach`.
