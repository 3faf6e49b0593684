"""How often the second round's rules see an effect where there is none, by simulation."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.papers.rules import rules
from lib.papers.second_round import combine
from lib.papers.second_statistics import COLUMNS, CORRUPTIONS, LEAST_STRENGTHS, STATISTICS
from lib.papers.statistics import LEVEL, OUTCOMES, intervals, outcomes, p_values

LEDGERS = 2000
# Selectivity by α, about as the first round had it; the step from −2 to −1 is none, since LM-1 is without
# effect where one step of selectivity is: the others must not be its smallest.
SELECTIVITY = {-2.0: 0.15, -1.0: 0.15, 0.0: 0.36, 0.2: 0.46, 0.4: 0.55, 1.0: 0.75}
# Standard deviations between seeds (all networks of a seed together) and between networks of a seed, in the
# unit of a column. Student's interval errs alike at every size; the sizes decide how often "no effect" is
# said.
BETWEEN_SEEDS, BETWEEN_NETWORKS = 0.01, 0.005
SHARED = 0.5  # part of a network's variance that all corruptions share
LOW_END = -0.01  # clean accuracy at −1: LM-2's low end allows for a point, so that its statistic is 0 there


@dataclass(frozen=True)
class Errors:
    """Shares of simulated ledgers without effect.

    Attributes:
        parts: One row per part with claim, part, reproduced, contradicted, no_effect.
        claims: One row per claim with claim and a column for each verdict.
        ledgers: Number of ledgers.
    """

    parts: pd.DataFrame
    claims: pd.DataFrame
    ledgers: int

    @property
    def reproduced(self) -> float:
        """Share of parts that are reproduced, over all ledgers."""
        return float(self.parts.reproduced.mean())

    @property
    def contradicted(self) -> float:
        """Share of parts that are contradicted, over all ledgers."""
        return float(self.parts.contradicted.mean())


def without_effect(seeds: int, random: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summaries of networks in which no part of a claim has an effect.

    Returns:
        Networks over α, and networks trained in other ways, with the columns of `second_statistics.COLUMNS`.
    """
    alphas = np.array(list(SELECTIVITY))
    shape = (seeds, len(alphas))
    frame = pd.DataFrame({
        "seed": np.repeat(np.arange(seeds), len(alphas)),
        "alpha": np.tile(alphas, seeds),
        "variant": "plain",
        "epochs": 16,
    })

    def column(level: float | np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
        own = random.standard_normal(shape) if noise is None else noise
        by_seed = BETWEEN_SEEDS * random.standard_normal((seeds, 1))
        return np.asarray(level + by_seed + BETWEEN_NETWORKS * own).ravel()

    made = {"mean_selectivity": column(np.array(list(SELECTIVITY.values())))}
    names = [
        name for name in COLUMNS if name not in (*made, "corrupted_NAME", "live_selectivity", "strength")
    ]
    made |= {name: column(0.5) for name in names}
    made["clean_accuracy"] += np.where(frame.alpha == -1, LOW_END, 0.0)
    both = random.standard_normal(shape)
    for place in range(CORRUPTIONS):
        own = random.standard_normal(shape)
        made[f"corrupted_{place}"] = column(0.5, np.sqrt(SHARED) * both + np.sqrt(1 - SHARED) * own)
    plain = frame.assign(**made)

    ways = ["plain", *(f"pgd-{step}" for step in range(1, 2 + LEAST_STRENGTHS)), "augmix"]
    strengths = [*map(float, range(2 + LEAST_STRENGTHS)), np.nan]
    shape = (seeds, len(ways))
    varied = pd.DataFrame({
        "seed": np.repeat(np.arange(seeds), len(ways)),
        "alpha": 0.0,
        "variant": ways * seeds,
        "strength": strengths * seeds,
        "epochs": 8,
        "mean_selectivity": column(0.36),
        "live_selectivity": column(0.36),
    })
    return plain, varied


@functools.cache
def false_verdicts(ledgers: int = LEDGERS, seed: int = 0) -> Errors:
    """Simulate ledgers in which nothing has an effect, and decide each part and claim by the rules.

    The statistics are those of the second round: the seeds of all ledgers are seeds of one summary, which
    are then dealt out. A claim's parts are drawn as they would come, LM-4's need of LM-3 left out.
    """
    most, random = len(rules().seeds), np.random.default_rng(seed)
    plain, varied = without_effect(ledgers * most, random)
    parts, claims = [], []
    for rule in rules().claims:
        found, p = [], []
        for part in rule.parts:
            how = STATISTICS[rule.id][part.name]
            values = how.function(varied if how.varied else plain).to_numpy().reshape(ledgers, most)
            values = values[:, : len(rule.seeds)]
            said = outcomes(*intervals(values), part.delta)
            found.append(said)
            p.append(p_values(values))
            shares = {kind.replace(" ", "_"): float((said == kind).mean()) for kind in OUTCOMES[:3]}
            parts.append({"claim": rule.id, "part": part.name} | shares)
        if rule.parts:
            said = pd.Series([
                combine(one, other) for one, other in zip(np.array(found).T, np.array(p).T, strict=True)
            ])
            claims.append({"claim": rule.id} | said.value_counts(normalize=True).to_dict())
    return Errors(pd.DataFrame(parts), pd.DataFrame(claims).fillna(0.0), ledgers)


def sentence(errors: Errors) -> str:
    """The result in words, as the book prints it: two paragraphs, the finding first."""
    most = errors.parts[["reproduced", "contradicted"]].max(axis=1)
    worst = errors.parts.loc[most.idxmax()]
    return (
        f"Where nothing has an effect, {100 * errors.reproduced:.1f} % of the parts come out reproduced and "
        f"{100 * errors.contradicted:.1f} % contradicted. The rules allow {50 * LEVEL:g} % each.\n\n"
        f"That was counted in {errors.ledgers:,} simulated ledgers. "
        f"The part that errs most to one side is {worst.claim}, {worst.part}, with {100 * most.max():.1f} %."
    )
