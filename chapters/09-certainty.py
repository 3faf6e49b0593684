# %% [markdown]
# # How sure are we of what the paper says?
#
# **In short**
#
# - Of the {glue:text}`claims` claims that this book asks about, {glue:text}`established` are *established*: read in the authors' own words.
# - Another {glue:text}`recalled` are *recalled*: from general knowledge of the paper, and not vouched for. Of the last {glue:text}`mixed`, a part is established
#   and the rest recalled.
# - The body of the paper could not be read when its protocol was written down. What could be read: four reviews, nine replies of the authors and the
#   meta-review of the paper's submission, the first author's page with pictures of the figures, and abstracts.
# - Where the paper's way is not known, we chose one, and say so.
#
# So a verdict here is about the claim as it stands in the ledger. Where that is recalled, the paper may say something else.
#
# ## The three signs
#
# A small letter stands behind a statement about the paper; rest a pointer on it for its words.
#
# | sign | means | so |
# |---|---|---|
# | {glue:md}`established` | *established*: read in the authors' own words, code, figures or replies to reviewers | quote it |
# | {glue:md}`recalled` | *recalled*: from general knowledge of the paper, unverified | check it before quoting it |
# | {glue:md}`ours` | *our choice*: the paper's own is not known, or it has none | try another, and see whether the result stays |
#
# How good is *recalled*? Several items were recalled first and confirmed later, and none was contradicted. One is in tension: the gain on corrupted images
# that is recalled is larger than the meta-review lets differences be.

# %% tags=["parameters", "remove-input"]
dataset: str = "cifar10"  # the recipe's data set; the claims are the same for all
model: str = "usual"  # the data set's usual network (resnet20 for cifar10), or a name
alphas: list[float] = [0.0]  # not used here
seeds: list[int] = [0]  # not used here
recipe: str = "fast"  # fast or paper

# %% tags=["remove-input"]
import pandas as pd

from lib import papers
from lib.book import chapter, figures, tables

here = chapter.parameters(globals())
from lib.book.prose import glue
from lib.measurements import masking

certainty = pd.Series({one.id: one.certainty for one in papers.CLAIMS})
glue("claims", f"{len(certainty)}")
for name in ("established", "recalled"):
    glue(name, f"{int((certainty == name).sum())}")
glue("mixed", f"{int((~certainty.isin(['established', 'recalled'])).sum())}")
glue("limits", masking.WRITTEN)

# %% [markdown]
# ## Claim by claim

# %% tags=["hide-input"]
figures.show_table(
    pd.DataFrame([
        {
            "": one.id,
            "the claim": one.statement,
            "how sure": one.certainty,
            "published": one.published,
        }
        for one in papers.CLAIMS
    ])
)

# %% [markdown]
# ## Setting by setting
#
# The recipe of the networks on this book's pages, and how sure we are that the paper used the same:

# %% tags=["hide-input"]
figures.show_table(tables.hyperparameters(here.trainings[0]))

# %% [markdown]
# Those of training on AugMix and on PGD's images stand in {doc}`11-other-way-round`, those of corruptions in {doc}`12-corruptions`.
#
# ## When each rule of the first round was written, and what was known
#
# A rule cannot see its result. Claims, statistics and rules are data in the repository, and tests turn the numbers of each claim around and see the verdict
# turn. This is what was known when each was written:

# %% tags=["hide-input"]
figures.show_table(papers.written())

# %% [markdown]
# The third seed of the book's networks on CIFAR-10 came when the other two were known. Before anything of it but its accuracy had been looked at, we worked out what it
# could change. By the rule, it could make LM-1, LM-2, LM-3, LM-5 and LM-19 *reproduced*, and LM-7 and LM-14 to LM-17 *not reproduced*. It could do nothing else: on
# LM-4, LM-8 to LM-10, LM-13, LM-18 and our LM-X2 the first two seeds differ so much that no third could decide.
#
# The limits of the checks on attacks ({doc}`04-worst-case`) were written on {glue:text}`limits`.
#
# The rules of the second round were all written on one day, before any of its networks existed: {doc}`07-discussion`.
#
# ## What to read with care
#
# Some verdicts say less than they seem to, or can come about for another reason. Those of the second round are the book's:

# %% tags=["hide-input"]
figures.show_table(papers.cautions())
