# %% [markdown]
# # Does it work the other way round?
#
# **What was found**
#
# {glue:md}`found`
#
# {glue:text}`whence`
#
# **How it was measured.** Elsewhere in this book α sets selectivity, and robustness is what is measured. Here robustness is trained, and selectivity is what is
# measured. The networks differ in clean accuracy and in their share of dead units too; both stand beside every result.
#
# **Question.** In its appendix the paper asks for the way back: does a network that is trained to be robust change its selectivity {cite}`leavitt2020linking`? It says
# that AugMix lowers mean selectivity (LM-6), and that PGD training {cite}`madry2018towards` raises it in proportion to its strength once dead units are left out
# (LM-12) {glue:md}`established`.
#
# | | if the link runs both ways | if it does not |
# |---|---|---|
# | **AugMix** (average case) | Robustness to corruptions comes with a more distributed code. Mean selectivity *falls*. | Consistent predictions are reached with units as selective as before, or more. Mean selectivity *stays or rises*. |
# | **PGD training** (worst case) | Robustness to attacks comes with a more selective code. Mean selectivity *rises* with the number of steps. | Units that agree with each other are the safer answer to an attack. Mean selectivity *stays or falls*. |
#
# *Run time: seconds from the cache, with or without a GPU. What is missing is trained first: minutes on digits, hours on CIFAR-10 without a GPU.*

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [0.0]  # claims are about 0: selectivity left to itself
seeds: list[int] = [0, 1, 2]  # one network for each way of training and seed
pgd_seeds: list[int] = [0]  # those of PGD training, which takes several times as long
recipe: str = "fast"  # fast or paper
epochs: int = 0  # 0: half of those of the fast recipe, all of the paper's
variants: list[str] = ["plain", "augmix", "pgd-1", "pgd-2", "pgd-4"]  # pgd-K: K steps

# %%
from lib import papers, runs
from lib.book import answer, chapter, figures, prose, rounds, tables
from lib.papers import statistics

here = chapter.parameters(globals())
from dataclasses import replace

from lib.book.prose import glue
from lib.measurements.strengths import strengths_for
from lib.runs.tables import at_hand, cached, full_summary
from lib.training.training import LABELS
from lib.training.variants import variant

figures.setup()
summary = runs.summary(here.trainings)
units = runs.table("selectivity", here.trainings)
glue("n", f"{len(summary)}")
entries = rounds.entries(here, variants=summary, only=["LM-6", "LM-12"])
glue("found", answer.key_points(entries))
glue("whence", answer.whence(entries))
glue("setting", here.setting)
glue("devices", prose.machines(summary))

# %% tags=["remove-input"]
middle = min(
    here.alphas, key=abs
)  # the prose is about the networks closest to plain cross-entropy
central, columns = (
    summary[summary.alpha == middle],
    ["clean_accuracy", "mean_selectivity", "live_selectivity", "dead"],
)
means = central.groupby("variant", sort=False)[columns].mean()
glue("middle", prose.number(middle, "g"))

# %% [markdown]
# *Shown here: {glue:text}`n` networks ({glue:text}`setting`), trained on {glue:text}`devices`; each is listed in {doc}`19-runs`. Numbers in the text are
# means over the seeds at α = {glue:text}`middle`; PGD training is compared with plain networks of its own seeds.*
#
# ## AugMix
#
# [AugMix](https://arxiv.org/abs/1912.02781) mixes an image with chains of simple operations on itself, such as rotating it or reducing its grey levels.
# The loss is cross-entropy on the image, and a penalty where the predictions for the image and for two such mixtures differ. None of the operations is one of
# the test corruptions. Selectivity is measured as in {doc}`02-approach`: on the clean test set, whatever the network was trained on.

# %% tags=["hide-input"]
plain, mixed = means.loc["plain"], means.reindex(["augmix"]).iloc[0]
count = summary.variant.isin(["plain", "augmix"]).sum()
mixing = prose.change_by_layer(units[units.alpha == middle], "augmix")
figures.show(
    figures.selectivity_by_layer(
        units[units.variant.isin(["plain", "augmix"])], by="variant"
    ),
    read=here.read(
        "selectivity",
        of=[one for one in here.trainings if one.variant in ("plain", "augmix")],
    ),
    name="fig-augmix",
    alt=f"""Two panels, mean selectivity against layer, one line for plain training,
    nearly black, one for AugMix, green; left all units, right live units. Against plain
    training, the live units of AugMix: {mixing}.""",
    caption=f"""Mean selectivity of each ReLU layer with plain training and with AugMix;
    {here.setting}, {count} networks, mean over seeds. First panel: all units, dead ones
    counting as 0. Second: live units alone. The paper shows this in its figure A11,
    whose curves we have not read off.""",
)
glue("mixing", mixing)
for column in columns:  # shares in percent
    form, scale = (".3f", 1) if "selectivity" in column else (".1f", 100)
    glue(f"plain-{column}", prose.number(scale * plain[column], form))
    glue(f"augmix-{column}", prose.number(scale * mixed[column], form))
    glue(
        f"augmix-{column}-change",
        prose.number(scale * (mixed[column] - plain[column]), f"+{form}"),
    )
glue("augmix-published", papers.claim("LM-6").published)

# %% tags=["hide-input"]
# at which α plain networks change as much, between those of the recipe's own length
near = replace(here, alphas=(-0.4, 0.0), epochs=None, variants=())
over_alpha = at_hand(near.trainings).groupby("alpha").mean_selectivity.mean()
like = statistics.alpha_of_change(
    over_alpha, mixed.mean_selectivity - plain.mean_selectivity
)
said = f"at α ≈ {like:.2f}".replace("-", "−")
said += ", by interpolation between networks of α = −0.4 and 0"
place = "inside that range" if -0.2 <= like <= -0.1 else "outside that range"
glue(
    "augmix-like",
    f"{said}: {place}" if like == like else "at none of the α that are at hand",
)

# %% [markdown]
# AugMix changes mean selectivity by {glue:text}`augmix-mean_selectivity-change`, and by {glue:text}`augmix-live_selectivity-change` with dead units left out.
#
# Layer by layer (counted from the input), the live units of AugMix against those of plain training: {glue:text}`mixing`.
#
# Clean accuracy, in percent, is {glue:text}`plain-clean_accuracy` with plain training and {glue:text}`augmix-clean_accuracy` with AugMix.
#
# The paper gives the size of the effect too: {glue:text}`augmix-published`. Here, plain networks change as much {glue:text}`augmix-like`. They were trained for the
# recipe's own number of epochs.
#
# That the change of selectivity is what makes a network robust, the figure does not show. Whether these networks are robust at all is looked at below.
#
# ## PGD training
#
# Every minibatch is attacked before it is learned from: K steps up the gradient of the loss with respect to the pixels. K is the strength; plain training has
# none. Each step costs one more pass through the network and back.

# %% tags=["hide-input"]
paired, alike = (
    summary[summary.seed.isin(here.pgd_seeds)],
    units[units.seed.isin(here.pgd_seeds)],
)
ladder = paired[paired.alpha == middle].groupby("variant", sort=False)[columns].mean()
ladder = (
    ladder
    .assign(steps=[variant(name).strength for name in ladder.index])
    .dropna(subset="steps")
    .sort_values("steps")
)
strongest, count = ladder.index[-1], paired.variant.isin(ladder.index).sum()
attacked = prose.change_by_layer(alike[alike.alpha == middle], strongest)

# %% tags=["hide-input"]
figures.show(
    figures.selectivity_by_layer(alike[alike.variant.isin(ladder.index)], by="variant"),
    read=here.read(
        "selectivity",
        of=[
            one
            for one in here.trainings
            if one.variant in ladder.index and one.seed in here.pgd_seeds
        ],
    ),
    name="fig-pgd-layers",
    alt=f"""Two panels, mean selectivity against layer, one line per strength of PGD
    training, from nearly black (plain) over pink to purple; left all units, right live
    units. Against plain training, the live units of {variant(strongest).label}:
    {attacked}.""",
    caption=f"""Mean selectivity of each ReLU layer by strength of PGD training;
    {here.setting}, {count} networks, mean over seeds. First panel: all units, dead ones
    counting as 0. Second: live units alone; a layer without a live unit has no
    point.""",
)
glue("attacked", attacked)
glue("strongest", variant(strongest).label)

# %% [markdown]
# The live units of the strongest training ({glue:text}`strongest`) against those of plain training: {glue:text}`attacked`.

# %% tags=["hide-input"]
steps = ", ".join(f"{step:g}" for step in ladder.steps)
series = {
    column: ", ".join(prose.number(value) for value in ladder[column])
    for column in ("mean_selectivity", "live_selectivity")
}
series |= {
    column: ", ".join(prose.number(100 * value, ".1f") for value in ladder[column])
    for column in ("dead", "clean_accuracy")
}

# %% tags=["hide-input"]
figures.show(
    figures.selectivity_and_steps(paired),
    read=here.read(
        "selectivity",
        of=[
            one
            for one in here.trainings
            if one.variant in ladder.index and one.seed in here.pgd_seeds
        ],
    ),
    name="fig-pgd-steps",
    alt=f"""Left, mean selectivity against the steps of PGD in training ({steps}): with
    all units {series["mean_selectivity"]}, {prose.rising(ladder.mean_selectivity)};
    with live units alone {series["live_selectivity"]},
    {prose.rising(ladder.live_selectivity)}. Right, dead units in percent:
    {series["dead"]}.""",
    caption=f"""Mean selectivity (first panel; filled: all units, hollow: dead units
    left out) and share of dead units (second panel) against the number of PGD steps in
    training; {here.setting}, {count} networks, a point each; intervals (95 %, t) from
    {papers.LEAST_SEEDS} seeds on. The paper shows this in its figure A16, whose curves
    we have not read off.""",
)
for column in ("mean_selectivity", "live_selectivity"):
    glue(f"pgd-{column}-order", prose.rising(ladder[column]))

# %% [markdown]
# Mean selectivity against the number of steps: over all units {glue:text}`pgd-mean_selectivity-order`, over live units
# {glue:text}`pgd-live_selectivity-order`. The table below has the numbers.
#
# A dead unit counts as 0, so where PGD training kills units, the mean over all of them falls without any unit becoming less selective. That is why the claim
# is about live units. But the units that live on are a selection: leaving out the dead can raise a mean without any unit becoming more selective.
#
# ## All the numbers

# %% tags=["hide-input"]
figures.show_table(tables.by_training(summary))
glue("epochs", f"{summary.epochs.iloc[0]} epochs")
glue("least", f"{papers.LEAST_SEEDS}")

# %% [markdown]
# *{glue:text}`setting`. Means over seeds; in brackets their t interval, the same as in the rule below, from {glue:text}`least` seeds on.*
#
# Clean accuracy is not the same. A network trained on altered images may learn the clean ones less well, the more so in
# few epochs. So a difference in selectivity may come with the training that was meant, or with having learned less; these networks cannot tell the two apart.
#
# ## Are these networks robust?
#
# The link runs both ways only if these networks are robust. So here is their accuracy on corrupted images, which AugMix is for, and under attack, which PGD training is for, measured
# as in {doc}`03-average-case` and {doc}`04-worst-case`, where it has been measured. No claim is about it, and nothing is judged.

# %% tags=["hide-input"]
tested = full_summary(summary, here.trainings)
figures.show_table(tables.robustness_by_training(tested))
at = strengths_for(here.dataset)
counts = {
    "on corrupted images": (
        cached("corruption", here.trainings),
        ["corruption", "severity"],
    ),
    "under FGSM and PGD": (
        cached("attack", here.trainings),
        ["attack", "epsilon", "steps"],
    ),
    "under AutoAttack": (
        cached("autoattack", here.trainings, epsilon=at.ball),
        ["part"],
    ),
}
numbers = [
    f"{rows.groupby([*LABELS, *by]).images.sum().max():,} {what}"
    for what, (rows, by) in counts.items()
    if len(rows)
]
glue(
    "images",
    f"the others on its first images: {', '.join(numbers)}"
    if numbers
    else "none of these networks has been tested otherwise",
)
glue("fgsm", f"{at.fgsm:.3g}")
glue("attack-steps", f"{at.steps}")

# %% tags=["hide-input"]
glue("ball", f"{255 * at.ball:g}/255")

# %% [markdown]
# *Clean accuracy on the whole test set; {glue:text}`images`; FGSM with ε = {glue:text}`fgsm`, PGD after {glue:text}`attack-steps` steps, the strongest
# of three attacks of radius {glue:text}`ball`, and AutoAttack of the same radius. Means over seeds, as above.*
#
# Against plain networks of the same seeds, in points of accuracy:

# %% tags=["hide-input"]
gained = tables.gains(
    tested[tested.alpha == middle],
    {
        "on corrupted images": "corrupted_accuracy",
        "under the strongest of the three attacks": "ball_worst",
    },
)
figures.show_table(gained)

# %% [markdown]
# In the paper, the two kinds of robustness go with opposite changes of selectivity. If those links hold, a way of training that
# gains on both cannot get both through mean selectivity.
#
# ## Settings
#
# In this chapter the fast recipe has half its epochs, unless others are asked for, because without a GPU the strongest network takes several times as long
# as a plain one. Each network here had {glue:text}`epochs`. Each is compared with plain networks of the same number of epochs, never with those of the other
# chapters. The rest of the recipe is as in {doc}`02-approach`.
# What *established*, *recalled* and *choice* mean: {doc}`09-certainty`.

# %% tags=["hide-input"]
figures.show_table(tables.variant_settings(here.trainings))

# %% [markdown]
# ## Verdict
#
# How the rules decide: {doc}`07-discussion`. The first round's rule: {glue:text}`rule` LM-6 and LM-12 are decided on the networks with α = 0.
#
# The statistic of LM-12 asks for a rise at every step; it does not ask whether the rise is proportional. It is strict: where two strengths do not differ, noise alone
# makes the smallest rise negative. On CIFAR-10 the later seeds of AugMix were made when the first was known to speak for LM-6; neither the rule nor the number of
# seeds that it asks for was changed.

# %%
glue("rule", papers.RULE)
figures.show_ledger(entries, name="fig-verdicts", read=rounds.read(here, entries))

# %% [markdown]
# The same on the digits: {doc}`13-digits`. Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
