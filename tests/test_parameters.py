"""Parameters of chapters as people type them."""

import ast

import pytest

from lib.base.errors import InputError
from lib.book import names, notebooks, parameters

DECLARED = """# %% [markdown]
# # A chapter

# %% tags=["hide-input", "parameters"]
d: int = 100  # dimensions
tau: float = 0.5
name: str = "norm"
noisy: bool = False
most: int | None = None
seeds: list[int] = [0, 1]
alphas: list[float] = [0.0]
kinds: list[str] = ["plain", "pgd-1"]

# %%
later: int = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "99-own.py").write_text(DECLARED, encoding="utf-8")
    monkeypatch.setattr(names, "sources", lambda: {"99-own": tmp_path / "99-own.py"})


@pytest.mark.parametrize("name", names.sources())
def test_those_of_chapters_are_what_papermill_finds(name):
    found = {one.name: one.default for one in parameters.declared(name).values()}
    assert found == {key: ast.literal_eval(value) for key, value in notebooks.declared(name).items()}


TYPED = {
    "d=128 tau=0.2": {"d": 128, "tau": 0.2},
    "d = 128": {"d": 128},
    "tau=1": {"tau": 1.0},
    "tau=\u22120.5": {"tau": -0.5},
    "seeds=3": {"seeds": [3]},
    "seeds=0,1, d=2": {"seeds": [0, 1], "d": 2},
    "seeds=[0, 1] alphas=(0.1, 0.2)": {"seeds": [0, 1], "alphas": [0.1, 0.2]},
    "alphas='0.1 0.2'": {"alphas": [0.1, 0.2]},
    'kinds=["plain", "pgd-2"]': {"kinds": ["plain", "pgd-2"]},
    "kinds=plain,pgd-2": {"kinds": ["plain", "pgd-2"]},
    "name='growing'": {"name": "growing"},
    "noisy=True": {"noisy": True},
    "noisy=no": {"noisy": False},
    "most=None": {"most": None},
    "most=7": {"most": 7},
}


@pytest.mark.parametrize("text", TYPED)
def test_values_have_the_types_of_the_defaults(text, own):
    found = parameters.typed("99-own", parameters.read([text]))
    assert found == TYPED[text] and all(type(found[key]) is type(value) for key, value in TYPED[text].items())


def test_several_texts_are_one_set(own):
    assert parameters.typed("99-own", parameters.read(["d=1", "tau=2"])) == {"d": 1, "tau": 2.0}
    assert parameters.read([]) == {}


WRONG = {
    "e=1": r"unknown parameter 'e'; chapter '99-own' takes d \(int\), tau \(float\), .*kinds \(list\[str\]\)",
    "later=1": "unknown parameter 'later'",
    "d=1.5": "parameter 'd' must be int, such as 100, got '1.5'",
    "d=1_0": "must be int",
    "d=many": "must be int",
    "tau=nan": "must be float",
    "tau=1e999": "must be float",
    "seeds=0,x": r"parameter 'seeds' must be list\[int\], such as '0 1', got '0,x'",
    "noisy=perhaps": "must be bool",
    "d": "given as name=value",
    "d=": "given as name=value",
    "=3": "given as name=value",
    "d=1 2": "given as name=value",
    "": "given as name=value",
    "d=1 d=2": "parameter 'd' is given twice, as '1' and '2'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_one_line(text, own):
    with pytest.raises(InputError, match=WRONG[text]) as failed:
        parameters.typed("99-own", parameters.read([text]))
    assert "\n" not in str(failed.value)


def test_a_parameter_is_given_in_one_way(own):
    parameters.check("99-own", {"alphas": [0.7]}, {"alphas": [0.0], "d": 3})  # they are added
    with pytest.raises(InputError, match=r"seeds is given twice, as \[1\] and \[2\]"):
        parameters.check("99-own", {"seeds": [1]}, {"seeds": [2]})
    with pytest.raises(InputError, match="unknown parameter 'dataset'"):
        parameters.check("99-own", {"dataset": "digits"}, {})
