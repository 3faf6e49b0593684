# %% [markdown]
# # Worst-case robustness
#
# **What was found**
#
# - None of the networks shown below is robust. Under the strongest PGD in a ball {glue:text}`nothing` still classified correctly, in the mean over seeds, at any α that
#   keeps clean accuracy. The rest of this page compares networks at smaller strengths, where something is left.
# {glue:md}`found`
# - {glue:text}`scaled`
#
# {glue:text}`whence`
#
# **How it was measured.** Every network is attacked with images made against itself (FGSM, PGD) and, as a control, with images made against others. α also changes
# how sure a network is of its answers. So the attacks are repeated with losses that do not depend on that, and every attack is checked for signs that it failed
# for reasons other than robustness.
#
# **Question.** Is a network whose units are more selective for classes harder to fool by small changes of the pixels, chosen to fool it
# {cite}`leavitt2020linking`?
#
# | | if high selectivity helps | if low selectivity helps |
# |---|---|---|
# | **why** | A unit that answers to one class alone is moved by few directions in the space of images. | What is spread over many units cannot be changed in all of them by little. |
# | **accuracy under attack** | *rises* with α | *falls* as α rises |
#
# The paper says that it helps {glue:md}`established`: clean accuracy falls as α rises, and under FGSM that ordering turns around.
#
# *Run time: seconds from the cache. A CIFAR-10 network not attacked yet takes about eight minutes on one CPU core, one not trained yet its training too.*

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, 0.0, 0.2, 0.4, 1.0]  # below 0: less selective
seeds: list[int] = [3, 4, 5, 6, 7]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
import numpy as np
import pandas as pd

from lib import papers, runs
from lib.book import answer, attacked, chapter, figures
from lib.measurements import masking
from lib.papers import first_round, first_statistics

here = chapter.parameters(globals())
from lib.book import main_text, prose, rounds, tables
from lib.book.prose import glue
from lib.measurements.attack import BALL_STEPS, BUDGET, IN_BALLS, TEMPERATURE
from lib.measurements.attack_summary import BALL_COLUMNS, curve
from lib.measurements.strengths import strengths_for
from lib.papers.resnet18 import FGSM
from lib.training.training import LABELS

NEXT_TO_NOTHING = 0.02  # share of the images
figures.setup()
whose, at = rounds.whose(here), attacked.strengths(here)
attack, sent, steep = (here.table(name) for name in ("attack", "transfer", "jacobian"))
summary = attacked.summary(here, runs.summary(here.trainings), attack, sent, steep)
tried = attacked.checked(here, summary, attack, sent)
rows = attacked.by_strength(attack)
fgsm, pgd = curve(rows, "fgsm"), curve(rows, at.curve)
images, wide = int(pgd.images.max()), int(fgsm.images.max())
more = f"; FGSM and images made for others: the first {wide:,}" if wide > images else ""
networks = f"{len(summary)} networks ({here.setting}), the first {images:,} test images"

# %% tags=["remove-input"]
own = tried.checks if tried.of == here else tried.checks.iloc[:0]
means = summary.select_dtypes("number").groupby("alpha").mean()
percent = means.filter(regex="accuracy|ball_|attacked|autoattack|^dead$").mul(100)
middle, low, high = min(here.alphas, key=abs), min(here.alphas), max(here.alphas)
low_spared, high_spared = first_statistics.spared(summary, "ball_worst")
entries = rounds.entries(here, summary, only=["LM-7", "LM-8", "LM-9", "LM-10", "LM-X2"])
glue("found", answer.key_points(entries))
places = {
    "middle": middle,
    "low": low,
    "high": high,
    "low-spared": low_spared,
    "high-spared": high_spared,
}
for name, text in prose.numbers_at(
    places,
    (percent, ".1f"),
    (means[["jacobian", "relative_jacobian"]], ".3g"),
    (means[["log_jacobian"]], ".2f"),
):
    glue(name, text)

# %% tags=["remove-input"]
glue("fgsm", f"{at.fgsm:.3g}")
glue("steps", f"{at.steps}")
step = pgd.step_size.max()
glue("step", f"{step:.2g}")
glue("budget", f"{255 * BUDGET:g}/255")
glue("reach", f"{255 * min(step * at.steps, BUDGET):.1f}/255")
glue("ball", f"{255 * at.ball:g}/255")
glue("transfer", f"{255 * at.transfer:g}/255")
glue("ball-steps", f"{BALL_STEPS}")
glue("temperature", f"{TEMPERATURE:g}")
glue("flat", f"{int(steep.norm.eq(0).sum())} of {len(steep):,}")
glue("spared-points", f"{100 * first_statistics.SPARED:g}")

# %% tags=["remove-input"]
glue("whence", answer.whence(entries, whose))
glue("networks", networks + more)
glue("devices", prose.machines(summary))
glue("checked", f"{len(tried.summary)} networks ({rounds.whose(tried.of).lower()})")
glue("whose-checked", rounds.whose(tried.of).lower())
trained = (
    " They were trained as those above, from other seeds; of those above, tables hold "
    "which images are right, and not what the checks read."
)
glue("elsewhere", "" if tried.of == here else trained)
low_too = ", as does the PGD of the first figure"
glue("low-curve", "" if here.is_second_round else low_too)

# %% tags=["remove-input"]
# smallest radius at which PGD leaves next to nothing of networks that spare accuracy
strongest = (
    rows[rows.attack.isin(IN_BALLS)]
    .groupby(["alpha", "seed", "epsilon"])
    .accuracy.min()
)
left = (
    strongest
    .groupby(["alpha", "epsilon"])
    .mean()
    .unstack("alpha")
    .loc[:, low_spared:high_spared]
    .max(axis=1)
)
nothing = left[left < NEXT_TO_NOTHING].head(1)
radius, share = next(nothing.items(), (left.index.max(), left.iloc[-1]))
bound = "up to" if nothing.empty else "at most"
reached = f"of {255 * radius:.3g}/255, {bound} {100 * share:.1f} % of the images are"
glue("nothing", reached)
untouched = 100 * fgsm[fgsm.epsilon.eq(0)].groupby("alpha").accuracy.mean()
level = (
    pd
    .DataFrame({"clean": untouched, "fgsm": percent.fgsm_accuracy})
    .reindex([low_spared, middle, high_spared])
    .diff()
    .iloc[1:]
)
for side, (_, rise) in zip(("low", "high"), level.iterrows(), strict=True):
    glue(f"rise-{side}-clean", prose.number(rise.clean, "+.1f"))
    glue(f"rise-{side}-fgsm", prose.number(rise.fgsm, "+.1f"))

# %% [markdown]
# *Shown here: {glue:text}`networks`, trained on {glue:text}`devices`; each is listed in {doc}`19-runs`. Pixels are in [0, 1]. PGD in balls follows gradients in
# bfloat16{glue:text}`low-curve`; all images are scored in float32. The tests and the page {doc}`20-speed` compare with float32 throughout.*
#
# ## As the paper attacks: FGSM and PGD
#
# FGSM {cite}`goodfellow2015explaining` moves every pixel once, by ε, along the sign of the loss's gradient. PGD {cite}`madry2018towards` takes small steps of that
# kind, here of {glue:text}`step` {glue:md}`recalled`, from the image itself {glue:md}`ours`. Its strength is the number of steps {glue:md}`recalled`, and every
# number of steps is read off one attack. It may go as far as {glue:text}`budget` {glue:md}`recalled`, which does not bind: {glue:text}`steps` steps reach
# {glue:text}`reach` at most.

# %% tags=["hide-input"]
fgsm = fgsm[fgsm.epsilon <= 4 * strengths_for(here.dataset).fgsm]
others = FGSM if here.dataset != "digits" else None  # as far from the digits as can be
third = "" if others is None else " A third panel holds the paper's FGSM numbers."
large = main_text.trainings()
alike = main_text.fgsm(large)
read = here.read("attack", "transfer", "autoattack")
failed = "Hollow: a check below says that this attack may have failed"
hollow = f"{failed} there." if len(own) else ""
dotted = ""
if others is not None:
    read |= here.read("attack", "image_attack", of=large)
    solid = f" Solid lines: {main_text.told(alike)}." if len(alike) else ""
    dotted = f"""Last panel, the main text's own network: dotted the paper's, whose
    points at ε = 0 we read off its figures.{solid} Its order can be compared with the
    other panels, its levels cannot."""

# %% tags=["hide-input"]
figures.show(
    figures.accuracy_by_strength(
        fgsm,
        pgd,
        others,
        alike=alike,
        doubtful=(
            masking.doubtful_alphas(own, "fgsm"),
            masking.doubtful_alphas(own, at.curve),
        ),
    ),
    read=read,
    name="fig-strength",
    alt=f"""Accuracy against the strength of two attacks, one line per α; all fall.
    Under FGSM with ε = {at.fgsm:.3g}: {percent.fgsm_accuracy[low]:.1f} percent at α =
    {low:g}, {percent.fgsm_accuracy[middle]:.1f} at {middle:g},
    {percent.fgsm_accuracy[high]:.1f} at {high:g}. After {at.steps} steps of PGD:
    {percent.pgd_accuracy[low]:.1f}, {percent.pgd_accuracy[middle]:.1f} and
    {percent.pgd_accuracy[high]:.1f}.{third}""",
    caption=f"""{whose}. Accuracy under FGSM against ε, and under PGD against the number
    of steps: means over seeds; {networks}{more}; bands from the lowest seed to the
    highest. {hollow} {dotted} The paper shows these in its figures 2a and 2b (that the
    axis of 2b is the number of steps is recalled).""",
)

# %% [markdown]
# A network that is often wrong on clean images cannot be right under attack. So low and high α are compared at the outermost values that cost at most
# {glue:text}`spared-points` points of clean accuracy: here {glue:text}`low-spared` and {glue:text}`high-spared`.
#
# In the paper, clean accuracy falls as α rises, and the attack turns that around {glue:md}`established`. Here, from α = {glue:text}`low-spared` to
# {glue:text}`middle`, accuracy changes by {glue:text}`rise-low-clean` points without an attack and by {glue:text}`rise-low-fgsm` under FGSM.
#
# From α = {glue:text}`middle` to {glue:text}`high-spared`, it changes by {glue:text}`rise-high-clean` points and {glue:text}`rise-high-fgsm`. Where accuracy does not fall
# without an attack, there is nothing to turn around, and a rise under attack may be that of clean accuracy.
#
# The ordering may turn at another strength on another network and other images. So here are the same differences at every strength. The first row, without an
# attack, says how much of a rise was there before. Only ε = {glue:text}`fgsm` decides; the other rows are shown and not judged:

# %% tags=["hide-input"] fold="The differences at every strength"
steps = tables.changes(
    fgsm,
    "epsilon",
    "accuracy",
    [(low_spared, middle), (middle, high_spared)],
    scale=100,
)
figures.show_table(
    steps.assign(epsilon=[f"{epsilon:.3g}" for epsilon in steps.epsilon]).rename(
        columns={"epsilon": "FGSM, ε"}
    )
)

# %% [markdown]
# *Change of accuracy in points between two α, mean over seeds and 95 % t interval. Verdicts are about a line through three α, so that their numbers differ a little.
# All networks saw the same images, so that the intervals do not include what other test images would change.*
#
# ## How far an image's logits can be moved
#
# The norm of the Jacobian of the logits with respect to the pixels says how much a small change can do. It also grows with the scale of the logits, which α
# changes. So it is shown plainly, and divided by the spread of the image's own logits.
#
# The claim is decided by the mean of the norm's logarithm {glue:md}`ours`: a few images with a very large norm would decide the plain mean. An image of norm 0,
# which no small change moves at all, has no logarithm and is left out: {glue:text}`flat` images, all networks together. Logits and the Frobenius norm are our
# choice too {glue:md}`ours`.

# %% tags=["hide-input"]
figures.show(
    figures.jacobian_and_alpha(summary),
    read=here.read("jacobian"),
    name="fig-jacobian",
    alt=f"""Left, the mean norm of the Jacobian against α, on a logarithmic axis:
    {means.jacobian[low]:.3g} at α = {low:g}, {means.jacobian[middle]:.3g} at
    {middle:g}, {means.jacobian[high]:.3g} at {high:g}. Right, divided by the spread of
    the logits: {means.relative_jacobian[low]:.3g},
    {means.relative_jacobian[middle]:.3g} and {means.relative_jacobian[high]:.3g}.""",
    caption=f"""{whose}. Frobenius norm of the Jacobian of the logits with respect to
    the pixels, mean over images; second panel: over the standard deviation of the
    image's logits. {networks}, a point each; lines through the means over seeds, 95 % t
    intervals from {papers.LEAST_SEEDS} seeds on. The paper shows the first in its
    figure 2c (recalled).""",
)

# %% [markdown]
# Is it the scale of the logits alone? The changes of both:

# %% tags=["hide-input"]
NORMS = {"log_jacobian": "the norm", "log_relative": "over the logits' spread"}
sides = [(low_spared, middle), (middle, high_spared)]
logs = summary.assign(log_relative=np.log10(summary.relative_jacobian))
long = logs.melt(["alpha", "seed"], list(NORMS), "measure", "log10")
shown = tables.changes(long, "measure", "log10", sides, shown=tables.as_percent)
figures.show_table(
    shown.assign(measure=shown.measure.map(NORMS)).rename(
        columns={"measure": "change, %"}
    )
)
over_spread = logs.pivot(index="seed", columns="alpha", values="log_relative")
scaled = tables.of_scale([tables.moved(over_spread, *pair) for pair in sides])
glue("scaled", scaled)

# %% [markdown]
# *Mean over seeds and 95 % t interval, of the logarithm: of the norm image by image, over the spread of the mean over images.* Where the second row is not
# clear, LM-10 may be one of scale.
#
# Nothing passes through units that never fire. On the whole test set these are {glue:text}`low-dead` % of all units at α = {glue:text}`low`, {glue:text}`middle-dead` %
# at α = {glue:text}`middle` and {glue:text}`high-dead` % at α = {glue:text}`high`.
#
# ## Images made against others
#
# If a network only hides its gradients, images made against another network should still fool it. These are made against α = 0 networks of other seeds, and shown to
# all. Networks with α = 0 were trained as those were, so that the control may be hardest on them. Such images are {glue:text}`transferred`.

# %% tags=["hide-input"]
theirs = attacked.transferred(sent)
theirs = theirs[theirs.attack == "ball-cross-entropy"]
if len(theirs):
    figures.show(
        figures.transferred_and_alpha(theirs),
        read=here.read("transfer"),
        name="fig-transfer",
        alt=f"""Accuracy on adversarial images made against α = 0 networks of other
        seeds, against α, a panel for each of {theirs.epsilon.nunique()} radii. At
        radius {255 * at.transfer:g}/255: {percent.transfer_accuracy[low]:.1f} percent
        at α = {low:g}, {percent.transfer_accuracy[middle]:.1f} at {middle:g},
        {percent.transfer_accuracy[high]:.1f} at {high:g}.""",
        caption=f"""{whose}. Accuracy on images that {BALL_STEPS} steps of PGD make in
        balls against α = 0 networks of other seeds, mean over those
        networks: {prose.between(theirs.sources)} for each;
        {networks}{more}, a point each, lines through the means over seeds. The paper
        has such a control in its appendix (recalled).""",
    )
missing = "not made for these networks: they need α = 0 networks of further seeds"
glue("transferred", "shown below" if len(theirs) else missing)

# %% [markdown]
# Where almost every image fools the network, a change of some tenths of a point is a few images. So, as for FGSM, here are the same differences at each radius that was
# measured. Only {glue:text}`transfer` decides:

# %% tags=["hide-input"] fold="The differences at every radius"
if len(theirs):
    radii = tables.changes(
        theirs.sort_values("epsilon"),
        "epsilon",
        "accuracy",
        [(low_spared, middle), (middle, high_spared)],
        scale=100,
    )
    there = 100 * theirs[theirs.alpha == middle].groupby("epsilon").accuracy.mean()
    there = [f"{there.get(epsilon, float('nan')):.1f}" for epsilon in radii.epsilon]
    radii.insert(1, f"at {prose.number(middle, 'g')}, %", there)
    figures.show_table(
        radii.assign(
            epsilon=[f"{255 * epsilon:.3g}/255" for epsilon in radii.epsilon]
        ).rename(columns={"epsilon": "radius"})
    )

# %% [markdown]
# *Accuracy at α = {glue:text}`middle` in percent, and its change in points: mean over seeds and 95 % t interval.*
#
# ## Does it survive?
#
# The gradient of the cross-entropy vanishes where a network is sure of the right class. An attack along it then fails for a reason that is not robustness. The
# *margin* {cite}`carlini2017towards`, the strongest wrong logit minus the right one, has no such limit.
#
# *Temperature-PGD* follows all wrong classes, weighted by a softmax of temperature {glue:text}`temperature`, counted in spreads of the image's logits: multiplying
# all logits changes neither attack. Its formula is our reconstruction of an attack by {cite:t}`tian2021analysis` {glue:md}`ours`. Its temperature was the
# strongest of those tried on training images.
#
# All take {glue:text}`ball-steps` steps of a quarter of the radius {glue:text}`ball`. An image counts as surviving only if no step, at this or any smaller radius,
# fooled the network. AutoAttack {cite}`croce2020reliable` is shown where it has been run, on fewer images. Its last part, Square, uses no gradient.

# %% tags=["hide-input"]
shown = {
    "ball_cross_entropy": "PGD, cross-entropy",
    "ball_margin": "PGD, margin",
    "ball_temperature": "Temperature-PGD",
}
shown |= (
    {"autoattack_accuracy": "AutoAttack"}
    if summary.autoattack_accuracy.notna().any()
    else {}
)
names = {column: name for name, column in BALL_COLUMNS.items()} | {
    "autoattack_accuracy": "autoattack"
}
doubtful = {column: masking.doubtful(own, summary, names[column]) for column in shown}
autoattack = tried.autoattack
images_autoattack = (
    autoattack.groupby(["alpha", "seed", "part"]).images.sum().max()
    if len(autoattack)
    else 0
)
glue("autoattack-images", f"{images_autoattack:,}")

# %% tags=["hide-input"]
under = tried.summary.groupby("alpha")[["autoattack_accuracy", "autoattack_clean"]]
if images_autoattack:
    kept, clean = 100 * under.mean().loc[middle]
    glue(
        "autoattack",
        f"At α = {prose.number(middle, 'g')}, {prose.number(clean, '.1f')} % are right "
        f"unattacked, and {prose.number(kept, '.1f')} % under AutoAttack "
        f"({rounds.whose(tried.of).lower()}; the first {images_autoattack:,} images)",
    )
else:
    glue("autoattack", "AutoAttack has not been run on these networks")
failing = sum(int(flags.sum()) for flags in doubtful.values())
of = int(summary.autoattack_accuracy.notna().sum())
also = f"; AutoAttack on {of} of them and the first {images_autoattack:,}" if of else ""

# %% tags=["hide-input"]
figures.show(
    figures.survival(summary, shown, doubtful),
    read=here.read("attack", "transfer", "autoattack"),
    name="fig-survival",
    alt=f"""Accuracy under several attacks of radius {255 * at.ball:g}/255 against α,
    one panel per attack; raw, and over clean accuracy. On the margin:
    {percent.ball_margin[low]:.1f} percent at α = {low:g},
    {percent.ball_margin[middle]:.1f} at {middle:g}, {percent.ball_margin[high]:.1f} at
    {high:g}. {failing} networks are hollow in some panel.""",
    caption=f"""{whose}. Accuracy under attacks of radius {255 * at.ball:g}/255 that
    differ in the loss they follow, one panel per attack: raw, with accuracy on the same
    images unattacked as strokes, and over it. {networks}, a point each, lines through
    the means over seeds{also}. {f"{failed} on this network." if len(own) else ""}""",
)

# %% tags=["remove-input"]
beyond = percent.ball_cross_entropy - percent[["ball_margin", "ball_temperature"]].min(
    axis=1
)
surviving = first_round.table(papers.SURVIVES, tried.summary)
kinds = (
    surviving
    .assign(attack=surviving.claim.str.removeprefix("the ordering of LM-8 under "))
    .groupby("verdict", sort=False)
    .attack
)
glue(
    "survives", ", ".join(f"{verdict} ({'; '.join(names)})" for verdict, names in kinds)
)
for name, values, form in (
    ("beyond", beyond, "+.1f"),
    ("sure", means.confidence, ".2f"),
):
    least, most = (
        f"{prose.number(values[alpha], form)} (α = {prose.number(alpha, 'g')})"
        for alpha in (values.idxmin(), values.idxmax())
    )
    glue(name, f"from {least} to {most}")

# %% tags=["remove-input"]
relative = pd.DataFrame({
    "three": tried.summary.relative_worst,
    "auto": tried.summary.autoattack_accuracy / tried.summary.autoattack_clean,
    "alpha": tried.summary.alpha,
})
for name, value in (
    100 * relative.groupby("alpha").mean().reindex([middle]).iloc[0]
).items():
    glue(f"relative-{name}", prose.number(value, ".1f"))

# %% [markdown]
# {glue:text}`autoattack`.
#
# **Did the cross-entropy mislead?** PGD on it leaves more accuracy than the stronger of the other two losses, in points {glue:text}`beyond`. Where that difference is 0
# or less, its gradient was no obstacle. Where it is more, part of what survives PGD on the cross-entropy is not robustness.
#
# **How sure are the networks?** The probability (softmax) of the class that a network answers, averaged over the same
# images unattacked, goes {glue:text}`sure`.
#
# **How strong are these attacks?** Of the images that networks with α = {glue:text}`middle` classify correctly ({glue:text}`whose-checked`), the strongest of these
# attacks leaves {glue:text}`relative-three` %, AutoAttack {glue:text}`relative-auto` % (of fewer images).
#
# **Does the ordering survive?** The question is whether accuracy rises from low α to 0, and from 0 to high α. The row LM-X2 of the ledger below answers it. By the
# first round's rule: {glue:text}`survives`.
#
# ### Checks on the attacks themselves
#
# {glue:text}`flagged` of {glue:text}`checked` trip some check.{glue:text}`elsewhere`

# %% tags=["hide-input"] fold="The checks, and which networks trip one"
figures.show_table(masking.overview(tried.checks))
flagged = masking.by_alpha(tried.checks)
tripping = tried.checks[tried.checks.tripped].groupby(["alpha", "seed"]).ngroups
glue("flagged", f"{tripping}")
figures.show_table(flagged)

# %% [markdown]
# *The second table says which, at which α and on which attacks. When limits and rules were written, and what was known by then: {doc}`09-certainty`.*
#
# ## Average case against worst case

# %% tags=["hide-input"]
both = summary[summary.corrupted_accuracy.notna()]
pairs = both.groupby("alpha")[["corrupted_accuracy", "ball_worst"]].mean()
some = both[both.alpha.between(low_spared, high_spared)]
for name, networks_there in (("all", both), ("spared", some)):
    glue(
        f"rank-{name}",
        tables.estimate(
            first_statistics.rank_correlation(
                networks_there, "corrupted_accuracy", "ball_worst"
            ),
            "+.2f",
        ),
    )
told = [
    f"{worst:.1f} and {average:.1f} percent at α = {prose.number(alpha, 'g')}"
    for alpha, average, worst in (100 * pairs).itertuples()
]

# %% tags=["hide-input"]
corrupted = attacked.counted(here.cached_table("corruption"))
tested = (
    f"{corrupted.groupby([*LABELS, 'corruption', 'severity']).images.sum().max():,}"
    if len(corrupted)
    else "0"
)
flagged = attacked.doubtful(both)
ends = f"{failed} with all three attacks on one of the networks there."
figures.show(
    figures.average_and_worst(both, "ball_worst", flagged),
    read=here.read("attack", "transfer", "autoattack", "corruption"),
    name="fig-average-worst",
    alt=f"""Accuracy under attack against accuracy on corrupted images, one point per α,
    {len(pairs)} in all: {"; ".join(told)}.""",
    caption=f"""{whose}. Accuracy under the strongest of the three attacks of radius
    {255 * at.ball:g}/255, on the first {images:,} test images, against mean accuracy on
    corrupted images, the first {tested}; one point per α: mean over seeds, and 95 % t
    intervals from {papers.LEAST_SEEDS} seeds on; {len(summary)} networks
    ({here.setting}). {ends if len(own) else ""}""",
)

# %% [markdown]
# If there were a trade-off between the two, the points would fall from the upper left to the lower right. An α that costs much clean accuracy is moved down and to the
# left by that alone. So the rank correlation over α, computed for each seed, is given twice.
#
# A number below 0 speaks for a trade-off. Over every α it is {glue:text}`rank-all`. Over the α that spare clean accuracy it is {glue:text}`rank-spared`. No rule
# was written for it before it was seen, so nothing is judged.
#
# ## All the numbers

# %% tags=["hide-input"] fold="The table"
figures.show_table(tables.attacked_by_alpha(summary))

# %% [markdown]
# *Means over seeds, in brackets 95 % t intervals, which may reach beyond what is possible where seeds differ much. On {glue:text}`networks`. FGSM with
# ε = {glue:text}`fgsm`; PGD with {glue:text}`steps` steps of {glue:text}`step`; balls and AutoAttack of radius {glue:text}`ball`, AutoAttack on fewer images; images
# made for others of radius {glue:text}`transfer`. Confidence: mean of the largest softmax, unattacked.*
#
# ## Verdict
#
# How the rules decide: {doc}`07-discussion`. The first round's rule: {glue:text}`rule`

# %%
glue("rule", papers.RULE)
figures.show_ledger(entries, name="fig-verdicts", read=rounds.read(here, entries))

# %% [markdown]
# The paper did not ask whether the ordering holds under attacks that do not depend on how sure a network is. By the same rule (the first row, PGD on the cross-entropy,
# does depend on it, and is what the others are compared with):

# %% tags=["hide-input"] fold="The answer, attack by attack"
figures.show_table(
    surviving.assign(ours=surviving.ours.str.replace("; ", "\n"))[
        ["claim", "verdict", "ours"]
    ]
)

# %% [markdown]
# What this does not show: that selectivity is what makes the difference. α was set by us, so differences between networks are its effect; selectivity is one of
# the things it changes.
#
# The same on the digits: {doc}`13-digits`. Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
