# %% [markdown]
# # The same on the digits
#
# **What was found**
#
# - {glue:text}`found` This is a second, small data set, by the first round's rule and with the same statistics.
# - The claims are about the paper's data sets, so these verdicts enter no ledger.
#
# *Run time: seconds from the cache. A network on the digits not trained yet takes some minutes on one CPU core with all that is measured on it.*

# %% tags=["parameters"]
dataset: str = "digits"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet8 for digits), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # below 0: less selective
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
from lib import papers, runs
from lib.book import chapter, figures, prose, tables
from lib.papers import first_round

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.measurements.strengths import strengths_for
from lib.runs.tables import at_hand, full_summary

figures.setup()
for name in (
    "corruption",
    "attack",
    "transfer",
    "jacobian",
    "gradient",
    "dimensionality",
):
    runs.table(name, here.trainings)
summary = full_summary(runs.summary(here.trainings), here.trainings)
others = at_hand(here.with_variants.trainings)
at = strengths_for(here.dataset)
glue("networks", f"{len(summary)} networks ({here.setting})")
glue("devices", prose.machines(summary))
there = others.mean_selectivity.notna().sum()
glue("others", f"{there} of {len(others)} ({here.with_variants.setting})")

# %%
columns = {
    "corrupted_accuracy": "on corrupted images",
    "ball_worst": "under attack",
    "cv_samples": "for gradients",
    "dimension_clean": "for dimensionality",
}
glue(
    "measured",
    ", ".join(
        f"{int(summary[column].notna().sum())} {words}"
        for column, words in columns.items()
    ),
)
glue("steps", f"{at.steps}")
for name in ("fgsm", "ball", "transfer"):
    glue(name, f"{255 * getattr(at, name):g}/255")
glue("rule", papers.RULE)

# %% [markdown]
# *Shown here: {glue:text}`networks`, trained on {glue:text}`devices`; each is listed in {doc}`19-runs`. Of these were measured: {glue:text}`measured`. LM-6 and LM-12 are
# about networks trained in other ways, of which {glue:text}`others` are cached.*
#
# These images take larger changes than CIFAR-10's: FGSM at {glue:text}`fgsm`, {glue:text}`steps` steps of 1/255 of PGD, balls of {glue:text}`ball`, images made for others
# at {glue:text}`transfer`. For dimensionality, PGD's steps are the same as there. The statistics are otherwise the same, and so is the rule: {glue:text}`rule`

# %% tags=["hide-input"]
ledger = first_round.ledger(summary, others)
figures.show_table(tables.by_part(ledger, ["id", "claim", "verdict", "ours"]))
by_verdict = {name: [*ids] for name, ids in ledger.groupby("verdict").id}
kept, lost = (
    f"{len(ids)} ({', '.join(ids)})" if ids else "none"
    for ids in (by_verdict.get(name, ()) for name in ("reproduced", "not reproduced"))
)
glue(
    "found",
    f"Of {len(ledger)} claims, reproduced: {kept}; not reproduced: {lost}. "
    "The others are inconclusive or not tested.",
)

# %% [markdown]
# And the question that the paper did not ask ({doc}`04-worst-case`): does the ordering of LM-8 hold under attacks that do not depend on how sure a network is?

# %% tags=["hide-input"]
surviving = first_round.table(papers.SURVIVES, summary)
figures.show_table(tables.by_part(surviving, ["claim", "verdict", "ours"]))

# %% [markdown]
# Sources are listed under {doc}`references`; the runs behind every table under {doc}`19-runs`.
