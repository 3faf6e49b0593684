# %% [markdown]
# # Class selectivity and robustness, rerun
#
# Some units of a trained network answer to one class far more than to the others. Is that good? {cite:t}`leavitt2020linking` trained networks with a
# term in the loss that raises or lowers this *class selectivity*. They report that it cuts both ways: **low selectivity helps against naturalistic
# corruptions** such as blur and snow, **high selectivity helps against adversarial attacks**, and the number of dimensions that a network uses links
# the two.
#
# They published no code. This book reproduces the paper section by section, with code that anyone can rerun. Every figure, and every number in the
# text, comes from a cached run that can be named ({doc}`chapters/13-runs`). A claim that does not reproduce is a result, and is printed as one.

# %% tags=["parameters", "remove-input"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # selectivity scales; negative lowers selectivity
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %% tags=["remove-input"]
from lib import papers, runs
from lib.book import chapter, figures, prose, rounds
from lib.papers import ledger

here = chapter.parameters(globals())
from myst_nb import glue

from lib.papers.rules import rules
from lib.runs.tables import at_hand, full_summary

figures.setup()
summary = full_summary(runs.summary(here.trainings), here.trainings)
networks = f"{len(summary)} networks ({here.setting}), trained on {prose.machines(summary)}"

# %% [markdown]
# ## The question in one figure

# %% tags=["hide-input"]
by_alpha = summary.groupby("alpha").mean_selectivity.mean()
figures.show(
    figures.scale_of_selectivity(summary),
    name="fig-question",
    alt=f"""A horizontal scale of mean class selectivity with one dot a network. The lowest, at {by_alpha.min():.2f}, has α = {prose.number(by_alpha.idxmin(), "g")}; the
    highest, at {by_alpha.max():.2f}, has α = {prose.number(by_alpha.idxmax(), "g")}. Words at the low end say robust to corruptions, at the high end robust to attacks.""",
    caption=f"""The scale on which the paper places its networks, with ours on it: {networks}. α scales the selectivity term of the loss: negative values lower
    selectivity, 0 is plain cross-entropy, positive values raise it.""",
)

# %% tags=["remove-input"]
others = at_hand(here.with_variants.trainings)
entries = rounds.entries(here, summary, others)
glue("found", ledger.in_words(entries), display=False)
glue("networks", networks, display=False)
glue("others", f"{others.mean_selectivity.notna().sum()} of {len(others)} ({here.with_variants.setting})", display=False)
glue("second", rounds.seeds_at_hand(), display=False)
glue("dated", f"{rules().written}", display=False)
glue("rule", papers.RULE, display=False)

# %% [markdown]
# ## What is reproduced so far
#
# {glue:text}`found`
#
# There are two rounds. The first explored, on {glue:text}`networks`, and has the verdicts of its own rules. The second confirms: its verdicts come from networks of
# fresh seeds alone, by rules written on {glue:text}`dated`, before any of these existed; {glue:text}`second` of them are here. Each claim folds out: what was
# computed, seed by seed, what the paper has, how sure it is that the paper says so, and what to read with care. How the rules decide, and when each was written:
# {doc}`chapters/07-discussion`.

# %% tags=["remove-input"]
figures.show_ledger(entries, name="fig-ledger")

# %% [markdown]
# *First round:* {glue:text}`rule` LM-6 and LM-12 are about networks trained in other ways, of which {glue:text}`others` are cached:
# {doc}`chapters/09-other-way-round`.
#
# *Certainty* is about the claim, not the result: *established* was read in the authors' own words, figures or replies to reviewers, *recalled* is from
# general knowledge of the paper and is not vouched for.
#
# ## Rerun it
#
# Every chapter is a notebook with parameters. To see one with another α, on small digits in about a minute:
#
# ```bash
# make rerun CHAPTER=approach ALPHA=0.7 DATASET=digits
# ```
#
# Leave `DATASET` out for CIFAR-10; the command says how long the training will take before it starts. All other ways, on a GPU and on a cluster too:
# {doc}`chapters/12-rerun`.
