"""Numbers, times and names as they are read."""

import pytest

from lib import words


@pytest.mark.parametrize(
    ("value", "form", "said"),
    [(-0.4, "g", "−0.4"), (2.0, "g", "2"), (0.0, "g", "0"), (-1.26, "+.1f", "−1.3"), (3.0, "+.1f", "+3.0"), (-2e-7, ".1e", "−2.0e−07")],
)
def test_numbers_have_a_true_minus(value, form, said):
    assert words.number(value, form) == said


@pytest.mark.parametrize(("seconds", "said"), [(12, "12 seconds"), (89, "89 seconds"), (300, "5 minutes"), (5399, "90 minutes"), (9000, "2.5 hours")])
def test_durations_are_said_as_people_do(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("variant", "name"), [("plain", "plain"), ("augmix", "AugMix"), ("pgd-1", "PGD, 1 step"), ("pgd-10", "PGD, 10 steps")])
def test_ways_of_training_have_names(variant, name):
    assert words.variant_name(variant) == name
