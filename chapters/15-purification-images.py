# %% [markdown]
# # Purification in image networks
#
# **What was found**
#
# {glue:md}`found`
#
# {glue:md}`whose`
#
# {glue:md}`elsewhere`
#
# **How it was measured.** From one plain network, training goes on in several ways, for as long and at the same rate: as before (the *control*), on images perturbed
# within several radii, and with α above 0. What differs between them is what the attack did. The paper's own training settings are not known; all of them are our choice.
#
# **Question.** In the theorem's world ({doc}`14-purification-theorem`), adversarial training removes a direction that all features share. Does it do that to a network of images
# {cite}`allenzhu2021feature`?
#
# | | if it purifies | if it learns anew |
# |---|---|---|
# | **filters** | θ(w, w′) is high, though lower than the control's | θ(w, w′) is that of random directions |
# | **the change** | few directions of each matrix carry it and its robustness | many |
# | **perturbations** | fewer coefficients, dimensions and high frequencies than on the clean network | as noise-like as before |
#
# *Run time: seconds from the cache. A rerun makes what is missing of the networks that it is asked for, on digits in half an hour on one CPU core, on CIFAR-10 in about an hour
# for each seed and network trained on perturbed images (estimated). So do `python -m lib sweep sweeps/purification.yml`, `purification-alpha.yml` for those with α above 0,
# `purification-rate.yml` for those at three times the rate, and `purification-scratch.yml` for those trained on perturbed images from the start.*

# %% tags=["parameters"]
dataset: str = "digits"  # digits or cifar10
model: str = "usual"  # the data set's usual network, or a name, such as alexnet
alphas: list[float] = [0.4]  # goes on from the plain network: a bridge to selectivity
seeds: list[int] = [0, 1, 2]  # one plain network for each, and all that goes on from it
recipe: str = "fast"  # of the plain network: fast or paper
networks: list[str] = [
    "weaker",
    "l2",
    "control_high",
    "adversarial_high",
    "scratch",
]  # beside the plain network, the control and L∞ 8/255
radius: float = 0.5  # L2 length of the perturbations that are compared

# %%
import pandas as pd

from lib import runs
from lib.book import chapter, figures, prose, tables
from lib.papers import purification_images

here = chapter.parameters(globals())
from lib.book import purified
from lib.book.prose import glue
from lib.measurements import purification as looks
from lib.purification import chance_angle

figures.setup()
own, names = purified.gathered(here, radius, networks), purified.names(here)
every, trained = own.networks, own.trained
missing = runs.missing(every)
angles, low_rank = own.angles, own.low_rank
perturbation, alignment = own.perturbation, own.alignment
rebuilt, pictures = own.rebuilt, own.pictures


# %% tags=["remove-input"]


def drawn(table: str, rows: pd.DataFrame) -> tuple[dict, str]:
    """What a figure of some rows is made from, and its networks in words."""
    of = set(zip(rows.network, rows.seed, strict=True))
    some = [one for one in own.tables[table][1] if (every[one], one.seed) in of]
    return here.read(table, of=some), (
        f"{len(of)} networks ({here.model} on {here.dataset})"
    )


# %% tags=["remove-input"]
ledger = purified.ledger(own)
# the other images: the digits beside CIFAR-10, or the other way round
other = purified.elsewhere(here.dataset)
theirs_too = purified.ledger(other)
known = set(theirs_too.verdict) != {"not tested"}
there = len(every) - len(missing)
shown = f"{there} of {len(every)} networks ({here.model} on {here.dataset}"
counted = f"{len(here.seeds)} {'seed' if len(here.seeds) == 1 else 'seeds'}"
glue("networks", f"{shown}, {counted})")
glue("whose", prose.of_whose_images(here.dataset, "purification"))
lacking = ", ".join(
    f"{count} {names[name]}"
    for name, count in pd
    .Series([every[one] for one in missing])
    .value_counts(sort=False)
    .items()
)
glue(
    "missing",
    f"Not cached yet: {lacking}. What follows shows the rest."
    if missing
    else "All of them are cached.",
)

# %% tags=["remove-input"]
glue(
    "found",
    prose.verdicts(ledger)
    if set(ledger.verdict) != {"not tested"}
    else "Nothing yet: the networks that would decide are not cached.",
)
nothing_there = "Of other images no such network is cached."
told_there = purified.told_elsewhere(other, theirs_too) if known else nothing_there
glue("elsewhere", told_there)


def absent(what: str, rows: pd.DataFrame) -> bool:
    """Whether there is nothing to show, which is then said, with the way to make it."""
    if rows.empty:
        sweep = "digits-purification" if here.dataset == "digits" else "purification"
        print(
            f"No {what} is cached. To make it: python -m lib sweep sweeps/{sweep}.yml"
        )
    return rows.empty


# %% [markdown]
# *Shown here: {glue:text}`networks`. {glue:text}`missing` Each is listed in {doc}`19-runs`.*
#
# ## Directions of filters
#
# θ is the absolute cosine between a filter before and after. A high θ(w, w′) alone says nothing: whatever goes on at a small rate keeps its directions. The control says how much of
# it, the same at three times the rate how much the rate decides, and a network of another seed what is kept by chance.

# %% tags=["hide-input"]
drawn_here = [name for name in figures.IMAGES if name in set(every.values())]
usual = angles[angles.network.isin(drawn_here)] if len(angles) else angles
if not absent("table of angles", usual):
    kept = usual.groupby("network").angle_reference.mean()
    told = [f"{names[name]} {kept[name]:.2f}" for name in names if name in kept]
    read, whose = drawn("weight_angles", usual)
    figures.show(
        figures.image_angles(usual),
        name="fig-purification-filters",
        alt=f"""Histograms of θ over filters, to their first weights, to the clean
        network's, and to other filters. Means of the second: {", ".join(told)}.""",
        read=read,
        caption=f"""Filters of all convolutions and seeds together; {whose}. Dotted:
        random directions of as many numbers as each filter has, the null. Upright: the
        paper's 0.2 and 0.8.""",
    )

# %% tags=["hide-input"]
if len(angles):
    by = ["place", "convolution", "inputs"]
    wide = angles.pivot_table(index=by, columns="network", values="angle_reference")
    wide = wide.reindex(columns=[*purified.WAYS, *purified.HIGH]).reset_index()
    plain = angles[angles.network == "parent"].groupby("place")
    wide["another seed"] = wide.place.map(plain.angle_independent.mean())
    wide["its nearest"] = wide.place.map(plain.nearest_independent.mean())
    wide["random"] = [chance_angle(int(size)) for size in wide.inputs]
    wide = wide.dropna(axis="columns", how="all")  # of networks that are not here
    theta = wide.columns.difference(by)
    wide[theta] = wide[theta].map("{:.3f}".format)
    usual = ["convolution", "inputs", *purified.WAYS, "random"]
    figures.show_table(wide.filter(usual).rename(columns=names))

# %% [markdown]
# *Mean θ(w, w′) by convolution; "random" is what random directions of as many numbers have.*
#
# The two further controls: the rate, and the network of another seed.

# %% tags=["hide-input"]
if len(angles):
    pairs = ["control", "control_high", "adversarial", "adversarial_high"]
    controls = ["convolution", *pairs, "another seed", "its nearest", "random"]
    figures.show_table(wide.filter(controls).rename(columns=names))

# %% [markdown]
# *θ of the plain network's filters to that at the same place of the network of another seed, to the nearest of its layer, and of random directions.*
#
# Below is the paper's own network (it calls it AlexNet, l2): percent of filters by θ, read off its figure 2 to about one and a half points. There, θ(w, w′) centres on 0.7 to 0.8, below the 0.8 that its readers note as the claim:

# %% tags=["hide-input"] fold="The filters in the bins of the paper's figure"
titles = {
    "near": "θ(w₀, w) below .1",
    "next": ".1 to .2",
    "pairs": "θ(wᵢ, wⱼ) below .1",
}
theirs = purification_images.ALEXNET.assign(network="the paper's, l2")
ours = purification_images.by_tenths(angles) if len(angles) else theirs[:0]
ours = ours.assign(network=ours.network.map(lambda name: names.get(name, name)))
null = purified.random_tenths(angles) if len(angles) else theirs[:0]
both = pd.concat([theirs, ours, null])[["network", *purification_images.ALEXNET]]
both = both.rename(columns=titles).rename(
    columns=lambda name: name.replace("kept", "θ(w, w′)")
)
percent = both.columns.drop(["network", "layer"])
both[percent] = both[percent].map(lambda one: "" if pd.isna(one) else f"{one:.0f}")
figures.show_table(both)

# %% [markdown]
# *Ours, where networks are cached, counted alike: for pairs, filters by their mean θ to the others of their layer. Last, random directions of as many numbers as our
# filters have. Of the paper's second network, a ResNet, θ(w, w′) was read from the 17th layer
# on: 55 to 85 % of neurons in .8 to .9 and 20 to 45 % in .9 to 1; its early layers spread over .4 to 1.*
#
# ## What filters and units look for
#
# The same filters, and images that excite the same units, before and after. The paper says that filters become simpler and less colourful: the share of a filter that is colour, and the
# share in its strongest cosine, decide (FP-14).

# %% tags=["hide-input"]
first = pictures[pictures.seed == pictures.seed.min()] if len(pictures) else pictures
of_kind = {
    kind: first[first.kind == kind] if len(first) else first
    for kind in (looks.FILTER, looks.EXCITES, looks.SEEN, looks.PERTURBED)
}
if not absent("table of pictures", of_kind[looks.FILTER]):
    about = of_kind[looks.FILTER].groupby("network", sort=False)
    told = [
        f"{names[name]} {own.colour.mean():.2f} and {own.strongest.mean():.2f}"
        for name, own in about
    ]
    read, whose = drawn("pictures", of_kind[looks.FILTER])
    figures.show(
        figures.filters_of(of_kind[looks.FILTER]),
        name="fig-purification-pictures",
        alt=f"""First filters of each network. Mean share of colour, and in the
        strongest cosine: {"; ".join(told)}.""",
        read=read,
        caption=f"""Filters of the first convolution, each stretched to the whole range,
        the same one at the same place; seed {first.seed.min()}; {whose}.""",
    )

# %% tags=["hide-input"]
units = of_kind[looks.EXCITES]
if not absent("table of pictures", units):
    rows = units.assign(
        row=units.network.map(names), title=units.relu + ", " + units.place.astype(str)
    )
    read, whose = drawn("pictures", units)
    figures.show(
        figures.pictures_of(rows),
        name="fig-purification-units",
        alt=f"""Images that excite the first units of {units.relu.nunique()} layers
        most, one row for each of {units.network.nunique()} networks.""",
        read=read,
        caption=f"""Images that excite a unit most, from one start, the same unit below
        the other (layer and number above); seed {first.seed.min()}; {whose}.""",
    )

# %% [markdown]
# ## How many directions the change has
#
# The clean network's weights, plus the strongest directions of the change in every matrix; batch norm's statistics are made anew. The control's line is what any change of that rank does.

# %% tags=["hide-input"]
if not absent("table of ranks", low_rank):
    whole = low_rank[low_rank["rank"] == low_rank["rank"].max()]
    told = []
    for name, rows in whole.groupby("network"):
        clean, attacked = (
            100 * (rows[it] / rows.images).mean() for it in ("clean", "attacked")
        )
        told.append(f"{names[name]} {clean:.0f} and {attacked:.0f} percent")
    read, whose = drawn("low_rank", low_rank)
    figures.show(
        figures.image_ranks(low_rank),
        name="fig-purification-ranks",
        alt=f"""Accuracy against the number of directions, unperturbed and under PGD.
        With all: {", ".join(told)}.""",
        read=read,
        caption=f"""Means over seeds, the first {low_rank.images.max():,} test images,
        PGD of 10 steps at 8/255; {whose}.""",
    )

# %% [markdown]
# ## What perturbations look like
#
# PGD's perturbations in the L2 ball, all scaled to one length, beside noise of that length. Asked is the share of coefficients with which all but a fifth of the squared length is explained, under
# three dictionaries. Under the purified network's own filters the answer would be circular; cosines and the components of image patches belong to no network.

# %% tags=["hide-input"]
if not absent("table of perturbations", perturbation):
    rows = perturbation.assign(network=perturbation.network.map(names))
    means = rows.groupby(["network", "dictionary"], sort=False).mean(numeric_only=True)

    def beside(column: str, scale: float = 100, form: str = ".1f") -> pd.Series:
        """A mean, and that of noise in brackets."""
        pairs = zip(means[column], means[f"{column}_noise"], strict=True)
        told = [
            f"{scale * mine:{form}} ({scale * null:{form}})" for mine, null in pairs
        ]
        return pd.Series(told, means.index)

    coded = beside("nonzero").unstack("dictionary", sort=False).add_prefix("% under ")
    left = (
        means.unexplained
        .mul(100)
        .map("{:.0f}".format)
        .unstack("dictionary", sort=False)
    )
    coded = pd.concat([coded, left.add_prefix("% left by ")], axis=1)
    rest = {"dimensions": ("components_95", 1, ".0f"), "% high": ("high", 100, ".1f")}
    for title, how in rest.items():
        coded[title] = beside(*how).groupby(level="network", sort=False).first()
    figures.show_table(coded.reset_index())

# %% [markdown]
# *First, the mean share of coefficients under each dictionary, and what it leaves of the squared length. Where it leaves more than a fifth, it cannot do better, and its share
# says nothing of sparsity. Dimensions: principal components for 95 % of the variance. High: share above a quarter of a cycle a pixel. In brackets, the same of noise.*

# %% tags=["hide-input"]
noise = of_kind[looks.PERTURBED]
if not absent("table of pictures", noise):
    clean = of_kind[looks.SEEN]
    clean = clean[clean.network == clean.network.iloc[0]].assign(row="images")
    read, whose = drawn("pictures", noise)
    noise = noise.assign(row=noise.network.map(names))
    figures.show(
        figures.pictures_of(pd.concat([clean, noise]).assign(title="")),
        name="fig-purification-strip",
        alt=f"""{len(clean)} test images, and below them PGD's perturbations of each
        against {noise.network.nunique()} networks.""",
        read=read,
        caption=f"""Perturbations of PGD in the L2 ball of {radius:g}, {looks.BRIGHTER}
        times as strong, around grey; seed {first.seed.min()}; {whose}.""",
    )

# %% [markdown]
# ## Images from few features
#
# How many shifted first filters images need, a tenth of their squared length left unexplained, beside as many filters of no network. Where more is left, the filters
# cannot do it at all. The paper shows five of its own, from 4.05 % of coefficients down to 0.44 %; how much they leave is not known.

# %% tags=["hide-input"]
if not absent("table of reconstructions", rebuilt):
    few = (
        rebuilt
        .assign(
            network=rebuilt.network.map(names),
            percent=100 * rebuilt.nonzero.astype(float),
        )
        .groupby(["dictionary", "network"], sort=False)[["percent", "unexplained"]]
        .mean()
        .reset_index()
    )
    few["percent"] = few.percent.map("{:.1f}".format)
    few["unexplained"] = few.unexplained.map("{:.2f}".format)
    figures.show_table(few.rename(columns={"percent": "% of coefficients"}))

# %% [markdown]
# ## Bridges to selectivity (ours)
#
# The paper does not ask whether purified units are more class-selective, or whether dimensions fall. Nor does it ask whether α above 0 changes the weights in the
# direction of adversarial training, and which of the two bears corruptions better.

# %% tags=["hide-input"]
columns = {
    "clean accuracy (%)": ("clean_accuracy", 100, ".1f"),
    "mean selectivity": ("mean_selectivity", 1, ".3f"),
    "corrupted accuracy (%)": ("corrupted_accuracy", 100, ".1f"),
    "dimension of activations": ("dimension_clean", 1, ".3f"),
    "of changes by PGD": ("dimension_attack", 1, ".3f"),
}
cells = [
    {"network": names[name], "n": int(rows.clean_accuracy.notna().sum())}
    | {
        title: tables.estimate(scale * rows[column], form)
        for title, (column, scale, form) in columns.items()
    }
    for name, rows in trained.groupby("network", sort=False)
]
figures.show_table(pd.DataFrame(cells))

# %% tags=["hide-input"]
if len(alignment):
    cosine = (
        alignment
        .groupby("network", sort=False)[["cosine", "first_direction"]]
        .mean()
        .reset_index()
    )
    figures.show_table(
        cosine
        .assign(network=cosine.network.map(names))
        .rename(
            columns={
                "cosine": "cosine with the adversarial change",
                "first_direction": "of the first directions",
            }
        )
        .round(3)
    )

# %% [markdown]
# *Dimensions: principal components for 95 % of the variance over the number of units, mean over early layers. The cosine is between two changes from one parent, mean over convolutions; that of
# random changes is 0, the control's is what going on alone gives.*
#
# ## Verdict
#
# Rules written before any network was trained for them on CIFAR-10; on the digits some had been, to try the code. One was changed since: the last fold says when. Per claim, the mean over seeds of each part and its 95 % t interval, from three seeds on: *reproduced* if all parts lie above 0, *not
# reproduced* if one lies below.

# %% tags=["hide-input"]
columns = ["id", "claim", "certainty", "verdict", "ours"]
if known:
    ledger = ledger.assign(elsewhere=theirs_too.verdict)
    columns.insert(4, "elsewhere")
title = {"elsewhere": f"on {purified.named(other)}"}
figures.show_table(tables.by_part(ledger, columns).rename(columns=title))

# %% [markdown]
# ## The other images
#
# {glue:md}`elsewhere`

# %% tags=["hide-input"]
if len(other.angles):
    theta = other.angles.groupby(["seed", "network"], sort=False)[
        ["angle_start", "angle_reference", "angle_others"]
    ].mean()
    titles = ["θ(w₀, w)", "θ to the plain network's", "mean to others"]
    theta = theta.set_axis(titles, axis=1).round(3).reset_index()
    figures.show_table(theta.assign(network=theta.network.map(names)))

# %% tags=["hide-input"]
filters = other.pictures
if len(filters):
    filters = filters[
        (filters.kind == looks.FILTER) & (filters.seed == filters.seed.min())
    ]
    of = [one for one, name in other.networks.items() if name in set(filters.network)]
    of = [one for one in of if one.seed == filters.seed.min()]
    figures.show(
        figures.filters_of(filters),
        name="fig-purification-elsewhere",
        alt=f"""First filters of {len(of)} networks of {purified.named(other)}, one
        column of pictures for each.""",
        read=here.read("pictures", of=of),
        caption=f"""Filters of the first convolution as above, of networks of
        {purified.named(other)}; seed {filters.seed.min()}, {len(of)} networks.""",
    )

# %% tags=["hide-input"] fold="The numbers of the other images"
figures.show_table(tables.by_part(theirs_too, ["id", "verdict", "ours"]))

# %% tags=["hide-input"] fold="The statistics, what is to be read with care, and when the rules were written"
figures.show_table(ledger[["id", "statistic"]])
figures.show_table(
    pd.DataFrame([
        {"id": one.id, "to be read with care": one.caution}
        for one in purification_images.CLAIMS
        if one.caution
    ])
)
figures.show_table(
    pd.DataFrame([
        {
            "when the rules were written": words,
            "claims": ", ".join(
                one.id for one in purification_images.CLAIMS if one.written == words
            ),
        }
        for words in dict.fromkeys(one.written for one in purification_images.CLAIMS)
    ])
)

# %% [markdown]
# What this does not show: that the paper's own networks, whose settings are not known, would do the same. That perturbations of an adversarially
# trained network look like objects holds for every such network; only the neutral dictionaries say something beyond it.
#
# Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
