# %% [markdown]
# # Dimensionality
#
# **What was found**
#
# {glue:md}`found`
# - {glue:text}`live`
# - {glue:text}`opposite`
#
# {glue:text}`whence`
#
# **How it was measured.** How many dimensions do a layer's activations fill, and how many the change that a perturbation makes in them? Counted by principal
# components, and by TwoNN. The two kinds of change share one axis, and one figure compares them layer by layer; the paper's reviewers had asked for that.
#
# **Question.** Does selectivity act on robustness through the number of dimensions in which a network represents its input
# {cite}`leavitt2020linking`?
#
# | | if dimensionality links the two | if it does not |
# |---|---|---|
# | **why** | Many dimensions leave room for what corruptions do not touch, and for what an attack can find. | Robustness depends on what is represented, not on how much room it takes. |
# | **dimensions of early layers** | *fall* as α rises, for clean activations and for changes | show *no order* in α |
#
# The paper says that dimensions fall as α rises, still more so for changes, and that attacks change more dimensions than corruptions {glue:md}`established`.
#
# *Run time: seconds from the cache. A CIFAR-10 network not measured yet takes about three minutes on one CPU core, one not trained yet its training too.*

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
from lib.papers import first_statistics

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.measurements.attack import CURVES
from lib.measurements.dimensionality import ATTACK_STEPS, NONE
from lib.measurements.layers import dimensions, over_live_units, with_dimensions
from lib.measurements.measurement import is_early

figures.setup()
whose = rounds.whose(here)
table = here.table("dimensionality")
summary = with_dimensions(runs.summary(here.trainings), table)
changes = dimensions(table)
changes = changes.assign(
    early=is_early(changes), ratio=changes.participation_ratio / changes.units
)
clean = dimensions(table, whole=True)
clean = clean[clean.change == NONE]
clean = over_live_units(
    clean.assign(early=is_early(clean), ratio=clean.participation_ratio / clean.units),
    runs.table("selectivity", here.trainings),
)
early = int(changes[changes.early].depth.max())
images, everything = changes.images.max(), clean.images.max()
networks = f"{len(summary)} networks ({here.setting})"

# %% tags=["remove-input"]
kinds = ("clean", "same", "corruption", "attack")
means = 100 * summary.groupby("alpha")[[f"dimension_{kind}" for kind in kinds]].mean()
twonn = summary.groupby("alpha")[
    ["twonn_clean", "twonn_corruption", "twonn_attack"]
].mean()
whole = 100 * summary.groupby("alpha").agg(
    clean=("clean_accuracy", "mean"), dead=("dead", "mean")
)
middle, low, high = min(here.alphas, key=abs), min(here.alphas), max(here.alphas)
low_spared, high_spared = first_statistics.spared(summary)
entries = rounds.entries(here, summary, only=["LM-15", "LM-16", "LM-17", "LM-18"])
glue("found", answer.key_points(entries))
glue("whence", answer.whence(entries, whose))
glue("networks", networks)
glue("devices", prose.machines(summary))
glue("high-spared", prose.number(high_spared, "g"))
glue("spared-points", f"{100 * first_statistics.SPARED:g}")
glue("images", f"{images:,}")
glue("everything", f"{everything:,}")
glue("early", f"{early}")
glue("layers", f"{changes.depth.max()}")
glue("cells", f"{changes.cells.max()}")
glue("steps", f"{ATTACK_STEPS}")
glue("step", f"{CURVES['pgd'].step_size:g}")
asked = table[table.points.notna()]
glue("lost", f"{asked.twonn.isna().sum():,} of {len(asked):,}")

# %% tags=["remove-input"]
for name, text in prose.numbers_at(
    {"middle": middle, "low": low, "high": high},
    (whole, ".1f"),
    (means, ".1f"),
    (twonn, ".1f"),
):
    glue(name, text)

# %% [markdown]
# *Shown here: {glue:text}`networks`, trained on {glue:text}`devices`; each is listed in {doc}`19-runs`.*
#
# ## What is measured
#
# A layer's activations are a matrix, images × units, each unit averaged over space {glue:md}`ours`. Its *dimensionality* is the number of principal components that
# hold 95 % of the variance, divided by the number of units. Clean activations are those of {glue:text}`everything` test images.
#
# A *change* is the difference, image by image, between the activations of a clean image and of its perturbed copy. Its dimensionality is counted in the same way, on
# the first {glue:text}`images` images. Corruptions: all {glue:text}`cells` pairs of type and severity, one count each, then averaged {glue:md}`recalled`.
#
# The attack is PGD against this very network, {glue:text}`steps` steps of {glue:text}`step` {glue:md}`recalled`, on the cross-entropy. Dead units count among the
# units, so that they lower this number; a layer all of whose samples are equal counts as 0.
#
# *Early* are the first 9/17 of the layers, here {glue:text}`early` of {glue:text}`layers`. Of ResNet18's 17 layers the paper speaks of those up to the 9th, while it
# has ResNet20's dimensions fall in all layers {glue:md}`recalled`; the same share for another network is our choice {glue:md}`ours`.

# %% tags=["hide-input"]
label = "components for 95 % of variance,\n% of units"
figures.show(
    figures.dimensions_by_layer(
        clean, changes, "per_unit_95", label=label, scale=100, early=early
    ),
    read=here.read("dimensionality"),
    name="fig-dimensions",
    alt=f"""Three panels against the layer, one line per α. In the early layers, clean
    activations take {means.dimension_clean[low]:.0f} percent of the units at α =
    {low:g}, {means.dimension_clean[middle]:.0f} at {middle:g},
    {means.dimension_clean[high]:.0f} at {high:g}; the change by corruptions
    {means.dimension_corruption[low]:.0f}, {means.dimension_corruption[middle]:.0f} and
    {means.dimension_corruption[high]:.0f}; the change by PGD
    {means.dimension_attack[low]:.0f}, {means.dimension_attack[middle]:.0f} and
    {means.dimension_attack[high]:.0f}.""",
    caption=f"""{whose}. Dimensionality of clean activations ({everything:,} test
    images), of the change by corruptions and of the change by PGD (the first
    {images:,}); the last two share an axis. Means over seeds; {networks}; bands from
    the lowest seed to the highest. Left of the grey line: early layers. The paper shows
    these in its figure 4, a to c for ResNet18, d to f for ResNet20 (the latter
    recalled).""",
)

# %% [markdown]
# Where α ruins clean accuracy, a difference may only reflect that: at α = {glue:text}`high` clean accuracy is {glue:text}`high-clean` %, and
# {glue:text}`high-dead` % of the units are dead.
#
# So this table, which is not judged, has both that α and {glue:text}`high-spared`, the highest that costs at most {glue:text}`spared-points` points of clean accuracy;
# it also has the other layers, and live units alone:

# %% tags=["hide-input"]
PLACES = {
    "early layers": clean[clean.early],
    "late layers": clean[~clean.early],
    "all layers": clean,
}
long = pd.concat([
    rows.assign(where=name, share=rows.per_unit_95) for name, rows in PLACES.items()
])
first = PLACES["early layers"]
OTHERS = {"over live units": "per_live_95", "participation ratio": "ratio"}
long = pd.concat([
    long,
    *(
        first.assign(where=f"early layers, {words}", share=first[column])
        for words, column in OTHERS.items()
    ),
])
shown = tables.changes(
    long,
    "where",
    "share",
    [(low, middle), (middle, high_spared), (middle, high)],
    scale=100,
)
figures.show_table(shown.rename(columns={"where": "clean activations"}))

# %% tags=["hide-input"]
live = first.groupby(["seed", "alpha"])[["per_unit_95", "per_live_95"]].mean().mul(100)
fall = [
    tables.estimate(
        -tables.moved(live[column].unstack("alpha"), middle, high_spared), ".1f"
    )
    for column in ("per_live_95", "per_unit_95")
]
told = (
    f"Dead units are part of LM-15's fall: from α = {prose.number(middle, 'g')} to "
    f"{prose.number(high_spared, 'g')} it is {fall[1]} % of all units, and {fall[0]} % "
    "of live ones."
)
without = "How much of LM-15's fall is dead units takes an α above 0."
glue("live", told if high_spared in live.index.levels[1] else without)

# %% [markdown]
# *Change of dimensionality in percent of units, mean over seeds and 95 % t interval. Verdicts are about a line through three α, so that their numbers differ a little.*
#
# ## Attacks against corruptions

# %% tags=["hide-input"]
above = changes.pivot_table(
    index=["alpha", "seed", "depth", "early"], columns="change", values="per_unit_95"
).reset_index()
share = 100 * (above.attack > above.corruption).groupby(above.early).mean()
for name, where in (("early", True), ("late", False)):
    glue(f"above-{name}", f"{share[where]:.0f}")
figures.show(
    figures.change_and_change(
        changes[changes.change != NONE], "per_unit_95", label="% of units", scale=100
    ),
    read=here.read("dimensionality"),
    name="fig-changes-both",
    alt=f"""Dimensionality of the change by PGD against that of the change by
    corruptions, one point per layer and α, with the diagonal. Of the early layers of
    all networks {share[True]:.0f} percent lie above it, of the late ones
    {share[False]:.0f} percent.""",
    caption=f"""{whose}. Dimensionality of the change by PGD against that of the change
    by corruptions, one point per layer: means over seeds, early layers filled, late
    ones hollow; small and faint: the values of α in between. The line is where both are
    alike. {networks}, the first {images:,} test images. This view is ours.""",
)

# %% [markdown]
# Points above the line are layers in which the change by PGD has more dimensions than the change by corruptions. Counting a layer of a network as one, these are
# {glue:text}`above-early` % of the early layers and {glue:text}`above-late` % of the late ones.
#
# ## Other ways of counting
#
# Does the threshold of 95 % decide what is seen? With 90 % and 99 %:


# %% tags=["hide-input"]
def with_share(share: int) -> None:
    """The three panels for another share of the variance."""
    at = (
        changes[changes.early]
        .groupby(["alpha", "change"])[f"per_unit_{share}"]
        .mean()
        .mul(100)
        .unstack()
    )
    figures.show(
        figures.dimensions_by_layer(
            clean,
            changes,
            f"per_unit_{share}",
            label=label.replace("95", str(share)),
            scale=100,
            early=early,
        ),
        read=here.read("dimensionality"),
        name=f"fig-dimensions-{share}",
        alt=f"""The same three panels for {share} percent of the variance. In the early
        layers, the change by corruptions takes {at.corruption[low]:.0f} percent of the
        units at α = {low:g} and {at.corruption[high]:.0f} at {high:g}, the change by
        PGD {at.attack[low]:.0f} and {at.attack[high]:.0f}.""",
        caption=f"""{whose}. As in the first figure, for {share} % of the variance:
        means over seeds; {networks}. The paper shows this in its appendix (recalled;
        which figure, weakly).""",
    )


# %% tags=["hide-input"] fold="The same for 90 % of the variance"
with_share(90)

# %% tags=["hide-input"] fold="The same for 99 % of the variance"
with_share(99)

# %% [markdown]
# LM-17 is about the change by PGD against that by corruptions. In the early layers, the first minus the second, counted in several ways. The mean over
# α by components for 95 % of the variance decides; all else is shown and not judged:

# %% tags=["hide-input"]
WAYS = {f"{share} % of the variance": f"per_unit_{share}" for share in (90, 95, 99)}
over = [alpha for alpha in here.alphas if low_spared <= alpha <= high_spared]
figures.show_table(
    tables.by_counting(
        changes[changes.early],
        [low, middle, high_spared],
        WAYS | {"participation ratio": "ratio"},
        over,
    )
)
gap = summary.dimension_attack - summary.dimension_corruption
gaps = [
    f"{tables.estimate(100 * gap[summary.alpha == alpha], '+.1f')} % of the units at "
    f"α = {prose.number(alpha, 'g')}"
    for alpha in dict.fromkeys((low_spared, middle))
    if (summary.alpha == alpha).any()
]
glue(
    "opposite",
    "LM-17 α by α: an attack's change minus that of corruptions is "
    f"{', and '.join(gaps)}.",
)

# %% [markdown]
# *In percent of units, mean over seeds and 95 % t interval.*
#
# Principal components count flat directions. *TwoNN* {cite}`facco2017estimating` estimates the dimension of a curved surface from each point's two nearest
# neighbours.

# %% tags=["hide-input"]
figures.show(
    figures.dimensions_by_layer(
        changes[changes.change == NONE],
        changes,
        "twonn",
        label="intrinsic dimension (TwoNN)",
        early=early,
    ),
    read=here.read("dimensionality"),
    name="fig-twonn",
    alt=f"""Three panels of intrinsic dimension against the layer, one line per α. In
    the early layers, clean activations have {twonn.twonn_clean[low]:.1f} dimensions at
    α = {low:g}, {twonn.twonn_clean[middle]:.1f} at {middle:g},
    {twonn.twonn_clean[high]:.1f} at {high:g}; the change by corruptions
    {twonn.twonn_corruption[low]:.1f}, {twonn.twonn_corruption[middle]:.1f} and
    {twonn.twonn_corruption[high]:.1f}; the change by PGD {twonn.twonn_attack[low]:.1f},
    {twonn.twonn_attack[middle]:.1f} and {twonn.twonn_attack[high]:.1f}.""",
    caption=f"""{whose}. Intrinsic dimension by TwoNN, clean and of both changes, all on
    the first {images:,} test images: means over seeds; {networks}; bands from the
    lowest seed to the highest. The paper shows this in its figure A22. So few images
    bias TwoNN, and the more so the more dimensions there are or the fewer of the images
    differ: down to {int(table.points.min())} in some layer. That the ratios'
    distribution is counted from 0 is our choice.""",
)

# %% [markdown]
# Samples that are equal count once; a layer all of whose samples are equal counts as 0. Where hardly any sample differs from the others, TwoNN
# has no answer, and the layer or change is left out: {glue:text}`lost`.
#
# In the first round LM-18 asks less than LM-15 to LM-17 do: one fall, from the lowest α to the highest, and the order of the changes at α = 0 alone. So it can hold
# where they do not.
#
# ## The main text's own network
#
# The paper's figure 4, a to c, is of ResNet18 on Tiny ImageNet, and none of its numbers is known. {glue:text}`main-text` Nothing is
# judged on these.

# %% tags=["hide-input"]
large = main_text.trainings()
alike = main_text.table("dimensionality", large)
glue("main-text", main_text.sentence(alike))
if len(alike):
    layers = dimensions(alike)
    layers = layers.assign(early=is_early(layers))
    clean = layers[layers.change == NONE]
    ends = 100 * clean[clean.early].groupby("alpha").per_unit_95.mean()

# %% tags=["hide-input"]
if len(alike):
    figures.show(
        figures.dimensions_by_layer(
            clean,
            layers,
            "per_unit_95",
            label=label,
            scale=100,
            early=int(layers[layers.early].depth.max()),
        ),
        read=here.read("dimensionality", of=large),
        name="fig-main-text-dimensions",
        alt=f"""Three panels against the layer, one line per α, of {main_text.NAME}. In
        the early layers, clean activations take {ends.iloc[0]:.0f} percent of the
        units at the lowest α, {ends.index[0]:g}, and {ends.iloc[-1]:.0f} at the
        highest, {ends.index[-1]:g}.""",
        caption=f"""Dimensionality as in the first figure, for {main_text.NAME}:
        {main_text.told(alike)}; clean activations and changes are all of the first
        {layers.images.max():,} validation images.""",
    )

# %% [markdown]
# ## Verdict
#
# How the rules decide: {doc}`07-discussion`. The first round's rule: {glue:text}`rule`

# %%
glue("rule", papers.RULE)
figures.show_ledger(entries, name="fig-verdicts", read=rounds.read(here, entries))

# %% [markdown]
# What this does not show: that dimensionality makes a network robust or vulnerable. The authors do not claim it either: α changes robustness, and it changes
# dimensionality.
#
# The same on the digits: {doc}`13-digits`. Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
