# %% [markdown]
# # Class by class
#
# **Key points**
#
# - A mean over classes hides who is robust. Of the plain networks here, the worst class is {glue:text}`clean-worst` on clean images, and {glue:text}`pgd-worst` under
#   PGD (projected gradient descent, an attack) of radius {glue:text}`radius`. Means of {glue:text}`seed-count`.
# - *Ours:* at the same mean accuracy under attack, classes are compared over α. The rank correlation of a class's accuracy under attack is
#   {glue:text}`with-corrupted` with its accuracy on corrupted images, and {glue:text}`with-support` with its *support*: the share of the units' selectivity that belongs to
#   units preferring that class. In brackets: 95 % intervals over seeds. Where classes are only ten, chance alone often gives more than a half.
# - The claims of a companion paper {cite}`tian2021analysis` are about networks that are trained to be robust: {glue:text}`networks`
# - {glue:md}`digits`
#
# *Run time: seconds from the cache. Nothing of the networks that are trained to be robust is made here: the sweeps below do that.*
#
# **Question.** Who pays for a stronger attack? The paper says that adversarially trained networks differ remarkably among classes, whatever the attack and the
# defence, and that stronger attacks gain mainly on the vulnerable ones. Its attack, *Temperature-PGD*, is PGD with a temperature on each image's predictions.
#
# | | if the paper is right | if it is not |
# |---|---|---|
# | **a stronger attack** | gains on the classes that are weak already: their accuracy falls *more*, in points, as a share, and in logits | gains on the classes that have more to lose, or on all alike |
# | **the pattern of classes** | is the *same* for every attack and training | depends on the attack or the training |
#
# Only the paper's abstract and introduction were read, so none of its numbers stand here. *Established* are the statements of the claims. The formula of
# Temperature-PGD is *ours*. It is PGD on $T \log \sum_{k \ne y} \exp(z_k / T) - z_y$, which is the cross-entropy's direction at T = 1 and the margin's as T goes to 0. The plain
# form, the cross-entropy of z / T in float32, points the same way until it underflows.

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # below 0: less selective
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
import pandas as pd

from lib import papers, runs
from lib.book import chapter, classes, figures, prose, tables

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.measurements import logits
from lib.measurements.strengths import strengths_for
from lib.papers import classwise
from lib.papers import classwise_statistics as over_classes

figures.setup()
attacked, _, _ = [
    runs.table(name, here.trainings) for name in ("attack", "corruption", "selectivity")
]
found, ball, label = (
    classes.gathered(here),
    strengths_for(here.dataset).ball,
    classes.strength_words(here),
)
summary = classes.over_alpha(here, runs.summary(here.trainings))
middle = min(
    here.alphas, key=abs
)  # the prose is about the networks closest to plain cross-entropy
trained = found.images.variant.nunique() if len(found.images) else 0

# %%
none = (
    "none is cached yet, so they are not tested, "
    "and the figures below are about plain networks."
)
glue("networks", f"{trained} ways of training are cached." if trained else none)
glue("setting", here.setting)
glue("n", f"{len(summary)}")
glue("devices", prose.machines(summary))
glue("radius", label)
clean = attacked[(attacked.attack == "clean") & (attacked.alpha == middle)]
sizes = clean.groupby("class")["images"].first()
glue("image-count", f"the first {sizes.sum():,}")
glue("class-count", prose.between(sizes))
count = len(here.seeds)
glue("seed-count", f"{count} {'seed' if count == 1 else 'seeds'} at α = {middle:g}")

# %% [markdown]
# *Shown here: {glue:text}`n` plain networks ({glue:text}`setting`), trained on {glue:text}`devices`; each is listed in {doc}`19-runs`. Accuracies of classes are in percent.
# Class-wise variance is the mean squared distance of classes from their mean, in points²; disparity is the largest accuracy minus the smallest.*

# %% tags=["remove-input"]
if found.missing:
    what = (
        f"{len(found.missing)} kinds of networks that are trained to be robust are not "
        "cached. All are made by sweeps/classwise.yml and classwise-without.yml; the "
        "first seed of each by"
    )
    figures.show_table(pd.DataFrame({what: found.missing}))

# %% [markdown]
# ## Classes, clean and under attack
#
# Classes are counted on {glue:text}`image-count` test images, {glue:text}`class-count` of each class, so a class is known less well than the mean.

# %% tags=["hide-input"]
kinds = {
    "clean": "clean",
    "ball-cross-entropy": "PGD",
    "ball-margin": "margin PGD",
    "ball-temperature": "Temperature-PGD",
}
vectors = classes.class_vectors(attacked, kinds, ball)
names = classes.ordered(here.dataset, list(vectors.columns))
long = (
    vectors
    .loc[[middle]]
    .reset_index()
    .melt(["alpha", "seed", "attack"], var_name="class", value_name="accuracy")
)
rows = long[long.attack != "margin PGD"].assign(
    panel=f"plain, α = {prose.number(middle, 'g')}, radius {label}"
)

# %% tags=["hide-input"]
if len(found.classes):
    robust = found.classes[
        found.classes.attack.isin(["clean", "pgd", classwise.MATCHED])
        | (
            (found.classes.attack == "t-pgd")
            & (found.classes.inverse_temperature == logits.STRONG)
        )
    ]
    rows = pd.concat([
        rows,
        robust.assign(
            panel=robust.variant.map(classes.way),
            attack=robust.attack.replace(classes.ATTACKS),
        ),
    ])
mean = vectors.xs(middle, level="alpha").groupby("attack", sort=False).mean()
lowest = {
    attack: (row.idxmin(), row.min(), row.max()) for attack, row in mean.iterrows()
}

# %% tags=["hide-input"]
figures.show(
    figures.class_bars(rows, names),
    name="fig-classes",
    alt=f"""Bars of accuracy for each class, clean and under attack. Plain networks at α
    = {prose.number(middle, "g")}: clean, the worst class is {lowest["clean"][0]} with
    {lowest["clean"][1]:.0f} percent; under PGD it is {lowest["PGD"][0]} with
    {lowest["PGD"][1]:.0f}, while the best has {lowest["PGD"][2]:.0f}.""",
    caption=f"""Accuracy of each class; bars are means over seeds, dots single networks;
    {here.setting}. Temperature-PGD of the plain networks measures T in standard
    deviations of an image's logits. Networks that are trained to be robust stand below
    where they are cached, with plain ones at the radius of the same mean.""",
    read=here.read(
        "attack",
        "logits",
        of=[*here.trainings, *classes.networks_in(found.images, here)],
    ),
)
spreads = pd.DataFrame({
    attack: over_classes.spread(row.to_numpy())._asdict()
    for attack, row in mean.iterrows()
}).T
for attack, name in (("clean", "clean"), ("PGD", "pgd")):
    glue(f"{name}-worst", f"{lowest[attack][0]} ({lowest[attack][1]:.0f} %)")
    glue(f"{name}-gap", f"{spreads.disparity[attack]:.0f}")
    glue(f"{name}-variance", f"{spreads.variance[attack]:.0f}")

# %% [markdown]
# Of the plain networks, the worst class is {glue:text}`clean-worst` on clean images and {glue:text}`pgd-worst` under PGD of radius {glue:text}`radius`.
#
# | over classes | clean | PGD |
# |---|---|---|
# | disparity, points | {glue:text}`clean-gap` | {glue:text}`pgd-gap` |
# | class-wise variance, points² | {glue:text}`clean-variance` | {glue:text}`pgd-variance` |
#
# A difference between the columns alone does not show that robustness is
# unequal: the mean has fallen too, and a proportion in the middle varies most. So CW-1 compares an adversarially trained network with a plain one of the same seed, attacked at
# the radius at which its mean is the same.

# %% tags=["hide-input"]
if len(found.classes):
    shown = found.classes[
        found.classes.attack.isin(["clean", "fgsm", "pgd", "margin", classwise.MATCHED])
        | (found.classes.inverse_temperature == logits.STRONG)
    ]
    spread = (
        shown
        .groupby(["variant", "attack", "seed"], sort=False)
        .accuracy.apply(
            lambda own: pd.Series(over_classes.spread(own.to_numpy())._asdict())
        )
        .unstack()
    )
    words = {
        "mean": "mean, %",
        "variance": "class-wise variance",
        "disparity": "disparity, points",
        "lowest": "worst class, %",
    }
    figures.show_table(
        pd.DataFrame([
            {"training": classes.way(way), "attack": classes.ATTACKS[attack]}
            | {words[one]: tables.estimate(own[one], ".1f") for one in words}
            for (way, attack), own in spread.groupby(["variant", "attack"], sort=False)
        ])
    )

# %% [markdown]
# ## What is taken for what
#
# CW-7 says that many images can be attacked towards one similar class alone. The cheap question: of the images taken for the class that theirs is most confused with, how many return
# once that class's logit is left out? The true one: how many withstand the attack once the network is *trained* without it?

# %% tags=["hide-input"]
small = [one for one in here.trainings if one.alpha == middle]
pictured = found.images if len(found.images) else classes.logits_of(small, epsilon=ball)
way = min(pictured.variant) if len(pictured) else ""
pictured = pictured[pictured.variant == way] if way else pictured
first = classes.one_row(pictured, min(pictured.seed), logits.PGD) if way else None

# %% tags=["hide-input"]
if first:
    spots = over_classes.confusion(
        logits.labels_of(first), logits.predicted(first), len(logits.classes_of(first))
    )
    known = logits.classes_of(first)
    source, confused = over_classes.most_confused(spots)
    figures.show(
        figures.confusions(spots, known, classes.ordered(here.dataset, known)),
        name="fig-confusion",
        alt=f"""Heat map of confusion under PGD; the darkest cell off the diagonal is
        {known[source]} taken for {known[confused]}, {spots[source, confused]:.0f}
        percent.""",
        caption=f"""What images of a class are taken for under PGD, percent of the
        class; one network ({classes.way(way)}, seed {min(pictured.seed)}), the first
        {first["images"]:,} images, cells below half a percent left empty.""",
        read=here.read("logits", of=classes.networks_in(pictured, here)),
    )
    away, back = over_classes.homing(
        logits.all_logits(first), logits.labels_of(first), source, confused
    )
    homing = (
        f"Of {away} images of class {known[source]} that are taken for "
        f"{known[confused]}, {back} return to their class without that logit."
    )
    glue("homing", homing)
else:
    glue(
        "homing", "No network here has its logits cached, so the heat map is left out."
    )

# %% tags=["hide-input"]
if "confused" in found.classes:
    asked = found.classes.attack.isin([
        classwise.MASKED,
        classwise.RETRAINED,
        classwise.ANOTHER,
    ])
    words = {
        classwise.MASKED: "its logit left out",
        classwise.RETRAINED: "trained without it",
        classwise.ANOTHER: "the control: other seeds, trained with all classes",
    }
    figures.show_table(
        pd.DataFrame([
            {
                "training": classes.way(name),
                "images of": ", ".join(sorted(set(own["class"]))),
                "taken for": ", ".join(sorted(set(own.confused))),
                "what changed": words[attack],
                "right then, %": tables.estimate(own.accuracy, ".0f"),
            }
            for (name, attack), own in found.classes[asked].groupby(
                ["variant", "attack"], sort=False
            )
        ])
    )

# %% [markdown]
# {glue:text}`homing`
#
# ## The temperature, and what underflow fakes
#
# All attacks take the same number of steps from the same random start. If the plain form leaves more images right than the safe one at the same T, that is no robustness: its
# gradient is 0 in float32, and the attack stands still.

# %% tags=["hide-input"]
rows = classes.by_class(pictured)
if len(rows):
    curves = dict(classes.temperature_curve(rows))
    left = rows.groupby("attack").accuracy.mean()
    lines = {"PGD": left.pgd, "margin PGD": left.margin, "FGSM": left.fgsm}
    floor = classes.surviving(here)
    floor = floor[floor.variant == way] if len(floor) else floor
    lines |= {"AutoAttack": floor.accuracy.mean()} if len(floor) else {}
    by_form = {"safe": "t-pgd", "plain": "t-pgd-plain"}
    by_form = {form: pictured[pictured.attack == it] for form, it in by_form.items()}
    by_form = {form: it.groupby("inverse_temperature") for form, it in by_form.items()}
    cosines = {form: it.cosine.mean() for form, it in by_form.items()}
    cold, stuck = curves["safe"].columns[-1], by_form["plain"].zero_gradient.mean()

# %% tags=["hide-input"]
if len(rows):
    left_safe, left_plain = (curves[form][cold].mean() for form in ("safe", "plain"))
    figures.show(
        figures.temperature_curves(curves, lines, cosines),
        name="fig-temperature",
        alt=f"""Left, accuracy against 1/T: at 1/T = {cold:g} the safe form leaves
        {left_safe:.1f} percent, the plain one {left_plain:.1f}, margin PGD
        {lines["margin PGD"]:.1f}. Right, the cosine with the margin's gradient:
        {cosines["safe"][cold]:.3f} and {cosines["plain"][cold]:.3f} there.""",
        caption=f"""Accuracy against 1/T for both forms of Temperature-PGD (left), and
        the cosine between their gradients and the margin's at the clean images (right);
        {classes.way(way)}, {pictured.seed.nunique()} networks,
        {int(pictured["images"].max()):,} images, {int(pictured.steps.max())} steps,
        radius {255 * pictured.epsilon.max():g}/255; bands from the lowest seed to the
        highest.""",
        read=here.read("logits", "autoattack", of=classes.networks_in(pictured, here)),
    )
    apart = prose.number(left_plain - left_safe, "+.1f")
    forms = (
        f"At 1/T = {cold:g} the plain form leaves {apart} points against the safe one; "
        f"its gradient is exactly 0 on {stuck[cold]:.0f} of the right images."
    )
    glue("forms", forms)
else:
    glue("forms", "No table of logits is cached, so nothing is shown.")

# %% [markdown]
# {glue:text}`forms`
#
# ## Who pays for the stronger attack
#
# Points favour classes that have much to lose, shares those that have little; the rise of the margin, in logits, knows neither ceiling nor floor. So CW-3 is asked on all three, and
# classes are ordered by the mean of their accuracy before and after.

# %% tags=["hide-input"]
parts = []
for (name, seed), own in (
    pictured.groupby(["variant", "seed"], sort=False) if len(pictured) else ()
):
    weak, strong = (
        classes.one_row(own, seed, logits.PGD),
        classes.one_row(own, seed, logits.SAFE, logits.STRONG),
    )
    bits = [logits.per_image.unpacked(one) for one in (weak, strong)]
    some = over_classes.gains(
        logits.labels_of(weak),
        *bits,
        logits.margins(weak),
        logits.margins(strong),
        len(logits.classes_of(weak)),
    )
    parts.append(some.assign(variant=name, seed=seed, p=over_classes.mcnemar(*bits).p))

# %% tags=["hide-input"]
if parts:
    gained = pd.concat(parts)
    tests = ", ".join(f"{one.p.iloc[0]:.2g}" for one in parts)
    leaning = {
        scale: over_classes.weak_over_strong(gained.accuracy, gained[scale])
        for scale in over_classes.SCALES
    }
    figures.show(
        figures.class_gains(gained),
        name="fig-class-gain",
        alt=f"""Three panels, gain of Temperature-PGD over PGD against the accuracy of a
        class. The weaker half gains more by {leaning["points"]:+.1f} points,
        {leaning["share"]:+.1f} percent of what survived, and {leaning["margin"]:+.2f}
        logits.""",
        caption=f"""What Temperature-PGD (1/T = {logits.STRONG:g}, safe form) gains over
        PGD, one point per class and network, {len(parts)} networks. McNemar's test of
        both on the same images, p: {tests}.""",
        read=here.read("logits", of=classes.networks_in(pictured, here)),
    )
else:
    lacking = "needs networks that are trained to be robust, with the table of logits"
    figures.show_table(pd.DataFrame([{"not shown": lacking}]))

# %% [markdown]
# ## Is the pattern the same?
#
# Rank correlations of the class vectors of plain networks over attacks and α, and of those that are trained to be robust where they are cached, seed by seed and then averaged. Vectors
# of classes that have nothing to do with each other correlate by 0 on average.

# %% tags=["hide-input"]
picked = vectors[
    [
        alpha in (min(here.alphas), middle, max(here.alphas))
        for alpha in vectors.index.get_level_values("alpha")
    ]
]
named = [
    f"α = {prose.number(alpha, 'g')}, {attack}" for alpha, _, attack in picked.index
]
picked = picked.reset_index(["alpha", "attack"], drop=True)
every = picked.set_index(pd.Index(named, name="network"), append=True).swaplevel()
if len(found.classes):
    every = pd.concat([every, classes.trained_vectors(found.classes)])
matrix = classes.mean_ranks(every)
same = {
    attack: matrix.loc[
        f"α = {prose.number(middle, 'g')}, {attack}",
        f"α = {prose.number(middle, 'g')}, PGD",
    ]
    for attack in ("clean", "margin PGD", "Temperature-PGD")
}

# %% tags=["hide-input"]
figures.show(
    figures.class_ranks(matrix),
    name="fig-class-ranks",
    alt=f"""Heat map of rank correlations between class vectors. At α =
    {prose.number(middle, "g")}, PGD agrees with margin PGD by {same["margin PGD"]:.2f}
    and with clean accuracy by {same["clean"]:.2f}.""",
    caption=f"""Spearman's correlation over classes between accuracies, mean over the
    seeds that have one, {every.index.get_level_values("seed").nunique()} at most. Plain
    networks, by α, under attacks of radius {label}; {here.setting}. Networks of which
    nothing is left have no ranks: such cells are empty.""",
    read=here.read(
        "attack",
        "logits",
        of=[*here.trainings, *classes.networks_in(found.images, here)],
    ),
)
for attack, name in (
    ("clean", "clean"),
    ("margin PGD", "margin"),
    ("Temperature-PGD", "temperature"),
):
    glue(f"rank-{name}", prose.number(same[attack], ".2f"))

# %% [markdown]
# At the middle α, class accuracy under PGD correlates with that under margin PGD by {glue:text}`rank-margin`, under Temperature-PGD by {glue:text}`rank-temperature`, and on clean images by
# {glue:text}`rank-clean`. Attacks on one network see the same images, so part of that agreement is theirs.
#
# ## What helps the worst class
#
# Class weights by robust error in training, and a bias on the logits that is tuned on one half of the images, judged on the other, and known to the attack (CW-6).

# %% tags=["hide-input"]
points = classes.changed(found.classes)

# %% tags=["hide-input"]
if len(points):
    worst = points.groupby(["change", "fixed"], sort=False).worst.mean()
    told = "; ".join(
        f"{change}, {'with' if fixed else 'without'}: {value:.0f} percent"
        for (change, fixed), value in worst.items()
    )
    figures.show(
        figures.worst_and_mean(points),
        name="fig-worst-class",
        alt=f"""Two panels, accuracy of the worst class against the mean over classes,
        one point per network, with and without a change. Means of the worst class:
        {told}.""",
        caption=f"""Accuracy of the worst class against the mean over classes. Left,
        class weights in training, under Temperature-PGD at 1/T = {logits.STRONG:g};
        right, a logit bias, under margin PGD on the half that did not tune it.""",
        read=here.read(
            "logits", "logit_bias", of=classes.networks_in(found.images, here)
        ),
    )
else:
    needed = (
        "needs networks and tables of sweeps/classwise.yml; nothing of them is cached"
    )
    figures.show_table(pd.DataFrame([{"not shown": needed}]))

# %% [markdown]
# ## Over α (ours)
#
# None of this is in the papers. Networks over α are compared at the radius at which PGD leaves them the same mean over classes, {glue:text}`level` %: is robustness then spread alike
# (CW-X1)? Does the class that suffers under attack suffer under corruptions (CW-X2)? And do classes that more selectivity speaks for withstand more (CW-X3)? Whether the accuracy itself
# survives attacks that do not depend on how sure a network is (CW-X4) is asked in {doc}`04-worst-case`.

# %% tags=["hide-input"]
panels = {
    "class_variance": "class-wise variance (points²)",
    "with_corrupted": "rank correlation:\nattacked, corrupted",
    "with_support": "rank correlation:\nattacked, class support",
}
level = classes.LEVEL
means = summary.groupby("alpha")[[*panels, "class_disparity", "worst_accuracy"]].mean()
places = [means.index[0], middle, means.index[-1]]
apart = [prose.number(means.class_variance[alpha], ".0f") for alpha in places]
together = [prose.number(means.with_corrupted[alpha], ".2f") for alpha in places]
figures.show(
    figures.classes_and_alpha(summary, panels),
    name="fig-classes-alpha",
    alt=f"""Three panels against α. At {prose.number(means.index[0], "g")},
    {prose.number(middle, "g")} and {prose.number(means.index[-1], "g")}: class-wise
    variance {", ".join(apart)}; correlation with accuracy on corrupted images
    {", ".join(together)}.""",
    caption=f"""Classes of networks over α at the radius at which PGD leaves {level:g} %
    on average, interpolated between radii: class-wise variance, and rank correlations
    over classes with accuracy on corrupted images and with class support; one point per
    network, {len(summary)} networks, intervals 95 %, t, over seeds; {here.setting}.""",
    read=here.read("attack", "corruption", "selectivity"),
)
glue("level", f"{level:g}")

# %% tags=["hide-input"]
figures.show_table(
    pd.DataFrame([
        {
            "α": prose.number(alpha, "g"),
            "radius, /255": tables.estimate(own.radius, ".2f"),
            "class-wise variance": tables.estimate(own.class_variance, ".0f"),
            "disparity, points": tables.estimate(own.class_disparity, ".0f"),
            "worst class, %": tables.estimate(own.worst_accuracy, ".1f"),
            "which": ", ".join(sorted({name for name in own.worst.dropna() if name})),
            "with corrupted": tables.estimate(own.with_corrupted, ".2f"),
            "with support": tables.estimate(own.with_support, ".2f"),
        }
        for alpha, own in summary.groupby("alpha")
    ])
)
low = summary.pivot(index="seed", columns="alpha", values="class_variance")
glue("low-change", tables.estimate(low[min(here.alphas)] - low[middle], "+.0f"))
glue(
    "with-corrupted",
    tables.estimate(summary[summary.alpha == middle].with_corrupted, ".2f"),
)
glue(
    "with-corrupted-high",
    tables.estimate(summary[summary.alpha == max(here.alphas)].with_corrupted, ".2f"),
)
glue(
    "with-support",
    tables.estimate(summary[summary.alpha == middle].with_support, ".2f"),
)

# %% [markdown]
# At the same mean under attack, class-wise variance of the lowest α minus that of the middle one is {glue:text}`low-change` points². At the middle α, accuracy of classes under attack
# correlates with that on corrupted images by {glue:text}`with-corrupted`, and with class support by {glue:text}`with-support`.
#
# At the highest α the correlation with corrupted images is {glue:text}`with-corrupted-high`.
#
# Class support is the selectivity of the
# units that prefer a class, as a share of the layer's, mean over layers. A network that reaches that mean at no radius would not be shown. What this does not show: that selectivity is what makes a class weak.
#
# ## Verdicts
#
# The rules were written before any network that they are about was trained on CIFAR-10. On the digits one was changed after its result: CW-9 asks every class now, and not
# the mean alone. The last fold says when each was written. {glue:text}`rule`

# %% tags=["hide-input"]
glue("rule", papers.RULE)
ledger = classwise.ledger(found.classes)
columns = ["id", "claim", "certainty", "verdict", "ours"]
if here.dataset == "digits":
    small = ledger
else:
    small = classwise.ledger(classes.on_digits().classes)
    ledger, columns = (
        ledger.assign(digits=small.verdict),
        [*columns[:4], "digits", "ours"],
    )
figures.show_table(
    tables.by_part(ledger, columns).rename(columns={"digits": "on the digits"})
)
glue("digits", prose.of_digits(small, "class-by-class"))

# %% tags=["hide-input"] fold="The numbers of the digits"
figures.show_table(tables.by_part(small, ["id", "verdict", "ours"]))

# %% tags=["hide-input"] fold="The statistics, what is to be read with care, and when the rules were written"
figures.show_table(
    pd.DataFrame([
        {"id": one.id, "statistic": one.rule, "to be read with care": one.caution}
        for one in classwise.CLAIMS
    ])
)
figures.show_table(pd.DataFrame([{"when the rules were written": classwise.WRITTEN}]))

# %% [markdown]
# Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
