# %% [markdown]
# # Variability of the input-unit gradient
#
# **What was found**
#
# {glue:md}`found`
# - {glue:text}`control`
# - {glue:text}`least`
#
# {glue:text}`whence`
#
# **How it was measured.** For every unit and image: how strongly does the unit react to a small change of the pixels? The length of that gradient varies from image to
# image, and from unit to unit. A coefficient of variation is a deviation over a mean; both are shown apart, because α may change either.
#
# **Question.** A change of the pixels moves a unit's activation along the unit's *input-unit gradient*. If these gradients differ much, over images or over
# units, can a perturbation upset few units at a time {cite}`leavitt2020linking`?
#
# | | if selectivity makes gradients vary | if it does not |
# |---|---|---|
# | **why** | A unit that answers to one class is steep on its images and flat on the others. | What a unit reacts to is fixed by its position in the network. |
# | **coefficients of variation** | *rise* with α | *do not rise* with α |
#
# The paper says that both vary more where selectivity is high {glue:md}`recalled`, and over units less so in late layers {glue:md}`established`.
#
# *Run time: seconds from the cache. A CIFAR-10 network not measured yet takes about two minutes on one CPU core, one not trained yet its training too.*

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
from lib.measurements.gradient import variability, with_gradients
from lib.measurements.measurement import is_early

figures.setup()
whose = rounds.whose(here)
table = here.table("gradient")
summary = with_gradients(runs.summary(here.trainings), table)
rows = variability(table)
rows = rows.assign(early=is_early(rows))
images = table.images.max()
RARELY = 2  # images on which a unit fires
networks = f"{len(summary)} networks ({here.setting}), the first {images:,} test images"

# %% tags=["remove-input"]
columns = ["cv_samples", "cv_firing", "cv_units", "cv_units_early", "cv_units_late"]
means = summary.groupby("alpha")[columns].mean()
percent = 100 * pd.DataFrame({
    "dead": rows.groupby("alpha").dead.sum() / rows.groupby("alpha").units.sum(),
    "clean": summary.groupby("alpha").clean_accuracy.mean(),
    "rare": (table[~table.dead].active <= RARELY).groupby(table.alpha).mean(),
})
middle, low, high = min(here.alphas, key=abs), min(here.alphas), max(here.alphas)
low_spared, high_spared = first_statistics.spared(summary)
glue("high-spared", prose.number(high_spared, "g"))
glue("spared-points", f"{100 * first_statistics.SPARED:g}")
glue("rarely", f"{RARELY}")
glue("ceiling", f"{images**0.5:.1f}")
entries = rounds.entries(here, summary, only=["LM-13", "LM-14"])
glue("found", answer.key_points(entries))
glue("whence", answer.whence(entries, whose))
glue("networks", networks)
glue("devices", prose.machines(summary))
glue("images", f"{images:,}")
glue("units", f"{rows.groupby(['alpha', 'seed']).units.sum().max():,}")
glue("layers", f"{rows.depth.max()}")
glue("early", f"{int(rows[rows.early].depth.max())}")
for name, text in prose.numbers_at(
    {"middle": middle, "low": low, "high": high}, (percent, ".1f"), (means, ".2f")
):
    glue(name, text)

# %% [markdown]
# *Shown here: {glue:text}`networks`, trained on {glue:text}`devices`; each is listed in {doc}`19-runs`.*
#
# ## What is measured
#
# A *unit* is a feature map after a ReLU, averaged over space {glue:md}`ours`; this network has {glue:text}`units` in {glue:text}`layers` layers. For each unit $u$ and
# image $x$ the length $\lVert \partial a_u / \partial x \rVert_2$ is computed. Let $\mu_u$ and $\sigma_u$ be its mean and standard deviation over images; then
# $\mathrm{CV}_u = \sigma_u / \mu_u$. Let $\mu_l$ and $\sigma_l$ be mean and standard deviation of the $\mu_u$ of layer $l$; then $\mathrm{CV}_l = \sigma_l / \mu_l$
# {glue:md}`recalled`. A unit that fires on no image has no gradient: it is counted as dead and left out.
#
# One pass back through the network serves one unit on a whole batch of images. These passes run in bfloat16 with the pattern of firing units held fixed in full
# precision; the tests compare them with float64.

# %% tags=["hide-input"]
figures.show(
    figures.by_layer(
        rows,
        {"cv_samples": "over images: mean CV$_u$", "cv_units": "over units: CV$_l$"},
        labels="coefficient of variation",
    ),
    read=here.read("gradient"),
    name="fig-gradients",
    alt=f"""Two panels against the layer, one line per α. Left, the variability of
    gradients over images; mean over layers {means.cv_samples[low]:.2f} at α = {low:g},
    {means.cv_samples[middle]:.2f} at {middle:g}, {means.cv_samples[high]:.2f} at
    {high:g}. Right, over units: {means.cv_units[low]:.2f}, {means.cv_units[middle]:.2f}
    and {means.cv_units[high]:.2f}.""",
    caption=f"""{whose}. Coefficient of variation of the length of the input-unit
    gradient, over images (mean of the layer's live units) and over units, layer by
    layer: means over seeds; {networks}; bands from the lowest seed to the highest. The
    paper shows these in its figures 3a (recalled) and 3b, for ResNet18 on Tiny
    ImageNet.""",
)

# %% [markdown]
# Where α ruins clean accuracy, a difference may only reflect that: at α = {glue:text}`high` clean accuracy is {glue:text}`high-clean` %, and
# {glue:text}`high-dead` % of the units are silent on these {glue:text}`images` images and left out.
#
# So this table of changes has {glue:text}`high-spared` too, the highest α that costs at most {glue:text}`spared-points` points of clean accuracy:

# %% tags=["hide-input"]
NAMES = {
    "cv_samples": "over images",
    "cv_firing": "over images on which the unit fires (ours)",
    "cv_units": "over units",
    "cv_units_early": "over units, early layers",
    "cv_units_late": "over units, late layers",
}
long = summary.melt(["alpha", "seed"], list(NAMES), "measure", "cv")
shown = tables.changes(
    long,
    "measure",
    "cv",
    [(low, middle), (middle, high_spared), (middle, high)],
    form="+.2f",
)
figures.show_table(
    shown.assign(measure=shown.measure.map(NAMES)).rename(
        columns={"measure": "coefficient of variation"}
    )
)

# %% tags=["hide-input"]
moved = {}
for kind, column in (("firing", "cv_firing"), ("samples", "cv_samples")):
    there = means[column].get(high_spared, float("nan"))
    moved[kind] = there - means[column].get(middle, float("nan"))
    glue(f"{kind}-spared", prose.number(moved[kind], "+.2f"))
less = abs(moved["firing"]) < abs(moved["samples"])
start = "Part of LM-13's rise is" if less else "LM-13's rise is not"
told = (
    f"{start} that units fire on fewer images: over those on which a unit fires, "
    f"the change from α = {prose.number(middle, 'g')} to "
    f"{prose.number(high_spared, 'g')} is {prose.number(moved['firing'], '+.2f')}."
)
without = "Whether LM-13 is only that units fire on fewer images takes an α above 0."
glue("control", told if high_spared in means.index else without)
spared = (
    means.cv_units.loc[low_spared:high_spared]
    if low_spared < high_spared
    else means.cv_units
)
lowest = prose.number(spared.idxmin(), "g")
glue(
    "least", f"The variation over units is least at α = {lowest} ({spared.min():.2f})."
)

# %% [markdown]
# *Means over layers and seeds, 95 % t intervals over seeds. Verdicts are about a line through three α, so that their numbers differ a little. LM-14's clause on late
# layers is shown here and not judged: by it, they would change less than early ones.*
#
# ## Deviation and mean apart
#
# The same coefficient comes from a large deviation or from a small mean.

# %% tags=["hide-input"]
apart = rows.groupby("alpha")[["sigma", "mu", "sigma_units"]].mean()
figures.show(
    figures.by_layer(
        rows,
        {
            "mu": "mean μ",
            "sigma": "deviation over images σ$_u$",
            "sigma_units": "deviation over units σ$_l$",
        },
        labels=("length of the gradient", "", ""),
        log=True,
    ),
    read=here.read("gradient"),
    name="fig-gradients-apart",
    alt=f"""Three panels against the layer, logarithmic, one line per α: the mean length
    of the gradient, its deviation over images and its deviation over units. Mean over
    layers of the mean: {apart.mu[low]:.3g} at α = {low:g}, {apart.mu[middle]:.3g} at
    {middle:g}, {apart.mu[high]:.3g} at {high:g}.""",
    caption=f"""{whose}. Numerators and denominators of the coefficients: mean over live
    units of μ, of the deviation over images, and the deviation of the μ over units;
    means over seeds; {networks}; bands from the lowest seed to the highest. The paper
    shows them in its appendix (recalled; which figures, weakly).""",
)

# %% [markdown]
# ## Is it only that units fire on fewer images?
#
# A unit that is silent on an image has gradient zero there. So a unit that fires rarely has a large $\mathrm{CV}_u$ for that reason alone. As a control
# {glue:md}`ours`, here is the same over those images on which the unit fires, beside the share of images on which it does.
#
# With so few images no $\mathrm{CV}_u$ can exceed {glue:text}`ceiling`, the value of a unit that fires on one of them. At α = {glue:text}`high`,
# {glue:text}`high-rare` % of the live units fire on at most {glue:text}`rarely`.

# %% tags=["hide-input"]
firing = (
    table[~table.dead]
    .assign(share=lambda units: units.active / units.images)
    .groupby(["alpha", "seed", "layer", "depth"], as_index=False)
    .share.mean()
)
joined = rows.merge(firing, on=["alpha", "seed", "layer", "depth"], how="left")
shares = 100 * joined.groupby("alpha").share.mean()
figures.show(
    figures.by_layer(
        joined.assign(percent=100 * joined.share),
        {
            "cv_firing": "CV$_u$, images on which it fires",
            "percent": "images on which a unit fires",
        },
        labels=("coefficient of variation", "%"),
    ),
    read=here.read("gradient"),
    name="fig-gradients-firing",
    alt=f"""Two panels against the layer, one line per α. Left, the variability over
    those images on which a unit fires; mean over layers {means.cv_firing[low]:.2f} at α
    = {low:g}, {means.cv_firing[middle]:.2f} at {middle:g}, {means.cv_firing[high]:.2f}
    at {high:g}. Right, the share of images on which a live unit fires:
    {shares[low]:.0f}, {shares[middle]:.0f} and {shares[high]:.0f} percent.""",
    caption=f"""{whose}. First panel: coefficient of variation over those images on
    which the unit fires, two at least, mean of the layer's units. Second: share of the
    images on which a live unit fires. Means over seeds; {networks}; bands from the
    lowest seed to the highest.""",
)

# %% [markdown]
# Where the coefficient over the images on which a unit fires changes less than that over all images, part of the change is that units fire on fewer images. From
# α = {glue:text}`middle` to {glue:text}`high-spared` it changes by {glue:text}`firing-spared`, and that over all images by {glue:text}`samples-spared`. The table
# of changes above has both for lower α too.
#
# ## The main text's own network
#
# The paper's figure 3 is of ResNet18 on Tiny ImageNet, and none of its numbers is known. {glue:text}`main-text` Nothing is judged on these.

# %% tags=["hide-input"]
large = main_text.trainings()
alike = main_text.table("gradient", large)
glue("main-text", main_text.sentence(alike))
if len(alike):
    layers = variability(alike)
    ends = layers.groupby("alpha")[["cv_samples", "cv_units"]].mean()
    figures.show(
        figures.by_layer(
            layers,
            {
                "cv_samples": "over images: mean CV$_u$",
                "cv_units": "over units: CV$_l$",
            },
            labels="coefficient of variation",
        ),
        read=here.read("gradient", of=large),
        name="fig-main-text-gradients",
        alt=f"""Two panels against the layer, one line per α, of {main_text.NAME}. Mean
        over layers at the lowest α, {ends.index[0]:g}: {ends.cv_samples.iloc[0]:.2f}
        over images and {ends.cv_units.iloc[0]:.2f} over units; at the highest,
        {ends.index[-1]:g}: {ends.cv_samples.iloc[-1]:.2f} and
        {ends.cv_units.iloc[-1]:.2f}.""",
        caption=f"""Coefficient of variation of the length of the input-unit gradient,
        as in the first figure, for {main_text.NAME}: {main_text.told(alike)}; the
        first {alike.images.max():,} validation images.""",
    )

# %% [markdown]
# ## Verdict
#
# How the rules decide: {doc}`07-discussion`. The first round's rule: {glue:text}`rule`

# %%
glue("rule", papers.RULE)
figures.show_ledger(entries, name="fig-verdicts", read=rounds.read(here, entries))

# %% [markdown]
# What this does not show: that variable gradients make a network robust or vulnerable. α was set by us, so differences between networks are its effect; the
# gradients are one of the things it changes.
#
# The same on the digits: {doc}`13-digits`. Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
