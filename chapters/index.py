# %% [markdown]
# # Class selectivity and robustness, rerun
#
# {glue:md}`answer`
#
# Some units of a trained network answer to one class far more than to the others. {cite:t}`leavitt2020linking` trained networks with a term in the loss, of
# strength α, that raises or lowers this *class selectivity*. They report that low selectivity helps against corruptions such as blur and snow, and high
# selectivity against adversarial attacks. They published no code. This is the paper again, section by section, with code that anyone can rerun.

# %% tags=["parameters", "remove-input"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # below 0: less selective
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %% tags=["remove-input"]
from lib import runs
from lib.book import answer, chapter, figures, prose, rounds

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.papers.rules import rules
from lib.runs.tables import at_hand, full_summary

figures.setup()
summary = full_summary(runs.summary(here.trainings), here.trainings)
networks = (
    f"{len(summary)} networks ({here.setting}), trained on {prose.machines(summary)}"
)
entries = rounds.entries(here, summary, at_hand(here.with_variants.trainings))
glue("answer", answer.sentences(entries))
glue("networks", networks)
glue("second", rounds.seeds_at_hand())
glue("dated", f"{rules().written}")

# %% tags=["hide-input"]
drawn, of = rounds.opening(here, summary)
lines, alt, caption = answer.opening(drawn)
figures.show(
    figures.headline(drawn, lines, title=answer.spread(drawn)),
    read=rounds.read_opening(of),
    name="fig-answer",
    alt=alt,
    caption=f"{caption} {rounds.told_opening(of, drawn)}",
)

# %% [markdown]
# ```bash
# make rerun CHAPTER=approach ALPHA=0.7 DATASET=digits
# ```
#
# Every chapter is a notebook with parameters. This shows one with another α, on small digits in about a minute; without `DATASET` on CIFAR-10. On a GPU, on
# a cluster, by hand: {doc}`chapters/18-rerun`. Every figure and number comes from a cached run that can be named: {doc}`chapters/19-runs`.
#
# ## Claim by claim

# %% tags=["remove-input"]
figures.show_ledger(entries, name="fig-ledger", read=rounds.read(here, entries))

# %% [markdown]
# **What this sample can say.** The first round explored {glue:text}`networks`. Its verdicts are those of its own rules. The second round confirms, on
# networks of fresh seeds. Its rules were written on {glue:text}`dated`, before any of these existed; {glue:text}`second` of them are here. One small network on one small data set can
# contradict the paper's claims about others only so far. How the rules decide: {doc}`chapters/07-discussion`. How sure we are of what the paper says:
# {doc}`chapters/09-certainty`. All in one page: {doc}`chapters/08-summary`.
