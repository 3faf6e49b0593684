# %% [markdown]
# # Certified: SingleProp
#
# **What was found**
#
# {glue:md}`headline`
#
# {glue:md}`found`
#
# {glue:md}`whose`
#
# {glue:md}`digits`
#
# **How it was measured.**
#
# - Attacks show that a network can be fooled. A *certificate* proves that it cannot, by any change of the pixels within ε. It is a third kind of robustness.
# - Certified training makes networks for which such proofs succeed. SingleProp {cite}`boopathy2021fast` is a cheap way to train them.
# - SingleProp's own estimate is no proof, and one unit shows why. The proofs here come from interval bounds and linear bounds.
#
# *Run time: seconds from the cache. Training took {glue:text}`took`; on the digits, half an hour with all tables.*
#
# **Question.** Interval bounds {cite}`gowal2019scalable` carry a lower and an upper end of every unit through the network. If at the end the logit of the right
# class beats every other one for sure, no attack can change the answer. SingleProp carries the image itself and one half-width instead.
# Does it certify as many images, and does it train faster?
#
# | | if SingleProp works as its abstract says | if it does not |
# |---|---|---|
# | **certified accuracy** | within a few points of training on interval bounds | clearly below |
# | **time of a step** | below that of interval bounds | not below |
#
# What the paper claims in its abstract, and its method, are *established*: the abstract and the official code were read. Its tables are **unknown** to us, so
# none of its numbers stands here. Network, rules and the radius 8/255 are the code's. Our choices:
#
# - the radius 2/255, batch, steps and learning rate;
# - that all ways of training share one order of images, one augmentation, one radius, one optimiser and one schedule, which in the published runs they do not;
# - that interval bounds are cut to [0, 1] in training too, while SingleProp's box is not, as in the code;
# - PGD's starts: the image itself, and four drawn from the ball.

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10 or digits
model: str = "cnn-small"  # cnn-small or cnn-large
alphas: list[float] = [0.0]  # selectivity scales; the claims are about 0
seeds: list[int] = [0, 1, 2]  # one network for each way of training and seed
recipe: str = "certified"  # the recipe of certified training
epochs: int = 0  # 0: the recipe's own number
variants: list[str] = [
    "plain",
    "adversarial-2",
    "ibp-2",
    "singleprop-zero-2",
    "singleprop-fastlin-2",
]  # ways of training, with their radius in 255ths
epsilon: str = "2/255"  # radius asked about, of pixels in [0, 1]

# %%
import pandas as pd

from lib import papers, runs
from lib.book import certified, chapter, figures, prose, tables
from lib.papers import singleprop

here = chapter.parameters(globals())

from lib.book.prose import glue
from lib.measurements.certificate import shares

figures.setup()
radius = certified.radius(epsilon)
certified.one_radius(here)
own = certified.gathered(here, radius)
proofs, there, units, summary = own.proofs, own.there, own.units, own.summary
at_hand = certified.missing(here.trainings)

# %% tags=["remove-input"]
glue("setting", here.setting)
glue("whose", prose.of_whose_images(here.dataset, "singleprop"))
glue("there", at_hand)
glue("took", certified.took(here.trainings))
glue("headline", certified.headline(summary, here.dataset, radius))
glue("radius", f"{255 * radius:.6g}/255")
elsewhere = (
    "It is none of those that PGD attacked: under PGD stands what the next smaller "
    "radius leaves, which is more."
)
glue("elsewhere", "" if certified.on_grid(radius) else elsewhere)
glue("ways", certified.labels(here.trainings))
nothing = pd.DataFrame([
    {"not shown": "no network is at hand", "how to make it": at_hand}
])

# %% [markdown]
# *Asked for: {glue:text}`setting` ({glue:text}`ways`). Of these,* {glue:md}`there`. *All of them: `python -m lib sweep sweeps/singleprop.yml`, or on the digits
# `python -m lib sweep sweeps/digits-singleprop.yml`. The radius asked about is {glue:text}`radius`.* {glue:text}`elsewhere`
#
# ## Why SingleProp is not a certificate
#
# Take one unit whose pre-activation is z for the image itself, and may be anything from z − v to z + v. If that range holds 0, the unit is *unstable*: the ReLU
# cuts the part below 0 off. What is left reaches from 0 to z + v, and its middle is no longer where the image is. SingleProp keeps the image as the middle.

# %% tags=["hide-input"]
figures.show(
    figures.one_unit(),
    name="fig-one-unit",
    alt="""Left, a ReLU with the range of its input shaded. Right, three upright bars:
    interval bounds reach from 0 to the dotted line at the top; SingleProp's bars,
    around the image's own output, end below the dotted line and begin below 0.""",
    caption="""One unstable unit, as networks have them. Left: the ReLU, the range of
    its input, and the image (dot). Right: the interval of its output
    by interval bounds, and what SingleProp takes for it by its two rules; strokes are
    the middles. The tops of SingleProp's intervals are short of what the unit can
    reach.""",
    source="lib/certificates/relaxation.py",
)

# %% [markdown]
# By the rule *zero* the interval has just the right width, in the wrong place: its top is short by (v − |z|)/2. By *fastlin* it is wider and still short, by
# (v − |z|)²/4v. So the loss of SingleProp is an estimate. Later layers can hide this, since the absolute weights widen the estimate again, but nothing in it
# proves anything. Whether a network is robust is decided by a separate verifier.
#
# The rules themselves follow from linear bounds of the ReLU, half the distance from the lower line at one end to the upper line at the other (SP-4).
#
# ## How many images are certified?

# %% tags=["hide-input"]
if len(proofs):
    compared, first = certified.alike(proofs)
    rows = shares(compared).assign(
        kind=lambda table: table.method,
        method=lambda table: table.variant.map(singleprop.method),
    )
    rows = rows[(rows.alpha == 0) & rows.kind.isin(["clean", "interval", "pgd"])]
    proven = certified.shown(summary)
    said = "; ".join(
        f"{figures.METHOD_NAMES[name]} {prose.number(100 * value, '.1f')}"
        for name, value in proven
        .groupby(proven.variant.map(singleprop.method))
        .certified.mean()
        .items()
    )
    figures.show(
        figures.accuracy_by_radius(rows),
        name="fig-certified",
        read=here.read("certificate"),
        alt=f"""Accuracy against the radius, falling, one colour per way of training;
        certified solid, under PGD dashed and never below it. Certified at the radius
        asked about, in percent: {said}.""",
        caption=f"""Certified accuracy by interval bounds (solid), accuracy under PGD
        with five starts (dashed), and between them the images of which neither is
        known (shaded); the first {first:,} test images, {here.setting},
        {len(proven)} networks at α = 0, means over seeds. Radius 0 is clean
        accuracy.""",
    )
else:
    figures.show_table(nothing)

# %% [markdown]
# The solid line is a proof, the dashed line the best attack of ours. The truth lies between them. Where the gap is wide, the verifier or the attack is weak.

# %% tags=["hide-input"]
if len(proofs):
    figures.show_table(certified.by_radius(there))
else:
    figures.show_table(nothing)

# %% [markdown]
# *Certified accuracy in percent by interval bounds, of all test images, mean and standard deviation over seeds, by radius.*
#
# The paper's code also asks what two networks certify together, and counts images that both classify correctly (SP-7):

# %% tags=["hide-input"]
both = certified.jointly(there, radius)
lacking = pd.DataFrame([
    {"not shown": "needs IBP and SingleProp (fastlin) of one seed"}
])
figures.show_table(both if len(both) else lacking)

# %% [markdown]
# *Images in percent that interval bounds certify at the radius asked about: for the network of IBP, for that of SingleProp (fastlin), for either, and for either among
# those that both get right.*
#
# ## What does a step cost?
#
# Counted, not timed: how often a step goes through the layers with weights, and what it keeps in memory for its gradient.

# %% tags=["hide-input"]
counted = certified.passes()
memory = {name: certified.kept(name) for name in ("cnn-small", "cnn-large")}
words = {
    "plain": "plain",
    "singleprop": "SingleProp",
    "ibp": "IBP",
    "pgd": "PGD, 7 steps, and the image itself",
}
figures.show_table(
    pd.DataFrame([
        {
            "step": words[name],
            "linear passes forward": counted[name],
            **{
                f"kept by {one}, MiB an image": f"{memory[one][name]:.2f}"
                for one in memory
            },
        }
        for name in words
    ])
)

# %% [markdown]
# *Timed*, a step of loss, gradient and Adam in turn, in one run: medians, and the lowest and highest ratio of a pair. Memory: the most that a step holds at once, SingleProp's
# and the other's.

# %% tags=["hide-input"]
beside = certified.beside()
none = pd.DataFrame([{"not timed yet": "make bench"}])
figures.show_table(beside if len(beside) else none)
glue("plain-code", certified.in_plain_code())

# %% [markdown]
# A pass over the image and one over the half-width are two; IBP has one more, for the centre of the interval. So of linear passes SingleProp saves a third at most. The
# measured time also holds the work between them, and noise. {glue:text}`plain-code`
#
# One machine without a GPU timed this, a step and not a whole training. In the pilot that the protocol records, training from beginning to end was not faster. The paper's
# abstract claims the speed and gives no number that we know.
#
# ## When does the estimate become good?
#
# Behind every ReLU: half the width of the interval, SingleProp's half-width, and how far the image is from the middle.

# %% tags=["hide-input"]
seen, followed = own.seen, own.followed
after = units[units.alpha == 0].assign(epoch=0) if len(units) else units
rows = seen if len(seen) else after
inside = f"{255 * (certified.trained_radius(here) or 2 / 255):.3g}"
drawn = followed if len(seen) else [one for one in here.trainings if one.alpha == 0]
when = f"after training; {here.setting}"
if len(seen):
    whose = f"seed {followed[0].seed} ({here.model} on {here.dataset})"
    when = f"along the training of {whose}"

# %% tags=["hide-input"]
if len(rows):
    rows = (
        certified
        .order(rows)
        .groupby(["method", "epoch", "depth"], sort=False)[
            ["radius", "fastlin", "centre_error", "unstable"]
        ]
        .mean()
        .reset_index()
    )
    panels = {
        "radius": "half the interval",
        "fastlin": "SingleProp, fastlin",
        "centre_error": "error of the centre",
        "unstable": "share unstable",
    }
    figures.show(
        figures.half_widths(rows, panels),
        name="fig-half-widths",
        read=here.read("half_width", of=drawn),
        alt="""Four panels, one colour per training: half the width of interval bounds,
        SingleProp's half-width, the distance of the image from the middle, and the
        share of unstable units, each a mean over a layer.""",
        caption=f"""Means over units, places and images, {when}; dashes are later
        layers. Interval bounds are true, SingleProp's half-width is an estimate around
        the image. The radius is that of training, {inside}/255.""",
    )
else:
    figures.show_table(nothing)

# %% tags=["hide-input"]
held = certified.covered(proofs, radius)
unseen = pd.DataFrame([{"not shown": "was not looked at, at this radius"}])
figures.show_table(held if len(held) else unseen)

# %% [markdown]
# *At the logits: images of which SingleProp's interval of every logit, by either rule, holds that of interval bounds, in percent, at the radius asked about; the first
# thousand test images, means over seeds.* On the other images SingleProp's interval misses values that interval bounds allow. Even if there were none, nothing would be proved.
# Training on the estimate pushes it down, and what it does not see may stay: the rows of SingleProp's own networks say how far.
#
# ## Clean, corrupted, attacked, certified
#
# *Ours, not the paper's (SP-X1).* The main paper knows the average case, corruptions, and the worst case as attacks find it. Certified accuracy is the third column.

# %% tags=["hide-input"]
corrupted = runs.tables.cached("corruption", here.trainings)
if len(proofs):
    full = certified.shown(runs.tables.full_summary(summary, here.trainings))
    full = full.assign(method=full.variant.map(singleprop.method))
    kinds = {
        "clean_accuracy": "clean",
        "corrupted_accuracy": "corrupted",
        "attacked": "PGD",
        "certified": "certified",
    }
    figures.show(
        figures.four_accuracies(
            full, {one: title for one, title in kinds.items() if one in full}
        ),
        name="fig-four",
        read=here.read("certificate", "corruption"),
        alt="""One panel for each kind of accuracy, clean, corrupted, under PGD and
        certified, with one dot per network, coloured by its way of training.""",
        caption=f"""Accuracy on clean images and certified at the radius asked about
        (all test images), on corrupted ones where that was measured, and under PGD
        (the first thousand); {here.setting}, {len(full)} networks at α = 0, a dot each.
        For this figure alone no claim is decided.""",
    )
else:
    figures.show_table(nothing)

# %% [markdown]
# ## Class selectivity on top
#
# *Ours (SP-X3).* The same networks with α on top of plain training and of SingleProp: does more class selectivity give more proofs? The numbers below are those at
# hand; `python -m lib sweep sweeps/singleprop-alpha.yml` makes them.

# %% tags=["hide-input"]
alpha_rows = own.crossed
if len(alpha_rows):
    titles = {
        "variant": "training",
        "alpha": "α",
        "clean_accuracy": "clean (%)",
        "certified": "certified (%)",
        "live_selectivity": "selectivity of live units",
        "dead": "dead units (%)",
    }
    shown = alpha_rows[list(titles)].rename(columns=titles)
    shown["training"] = [
        figures.METHOD_NAMES[singleprop.method(one)] for one in shown.training
    ]
    for title in shown.columns[1:]:
        scale, form = (100, ".1f") if "%" in title else (1, ".3g")
        shown[title] = [prose.number(scale * one, form) for one in shown[title]]
    figures.show_table(shown)
else:
    figures.show_table(
        pd.DataFrame([
            {"not shown": certified.missing(certified.with_alphas(here).trainings)}
        ])
    )

# %% [markdown]
# ## Verdicts
#
# The rule of the first round, {glue:text}`least` seeds at least: {glue:text}`rule` Claims about cost are counted or timed, and the claim on the rules of the ReLU is
# computed. The rules were written before any network was trained for them on CIFAR-10. A pilot of one seed was known, on a thousand images, and the margin of SP-1 is
# from its noise. On the digits some networks had been trained, to try the code. What was changed since stands in the last fold.

# %% tags=["hide-input"]
glue("least", f"{papers.LEAST_SEEDS}")
glue("rule", papers.RULE)
ledger = certified.ledger(own.asked, here, radius)
columns = ["id", "claim", "verdict", "ours"]
glue("found", prose.verdicts(ledger))
small = ledger
if here.dataset != "digits":
    small = certified.on_digits(here, radius)
    ledger = ledger.assign(digits=small.verdict)
    columns.insert(3, "digits")
figures.show_table(
    tables.by_part(ledger, columns).rename(columns={"digits": "on the digits"})
)
# what is timed, counted or computed is of no network
of_networks = small[~small.id.isin(["SP-2", "SP-3", "SP-4"])]
told = prose.of_digits(of_networks, "certified")
nowhere = small is ledger or set(of_networks.verdict) == {"not tested"}
glue("digits", "" if nowhere else told)

# %% tags=["hide-input"] fold="The numbers of the digits"
figures.show_table(tables.by_part(small, ["id", "verdict", "ours"]))

# %% tags=["hide-input"] fold="How each is decided, and how sure we are of the claim"
figures.show_table(ledger[["id", "certainty", "statistic"]])
figures.show_table(
    pd.DataFrame([
        {"claims": ids, "changed after networks were there": words}
        for ids, words in singleprop.CHANGED.items()
    ])
)

# %% [markdown]
# SP-X1 to SP-X4 are our own questions. Certified training kills units, so statements about selectivity are about live ones, which are a selection. A single
# network says little. The numbers under PGD are of a thousand images, where differences below three points mean nothing.
#
# Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
