"""The benchmark harness with a clock of its own, and the plain script that training is compared with."""

import json
import mmap
import sys
from dataclasses import replace

import pandas as pd
import pytest
import scipy.stats
import torch

from benchmarks import __main__ as cli
from benchmarks import corruption, fidelity, harness, plain, represented, together, training
from benchmarks.harness import Case, Target
from lib import corruptions, models, selectivity
from lib.base import paths
from lib.base.errors import InputError
from lib.training.engine import Engine, best_engine
from lib.training.training import Training

DIGITS = Training("digits", "resnet8", -1.0, 0, "fast", 2)
CONTRACT = ["name", "device", "ours", "peer", "peer_name", "ratio", "unit", "repeats"]


class Clock:
    """A clock that stands still unless work is done: `work(name, seconds, ...)` takes those seconds, one
    after the other.
    """

    def __init__(self):
        self.now, self.calls = 0.0, []

    def read(self):
        return self.now

    def work(self, name, *seconds):
        left = list(seconds)

        def do():
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return do


def case(clock=None, **changes) -> Case:
    """A case in which ours takes 2 s and the peer 6 s."""
    clock = clock or Clock()
    usual = {
        "name": "fake",
        "ours": lambda device: clock.work("ours", 2.0),
        "peer": lambda device: clock.work("peer", 6.0),
        "peer_name": "a peer",
        "parity": lambda device: None,
        "targets": {"cpu": Target(2.0)},
    }
    return Case(**usual | changes)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run `python -m benchmarks ...` in this process, on given cases: (exit code, rows, stdout, stderr)."""

    def run(cases, *arguments):
        monkeypatch.setattr(cli, "cases", lambda: {one.name: one for one in cases})
        monkeypatch.setattr(cli, "RESULTS", tmp_path / "results.json")
        monkeypatch.setattr(harness, "devices", lambda: ["cpu"])
        file = tmp_path / "bench.json"
        monkeypatch.setattr(sys, "argv", ["benchmarks", "--json", str(file), *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out = capsys.readouterr()
        return stop.value.code or 0, json.loads(file.read_text()) if file.exists() else None, out.out, out.err

    return run


# ---- Measuring ---------------------------------------------------------------------------------------------


def test_sides_take_turns_after_one_warm_up_each():
    clock = Clock()
    samples = harness.interleave(
        clock.work("ours", 50.0, 1.0, 2.0), clock.work("peer", 90.0, 4.0, 3.0), 2, clock.read
    )
    assert clock.calls == ["ours", "peer"] * 3
    assert [[one.seconds for one in side] for side in samples] == [[1.0, 2.0], [4.0, 3.0]]


def holding(sizes):
    """Work that holds tensors of some MiB one after the other, and then one of half of the last."""

    def work():
        held = [torch.ones(size * 2**18) for size in sizes]
        del held[:]
        torch.ones(sizes[-1] * 2**17)

    return lambda device: work


def test_the_memory_of_a_call_is_what_it_holds_at_once():
    assert harness.peak_memory(holding([3, 5])("cpu"), "cpu") == pytest.approx(8, abs=0.1)
    assert harness.peak_memory(lambda: None, "cpu") == 0
    here = case(ours=holding([1]), peer=holding([2, 2]), memory=True)
    found = harness.run(here, "cpu", repeats=1)
    assert (found["ours_mib"], found["peer_mib"]) == pytest.approx((1, 4), abs=0.1)
    assert "1 : 4" in harness.table([found])
    without = harness.run(case(), "cpu", repeats=1)
    assert "ours_mib" not in without and "MiB" in harness.table([without])


def test_faults_are_counted_beside_each_timing_and_shown(call):
    def touching(count):
        return lambda device: (
            lambda: mmap.mmap(-1, count * mmap.PAGESIZE).write(b"x" * (count * mmap.PAGESIZE))
        )

    code, rows, out, _ = call([case(ours=touching(1), peer=touching(16 * 1024))], "--repeats", "3")
    ours, peer = rows[0]["ours_faults"], rows[0]["peer_faults"]
    assert code == 0 and len(ours) == len(peer) == 3
    assert max(ours) < min(peer)  # how many pages a fault brings is the system's affair
    usual = [f"{sorted(side)[1]:,}" for side in (ours, peer)]
    assert "faults" in out.splitlines()[0] and " : ".join(usual) in out.splitlines()[1]


def test_faults_that_nobody_counts_are_none(call, monkeypatch):
    monkeypatch.setattr(harness, "resource", None)
    _, rows, out, _ = call([case()], "--repeats", "2")
    assert rows[0]["ours_faults"] == rows[0]["peer_faults"] == [None, None] and "? : ?" in out


def test_ratio_is_peer_over_ours_in_medians_with_the_range_of_the_pairs():
    clock = Clock()
    ours, peer = clock.work("ours", 9.0, 1.0, 2.0, 4.0), clock.work("peer", 9.0, 5.0, 6.0, 8.0)
    row = harness.run(
        case(ours=lambda device: ours, peer=lambda device: peer, unit="ms a step", per=4),
        "cpu",
        repeats=3,
        read=clock.read,
    )
    # medians 2 s and 6 s of four steps
    assert (row["ours"], row["peer"], row["ratio"]) == (500.0, 1500.0, 3.0)
    assert (row["low"], row["high"], row["repeats"]) == (2.0, 5.0, 3)
    assert row["parity"] == "ok" and row["met"]


def test_row_begins_with_the_contract_and_is_json():
    clock = Clock()
    row = harness.run(case(clock), "cpu", read=clock.read)
    assert list(row)[: len(CONTRACT)] == CONTRACT
    assert {"low", "high", "target", "parity", "note", "date", "commit", "torch", "threads", "machine"} < set(
        row
    )
    assert json.loads(json.dumps(row)) == row


def test_share_counts_ours_as_one():
    clock = Clock()
    row = harness.run(
        case(clock, unit="share of the step", targets={"cpu": Target(1.1, at_most=True)}),
        "cpu",
        read=clock.read,
    )
    assert (row["ours"], row["peer"], row["ratio"], row["met"]) == (1.0, 3.0, 3.0, False)


@pytest.mark.parametrize(
    ("target", "met", "missed"), [(Target(2.0), 2.0, 1.99), (Target(1.1, at_most=True), 1.1, 1.11)]
)
def test_target_has_a_direction(target, met, missed):
    assert target.met(met) and not target.met(missed)


def test_a_case_has_its_threads_and_gives_them_back(monkeypatch):
    seen, now = [], [3]
    monkeypatch.setattr(torch, "get_num_threads", lambda: now[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: now.__setitem__(0, number))
    for threads in (0, 1):
        row = harness.run(case(parity=lambda device: seen.append(now[0]), threads=threads), "cpu", repeats=1)
        assert (
            row["threads"] == (threads or 3)
            and row["clock"] == ("CPU time" if threads == 1 else "wall")
            and now == [3]
        )
    assert seen == [3, 1]


def test_unit_of_time_must_be_known():
    with pytest.raises(InputError, match="unknown unit of time 'hours'"):
        case(unit="hours")


def test_one_thread_is_timed_by_its_own_time(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert harness.reader("cpu")[1] == "CPU time"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert harness.reader("cpu")[1] == "wall"


def test_gpu_is_waited_for_before_the_clock_is_read(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("waited"))
    monkeypatch.setattr(harness.time, "perf_counter", lambda: events.append("read") or 0.0)
    read, clock = harness.reader("cuda")
    read()
    assert events == ["waited", "read"] and clock == "wall"


def absent(device):
    raise InputError("data set 'cifar10' not found")


def forbidden(device):
    raise AssertionError("prepared")


WITHOUT_RATIO = {
    "parity": (
        {"parity": lambda device: "0.1, not 0.2", "ours": forbidden, "peer": forbidden},
        "outputs disagree: 0.1, not 0.2",
        1,
    ),
    "package": (
        {"package": "no_such_package", "parity": forbidden},
        "not run: no_such_package is not installed",
        0,
    ),
    "device": ({"targets": {"cuda": Target(2.0)}, "parity": forbidden}, "not run: for cuda only", 0),
    "data": ({"ours": absent}, "not run: data set 'cifar10' not found", 0),
}


@pytest.mark.parametrize("reason", WITHOUT_RATIO)
def test_no_ratio_but_a_row_that_says_why(call, reason):
    changes, text, code = WITHOUT_RATIO[reason]
    exit_code, rows, out, _ = call([case(name="other"), case(**changes)], "--publish")
    assert exit_code == code
    assert [row["name"] for row in rows] == ["other", "fake"]
    assert [rows[1][key] for key in ("ours", "peer", "ratio", "low", "high", "met")] == [None] * 6
    assert next(line for line in out.splitlines() if line.startswith("fake")).endswith(text)


# ---- The command line --------------------------------------------------------------------------------------


def test_named_case_alone_is_run(call):
    code, rows, out, _ = call([case(), case(name="other")], "other", "--repeats", "2")
    assert code == 0 and [(row["name"], row["repeats"]) for row in rows] == [("other", 2)]
    assert out.splitlines()[1].split()[:2] == ["other", "cpu"]


def test_list_runs_nothing(call):
    code, rows, out, _ = call([case(parity=forbidden)], "--list")
    assert code == 0 and rows is None and out.split()[:3] == ["fake", ">=", "2"]


BAD = {
    "name": (["fakes"], "unknown benchmark 'fakes'; known: fake"),
    "repeats": (["--repeats", "-1"], "repeats must be at least 1, got -1"),
    "no number": (["--repeats", "few"], "--repeats"),
    "device": (["--device", "tpu"], "unknown device 'tpu'; known: cpu"),
    "option": (["--fast"], "--fast"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line(call, what):
    arguments, text = BAD[what]
    code, rows, out, err = call([case(parity=forbidden)], *arguments)
    assert (code, rows, out) == (2, None, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and text in err


def test_damaged_results_are_said_before_anything_runs(call, tmp_path):
    (tmp_path / "results.json").write_text('[{"name": 1}]')
    code, _, _, err = call([case(parity=forbidden)], "--publish")
    assert code == 2 and "results.json" in err and err.count("\n") == 1


def test_published_rows_are_replaced_by_name_and_device(call, tmp_path):
    old = [
        {"name": name, "device": device, "ratio": 1.0}
        for name, device in (("fake", "cpu"), ("fake", "cuda"), ("gone", "cpu"), ("needy", "cpu"))
    ]
    harness.write(tmp_path / "results.json", old)
    call(
        [case(), case(name="needy", package="no_such_package"), case(name="new", package="no_such_package")],
        "--publish",
    )
    rows = {(row["name"], row["device"]): row for row in harness.read_rows(tmp_path / "results.json")}
    assert list(rows) == [
        ("fake", "cpu"),
        ("fake", "cuda"),
        ("gone", "cpu"),
        ("needy", "cpu"),
        ("new", "cpu"),
    ]
    assert rows["fake", "cpu"]["peer_name"] == "a peer"
    assert rows["fake", "cuda"] == old[1] and rows["gone", "cpu"] == old[2]
    assert rows["needy", "cpu"] == old[3]  # what was not run takes no measurement away
    assert rows["new", "cpu"]["note"] == "not run: no_such_package is not installed"


def test_disagreement_takes_a_published_ratio_away():
    old = {"name": "fake", "device": "cpu", "ratio": 3.0, "parity": "ok"}
    new = old | {"ratio": None, "parity": "failed: other numbers"}
    assert harness.merged([old], [new]) == [new]


def test_every_case_has_its_own_name_and_a_target():
    names = [one.name for module in cli.MODULES for one in module.CASES]
    assert len(set(names)) == len(names)
    assert all(one.targets and set(one.targets) <= {"cpu", "cuda"} for one in cli.cases().values())


def test_published_results_can_be_read():
    assert all(
        list(row)[: len(CONTRACT)] == CONTRACT
        for row in harness.read_rows(paths.ROOT / "benchmarks" / "results.json")
    )


# ---- The plain script --------------------------------------------------------------------------------------


def test_plain_selectivity_is_the_librarys():
    generator = torch.Generator().manual_seed(1)
    layers = {name: torch.rand(50, width, generator=generator) for name, width in (("a", 3), ("b", 8))}
    layers["b"][:, 2] = 0  # a unit that never fires
    labels = torch.randint(7, (50,), generator=generator)  # of ten classes
    torch.testing.assert_close(
        plain.mean_selectivity(layers.values(), labels), selectivity.mean_selectivity(layers, labels, 10)
    )
    torch.testing.assert_close(
        plain.class_selectivity(layers["b"], labels), selectivity.class_selectivity(layers["b"], labels)
    )


def test_parity_of_the_term_compares_value_and_gradient(monkeypatch):
    monkeypatch.setattr(training, "WIDTHS", (4, 8))
    assert training.term_parity("cpu") is None
    real = selectivity.mean_selectivity
    monkeypatch.setattr("lib.selectivity.mean_selectivity", lambda *arguments: real(*arguments) * 1.01)
    assert "mean selectivity" in training.term_parity("cpu")
    monkeypatch.setattr(
        "lib.selectivity.mean_selectivity",
        lambda *arguments: real(*arguments).detach() + 0 * real(*arguments),
    )
    assert "gradient" in training.term_parity("cpu")


def test_plain_script_knows_nothing_of_our_engine():
    source = (paths.ROOT / "benchmarks" / "plain.py").read_text()
    imports = [line for line in source.splitlines() if line.startswith(("import", "from")) and "lib" in line]
    assert imports == [
        "from lib import data, models",
        "from lib.data.images import Images",
        "from lib.training.training import Training",
    ]


@pytest.mark.slow
def test_plain_script_learns_the_digits():
    network, accuracy, mean = plain.train(DIGITS, epochs=2)
    assert accuracy > 0.2  # chance is 0.1
    assert 0 < mean < 1 and not network.training


def test_plain_loader_holds_out_its_share_and_serves_unit_pixels(digits):
    batches, validation, test = plain.loaders(DIGITS, "cpu")
    assert len(batches.dataset) + len(validation.dataset) == len(digits["train"]) and len(
        test.dataset
    ) == len(digits["test"])
    assert not set(batches.dataset.indices) & set(validation.dataset.indices)
    pixels, labels = next(iter(test))
    torch.testing.assert_close(pixels, digits["test"].pixels.float() / 255)
    assert torch.equal(labels, digits["test"].labels)


def test_plain_step_goes_round_the_batches_given(digits):
    some = digits["train"][slice(0, 64)]
    step = plain.stepper(DIGITS, device="cpu", batches=[(some.pixels / 255, some.labels)])
    losses = [float(step()) for _ in range(8)]
    assert losses[-1] < losses[0]


# ---- The rule for trainings --------------------------------------------------------------------------------

# measured outcomes of plain.train on the digits at alpha 0, 10 epochs, seeds 0 to 2; SMOOTH with
# label_smoothing=0.1 in its cross-entropy
PLAIN = pd.DataFrame({
    "accuracy": [0.990, 0.982, 0.982],
    "mean selectivity": [0.131, 0.148, 0.151],
    "confidence": [0.9967, 0.9980, 0.9982],
})
SMOOTH = pd.DataFrame({
    "accuracy": [0.992, 0.986, 0.982],
    "mean selectivity": [0.128, 0.131, 0.135],
    "confidence": [0.9587, 0.9563, 0.9543],
})


def test_label_smoothing_is_a_disagreement():
    assert training.disagreement(SMOOTH, PLAIN).startswith("confidence")


# the same after 2 epochs at alphas -1 and 1
BY_ALPHA = {
    -1.0: [(0.360, 0.0805, 0.2764), (0.396, 0.0991, 0.5688), (0.530, 0.1066, 0.4117)],
    1.0: [(0.394, 0.2201, 0.5475), (0.342, 0.2001, 0.4278), (0.318, 0.2014, 0.6268)],
}


def recorded(alpha: float, seed: int) -> dict[str, float]:
    return dict(zip(training.TOLERANCES, BY_ALPHA[alpha][seed], strict=True))


@pytest.mark.parametrize("sign", [1, -1])
def test_wrong_sign_of_the_regulariser_is_a_disagreement(monkeypatch, sign):
    engines = []
    monkeypatch.setattr(training, "ALPHAS", (-1.0, 1.0))
    monkeypatch.setattr(training, "NETWORK", DIGITS)
    monkeypatch.setattr(
        training,
        "trained_by_ours",
        lambda one, engine: engines.append(engine) or recorded(sign * one.alpha, one.seed),
    )
    monkeypatch.setattr(training, "trained_by_plain", lambda one, device: recorded(one.alpha, one.seed))
    training.training_parity.cache_clear()
    found = training.training_parity("cpu")
    training.training_parity.cache_clear()
    assert found is None if sign == 1 else found.startswith("at alpha -1 mean selectivity 0.207, not 0.095")
    assert set(engines) == {best_engine(DIGITS, device="cpu")}  # the one that is timed


@pytest.mark.slow
def test_outcomes_of_both_sides_are_of_one_kind():
    one = replace(DIGITS, epochs=1)
    engine = Engine("cpu", low_precision=False, compiled=False)
    for outcome in (training.trained_by_ours(one, engine), training.trained_by_plain(one, "cpu")):
        assert list(outcome) == list(training.TOLERANCES) and all(0 < value < 1 for value in outcome.values())


def test_interval_is_scipys_welch():
    some, others = pd.Series([0.91, 0.95, 0.97]), pd.Series([0.88, 0.89, 0.95, 0.90])
    interval = scipy.stats.ttest_ind(some, others, equal_var=False).confidence_interval(training.CONFIDENCE)
    assert training.welch_half_width(some, others) == pytest.approx((interval.high - interval.low) / 2)
    assert training.welch_half_width(some * 0, others * 0) == 0


def test_same_outcomes_agree_and_nan_does_not():
    assert training.disagreement(PLAIN, PLAIN) is None
    assert training.disagreement(PLAIN.assign(confidence=float("nan")), PLAIN).startswith("confidence nan")


@pytest.mark.parametrize("work", [training.our_steps, training.our_steps_without, training.plain_steps])
def test_steps_run_on_digits(monkeypatch, work):
    monkeypatch.setattr(training, "NETWORK", DIGITS)
    monkeypatch.setattr(training, "STEPS", 1)
    work("cpu")()


# ---- several networks at once ------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_ways_of_training_together_compute_the_same_losses():
    chosen = together.trainings(Training("digits", "resnet8", recipe="paper"), 3)
    assert len({(training.alpha, training.seed) for training in chosen}) == 3
    ways = {name: make(chosen, Engine("cpu", False, False)) for name, make in together.WAYS.items()}
    assert together.disagreement(ways) is None


def test_a_way_that_computes_something_else_is_found():
    one, other = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1])
    ways = {
        "right": together.Way(lambda number: None, lambda: one),
        "wrong": together.Way(lambda number: None, lambda: other),
    }
    assert together.disagreement(ways) == "wrong: a loss of step 1 is off by 0.1"


# ---- Corruptions -------------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch, digits):
    """Twelve digits in place of CIFAR-10's images."""
    some = digits["test"].pixels[:12]
    monkeypatch.setattr(corruption, "pixels", lambda device: some.to(device))


@pytest.mark.parametrize("name", ["contrast", "impulse_noise", "glass_blur"])
def test_corruptions_in_batches_agree_with_one_by_one(few, name):
    assert corruption.parity((name,), "cpu") is None


def test_corruptions_of_another_severity_or_kind_disagree(few, monkeypatch):
    real = corruptions.corrupt
    monkeypatch.setattr(
        "lib.corruptions.corrupt",
        lambda images, name, severity, **more: real(images, name, 6 - severity, **more),
    )
    assert "contrast: images differ by" in corruption.parity(("contrast",), "cpu")
    assert "gaussian_noise: images change by" in corruption.parity(("gaussian_noise",), "cpu")


def test_the_packages_corruptions_get_its_own_parameters(few):
    pytest.importorskip("imagecorruptions", reason="imagecorruptions-imaug is not installed")
    assert corruption.package_parity("cpu") is None


def test_spectrum_finds_the_band_of_a_wave():
    # one pixel up, one down, along the rows
    wave = torch.cos(torch.arange(32) * torch.pi).expand(1, 3, 32, 32)
    power = fidelity.spectrum(wave)
    assert power.argmax() == int(0.5 / 0.5**0.5 * fidelity.BINS) and (power > 1e-9).sum() == 1


def test_fidelity_knows_every_random_corruption_and_says_what_is_missing(monkeypatch, tmp_path):
    assert set(fidelity.LAW) == set(corruptions.NAMES) - corruptions.DETERMINISTIC
    assert all(len(severities) == 5 for severities in fidelity.LAW.values())
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match="cifar10c-reference.npz is missing"):
        fidelity.reference()


def test_a_cell_of_the_fidelity_page(digits):
    pixels = digits["test"].pixels[:32]
    made = {
        "clean": pixels,
        "contrast": torch.stack([
            corruptions.corrupt(pixels, "contrast", severity) for severity in corruptions.SEVERITIES
        ]),
    }
    made["contrast"][4, 0, 0, 0, 0] += 3
    row = fidelity.cell("contrast", 5, made, pixels, lambda images: (images.amax((1, 2, 3)) > 100).int())
    assert row["differ"] == 1 / pixels.numel() and row["largest"] == 3
    assert row["accuracy"] == row["reference_accuracy"] and (row["spread_ratio"], row["spectrum_ratio"]) == (
        1,
        [1, 1],
    )


# ---- What layers hold --------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch, digits):
    """An untrained ResNet8 and 60 digits in place of the trained ResNet20 and CIFAR-10's images."""
    network = models.build("resnet8", 10, seed=3).eval()
    monkeypatch.setattr(represented, "trained", lambda device: (network, digits["test"][:60]))
    monkeypatch.setattr(represented, "PASSED", {"cpu": 50})
    monkeypatch.setattr(represented, "BATCH", 13)
    monkeypatch.setattr(represented, "DIFFERENTIATED", 2)
    monkeypatch.setattr(represented, "WIDE", 100)
    caches = (represented.layers, represented.wide)
    [one.cache_clear() for one in caches]
    yield network
    [one.cache_clear() for one in caches]


@pytest.mark.parametrize("ready", [represented.layers, represented.wide])
@pytest.mark.parametrize("solver", ["auto", "covariance_eigh"])
def test_dimensions_agree_with_scikit_learn(small, ready, solver, monkeypatch):
    assert represented.dimensions_parity("cpu", ready, solver=solver) is None
    real = represented.components
    monkeypatch.setattr(
        represented, "components", lambda spectrum, share: real(spectrum, share) + (share == 0.99)
    )
    assert "components for 90, 95 and 99 %, not" in represented.dimensions_parity("cpu", ready, solver=solver)


def test_dimensions_beside_a_pass_agree_with_those_of_stored_activations(small, monkeypatch):
    assert represented.passes_parity("cpu") is None
    represented.passes("cpu")()
    monkeypatch.setattr(represented, "pca_dimension", lambda activations: 99)
    assert "components for 95 %, not 99" in represented.passes_parity("cpu")


def test_twonn_agrees_with_the_package_where_it_is(small, monkeypatch):
    monkeypatch.setattr(
        represented, "their_twonn", lambda device: lambda: 1.01 * represented.our_twonn(device)()
    )
    assert represented.twonn_parity("cpu") is None
    monkeypatch.setattr(
        represented, "their_twonn", lambda device: lambda: 1.03 * represented.our_twonn(device)()
    )
    assert represented.twonn_parity("cpu").startswith("dimension")
    assert {one.package for one in represented.CASES if one.name == "TwoNN"} == {"skdim"}


@pytest.mark.parametrize(
    ("precision", "peer"),
    [("float32", represented.shared_gradients), ("bfloat16", represented.looped_gradients)],
)
def test_gradients_agree_with_loops_over_units(small, precision, peer, monkeypatch):
    assert represented.gradients_parity("cpu", precision=precision, peer=peer) is None
    assert all(one.requires_grad and one.grad is None for one in small.parameters())
    real = represented.input_unit_gradients
    found = real(*represented._differentiated("cpu"), precision=precision)
    larger = {name: 1.02 * lengths for name, lengths in found.items()}
    one_larger = {
        name: lengths.where(lengths < lengths.max(), 1.04 * lengths) for name, lengths in found.items()
    }
    for wrong in (larger, one_larger):
        monkeypatch.setattr(represented, "input_unit_gradients", lambda *args, wrong=wrong, **how: wrong)
        assert "relu: lengths are off by" in represented.gradients_parity(
            "cpu", precision=precision, peer=peer
        )
