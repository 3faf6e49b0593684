# %% [markdown]
# # Discussion: the ledger of claims
#
# **Conclusion.** {glue:md}`conclusion`
#
# **How this page came about.** Every claim of the paper that our protocol lists is here, those not tested included. The first round explored three seeds. The second
# asks five fresh ones, by rules that were written before any of them was trained: its verdicts are the book's. All claims are asked of the same networks. So this
# page also says what is left when they are asked together, and how often the rules err where there is no effect.
#
# *Run time: seconds, all from the cache.*

# %% tags=["parameters"]
dataset: str = "cifar10"  # cifar10, digits or tiny-imagenet
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]  # below 0: less selective
seeds: list[int] = [0, 1, 2]  # one network for each alpha and seed
recipe: str = "fast"  # fast or paper

# %%
from lib import papers, runs
from lib.book import answer, figures, prose, recipe_check, rounds
from lib.book import chapter as book_chapter
from lib.papers import first_round, ledger, second_round, simulation, statistics

here = book_chapter.parameters(globals())
from lib.book.prose import glue
from lib.papers.rules import rules
from lib.runs.tables import at_hand, full_summary

figures.setup()
summary = full_summary(runs.summary(here.trainings), here.trainings)
others = at_hand(here.with_variants.trainings)
entries = rounds.entries(here, summary, others)
first = first_round.ledger(summary, others)
networks = (
    f"{len(summary)} networks ({here.setting}), trained on {prose.machines(summary)}"
)

# %% tags=["remove-input"]
asked = second_round.together([one.verdict for one in entries])
glue("conclusion", answer.conclusion(entries))
glue("recipes", recipe_check.sentence())
glue("second", rounds.seeds_at_hand())
glue("dated", f"{rules().written}")
glue("level", f"{rules().level:g}")
for side, alphas_of_side in rules().sides.items():
    glue(side, ", ".join(prose.number(alpha, "g") for alpha in alphas_of_side))
glue(
    "decided-second", f"{int(asked.verdict.isin(['reproduced', 'contradicted']).sum())}"
)
for correction in ("bh", "by"):
    glue(f"left-{correction}", f"{second_round.standing(asked, correction)}")
glue("lost-by", ", ".join(second_round.lost(asked, "by")) or "none")

# %% tags=["remove-input"]
glue("errors", simulation.sentence(simulation.false_verdicts()))
left = first["asked together"].value_counts().reindex(papers.VERDICTS, fill_value=0)
for verdict in papers.VERDICTS:
    glue(f"left-{verdict.replace(' ', '-')}", f"{left[verdict]}")
glue("networks", networks)
there = others.mean_selectivity.notna().sum()
glue("others", f"{there} of {len(others)}")
glue("rule", papers.RULE)
glue("seeds", f"{len(here.seeds)}")
smallest = statistics.detectable(len(here.seeds))
parts = first_round.parts([*papers.CLAIMS, *papers.SURVIVES], summary, others)
decided = parts[parts.low.notna()]
together = decided[decided.claim != "LM-X2"].claim.nunique()
glue(
    "strictest",
    prose.number(statistics.detectable(len(here.seeds), max(together, 1)), ".0f"),
)
glue("decided", f"{len(decided)}")
agree = (decided.above == decided.seeds) | (decided.below == decided.seeds)
glue("agree", f"{agree.sum()}")
glue("clear", f"{int(((decided.low > 0) | (decided.high < 0)).sum())}")
glue("detectable", prose.number(smallest, ".1f"))
fresh = len(rules().seeds)
glue("seeds-second", f"{fresh}")
glue("detectable-second", prose.number(statistics.detectable(fresh), ".1f"))

# %% [markdown]
# ## The ledger

# %% tags=["hide-input"]
figures.show_ledger(entries, name="fig-ledger", read=rounds.read(here, entries))

# %% [markdown]
# A row is a part of a claim: for most, what lowering selectivity does and what raising it does. Positive numbers speak for the paper. An axis is about linear near 0
# and goes by factors beyond, so that small and large effects can both be read on it.
#
# A claim folds out: its statistic and its values seed by seed, what was published, how sure it is that the paper says so ({doc}`09-certainty`), the first round's
# result, and the figure that shows it.
#
# ## How the second round decides
#
# Its rules were written on {glue:text}`dated`, when the first round had been looked at in every way and no network of a later seed existed
# (`lib/papers/rules-second-round.md`, with the reasons; the same as data in `lib/papers/rules_second_round.toml`). Of its networks {glue:text}`second` are here.
#
# - *Lowering* is α = {glue:text}`lowering`, *raising* is {glue:text}`raising`: all of them cost little clean accuracy. For each seed, a line is fitted to the three
#   networks against their mean selectivity; its change over that distance is the seed's number.
# - A part is *reproduced* where the 95 % t interval of the mean over seeds lies above 0, and *contradicted* where it lies below. It is *no effect* where the interval
#   lies inside ±δ, a size that was written down with the claim, and *undecided* otherwise.
# - A claim is *reproduced*, *contradicted* or *no effect* where every part is. One part that is clear enough contradicts it: at the level {glue:text}`level` over the
#   number of parts. It is *split* where some parts are reproduced and others contradicted or without effect.
# - With fewer than five seeds a verdict is *provisional*, and says of how many.
#
# {glue:md}`errors` LM-4 errs more because it counts corruptions, and these rise and fall together; the rule is kept, and its row says so.
#
# *All claims together.* Verdicts *reproduced* or *contradicted*: {glue:text}`decided-second`. The correction by Benjamini and Hochberg for asking many claims leaves
# {glue:text}`left-bh` of them. That by {cite:t}`benjamini2001control`, for which it does not matter that all claims are about the same networks, leaves
# {glue:text}`left-by`; it does not leave {glue:text}`lost-by`.
#
# ## Does the recipe matter?
#
# {glue:text}`recipes` It decides nothing.
#
# What α changes against α = 0, paired by seed, under the second round's recipe and under two others: the mean over seeds, with a 95 % t interval where there are
# three. Networks and tables are the first round's: its seeds, and the first test images.

# %% tags=["hide-input"]
figures.show_table(recipe_check.effects())

# %% [markdown]
# ## The first round
#
# It was made on {glue:text}`networks`. LM-6 and LM-12 are about networks trained in other ways, of which {glue:text}`others` are cached
# ({doc}`11-other-way-round`). Its verdicts:

# %% tags=["hide-input"]
figures.show_table(ledger.tally(ledger.first_counts(entries)))

# %% [markdown]
# The rule: {glue:text}`rule` It is not even-handed where a claim has many parts: by chance alone one of many fails more often than all hold.
#
# Asked together, the same correction leaves {glue:text}`left-reproduced` of the reproduced claims and {glue:text}`left-not-reproduced` of the others. A reproduced claim
# of several parts enters with its weakest part. One that is not reproduced enters with the strongest part against it, which must be the stronger the more parts
# there are. With so few seeds little can be left. The first of so many claims is left only if its mean is {glue:text}`strictest` times its standard deviation
# between seeds.
#
# Of {glue:text}`decided` parts of its claims with an interval, all seeds agree in sign in {glue:text}`agree`, and the interval leaves out 0 in {glue:text}`clear`.
#
# When each rule of the first round was written, and what was known by then: {doc}`09-certainty`.

# %% [markdown]
# ## What this sample can and cannot say
#
# An interval is made of seeds. With the second round's {glue:text}`seeds-second` for each α an effect must be {glue:text}`detectable-second` times the standard
# deviation between seeds for its interval to leave out 0.
#
# With the first round's {glue:text}`seeds` it must be {glue:text}`detectable` times. The paper has 20 seeds for each α {glue:md}`recalled`. Effects that are small, or
# that differ much between seeds, come out *undecided*, which is no evidence against them.
#
# - **One small network on one small data set**, with a fast recipe of fewer epochs than the paper's. Where the paper speaks of ResNet18 on Tiny ImageNet, a
#   difference here may be one between networks. Claims that the paper makes of ResNet18 or ResNet50 are judged on this network too; what folds out at a claim says
#   which network it was.
# - **PGD, corruptions, gradients and changes of dimension are measured on the first test images**, as each chapter says; FGSM and images made for others on all. All
#   networks see the same images. So t intervals hold what other seeds would change, and not what other images would. Where right or wrong is kept image by image,
#   what folds out at a part has an interval for both.
# - **The ends of the α range decide** most claims of the first round. Where training collapsed at an end, differences there may only reflect that. The second round's
#   sides end where clean accuracy is spared; only LM-1, LM-2 and LM-19 read α = 1.
# - **"Semantic" is not shown.** A brightness or a fog that lies evenly over all classes is a change that selectivity need not care about.
# - **Some verdicts say less than they seem to.** Which ones: {doc}`09-certainty`.
#
# ## What is causal here
#
# The authors set α and see robustness change: in that sense they speak of a causal link, which is one from α to robustness. They do not claim that
# dimensionality, or the gradients, *cause* the difference; these change with α too, as many other things do.
#
# Nor does setting α show that selectivity is what acts. The regulariser also changes how sure a network is, how many units are dead, and how well it does on clean
# images. The chapters show the last two beside their results for that reason, and {doc}`04-worst-case` the first.
#
# ## What the authors were asked, and where to look
#
# | a reviewer's objection {glue:md}`established` | here |
# |---|---|
# | the differences under attack look marginal | intervals over seeds, and stronger attacks: {doc}`04-worst-case` |
# | average and worst case are not on one axis | {doc}`04-worst-case`, last figure; dimensions of both changes on one axis: {doc}`06-dimensionality` |
# | only principal components | TwoNN: {doc}`06-dimensionality` |
# | is it gradient masking? | transferred attacks, and losses that do not depend on scale: {doc}`04-worst-case` |
#
# Sources are listed under {doc}`references`; the runs behind every figure under {doc}`19-runs`.
