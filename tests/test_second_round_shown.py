"""Chapters show the second round's networks from tables of single images, and all others from counts."""

import numpy as np
import pandas as pd
import pytest

from lib import runs
from lib.book import attacked, parameters, prose, rounds
from lib.book.figures import transferred_and_alpha
from lib.book.grid import Parameters
from lib.measurements import attack_summary, file_name, masking, per_image, transfer
from lib.measurements.attack import CLEAN
from lib.measurements.strengths import strengths_for
from lib.papers import first_round
from lib.papers.rules import rules
from lib.papers.second_statistics import FGSM
from lib.runs.tables import at_hand, full_summary
from lib.training.training import LABELS

NETWORK = dict(zip(LABELS, ("cifar10", "resnet20", 0.0, 3, "fast", "plain", 16), strict=True))
CHAPTERS = (
    "02-approach",
    "03-average-case",
    "04-worst-case",
    "05-gradients",
    "06-dimensionality",
    "10-explorer",
)


def kept(right, **facts):
    """One row of a table of single images, whose labels alternate."""
    right = np.asarray(right, bool)
    return {
        **NETWORK,
        **facts,
        "images": len(right),
        "right": np.packbits(right).tobytes(),
        "labels": bytes(place % 2 for place in range(len(right))),
        "classes": b"cat\ndog",
    }


def cell(right, attack, epsilon=0.0, steps=1):
    return kept(right, attack=attack, epsilon=epsilon, step_size=epsilon, steps=steps)


WIDE = [1, 1, 1, 0, 0, 0, 0, 0]  # clean: 3 of 8, but 3 of the first 4
TABLE = pd.DataFrame([
    cell(WIDE, CLEAN),
    cell([1, 0, 0, 0, 0, 0, 0, 0], "fgsm", 0.004),
    cell([1, 1, 0, 0], "pgd", 16 / 255, 40),
])


def test_each_attack_is_compared_with_the_clean_images_that_it_attacked():
    rows = attacked.by_strength(TABLE)
    assert not {"right", "labels", "classes"} & set(rows)
    fgsm, pgd = (attack_summary.curve(rows, name) for name in ("fgsm", "pgd"))
    assert list(zip(fgsm.epsilon, fgsm.accuracy, fgsm.images, strict=True)) == [
        (0, 3 / 8, 8),
        (0.004, 1 / 8, 8),
    ]
    assert list(zip(pgd.attack, pgd.accuracy, pgd.images, strict=True)) == [
        ("pgd", 3 / 4, 4),
        ("pgd", 2 / 4, 4),
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8])
def test_the_first_images_of_a_row_are_those_of_the_split(count):
    found = per_image.first(TABLE, count)
    assert len(found) == (TABLE.images >= count).sum() and set(found.images) == {count}
    for (_, before), (_, after) in zip(
        TABLE[TABLE.images >= count].iterrows(), found.iterrows(), strict=True
    ):
        assert list(per_image.unpacked(after)) == list(per_image.unpacked(before)[:count])
        assert after.labels == before.labels[:count] and after.attack == before.attack
    assert per_image.first(TABLE, 9).empty


def test_counts_and_single_images_say_the_same():
    counts = attacked.counted(TABLE)
    assert attacked.counted(counts) is counts  # counts stay as they are
    sums = counts.groupby("attack")[["correct", "images"]].sum()
    assert sums.loc["fgsm"].tolist() == [1, 8] and sums.loc["pgd"].tolist() == [2, 4]
    sent = pd.DataFrame([
        kept(right, source_seed=seed, attack="ball-cross-entropy", epsilon=4 / 255)
        for seed, right in enumerate(([1, 1, 0, 0], [1, 0, 0, 0]))
    ])
    one, other = attacked.transferred(sent), transfer.transferred(per_image.by_class(sent))
    pd.testing.assert_frame_equal(one, other)
    assert one.accuracy.tolist() == [3 / 8] and one.sources.tolist() == [2]
    assert attacked.transferred(pd.DataFrame()).empty


def grid(seeds, alphas=(0.0,), **other) -> Parameters:
    given = {"dataset": "cifar10", "model": "resnet20", "recipe": "fast"} | other
    return Parameters(alphas=alphas, seeds=seeds, **given)


@pytest.mark.parametrize(
    ("here", "is_second"),
    [
        (grid((3, 4)), True),
        (grid((3,), alphas=(0.7,)), True),  # a reader's own α is measured as those beside it
        (grid((0, 1)), False),
        (grid((2, 3)), False),  # both rounds: what both have
        (grid((8,)), False),
        (grid((3,), recipe="paper"), False),
        (grid((3,), dataset="digits", model="resnet8"), False),
        (grid((3,), variants=("plain", "pgd-4")), False),
    ],
    ids=str,
)
def test_tables_are_of_the_round_of_the_networks(here, is_second):
    assert here.is_second_round == is_second
    asked = {name: here.asked(name) for name in ("attack", "corruption", "transfer", "jacobian", "gradient")}
    assert {
        one.name.startswith("image_")
        for one in (asked[name] for name in ("attack", "corruption", "transfer"))
    } == {is_second}
    assert dict(asked["jacobian"].settings) == ({"limit": 2000} if is_second else {})
    assert dict(asked["gradient"].settings) == ({"limit": 300} if is_second else {})
    assert dict(asked["transfer"].settings) == ({"sources": (0, 1)} if is_second else {})
    if is_second:  # the files that the sweep makes
        made = {table.measurement: table for table in rounds.TABLES}
        for one in asked.values():
            assert one.file == file_name(one.name, dict(made[one.name].settings))
    at = attacked.strengths(here)
    own = strengths_for(here.dataset)
    assert (at.fgsm, at.transfer) == ((0.004, 4 / 255) if is_second else (own.fgsm, own.transfer))
    assert (at.ball, at.steps, at.curve) == (own.ball, own.steps, own.curve)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapters_show_the_networks_that_decide(name):
    """All α of the rules, and those seeds that have every one of them."""
    declared = parameters.declared(name)
    asked, seeds = rules(), declared["seeds"].default
    assert tuple(declared["alphas"].default) == asked.alphas
    assert len(seeds) >= 3 and tuple(seeds) == asked.seeds[: len(seeds)]
    whole = [
        seed
        for seed in asked.seeds
        if not runs.missing([one for one in rounds.sample().trainings if one.seed == seed])
    ]
    assert set(seeds) <= set(whole)


@pytest.fixture(scope="module")
def shown():
    """Chapter 4's networks of one seed."""
    here = grid((3,), alphas=rules().alphas)
    attack, sent, steep = (here.table(name) for name in ("attack", "transfer", "jacobian"))
    return (
        here,
        attack,
        sent,
        attacked.summary(here, runs.summary(here.trainings), attack, sent, steep),
        steep,
    )


def test_a_chapter_and_the_ledger_read_the_same_numbers(shown):
    here, _, _, found, steep = shown
    columns = {
        FGSM,
        "pgd_accuracy",
        "ball_margin",
        "ball_worst",
        "transfer_accuracy",
        "log_jacobian",
        "corrupted_accuracy",
    }
    ours, _ = rounds.networks(columns)
    both = found.merge(ours, on=["alpha", "seed"], suffixes=("", "_ledger"))
    assert len(both) == len(here.alphas)
    for column in columns:
        assert both[column].tolist() == pytest.approx(both[f"{column}_ledger"].tolist()), column
    assert found.fgsm_accuracy.tolist() == found[FGSM].tolist()
    assert found.relative_worst.tolist() == pytest.approx((found.ball_worst / found.attacked_clean).tolist())
    assert found.confidence.tolist() == pytest.approx(
        steep.groupby("alpha").confidence.mean().loc[found.alpha].tolist()
    )


def test_a_summary_of_every_table_is_that_of_the_round(shown, monkeypatch):
    here, _, _, found, _ = shown
    plain = runs.summary(here.trainings)
    every = rounds.with_all(here, plain)
    for column in ("ball_worst", "corrupted_accuracy", "log_jacobian", "transfer_accuracy", FGSM):
        assert every[column].tolist() == pytest.approx(found[column].tolist())
    assert every.dimension_same.notna().all() and every.cv_samples.notna().all()
    one = grid((0,), alphas=(0.0, 2.0))
    summary = runs.summary(one.trainings)
    pd.testing.assert_frame_equal(rounds.with_all(one, summary), full_summary(summary, one.trainings))
    monkeypatch.setattr(rounds, "cached", lambda *_, **__: pd.DataFrame())
    none = rounds.with_all(here, plain)
    assert len(none) == len(plain)
    for column in ("ball_worst", "corrupted_accuracy", "log_jacobian", "dimension_same", "cv_samples"):
        assert none[column].isna().all()


def test_attacks_were_checked_on_the_first_rounds_networks(shown):
    here, attack, sent, found, _ = shown
    tried = attacked.checked(here, found, attack, sent)
    assert tried.of == rounds.first_sample() and set(tried.summary.seed) == set(first_round.SEEDS)
    assert len(tried.autoattack) and tried.summary.autoattack_accuracy.notna().any()
    assert attacked.doubtful(found) == frozenset()
    of = tried.of
    theirs, others = of.table("attack"), of.table("transfer")
    summary = full_summary(runs.summary(of.trainings), of.trainings)
    same = attacked.checked(of, summary, theirs, others)
    assert same.of is of and same.summary is summary
    pd.testing.assert_frame_equal(same.checks, tried.checks)
    pd.testing.assert_frame_equal(same.checks, masking.checked(theirs, others, tried.autoattack))
    assert attacked.doubtful(summary) == frozenset(summary.alpha[summary.ball_worst_doubtful])


def test_the_first_rounds_verdicts_are_its_networks_whatever_a_chapter_shows():
    """A chapter of the second round, and one of the first, show the same ledger."""
    of = rounds.first_sample()
    summary = full_summary(at_hand(of.trainings), of.trainings)
    for only in (["LM-1", "LM-2", "LM-19"], ["LM-3", "LM-4"], ["LM-7", "LM-9", "LM-X2"], ["LM-13", "LM-18"]):
        before = rounds.entries(of, summary, only=only)
        after = rounds.entries(grid((3,), alphas=(-2.0, 0.0)), None, only=only)
        for one, other in zip(before, after, strict=True):
            assert [(part.verdict, part.parts) for part in one.first] == [
                (part.verdict, part.parts) for part in other.first
            ]
            assert any(part.seeds == 3 for part in other.first)
            assert one.verdict.verdict == other.verdict.verdict


def test_counts_are_a_range_where_they_differ():
    assert prose.between(pd.Series([2, 2])) == "2" and prose.between(pd.Series([3, 1, 2])) == "1 to 3"


@pytest.mark.parametrize("radii", [(4 / 255,), (1 / 255, 4 / 255)])
def test_an_axis_ends_above_what_it_shows(radii):
    rows = pd.DataFrame([
        {"alpha": alpha, "seed": seed, "epsilon": epsilon, "accuracy": 0.1 + 0.01 * seed}
        for alpha in (-1.0, 0.0)
        for seed in range(3)
        for epsilon in radii
    ])
    tops = [axes.get_ylim()[1] for axes in transferred_and_alpha(rows).axes]
    assert tops == pytest.approx([14.4] if len(radii) == 1 else [100.0, 100.0])
