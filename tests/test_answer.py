"""The answer in words follows the numbers: planted verdicts and intervals turn every sentence, both ways."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.book import answer
from lib.book.figures.headline import PUBLISHED, Line, headline
from lib.papers import findings, first_round, ledger
from lib.papers.claim import VERDICTS as FIRST_VERDICTS
from lib.papers.rules import rules
from lib.papers.second_round import VERDICTS
from lib.papers.second_statistics import FGSM
from tests.test_ledger import entries

PARTS = {(rule.id, part.name) for rule in rules().claims for part in rule.parts}
KINDS = {"reproduced": 1, "contradicted": -1, "undecided": 0}


def first(entry, verdict):
    """The entry with a verdict of the first round and none of the second."""
    kept = dataclasses.replace(entry.verdict, verdict="not tested", parts=())
    told = tuple(dataclasses.replace(one, verdict=verdict) for one in entry.first)
    return dataclasses.replace(entry, verdict=kept, first=told)


# ---- sentences of parts ------------------------------------------------------------------------------------


def test_words_are_of_parts_that_there_are():
    named = {(claim, part) for claim, parts in findings.WORDS.items() for part in parts}
    assert named <= PARTS
    # every claim that can be decided has words on some part; a claim with one side has that side
    assert {rule.id for rule in rules().claims if rule.parts} == set(findings.WORDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_sentence_says_what_its_interval_says(kind):
    for entry in entries(kind):
        for row in entry.rows:
            words = findings.WORDS.get(entry.claim.id, {}).get(row.part.rule.name)
            said = findings.finding(row, entry.claim.id)
            if words is None:
                assert said is None
                continue
            form = {1: words.up, -1: words.down, 0: words.neither}[KINDS[kind]]
            assert said.sentence.startswith(form.split("{size}")[0]) and said.round == "second"
            assert said.clear == (kind != "undecided")


def test_what_is_not_clear_may_be_left_out():
    """In the sentences that open the book: the first of them say it."""
    unclear = {one.claim.id: one for one in entries("undecided")}
    clear = {one.claim.id: one for one in entries("reproduced")}
    assert not any(findings.sentences(one, unclear=False) for one in unclear.values())
    mixed = dataclasses.replace(unclear["LM-3"], rows=(*unclear["LM-3"].rows[:1], clear["LM-3"].rows[1]))
    assert findings.sentences(mixed, unclear=False).startswith("Raising selectivity lowers accuracy on corr")
    assert findings.sentences(mixed).startswith(
        "Lowering selectivity does not clearly change accuracy on corr"
    )
    assert ". Raising selectivity lowers it by " in findings.sentences(mixed)


def test_no_effect_is_told_with_the_size_below_which_there_is_none():
    for entry in entries("undecided"):
        rows = [
            dataclasses.replace(row, part=dataclasses.replace(row.part, verdict="no effect"))
            for row in entry.rows
        ]
        for row in rows:
            words = findings.WORDS.get(entry.claim.id, {}).get(row.part.rule.name)
            if words is None or row.part.rule.delta is None:
                continue  # without such a size there is no such verdict
            said = findings.finding(row, entry.claim.id)
            delta = {"LM-4": "5", "LM-10": "4.71"}.get(entry.claim.id, f"{row.part.rule.delta:g}")
            assert said.clear and f"than {delta}{words.unit}" in said.sentence
            signed = said.size[0] in "+−"
            assert said.size in said.sentence and signed != bool(words.level)
            assert "not clear" not in said.sentence


@pytest.mark.parametrize(
    ("claim", "numbers", "told"),
    [
        ("LM-2", (0.35, -0.16, 0.86), "0.65 points (0.14 to 1.2)"),  # a point less the number
        ("LM-4", (0.1, -0.16, 0.36), "60 % (34 to 86)"),  # the share of a half more than it
        ("LM-10", (0.1, 0.05, 0.2), "26 % (12 to 58)"),  # a factor of 10 to the number
    ],
)
def test_readers_are_told_what_they_can_use(claim, numbers, told):
    (entry,) = [one for one in entries("undecided") if one.claim.id == claim]
    middle, low, high = numbers
    row = entry.rows[0]
    part = SimpleNamespace(
        rule=row.part.rule, seeds=5, estimate=middle, low=low, high=high, verdict="undecided"
    )
    assert told in findings.finding(dataclasses.replace(row, part=part), claim).sentence
    (claim,) = [one for one in entries("undecided") if one.claim.id == "LM-8"]
    small = dataclasses.replace(
        claim.rows[0], part=dataclasses.replace(claim.rows[0].part, verdict="no effect")
    )
    said = findings.sentences(dataclasses.replace(claim, rows=(small, claim.rows[1])))
    assert said.startswith("Lowering selectivity changes accuracy under PGD by less than 0.5 points: ")
    assert ". Raising selectivity does not clearly change it: " in said


def test_a_fall_that_speaks_for_the_paper_is_told_as_the_change_of_the_quantity():
    """LM-8 counts what lowering selectivity costs; told is how accuracy changes."""
    (entry,) = [one for one in entries("undecided") if one.claim.id == "LM-8"]
    row = entry.rows[0]
    assert row.part.rule.name == "lowering" and row.part.estimate > 0
    said = findings.finding(row, "LM-8").sentence
    low, high = (float(one.replace("−", "-")) for one in re.search(r"\((\S+) to (\S+)\)", said).groups())
    assert "does not clearly change accuracy under PGD: −" in said
    assert np.allclose([low, high], [-row.part.high, -row.part.low], atol=0.06) and low < high


def test_verbs_have_directions_and_intervals_are_sorted():
    said = {one.claim.id: findings.sentences(one) for one in entries("reproduced")}
    assert said["LM-3"].startswith("Lowering selectivity raises accuracy on corrupted images by ")
    assert "). Raising selectivity lowers it by " in said["LM-3"]
    assert said["LM-16"].count("that corruptions make") == said["LM-16"].count("that attacks make") == 1
    assert said["LM-7"].startswith("Lowering selectivity lowers accuracy under FGSM by ")
    said = {one.claim.id: findings.sentences(one) for one in entries("contradicted")}
    assert said["LM-3"].startswith("Lowering selectivity lowers accuracy on corrupted images by ")
    assert said["LM-7"].startswith("Lowering selectivity raises accuracy under FGSM by ")
    for kind in ("reproduced", "contradicted", "undecided"):
        for one in entries(kind):
            for low, high in re.findall(r"\((\S+) to (\S+)\)", findings.sentences(one)):
                assert float(low.replace("−", "-")) <= float(high.replace("−", "-"))


def test_two_causes_of_which_neither_clearly_changes_a_quantity_are_one_sentence():
    by_id = {one.claim.id: one for one in entries("undecided")}
    for name in ("LM-3", "LM-8", "LM-15"):
        low, high = findings.findings(by_id[name])
        said = findings.sentences(by_id[name])
        assert said.startswith("Neither lowering nor raising selectivity clearly changes ")
        assert said.count(". ") == 0 and said.endswith(f": {low.size} and {high.size}.")
    # four parts of two quantities: two sentences, each with the parts that belong together
    four = findings.findings(by_id["LM-16"])
    first, second = findings.sentences(by_id["LM-16"]).split(". ")
    assert [one.size in first for one in four[:2]] == [one.size in second for one in four[2:]] == [True, True]
    assert "corruptions make" in first and "attacks make" in second


def test_a_clear_side_and_numbers_of_different_rounds_keep_sentences_of_their_own():
    unclear = {one.claim.id: one for one in entries("undecided")}["LM-3"]
    clear = {one.claim.id: one for one in entries("reproduced")}["LM-3"]
    mixed = dataclasses.replace(unclear, rows=(clear.rows[0], *unclear.rows[1:]))
    said = findings.sentences(mixed)
    assert said.startswith("Lowering selectivity raises ")
    assert ". Raising selectivity does not clearly change " in said
    part = first_round.Part("", 1.4, -0.2, 3.1, 0.07, 3, 1)
    few = {one.claim.id: one for one in entries(seeds=2)}["LM-3"]
    earlier = dataclasses.replace(few.rows[0], first=part)
    said = findings.sentences(dataclasses.replace(unclear, rows=(earlier, *unclear.rows[1:])))
    assert said.count("does not clearly change") == 2 and "Neither" not in said


@pytest.mark.parametrize("seeds", [1, 2])
def test_without_an_interval_nothing_is_said(seeds):
    assert all(findings.sentences(one) == "" for one in entries(seeds=seeds))


def test_the_first_round_speaks_where_the_second_has_no_interval():
    part = first_round.Part("", 1.4, -0.2, 3.1, 0.07, 2, 1)
    (entry,) = [one for one in entries(seeds=2) if one.claim.id == "LM-3"]
    rows = tuple(dataclasses.replace(row, first=part) for row in entry.rows)
    said = findings.findings(dataclasses.replace(entry, rows=rows))
    assert [one.round for one in said] == ["first", "first"]
    assert (
        "+1.4 points (−0.2 to +3.1)" in said[0].sentence and "−1.4 points (−3.1 to +0.2)" in said[1].sentence
    )


# ---- key points --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", VERDICTS)
def test_key_points_carry_verdict_and_figure(kind):
    for one in entries(kind, seeds=5):
        item, *parts = answer.key_points([one]).splitlines()
        assert item.startswith("- ") and one.claim.id in item
        told = findings.findings(one)
        assert len(parts) == (len(told) if len(told) > answer.MOST_PARTS else 0)
        assert all(part.startswith("  - ") for part in parts)
        shown = findings.decides(one)[1]
        assert shown in item or f"first round: {shown}" in item
        assert (f'href="#{one.claim.shown[1]}"' in item) == bool(one.claim.shown[1])


def test_a_claim_without_numbers_does_not_read_like_a_finding():
    for one in entries(seeds=1):
        said = answer.key_points([one])
        assert said.startswith((
            "- *Not tested.* The claim is that ",
            "- *Not decided: too few networks.* The",
        ))


def test_key_points_say_which_round_their_numbers_are_of():
    few, whole = (answer.whence(entries(seeds=seeds), "First round, seeds 0 to 2") for seeds in (3, 5))
    assert "the second round's (seeds 3 to 7, of which 3 are here)" in few
    assert "the second round's (seeds 3 to 7)." in whole
    assert whole.endswith("The figures below show the networks of the first round, seeds 0 to 2.")
    mixed = [first(entries()[0], "inconclusive"), *entries()[1:]]
    assert "Where the first round's verdict is given" in answer.whence(mixed)
    assert answer.whence(mixed[:1]).startswith("The numbers beside the verdicts are the first round's.")


@pytest.mark.parametrize("verdict", FIRST_VERDICTS)
def test_a_verdict_of_the_first_round_says_so(verdict):
    (entry,) = [one for one in entries() if one.claim.id == "LM-3"]
    assert f"first round: {verdict}" in answer.key_points([first(entry, verdict)])


# ---- the opening -------------------------------------------------------------------------------------------


def with_verdicts(**verdicts):
    return [
        dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, verdict=verdicts[one.claim.id]))
        if one.claim.id in verdicts
        else one
        for one in entries("undecided")
    ]


def test_the_lead_follows_both_halves():
    leads = {
        (average, worst): answer.lead(with_verdicts(**{"LM-3": average, "LM-7": worst, "LM-8": "undecided"}))
        for average in ("reproduced", "contradicted", "undecided")
        for worst in ("reproduced", "contradicted", "undecided")
    }
    lower = "accuracy on corrupted images falls as selectivity rises"
    higher = "accuracy under FGSM rises with selectivity, though"
    assert lower in leads["reproduced", "reproduced"] and higher in leads["reproduced", "reproduced"]
    assert (
        lower in leads["reproduced", "undecided"]
        and "higher accuracy under attack, does not" in (leads["reproduced", "undecided"])
    )
    assert f"from α = −2 to 0.4, {higher} not clearly under PGD." in (leads["contradicted", "reproduced"])
    both = answer.lead(with_verdicts(**{"LM-3": "undecided", "LM-7": "reproduced", "LM-8": "reproduced"}))
    assert (
        "accuracy under FGSM and PGD rises with selectivity. The other half, lower accuracy on corr" in both
    )
    for neither in (("undecided", "undecided"), ("contradicted", "contradicted")):
        assert "does not clearly show" in leads[neither]
    assert len(set(leads.values())) == 4


def test_claims_are_counted_by_the_round_of_the_ledger():
    made = with_verdicts(**{
        "LM-1": "reproduced",
        "LM-2": "contradicted",
        "LM-3": "split",
        "LM-4": "no effect",
    })
    mixed = [first(one, "reproduced") if one.claim.id == "LM-5" else one for one in made]
    for told in (answer.counted(made), answer.counted(mixed)):
        assert told.startswith(
            f"By the second round's rules, of the paper's {len(made) - 1} claims 1 is reproduced and 3 are not "
            "(LM-2, LM-3 and LM-4"
        )
    early = [first(one, "reproduced") for one in made]
    assert answer.counted(early).startswith("By the first round's rules,")
    assert f"{len(made) - 1} are reproduced and none is not" in answer.counted(early)


def test_verdicts_of_too_few_seeds_are_called_provisional():
    early, whole = answer.sentences(entries(seeds=3)), answer.sentences(entries(seeds=5))
    assert "Verdicts are provisional: 3 of 5 seeds." in early and "provisional" not in whole
    assert "provisional: 3 of 5 seeds" in answer.conclusion(entries(seeds=3))
    assert "provisional" not in answer.conclusion(entries(seeds=5))


def test_a_sentence_that_begins_with_alpha_keeps_it():
    (entry,) = [one for one in entries("reproduced") if one.claim.id == "LM-19"]
    assert findings.sentences(entry).startswith("α = 1 adds ")


@pytest.mark.parametrize("name", answer.CONCLUDED)
def test_the_conclusion_turns(name):
    yes, no, neither = answer.CONCLUDED[name]
    for verdict, words in {
        "reproduced": yes,
        "contradicted": no,
        "no effect": no,
        "undecided": neither,
    }.items():
        said = answer.conclusion(with_verdicts(**{name: verdict}))
        assert words in said and not any(other in said for other in {yes, no, neither} - {words})


def test_the_opening_sentences_are_few():
    for kind in KINDS:
        said = answer.sentences(entries(kind))
        assert said.startswith("**") and len(said.split(". ")) <= 9 and "nan" not in said


def part_verdicts(name, *verdicts):
    """The undecided ledger with verdicts on the parts of a claim, in their order."""
    return [
        dataclasses.replace(
            one,
            rows=tuple(
                dataclasses.replace(row, part=dataclasses.replace(row.part, verdict=verdict))
                for row, verdict in zip(one.rows, verdicts, strict=True)
            ),
        )
        if one.claim.id == name
        else one
        for one in with_verdicts(**{"LM-7": "reproduced", "LM-8": "reproduced"})
    ]


@pytest.mark.parametrize(
    ("verdicts", "shows", "does_not"),
    [
        (("undecided", "reproduced"), "raising selectivity lowers accuracy on corr", "lowering selectivity"),
        (("reproduced", "no effect"), "lowering selectivity raises accuracy on corr", "raising selectivity"),
    ],
)
def test_half_of_a_half_is_told_as_such(verdicts, shows, does_not):
    said = answer.lead(part_verdicts("LM-3", *verdicts))
    assert said.startswith("Part of") and shows in said and f"That {does_not} " in said.partition(shows)[2]
    for both in (("reproduced", "reproduced"), ("undecided", "undecided")):
        assert answer.lead(part_verdicts("LM-3", *both)).startswith("Half of")


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (("reproduced", "reproduced"), "the effects are clear too"),
        (("undecided", "reproduced"), "clear only where selectivity is raised"),
        (("reproduced", "no effect"), "clear only where selectivity is lowered"),
        (("undecided", "undecided"), "neither effect is clear"),
        (("contradicted", "reproduced"), "the opposite where selectivity is lowered"),
    ],
)
def test_the_answer_says_what_is_left_under_the_strongest_attack(verdicts, words):
    (one,) = [one for one in entries("undecided") if one.claim.id == "LM-X2"]
    names = [row.part.rule.name for row in one.rows]
    assert names[-2:] == ["strongest of three, lowering", "strongest of three, raising"]
    made = part_verdicts("LM-X2", *["reproduced", "contradicted"] * (len(names) // 2 - 1), *verdicts)
    assert f"Under the strongest of three attacks, {words}" in " ".join(
        answer.how_sure(made).replace("is the opposite", "the opposite").split()
    ).replace("the effect is clear", "clear").replace("the effect the", "the")


def test_the_answer_says_which_of_it_the_stricter_correction_does_not_leave():
    made = [
        dataclasses.replace(
            one,
            verdict=dataclasses.replace(
                one.verdict,
                verdict="reproduced",
                parts=tuple(
                    dataclasses.replace(part, verdict="reproduced", p=p) for part in one.verdict.parts
                ),
            ),
        )
        if (p := {"LM-7": 1e-9, "LM-8": 0.04, "LM-13": 0.04}.get(one.claim.id))
        else one
        for one in entries("undecided")
    ]
    said = answer.how_sure(made)
    assert "the effect under PGD is no longer clear" in said and "FGSM" not in said and "LM-13" not in said


def test_what_is_contradicted_is_in_the_conclusion():
    made = [
        dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, verdict="contradicted"))
        if one.claim.id in ("LM-13", "LM-14")
        else one
        for one in part_verdicts("LM-14", "contradicted", "reproduced")
    ]
    said = answer.conclusion(made)
    assert "Against the paper, lowering selectivity raises the variation of gradients over units." in said
    assert "over images" not in said  # no part of that claim speaks against it
    assert "Against the paper" not in answer.conclusion(entries("undecided"))


def test_the_first_rounds_verdict_stands_where_the_rules_say_so():
    (six,) = [one for one in entries("undecided") if one.claim.id == "LM-6"]
    assert six.claim.id in ledger.FIRST_STANDS and not six.first_stands  # it has the second round's numbers
    without = [first(one, "reproduced") if one.claim.id == "LM-6" else one for one in entries("undecided")]
    assert "The first round's verdict on LM-6, reproduced, stands." in answer.counted(without)
    assert "stands" not in answer.counted(entries("undecided"))
    text = Path("lib/papers/rules-second-round.md").read_text(encoding="utf-8")
    said = [line for line in text.splitlines() if "first round's verdict stands" in line]
    assert [line.split("|")[1].strip() for line in said] == [*ledger.FIRST_STANDS]


def test_a_clause_that_is_not_judged_says_so():
    for one in entries("undecided"):
        assert ("(this part not judged)" in one.statement) == (one.claim.id in ledger.SHOWN_ONLY)
    bare = [first(one, "reproduced") for one in entries("undecided") if one.claim.id in ledger.SHOWN_ONLY]
    assert len(bare) == 3 and all(one.statement == one.claim.statement for one in bare)


def test_the_verdicts_are_a_table():
    rows = answer.verdicts(entries())
    assert list(rows[""]) == [one.claim.id for one in entries()] and rows.notna().all().all()
    assert ledger.OURS.id in set(rows[""])


def networks():
    rows = [
        {
            "alpha": alpha,
            "seed": seed,
            "dataset": "cifar10",
            "variant": "plain",
            "epochs": 16,
            "clean_accuracy": 0.9 - 0.1 * (alpha == 2),
            "corrupted_accuracy": 0.6 + 0.01 * alpha,
            "pgd_accuracy": 0.3,
            "pgd_accuracy_doubtful": alpha == 2,
        }
        for alpha in (-2.0, -1.0, 0.0, 0.4, 2.0)
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def test_the_title_of_the_figure_is_what_it_shows():
    told = answer.spread(networks())
    assert told == "From α = −2 to 0.4: +0.0 points under PGD, +2.4 points on corrupted images"
    second = networks().assign(**{FGSM: 0.4 + 0.05 * networks().alpha})
    assert (
        answer.spread(second)
        == "From α = −2 to 0.4: +12.0 points under FGSM, +2.4 points on corrupted images"
    )
    bare = networks().assign(corrupted_accuracy=np.nan, pgd_accuracy=np.nan)
    assert answer.spread(bare) == "Accuracy against the selectivity scale α"


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("fgsm", [False, True])
def test_the_opening_figure_has_a_point_a_network_and_the_papers(narrow, fgsm):
    made = networks().assign(**{FGSM: 0.4} if fgsm else {})
    lines, alt, caption = answer.opening(made)
    assert len(lines) == 3 + fgsm and ("FGSM, ε = 0.004: " in alt) == fgsm
    figure = headline(made, lines, title="what it shows", narrow=narrow)
    ours, theirs = figure.axes
    assert sum(len(one.get_offsets()) for one in ours.collections) == len(lines) * len(networks())
    assert sum(len(one.get_offsets()) for one in theirs.collections) == sum(
        len(one) for _, one in PUBLISHED.values()
    )
    assert [text.get_text() for text in ours.texts] == [line.words for line in lines]
    assert ours.get_ylim() == theirs.get_ylim() == (0, 100) and "Hollow" in caption and "α = −2" in alt
    hollow = [
        one
        for one in ours.collections
        if len(one.get_facecolors()) and tuple(one.get_facecolors()[0][:3]) == (1, 1, 1)
    ]
    assert len(hollow) == 1  # of the one accuracy that is in doubt, at α = 2


def test_a_line_without_a_measured_network_is_left_out():
    bare = networks().assign(pgd_accuracy=np.nan)
    figure = headline(
        bare, (Line("clean_accuracy", "clean", "_"), Line("pgd_accuracy", "PGD", "v")), title="t"
    )
    assert [text.get_text() for text in figure.axes[0].texts] == ["clean"]
