"""Numbers, times and names as they are read."""

import pytest

from lib.base.text import duration, machines, number
from lib.training.variants import variant


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [
        (-0.4, "g", "−0.4"),
        (2.0, "g", "2"),
        (0.0, "g", "0"),
        (-1.26, "+.1f", "−1.3"),
        (3.0, "+.1f", "+3.0"),
        (-2e-7, ".1e", "−2.0e−07"),
        (-0.01, ".1f", "0.0"),
        (-0.04, "+.1f", "+0.0"),
        (float("-inf"), "g", "−inf"),
        (-10.0, "g", "−10"),
    ],
)
def test_numbers_have_a_true_minus(value, form, said):
    assert number(value, form) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12, "12 seconds"), (89, "89 seconds"), (300, "5 minutes"), (5399, "90 minutes"), (9000, "2.5 hours")],
)
def test_durations_are_said_as_people_do(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("name", "label"),
    [("plain", "plain"), ("augmix", "AugMix"), ("pgd-1", "PGD, 1 step"), ("pgd-10", "PGD, 10 steps")],
)
def test_ways_of_training_have_names(name, label):
    assert variant(name).label == label


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (["AMD EPYC, 2 threads", "AMD EPYC, 2 threads"], "AMD EPYC (2 threads)"),
        (["Intel(R) Xeon(R), 16 cores, 1 threads"], "Intel(R) Xeon(R), 16 cores (1 thread)"),
        (["b, 4 threads", "a", "b, 1 threads", "b, 16 threads"], "a, b (1, 4 and 16 threads)"),
        ([], ""),
    ],
)
def test_machines_are_named_once(devices, said):
    assert machines(devices) == said
