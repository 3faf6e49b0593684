"""The plan of a rerun: which tables a chapter reads, which are missing, and what is said of them."""

import inspect
import re
from dataclasses import replace

import pytest

from lib import runs
from lib.book import certified, names, needs, purified
from lib.book.grid import Parameters
from lib.measurements import MEASUREMENTS, Asked
from lib.runs import durations


@pytest.mark.parametrize("name", names.sources())
def test_every_call_of_every_chapter_is_understood(name):
    """A table that a chapter makes is in its plan, whichever way the source says it."""
    every, one = needs.tables(name)
    code = "\n".join(line for line in names.sources()[name].read_text().splitlines() if line[:1] != "#")
    # a loop in one line, whose names may stand one below the other
    code = re.sub(r"\(\s+((?:\"\w+\",\s*)+)\)", lambda found: f"({' '.join(found[1].split())})", code)
    code = code.replace(":\n    runs.table(", ": runs.table(")
    ours = "runs" if "chapter.simulation(" in code else "(?:runs|here)"
    named = set(re.findall(ours + r"\.table\(\"(\w+)\"", code)) | (
        {"selectivity"} if "runs.summary(" in code else set()
    )
    looped = {
        found
        for line in code.splitlines()
        if "runs.table(name" in line or "here.table(name" in line
        for found in MEASUREMENTS
        if f'"{found}"' in line
    }
    assert {asked.name for asked in every + one} == named | looped


def test_networks_of_purification_are_in_its_plan(monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")  # no steps are timed
    name, here = "15-purification-images", Parameters("digits", "resnet8", (0.4,), (0, 9), "fast")
    shown = needs.own(name, here, {"radius": 0.5, "networks": list(purified.ASKED)})
    networks = needs.networks(name, here, shown)
    asked = re.findall(r"read\(\"(\w+)\"", inspect.getsource(purified.gathered))
    assert len(asked) == 6 and sorted(one.name for one in shown) == sorted({*asked, "selectivity"})
    assert len(networks) == 18 and {one.seed for one in networks} == {0, 9}
    assert {one.start.seed for one in networks if one.start} == {0, 9}
    plan = needs.plan(name, networks, shown)
    # the others are published; with these, the networks that theirs are compared with
    assert {*plan.missing} >= {one for one in networks if one.seed == 9} and {
        one.seed for one in plan.missing
    } == {9}
    assert {*plan.tables} == {(one, table) for table, some in shown.items() for one in some if one.seed == 9}


@pytest.mark.parametrize(("epsilon", "more"), [("2/255", set()), ("3/255", {"certified_radius"})])
def test_tables_of_certificates_are_in_their_plan(epsilon, more, monkeypatch):
    """Of a new radius too, nothing is missing: no network is trained for it."""
    monkeypatch.setenv("RUNS_FROZEN", "1")
    name = "17-certified"
    here = Parameters("digits", "cnn-small", (0.0,), (0,), "certified", variants=("plain", "ibp-2"))
    shown = needs.own(name, here, {"epsilon": epsilon})
    asked = re.findall(r"\"(certificate|half_width|selectivity)\"", inspect.getsource(certified.gathered))
    assert {one.name for one in shown} == {*asked} | more
    plan = needs.plan(name, needs.networks(name, here, shown), shown)
    assert plan.missing == () and plan.tables == ()


@pytest.fixture
def written(tmp_path, monkeypatch):
    def write(source):
        (tmp_path / "99-own.py").write_text(source)
        monkeypatch.setattr(names, "sources", lambda: {"99-own": tmp_path / "99-own.py"})
        return needs.tables("99-own")

    return write


def test_settings_loops_and_examples_are_read(written):
    every, one = written(
        "a, b = (runs.table(kind, all) for kind in ('attack', 'transfer'))\n"
        "runs.table('jacobian', all, limit=10)\nruns.table('class_means', [first])\n"
        "runs.table('attack', [first])\ncached('corruption', all)\n"
    )
    assert sorted(map(str, every)) == ["attack", "jacobian (limit 10)", "transfer"]
    assert one == [Asked("class_means")]


@pytest.mark.parametrize(
    "call", ["runs.table(given, all)", "runs.table('atack', all)", "runs.table(f(), all)"]
)
def test_what_is_not_understood_is_an_error(call, written):
    with pytest.raises(LookupError, match="which table is"):
        written(call)


def test_the_plan_lists_networks_and_tables_with_times(own_store, trainings, written, monkeypatch):
    written("runs.summary(all)\nruns.table('class_means', all)\nruns.table('corruption', [first])")
    new = replace(trainings[0], alpha=0.7)
    (own_store / trainings[1].name / runs.WEIGHTS).unlink()
    plan = needs.plan("99-own", [*trainings, new])
    assert plan.missing == (new,) and plan.again == (trainings[1],)
    assert plan.tables == (
        (trainings[0], Asked("class_means")),
        (trainings[1], Asked("class_means")),
        (new, Asked("selectivity")),
        (new, Asked("class_means")),
    )
    first, again, *tables, example, last = plan.lines()
    assert example == "to measure, as an example: corruption on the network that the chapter picks"
    assert re.fullmatch(
        r"to train: 1 network, about (a second|\d+ seconds) \(.+ threads, cpu float32 eager\)", first
    )
    assert re.fullmatch(r"to train again, since .+: 1 network, about (a second|\d+ seconds)", again)
    assert tables[0] == "to measure: class_means on 3 networks, nobody has timed it yet"
    assert re.fullmatch(r"to measure: selectivity on 1 network, about (\d+ seconds|a second)", tables[1])
    assert last.startswith("together at least about ")
    both = [new, trainings[1]]
    assert plan.seconds >= needs.making.seconds(both, plan.training) > 0
    # the time of a training is that of cached ones of its kind
    monkeypatch.setattr(durations, "alike", lambda *_: [10.0, 600.0, 50.0])
    assert needs.plan("99-own", [*trainings, new]).training[new] == 50.0


def test_networks_that_images_are_made_against_are_part_of_the_plan(own_store, trainings, written):
    written("runs.table('transfer', all)")
    plan = needs.plan("99-own", trainings[:1])
    sources = MEASUREMENTS["transfer"].sources(trainings[0], MEASUREMENTS["transfer"].settings)
    assert set(plan.missing) == {one for one in sources if one not in trainings} != set()


def test_nothing_is_said_where_nothing_is_made(store_dir, trainings, written, monkeypatch):
    written("runs.summary(all)")
    monkeypatch.setattr(needs, "estimate_seconds", lambda *_: pytest.fail("timed"))
    plan = needs.plan("99-own", trainings)
    assert list(plan.lines()) == [] and plan.seconds == 0
    monkeypatch.setenv("RUNS_FROZEN", "1")
    assert list(needs.plan("99-own", [replace(trainings[0], seed=9)]).lines()) == []
