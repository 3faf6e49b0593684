"""The simulations that the chapter on the theorem shows: what is refused, and which are drawn against d."""

import pytest

from lib.base.errors import InputError
from lib.book.simulated import Simulated, by_size
from lib.runs.simulation import Simulation, described


def simulated(**settings) -> Simulated:
    whole = dict(Simulation("purification", 0, tuple(settings.items())).settings)
    return Simulated("purification", (0,), whole)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tau": 0.0}, "tau must lie in 1e-06 to 1000, got 0.0"),  # no radius to tell from another
        ({"tau": 1e300}, "tau must lie in"),
        ({"tau": -1.0}, "tau must lie in"),
        ({"d": 0}, "d must lie in 1 to 4096, got 0"),
        ({"d": 10**6}, "d must lie in 1 to 4096, got 1000000"),
        ({"m": 0}, "m must lie in 1 to 65536, got 0"),
        ({"m": 10**8}, "m must lie in"),
        ({"d": 8}, "d must be at least k = 10, .* got 8"),
        ({"d": 4000, "m": 60_000}, "d times m must be at most 67,108,864"),
        ({"data_noise": 1e38}, "data_noise must lie in"),
        ({"neuron_noise": 1e38}, "neuron_noise must lie in"),
    ],
)
def test_a_world_there_is_not_is_refused_before_it_is_made(settings, words):
    with pytest.raises(InputError, match=words) as caught:
        Simulation("purification", 0, tuple(settings.items()))
    assert "\n" not in str(caught.value)
    # nor is one read from a store that an older version left
    whole = dict(Simulation("purification").settings) | settings
    assert described({"simulation": "purification", "seed": 0, "settings": whole}) is None


def test_the_smallest_worlds_are_worlds():
    assert Simulation("purification", 0, (("d", 1), ("k", 1), ("m", 1))).words == "d=1, k=1, m=1"
    assert dict(Simulation("purification", 0, (("d", 10),)).settings)["d"] == 10


def test_against_d_stand_those_that_differ_in_size_alone():
    cached = {
        "usual": simulated(),
        "64": simulated(d=64, m=128),
        "64, wider": simulated(d=64, m=256),
        "64, growing": simulated(d=64, m=128, threshold="growing"),
        "100, another radius": simulated(tau=0.2),
        "256, the pilot's radius": simulated(d=256, m=512, tau=0.12),
        "32, a radius of no one": simulated(d=32, m=64, tau=0.12),
    }
    assert by_size(simulated(), cached) == ["64", "usual", "256, the pilot's radius"]
    # the chapter's radius goes first, whichever comes first
    both = {**cached, "256": simulated(d=256, m=512)}
    for some in (both, dict(reversed(both.items()))):
        assert by_size(simulated(), some) == ["64", "usual", "256"]
    assert by_size(simulated(tau=0.2), cached)[0] == "100, another radius"
