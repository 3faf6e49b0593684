# %% [markdown]
# # Variability of the input-unit gradient
#
# **Key points**
#
# - For every unit and image: how strongly does the unit react to a small change of the pixels? The length of that gradient varies from image to image, and from
#   unit to unit.
# - The paper reports that both vary more where class selectivity is high (recalled), and offers this as a link between selectivity and robustness.
# - A coefficient of variation is a deviation over a mean. Both are shown apart, because α may change either.
#
# *Run time: seconds from the cache. A CIFAR-10 network not measured yet takes about two minutes on one CPU core, one not trained yet its training too.*
#
# **Question.** A change of the pixels moves a unit's activation along the unit's *input-unit gradient*. If these gradients differ much, over images or over
# units, can a perturbation upset few units at a time {cite}`leavitt2020linking`?
#
# | | if selectivity makes gradients vary | if it does not |
# |---|---|---|
# | **why** | A unit that answers to one class is steep on its images and flat on the others. | What a unit reacts to is fixed by its position in the network. |
# | **coefficients of variation** | *rise* with α | *do not rise* with α |
#
# The words in the table are ours. LM-13 and LM-14 are *recalled*, from general knowledge of the paper, and not vouched for; that the curves over units of
# different α meet in late layers was read in a review and is *established*.

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # selectivity scales; negative lowers selectivity
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
import pandas as pd

from lib import papers, runs
from lib.book import chapter, figures, prose, rounds, tables
from lib.papers import first_statistics

here = chapter.parameters(globals())
from myst_nb import glue

from lib.measurements.gradient import variability, with_gradients
from lib.measurements.measurement import is_early

figures.setup()
table = runs.table("gradient", here.trainings)
summary = with_gradients(runs.summary(here.trainings), table)
rows = variability(table)
rows = rows.assign(early=is_early(rows))
images = table.images.max()
RARELY = 2  # images on which a unit fires
networks = f"{len(summary)} networks ({here.setting}), the first {images:,} test images"

# %% tags=["remove-input"]
columns = ["cv_samples", "cv_firing", "cv_units", "cv_units_early", "cv_units_late"]
means = summary.groupby("alpha")[columns].mean()
percent = 100 * pd.DataFrame(
    {
        "dead": rows.groupby("alpha").dead.sum() / rows.groupby("alpha").units.sum(),
        "clean": summary.groupby("alpha").clean_accuracy.mean(),
        "rare": (table[~table.dead].active <= RARELY).groupby(table.alpha).mean(),
    }
)
middle, low, high = min(here.alphas, key=abs), min(here.alphas), max(here.alphas)
low_spared, high_spared = first_statistics.spared(summary)
glue("high-spared", prose.number(high_spared, "g"), display=False)
glue("spared-points", f"{100 * first_statistics.SPARED:g}", display=False)
glue("rarely", f"{RARELY}", display=False)
glue("ceiling", f"{images**0.5:.1f}", display=False)
glue("networks", networks, display=False)
glue("devices", prose.machines(summary), display=False)
glue("images", f"{images:,}", display=False)
glue("units", f"{rows.groupby(['alpha', 'seed']).units.sum().max():,}", display=False)
glue("layers", f"{rows.depth.max()}", display=False)
glue("early", f"{int(rows[rows.early].depth.max())}", display=False)
for name, text in prose.numbers_at({"middle": middle, "low": low, "high": high}, (percent, ".1f"), (means, ".2f")):
    glue(name, text, display=False)

# %% [markdown]
# *Shown here: {glue:text}`networks`, trained on {glue:text}`devices`; each is listed in {doc}`13-runs`.*
#
# ## What is measured
#
# A *unit* is a feature map after a ReLU, averaged over space; this network has {glue:text}`units` in {glue:text}`layers` layers. For each unit $u$ and image $x$
# the length $\lVert \partial a_u / \partial x \rVert_2$ is computed. With $\mu_u$ and $\sigma_u$ its mean and standard deviation over images,
# $\mathrm{CV}_u = \sigma_u / \mu_u$; with $\mu_l$ and $\sigma_l$ the mean and standard deviation of the $\mu_u$ of layer $l$, $\mathrm{CV}_l = \sigma_l / \mu_l$.
# These definitions are recalled; that units are averaged over space first, and that {glue:text}`images` images are enough, is our choice. A unit that fires on no
# image has no gradient: it is counted as dead and left out.
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
    name="fig-gradients",
    alt=f"""Two panels against the layer, a line an α. Left, the variability of gradients over images; mean over layers {means.cv_samples[low]:.2f} at α = {low:g},
    {means.cv_samples[middle]:.2f} at {middle:g}, {means.cv_samples[high]:.2f} at {high:g}. Right, over units: {means.cv_units[low]:.2f},
    {means.cv_units[middle]:.2f} and {means.cv_units[high]:.2f}.""",
    caption=f"""Coefficient of variation of the length of the input-unit gradient, over images (mean of the layer's live units) and over units, layer by layer:
    means over seeds; {networks}; bands from the lowest seed to the highest. The paper shows these in its figures 3a (recalled) and 3b, for ResNet18
    on Tiny ImageNet.""",
)

# %% [markdown]
# Over images, the mean over layers is {glue:text}`low-cv_samples` at α = {glue:text}`low`, {glue:text}`middle-cv_samples` at {glue:text}`middle` and
# {glue:text}`high-cv_samples` at {glue:text}`high`. Over units it is {glue:text}`low-cv_units`, {glue:text}`middle-cv_units` and {glue:text}`high-cv_units`;
# in the early layers (up to the {glue:text}`early`th) {glue:text}`low-cv_units_early`, {glue:text}`middle-cv_units_early` and
# {glue:text}`high-cv_units_early`, in the late ones {glue:text}`low-cv_units_late`, {glue:text}`middle-cv_units_late` and {glue:text}`high-cv_units_late`.
# Dead, and left out: {glue:text}`low-dead` %, {glue:text}`middle-dead` % and {glue:text}`high-dead` % of the units; dead means silent on these
# {glue:text}`images` images, in {doc}`02-approach` on the whole test set. Clean accuracy is {glue:text}`low-clean` %, {glue:text}`middle-clean` % and
# {glue:text}`high-clean` %: a difference at a ruined end may come with the ruin. The rule reads the ends of the range alone; this table of changes from α to α has
# also {glue:text}`high-spared`, the highest α that costs at most {glue:text}`spared-points` points of clean accuracy:

# %% tags=["hide-input"]
NAMES = {"cv_samples": "over images", "cv_firing": "over images on which the unit fires (ours)", "cv_units": "over units"}
long = summary.melt(["alpha", "seed"], list(NAMES), "measure", "cv")
shown = tables.changes(long, "measure", "cv", [(low, middle), (middle, high_spared), (middle, high)], form="+.2f")
figures.show_table(shown.assign(measure=shown.measure.map(NAMES)).rename(columns={"measure": "coefficient of variation"}))
for name, one, other in (("low", low, middle), ("spared", middle, high_spared), ("high", middle, high)):
    for kind, column in (("firing", "cv_firing"), ("samples", "cv_samples")):
        glue(f"{kind}-{name}", prose.number(means[column].get(other, float("nan")) - means[column].get(one, float("nan")), "+.2f"), display=False)

# %% [markdown]
# *Means over layers and seeds, 95 % t intervals over seeds.*
#
# ## Deviation and mean apart
#
# The same coefficient comes from a large deviation or from a small mean.

# %% tags=["hide-input"]
apart = rows.groupby("alpha")[["sigma", "mu", "sigma_units"]].mean()
figures.show(
    figures.by_layer(
        rows, {"mu": "mean μ", "sigma": "deviation over images σ$_u$", "sigma_units": "deviation over units σ$_l$"}, labels=("length of the gradient", "", ""), log=True
    ),
    name="fig-gradients-apart",
    alt=f"""Three panels against the layer, logarithmic, a line an α: the mean length of the gradient, its deviation over images and its deviation over units. Mean over
    layers of the mean: {apart.mu[low]:.3g} at α = {low:g}, {apart.mu[middle]:.3g} at {middle:g}, {apart.mu[high]:.3g} at {high:g}.""",
    caption=f"""Numerators and denominators of the coefficients: mean over live units of μ, of the deviation over images, and the deviation of the μ over units; means
    over seeds; {networks}; bands from the lowest seed to the highest. The paper shows them in its appendix (recalled; which figures, weakly).""",
)

# %% [markdown]
# ## Is it only that units fire on fewer images?
#
# A unit that is silent on an image has gradient zero there. So a unit that fires rarely has a large $\mathrm{CV}_u$ for that reason alone. This control is ours: the
# same over those images on which the unit fires, against the share of images on which it does. With {glue:text}`images` images no $\mathrm{CV}_u$ can exceed
# {glue:text}`ceiling`, the value of a unit that fires on one of them; {glue:text}`low-rare` % of the live units at α = {glue:text}`low`, {glue:text}`middle-rare` % at
# {glue:text}`middle` and {glue:text}`high-rare` % at {glue:text}`high` fire on at most {glue:text}`rarely`.

# %% tags=["hide-input"]
firing = table[~table.dead].assign(share=lambda units: units.active / units.images).groupby(["alpha", "seed", "layer", "depth"], as_index=False).share.mean()
joined = rows.merge(firing, on=["alpha", "seed", "layer", "depth"], how="left")
shares = 100 * joined.groupby("alpha").share.mean()
figures.show(
    figures.by_layer(joined.assign(percent=100 * joined.share), {"cv_firing": "CV$_u$, images on which it fires", "percent": "images on which a unit fires"}, labels=("coefficient of variation", "%")),
    name="fig-gradients-firing",
    alt=f"""Two panels against the layer, a line an α. Left, the variability over those images on which a unit fires; mean over layers {means.cv_firing[low]:.2f} at
    α = {low:g}, {means.cv_firing[middle]:.2f} at {middle:g}, {means.cv_firing[high]:.2f} at {high:g}. Right, the share of images on which a live unit fires:
    {shares[low]:.0f}, {shares[middle]:.0f} and {shares[high]:.0f} percent.""",
    caption=f"""Left: coefficient of variation over those images on which the unit fires, two at least, mean of the layer's units. Right: share of the images on which a
    live unit fires. Means over seeds; {networks}; bands from the lowest seed to the highest.""",
)

# %% [markdown]
# Over the images on which a unit fires: {glue:text}`low-cv_firing` at α = {glue:text}`low`, {glue:text}`middle-cv_firing` at {glue:text}`middle`,
# {glue:text}`high-cv_firing` at {glue:text}`high`. As the table above has it: from {glue:text}`low` to {glue:text}`middle` this changes by
# {glue:text}`firing-low` where the coefficient over all images changes by {glue:text}`samples-low`; from {glue:text}`middle` to {glue:text}`high-spared` by
# {glue:text}`firing-spared` of {glue:text}`samples-spared`; from {glue:text}`middle` to {glue:text}`high` by {glue:text}`firing-high` of {glue:text}`samples-high`. As
# far as the first is the smaller, the rise is one of units that fire on fewer images.
#
# ## Verdict
#
# The rules of the second round, and when each was written: {doc}`07-discussion`. The first round, by the rule that decided it, on the networks shown here: {glue:text}`rule`

# %%
glue("rule", papers.RULE, display=False)
figures.show_ledger(rounds.entries(here, summary, only=["LM-13", "LM-14"]), name="fig-verdicts")

# %% [markdown]
# What this does not show: that variable gradients make a network robust or vulnerable. α was set by us, so differences between networks are its effect; the
# gradients are one of the things it changes.
#
# The same on the digits: {doc}`11-digits`. Sources are listed under {doc}`references`; the runs behind every figure under {doc}`13-runs`.
