# %% [markdown]
# # Discussion: the ledger of claims
#
# **Key points**
#
# - Every claim of the paper that our protocol lists is here, those not tested included, with what was measured, how sure the measurement is, and the verdict.
# - The rule that decides was written down before the numbers; where something was known by then, the table says what.
# - All claims are asked of the same networks. So one column asks what is left when they are asked together.
#
# *Run time: seconds, all from the cache.*

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # selectivity scales; negative lowers selectivity
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
from lib import papers, runs
from lib.book import chapter as book_chapter
from lib.book import figures, prose
from lib.papers import first_round, statistics

here = book_chapter.parameters(globals())
from myst_nb import glue

from lib.runs.tables import at_hand, full_summary

figures.setup()
summary = full_summary(runs.summary(here.trainings), here.trainings)
others = at_hand(here.with_variants.trainings)
ledger = first_round.ledger(summary, others)
networks = f"{len(summary)} networks ({here.setting}), trained on {prose.machines(summary)}"

# %% tags=["remove-input"]
count = ledger.verdict.value_counts().reindex(papers.VERDICTS, fill_value=0)
left = ledger["asked together"].value_counts().reindex(papers.VERDICTS, fill_value=0)
for verdict in papers.VERDICTS:
    glue(verdict.replace(" ", "-"), f"{count[verdict]}", display=False)
    glue(f"left-{verdict.replace(' ', '-')}", f"{left[verdict]}", display=False)
glue("claims", f"{len(ledger)}", display=False)
glue("networks", networks, display=False)
glue("others", f"{others.mean_selectivity.notna().sum()} of {len(others)} ({here.with_variants.setting})", display=False)
glue("rule", papers.RULE, display=False)
glue("seeds", f"{len(here.seeds)}", display=False)
glue("least", f"{papers.LEAST_SEEDS}", display=False)
smallest = statistics.detectable(len(here.seeds))
parts = first_round.parts([*papers.CLAIMS, *papers.SURVIVES], summary, others)
decided = parts[parts.low.notna()]
asked = decided[decided.claim != "LM-X2"].claim.nunique()
glue("strictest", prose.number(statistics.detectable(len(here.seeds), max(asked, 1)), ".0f"), display=False)
glue("decided", f"{len(decided)}", display=False)
glue("agree", f"{int(((decided.above == decided.seeds) | (decided.below == decided.seeds)).sum())}", display=False)
glue("clear", f"{int(((decided.low > 0) | (decided.high < 0)).sum())}", display=False)
glue("detectable", prose.number(smallest, ".1f"), display=False)
for verdict in papers.VERDICTS:
    glue(f"which-{verdict.replace(' ', '-')}", ", ".join(ledger.id[ledger.verdict == verdict]) or "none", display=False)

# %% [markdown]
# ## The count
#
# Of {glue:text}`claims` claims, on {glue:text}`networks`: **{glue:text}`reproduced` reproduced** ({glue:text}`which-reproduced`), **{glue:text}`not-reproduced` not
# reproduced** ({glue:text}`which-not-reproduced`), {glue:text}`inconclusive` inconclusive ({glue:text}`which-inconclusive`) and {glue:text}`not-tested` not
# tested ({glue:text}`which-not-tested`). LM-6 and LM-12 are about networks trained in other ways, of which {glue:text}`others` are cached.
#
# The rule: {glue:text}`rule`
#
# *Asked together*: with this many claims, some interval leaves out 0 by luck. That column holds what the correction by {cite:t}`benjamini2001control` leaves, for
# which it does not matter that all claims are about the same networks: {glue:text}`left-reproduced` reproduced, {glue:text}`left-not-reproduced` not reproduced.
# Of a claim with several parts, the weakest enters where it is reproduced; where it is not, the strongest part against it, which must be the stronger the more
# parts there are. With so few seeds little can stand: for the first of so many claims to be left, its mean must be {glue:text}`strictest` times its standard
# deviation between seeds. What is left then has seeds that happen to lie close together; what is not left is not refuted.

# %% tags=["remove-input"]
places = {one.id: one.shown for one in papers.CLAIMS if one.statistic}
links = {name: figures.Link(name, f"{chapter}.ipynb#{figure}") for name, (chapter, figure) in places.items()}
shown = ledger.assign(id=[links.get(name, name) for name in ledger.id])
figures.show_table(shown[["id", "claim", "verdict", "asked together", "ours", "certainty"]])

# %% [markdown]
# Each *id* leads to the figure that shows it. *Certainty* is about the claim, not the result: *established* was read in the authors' own words, figures or replies to reviewers, *recalled* is from general
# knowledge of the paper and is not vouched for. Estimates are means over seeds with 95 % t intervals, positive where they speak for the claim.
#
# ## The evidence at a glance

# %% tags=["hide-input"]
if len(decided):
    ours = decided.claim == "LM-X2"
    names = decided.statement.str.removeprefix("the ordering of LM-8 under ") + ", " + decided.part
    figures.show(
        figures.ledger_of_parts(decided.assign(part=decided.part.where(~ours, names))),
        name="fig-ledger",
        alt=f"""A row a part of a claim: its mean over seeds and 95 percent interval, in half widths of the interval. {int((decided.low > 0).sum())} of {len(decided)} lie
        wholly on the side that speaks for the claim, {int((decided.high < 0).sum())} wholly on the other.""",
        caption=f"""Every part of every claim that has an interval, LM-X2 (stronger attacks, our question) included: mean over seeds and 95 % t interval, in half widths
        of that interval, so that all share an axis; an interval that leaves out 0 decides. Beyond 12, at 12. {networks}.""",
    )
else:
    print("No claim has the seeds that an interval needs.")

# %% [markdown]
# ## When each rule was written, and what was known
#
# A rule cannot see its result: claims, statistics and rules are data in the repository (`lib/papers/selectivity.py`, `lib/papers/statistics.py`), and the tests turn the numbers of each claim around and see
# the verdict turn. What was known when each was written, and whether it was revised since, stands here.

# %% tags=["hide-input"]
figures.show_table(papers.written())

# %% [markdown]
# The third seed of the book's networks on CIFAR-10 came when the other two were known. Before anything of it but its accuracy had been looked at, it was worked
# out what it could change. By the rule, it could make LM-1, LM-2, LM-3, LM-5 and LM-19 *reproduced*, and LM-7 and LM-14 to LM-17 *not reproduced*, and nothing else:
# of LM-4, LM-8 to LM-10, LM-13, LM-18 and our LM-X2 the first two differ so much that no third could decide.

# %% [markdown]
# ## What this sample can and cannot say
#
# Seeds are what an interval is made of. With {glue:text}`seeds` for each α (the rule asks for {glue:text}`least`), an effect must be {glue:text}`detectable` times
# the standard deviation between seeds for its interval to leave out 0. Effects that are small, or that differ much between seeds, come out *inconclusive*, which is
# no evidence against them. Of {glue:text}`decided` parts of claims with an interval, all seeds agree in sign in {glue:text}`agree`, and the interval leaves out 0 in
# {glue:text}`clear`. The paper has 20 seeds for each α (recalled here, established in its companion paper).
#
# The rule is not even-handed where a claim has many parts: all must hold for *reproduced*, one that fails is enough for *not reproduced*, and by chance alone one of
# many fails more often than all hold.
#
# - **One small network on one small data set**, with a fast recipe of fewer epochs than the paper's. Where the paper speaks of ResNet18 on Tiny ImageNet, a
#   difference here may be one between networks. The commands that make the full sweep are in {doc}`12-rerun`. Claims that the paper makes of
#   ResNet18 or ResNet50 are judged on this network too; the column *published* in the chapters says which network it was.
# - **Attacks, gradients and dimensions are measured on the first test images**, as each chapter says; corruptions too. All networks see the same, so that the intervals
#   hold what other seeds would change, and not what other images would.
# - **The ends of the α range decide** most claims. Where an end ruins clean accuracy, comparisons of accuracy under attack take the outermost α that spare it
#   ({doc}`05-worst-case`). Those of gradients, dimensions and the Jacobian do not; their chapters show clean accuracy beside them, and for gradients and
#   dimensions also dead units and the same change up to the α that spares accuracy.
# - **"Semantic" is not shown.** A brightness or a fog that lies evenly over all classes is a change that selectivity need not care about.
# - **Some verdicts say less than they seem to**, or can come about for another reason:

# %% tags=["hide-input"]
figures.show_table(papers.cautions())

# %% [markdown]
# ## What is causal here
#
# The authors set α and see robustness change: in that sense they speak of a causal link, which is one from α to robustness. They do not claim that
# dimensionality, or the gradients, *cause* the difference; these change with α too, as many other things do. Nor does setting α show that selectivity is
# what acts: the regulariser also changes how sure a network is, how many units are dead, and how well it does on clean images. The chapters show the
# last two beside their results for that reason, and {doc}`05-worst-case` the first.
#
# ## What the authors were asked, and where to look
#
# | a reviewer's objection | here |
# |---|---|
# | the differences under attack look marginal | intervals over seeds, and stronger attacks: {doc}`05-worst-case` |
# | average and worst case are not on one axis | {doc}`05-worst-case`, last figure; dimensions of both changes on one axis: {doc}`07-dimensionality` |
# | only principal components | TwoNN: {doc}`07-dimensionality` |
# | is it gradient masking? | transferred attacks, and losses that do not depend on scale: {doc}`05-worst-case` |
#
# The objections are established; what answers them here is ours.
#
# Sources are listed under {doc}`references`; the runs behind every figure under {doc}`03-runs`.
