"""Arguments of the wrong type, on the wrong device or out of range: one line from every attack."""

import numpy as np
import pytest
import torch

from lib import attacks
from lib.attacks import ascent
from lib.base.errors import InputError

X, Y = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])
NETWORK = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3)).eval()
WHOLE = {
    "pgd": lambda **how: attacks.pgd(**{"network": NETWORK, "pixels": X, "labels": Y, "steps": 1} | how),
    "pgd_path": lambda **how: list(
        attacks.pgd_path(**{"network": NETWORK, "pixels": X, "labels": Y, "steps": 1} | how)
    ),
    "temperature_pgd": lambda **how: attacks.temperature_pgd(
        **{"network": NETWORK, "pixels": X, "labels": Y, "steps": 1, "form": "plain"} | how
    ),
    "margin_pgd": lambda **how: attacks.margin_pgd(
        **{"network": NETWORK, "pixels": X, "labels": Y, "steps": 1} | how
    ),
    "fgsm": lambda **how: attacks.fgsm(**{"network": NETWORK, "pixels": X, "labels": Y} | how),
    "fgsm_grid": lambda **how: list(
        attacks.fgsm_grid(**{"network": NETWORK, "pixels": X, "labels": Y, "epsilons": [0.1]} | how)
    ),
    "random_start": lambda **how: attacks.random_start(
        **{"pixels": X, "epsilon": 0.1, "generator": None} | how
    ),
    "ascend": lambda **how: attacks.ascend(
        **{"gradient": lambda x: x, "pixels": X, "epsilon": 0.1, "step_size": 0.1, "steps": 1} | how
    ),
}
GENERATORS = [0, True, 3.5, "cpu", -1, 10**5000, np.random.default_rng(0), torch.Generator]
STARTS = [0, "here", np.zeros((2, 3, 4, 4)), [X], X.long(), X[:1], X.to("meta")]
NAMES = [[], ["linf"], {}, 3, X]
CASES = [
    *[("pgd", {"random_start": True, "generator": one}) for one in GENERATORS],
    *[("pgd_path", {"random_start": True, "generator": one}) for one in GENERATORS],
    *[("random_start", {"generator": one}) for one in GENERATORS],
    *[(name, {"start": one}) for name in ("pgd_path", "temperature_pgd", "margin_pgd") for one in STARTS],
    *[("pgd", {name: one}) for name in ("norm", "loss", "precision") for one in NAMES],
    *[("temperature_pgd", {"form": one}) for one in NAMES],
    *[(name, {"network": one}) for name in ("pgd", "fgsm", "fgsm_grid", "margin_pgd") for one in (None, [], "net")],
    *[(name, {"pixels": one}) for name in WHOLE for one in (None, X.to("meta"), X.byte(), X[0], X.to_sparse(), X * 2)],
    *[(name, {"labels": Y.to("meta")}) for name in WHOLE if name not in ("random_start", "ascend")],
    *[(name, {"epsilon": one}) for name in WHOLE if name != "fgsm_grid" for one in (None, -1, float("nan"), [0.1], 10**400)],
    *[("fgsm_grid", {"epsilons": one}) for one in (0.1, "12", None, [None], [-1])],
    *[(name, {"steps": one}) for name in ("pgd", "margin_pgd", "temperature_pgd") for one in (-1, 1.5, True, "2", None, 10**5000)],
    *[(name, {"temperature": one}) for name in ("pgd", "temperature_pgd") for one in (-1, None, [1], 10**400)],
    *[("pgd", {"random_start": one}) for one in (1, "no", None, [])],  # "no" would have been a yes
    *[(name, {"network": torch.nn.Linear}) for name in ("pgd", "fgsm")],
    *[(name, {"pixels": one}) for name in ("pgd", "fgsm", "margin_pgd") for one in (X[:, :2], X[:, :, :0], X.double())],
    ("ascend", {"gradient": None}),
]  # fmt: skip


def test_what_fails_for_another_reason_fails_as_it_did():
    """Only what the network says of the image itself becomes a line."""
    once = []

    def network(x):
        once.append(x)
        if len(once) == 1:
            raise RuntimeError("out of memory")
        return NETWORK(x)

    with pytest.raises(RuntimeError, match="out of memory"):
        attacks.fgsm(network, X, Y, 0.1)


@pytest.mark.parametrize("name", WHOLE)
def test_the_checks_change_no_attack(name):
    """The control: what every case starts from is taken, and gives what the attack gives unchecked."""
    assert WHOLE[name]() is not None
    how = {"steps": 2, "random_start": True}
    one, other = (
        function(NETWORK, X, Y, generator=torch.Generator().manual_seed(1), **how)
        for function in (attacks.pgd, ascent.pgd)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize(("name", "how"), CASES, ids=[str(place) for place in range(len(CASES))])
def test_a_wrong_argument_is_one_line(name, how):
    with pytest.raises(InputError) as caught:
        WHOLE[name](**how)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
