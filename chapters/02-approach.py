# %% [markdown]
# # Approach
#
# **What was found**
#
# {glue:md}`found`
#
# {glue:text}`whence`
#
# **How it was measured.** The class selectivity index compares a unit's mean activation for its best class with the mean over the other classes. One scalar α in the
# loss moves the mean index of a whole network. Units that never fire have an index of 0 by definition; they are counted, and means are shown with and without
# them.
#
# **Question.** Does α control class selectivity, and does clean accuracy survive it? The paper says that selectivity rises with α (LM-1), that clean accuracy survives
# low selectivity and suffers from high (LM-2), and its companion paper that ResNet20 gains dead units as α grows (LM-19)
# {cite}`leavitt2020linking,leavitt2020selectivity`.
#
# What would count against it: selectivity that does not follow α, accuracy that falls just as much towards negative α, or a rise of selectivity that only dead units make.
#
# *Run time: seconds from the cache, with or without a GPU. A new α on digits takes about a minute; on CIFAR-10 the rerun command says how long before it
# starts.*

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, 0.0, 0.2, 0.4, 1.0]  # below 0: less selective
seeds: list[int] = [3, 4, 5, 6, 7]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
import pandas as pd

from lib import papers, runs
from lib.book import answer, chapter, figures, main_text, prose, rounds, tables

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.papers.resnet18 import RESNET18_TINY_IMAGENET

figures.setup()
whose = rounds.whose(here)
summary = runs.summary(here.trainings)
units = runs.table("selectivity", here.trainings)
glue("n", f"{len(summary)}")
entries = rounds.entries(here, summary, only=["LM-1", "LM-2", "LM-19"])
glue("found", answer.key_points(entries))
glue("whence", answer.whence(entries, whose))
glue("setting", here.setting)
glue("devices", prose.machines(summary))

# %% [markdown]
# *Shown here: {glue:text}`n` networks ({glue:text}`setting`), trained on {glue:text}`devices`; each is listed in {doc}`19-runs`.*
#
# ## The index
#
# A *unit* is one feature map, read after its ReLU and averaged over space. With $\mu_{\max}$ the largest of its class-conditional mean activations on the
# clean test set, and $\mu_{-\max}$ the mean of the other classes' means,
#
# $$\mathrm{SI} = \frac{\mu_{\max} - \mu_{-\max}}{\mu_{\max} + \mu_{-\max} + \varepsilon}, \qquad \varepsilon = 10^{-6}.$$
#
# It is 0 for a unit that fires alike for all classes and 1 for one that fires for a single class. Below are the live units of lowest and highest index
# of the network whose α is closest to 0.

# %% tags=["hide-input"]
plain = min(here.trainings, key=lambda training: (abs(training.alpha), training.seed))
live = units[
    (units.alpha == plain.alpha) & (units.seed == plain.seed) & ~units.dead
].sort_values("selectivity")
low, high = live.iloc[0], live.iloc[-1]
means = runs.table("class_means", [plain])
examples = [
    means[(means.depth == one.depth) & (means.unit == one.unit)].assign(
        title=f"{one.layer}, unit {one.unit}: SI = {one.selectivity:.2f}"
    )
    for one in (low, high)
]
figures.show(
    figures.example_units(examples),
    read=here.read("selectivity", "class_means", of=[plain]),
    name="fig-units",
    alt=f"""Two bar charts of mean activation for each class, in falling order. Left, a
    unit of index {low.selectivity:.2f}: from {examples[0]["mean"].max():.3g} down to
    {examples[0]["mean"].min():.3g}. Right, one of index {high.selectivity:.2f}: from
    {examples[1]["mean"].max():.3g} down to {examples[1]["mean"].min():.3g}.""",
    caption=f"""{whose}. What the index measures: class-conditional mean activations of
    the least and the most selective of the {len(live)} live units ({here.model} on
    {here.dataset}, α = {plain.alpha:g}, seed {plain.seed}, whole test set). Dashed:
    mean of the classes other than the best, which is dark.""",
)

# %% [markdown]
# ## The regulariser
#
# The loss is cross-entropy minus α times the mean index, taken on the minibatch (on several, where a minibatch has too few images of a class; the recipe below says so),
#
# $$\mathcal{L} = \mathrm{CE} - \alpha \, \frac{1}{L} \sum_{l=1}^{L} \frac{1}{U_l} \sum_{u=1}^{U_l} \mathrm{SI}_{u,l},$$
#
# first over the $U_l$ units of a layer, then over the $L$ ReLU layers, so that wide layers do not dominate. The logits are not among them. The gradient flows
# through the largest mean and through the others. α < 0 discourages selectivity, α > 0 encourages it.
#
# ## Selectivity follows α

# %% tags=["hide-input"]
by_alpha = summary.groupby("alpha")[
    ["mean_selectivity", "live_selectivity", "clean_accuracy", "dead"]
].mean()
theirs = RESNET18_TINY_IMAGENET.selectivity
order = (
    "at every step"
    if by_alpha.mean_selectivity.is_monotonic_increasing
    else "not at every step"
)
live_order = (
    "at every step"
    if by_alpha.live_selectivity.is_monotonic_increasing
    else "not at every step"
)
figures.show(
    figures.selectivity_and_alpha(summary, RESNET18_TINY_IMAGENET),
    read=here.read("selectivity"),
    name="fig-selectivity",
    alt=f"""Mean class selectivity against α, from
    {by_alpha.mean_selectivity.iloc[0]:.2f} at α = {by_alpha.index[0]:g} to
    {by_alpha.mean_selectivity.iloc[-1]:.2f} at α = {by_alpha.index[-1]:g}; it rises
    {order}. The published curve of another network, dotted, goes from
    {theirs.iloc[0]:.2f} to {theirs.iloc[-1]:.2f}.""",
    caption=f"""{whose}. Mean selectivity on the clean test set against α:
    {here.setting}, {len(summary)} networks, a point each; intervals (95 %, t) from
    {papers.LEAST_SEEDS} seeds on. Grey dashes: dead units left out. Dotted: the
    companion paper's ResNet18 on Tiny ImageNet, 20 seeds, digitised (another network
    and data set; it is there to compare the shape).""",
)
glue("order", order)

# %% tags=["hide-input"]
glue("live-order", live_order)
for name, alpha in (("low", by_alpha.index[0]), ("high", by_alpha.index[-1])):
    glue(f"{name}-alpha", prose.number(alpha, "g"))
    for column in ("mean_selectivity", "live_selectivity"):
        glue(f"{name}-{column.split('_')[0]}", f"{by_alpha[column][alpha]:.3f}")

# %% [markdown]
# Mean selectivity goes from {glue:text}`low-mean` at α = {glue:text}`low-alpha` to {glue:text}`high-mean` at α = {glue:text}`high-alpha`, rising
# {glue:text}`order`. With dead units left out, it goes from {glue:text}`low-live` to {glue:text}`high-live`, rising {glue:text}`live-order`.
#
# This does not show why: α acts on minibatches, the figure is measured on the whole test set.
#
# ## Layer by layer

# %% tags=["hide-input"]
last = (
    units[~units.dead].groupby(["alpha", "depth"]).selectivity.mean().unstack("alpha")
)
spread = last[by_alpha.index[-1]] - last[by_alpha.index[0]]
figures.show(
    figures.selectivity_by_layer(units),
    read=here.read("selectivity"),
    name="fig-layers",
    alt=f"""Two panels, mean selectivity against layer, one line per α; left all units,
    right live units. From the lowest to the highest α the live units rise most, by
    {spread.max():.2f}, in layer {spread.idxmax()}, and least, by {spread.min():.2f}, in
    layer {spread.idxmin()}.""",
    caption=f"""{whose}. Mean selectivity of each ReLU layer, by α; {here.setting}, mean
    over seeds. First panel: all units, dead ones counting as 0. Second: live units
    alone; a layer without a live unit has no point.""",
)
glue("most", f"{spread.max():.2f}")
glue("most-layer", f"{spread.idxmax()}")
glue("least", f"{spread.min():.2f}")
glue("least-layer", f"{spread.idxmin()}")

# %% [markdown]
# Between the lowest and the highest α, the live units of layer {glue:text}`most-layer` move most (by {glue:text}`most`), those of layer
# {glue:text}`least-layer` least (by {glue:text}`least`). Layers are counted from the input.
#
# ## Dead units

# %% tags=["hide-input"]
percent = 100 * by_alpha.dead
figures.show(
    figures.dead_units(summary),
    read=here.read("selectivity"),
    name="fig-dead",
    alt=f"""Share of dead units against α: {percent.iloc[0]:.1f} percent at α =
    {percent.index[0]:g}, at most {percent.max():.1f} percent, at α =
    {percent.idxmax():g}.""",
    caption=f"""{whose}. Units that no image of the test set makes fire, in percent of
    all units of the network, against α; {here.setting}, one point per network.""",
)
glue("dead-low", f"{percent.iloc[0]:.1f} %")
glue("dead-high", f"{percent.iloc[-1]:.1f} %")
glue("dead-most", f"{percent.max():.1f} %")
glue("dead-most-alpha", prose.number(percent.idxmax(), "g"))

# %% [markdown]
# Most units are dead at α = {glue:text}`dead-most-alpha`: {glue:text}`dead-most` of all. At α = {glue:text}`low-alpha` it is {glue:text}`dead-low`. A dead unit counts as 0
# in the mean index, so dead units pull the mean *down* where α pushes it up. That is why both versions are shown.
#
# ## The price in clean accuracy

# %% tags=["hide-input"]
accuracy = 100 * by_alpha.clean_accuracy
figures.show(
    figures.accuracy_and_selectivity(summary),
    read=here.read("selectivity"),
    name="fig-accuracy",
    alt=f"""Clean test accuracy against mean selectivity, one dot per network:
    {accuracy.iloc[0]:.1f} percent at the lowest α, {accuracy.iloc[-1]:.1f} at the
    highest, the best {accuracy.max():.1f} at α = {accuracy.idxmax():g}.""",
    caption=f"""{whose}. Clean accuracy on the whole test set against mean selectivity;
    {here.setting}, {len(summary)} networks, a point each, coloured by α.""",
)
for name, value in (
    ("low", accuracy.iloc[0]),
    ("high", accuracy.iloc[-1]),
    ("best", accuracy.max()),
):
    glue(f"accuracy-{name}", f"{value:.1f} %")
glue("accuracy-best-alpha", prose.number(accuracy.idxmax(), "g"))

# %% [markdown]
# The best mean clean accuracy is {glue:text}`accuracy-best`, at α = {glue:text}`accuracy-best-alpha`. It is {glue:text}`accuracy-low` at α = {glue:text}`low-alpha`.
#
# At α = {glue:text}`high-alpha` it is {glue:text}`accuracy-high`. Later chapters therefore show robustness both raw and relative to clean accuracy.
#
# ## The main text's own network
#
# The paper's main text is about ResNet18 on Tiny ImageNet. Here are its numbers. {glue:text}`main-text` No claim is judged
# on these.

# %% tags=["hide-input"]
large = main_text.trainings()
alike = main_text.summary(large)
glue("main-text", main_text.sentence(alike))
theirs = RESNET18_TINY_IMAGENET.set_index("alpha")
figures.show(
    figures.main_text_selectivity(
        alike,
        RESNET18_TINY_IMAGENET,
        title=f"{main_text.NAME}: {main_text.told(alike)}",
    ),
    read=here.read("selectivity", of=large),
    source="lib/papers/resnet18.py",
    name="fig-main-text-selectivity",
    alt=f"""Left, published mean selectivity against α:
    {theirs.selectivity.iloc[0]:.2f} at the lowest α, {theirs.selectivity[0]:.2f} at 0,
    {theirs.selectivity.iloc[-1]:.2f} at the highest. Right, published clean accuracy
    against mean selectivity: between {theirs.lowest_accuracy.min():.1f} and
    {theirs.highest_accuracy.max():.1f} percent.
    {main_text.alt(alike, "mean_selectivity", ".2f")}""",
    caption=f"""{main_text.NAME}: mean selectivity against α, and clean accuracy
    against mean selectivity. Grey: the companion paper's, 20 seeds for each α,
    digitised. Points: {main_text.told(alike)}. A recipe shorter than the paper's is
    not expected to reach its clean accuracy; how selectivity follows α can be
    compared.""",
)

# %% [markdown]
# ## Recipe
#
# What was done, and how sure we are that the paper did the same ({doc}`09-certainty` explains the words):

# %% tags=["hide-input"]
figures.show_table(tables.hyperparameters(here.trainings[0]))

# %% [markdown]
# ## Verdict
#
# How the rules decide: {doc}`07-discussion`. The first round's rule: {glue:text}`rule`

# %%
glue("rule", papers.RULE)
figures.show_ledger(entries, name="fig-verdicts", read=rounds.read(here, entries))

# %% [markdown]
# What lowering selectivity costs, at each α below 0 (mean over seeds and 95 % t interval; LM-2's low end is one of these):

# %% tags=["hide-input"]
ends = [(0.0, alpha) for alpha in sorted(here.alphas) if alpha < 0]
COSTS = {
    "clean accuracy, points": ("clean_accuracy", 100, "+.1f"),
    "mean selectivity": ("mean_selectivity", 1, "+.3f"),
}
costs = [
    tables.changes(
        summary.assign(measure=name), "measure", column, ends, scale=scale, form=form
    )
    for name, (column, scale, form) in COSTS.items()
]
figures.show_table(pd.concat(costs, ignore_index=True).rename(columns={"measure": ""}))

# %% [markdown]
# LM-2's clause on ResNet20 alone, and the leaky ReLU of LM-19, are not tested. The same on the digits: {doc}`13-digits`. Sources are listed under {doc}`references`;
# the runs behind every figure under {doc}`19-runs`.
