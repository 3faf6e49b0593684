"""The fingerprint of code: what a reader would call a change changes it, what decides nothing does not."""

import importlib.util
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib import data, measurements, models, selectivity
from lib.base import fingerprint, scopes
from lib.measurements.selectivity import selectivity as units
from lib.models.resnet import CifarResNet
from lib.runs import provenance
from lib.training.loop import train
from lib.training.recipe import RECIPES
from lib.training.training import Training

HELP = """
OFFSET = 3


def shift(x):
    return x + OFFSET


def unused(x):
    return x
"""

MAIN = '''
"""What the module is for."""

from lib import aid
from lib.aid import shift as moved

SCALE: float = 2.0
TABLE = {"a": 1, "b": 2}
APART = 5


def double(x):
    """Twice x."""
    return SCALE * x  # the factor


class Ruler:
    """Measures."""

    unit = 1

    def measure(self, x):
        """How long."""
        if x:
            return self.unit * x
        return 0


@staticmethod
def entry(x, limit=APART):
    """What is asked for."""
    y = moved(double(x))
    return aid.shift(y) + len(TABLE) + Ruler().measure(y) + limit


def other(x):
    return x - 1
'''


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """A function (sources of lib.toy and lib.aid) -> digest of lib.toy's `entry`."""

    def of(main: str = MAIN, aid: str = HELP, **keywords) -> str:
        for name, source in (("aid", aid), ("toy", main)):
            file = tmp_path / f"{name}.py"
            file.write_text(source)
            spec = importlib.util.spec_from_file_location(f"lib.{name}", file)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, f"lib.{name}", module)
            monkeypatch.setattr("lib." + name, module, raising=False)
            spec.loader.exec_module(module)
        entry = SimpleNamespace(__module__="lib.toy", __qualname__="entry")
        monkeypatch.setattr("lib.base.fingerprint._module", lru_cache(fingerprint._Module))
        return fingerprint.digest([entry], **keywords)

    return of


# part, old text, new text
SAME = {
    "comment": (MAIN, "# the factor", "# the scale, see page 3"),
    "new comment": (MAIN, "y = moved", "# first\n    y = moved"),
    "docstring of a function": (MAIN, '"""Twice x."""', '"""x\n\n    times two.\n    """'),
    "docstring of a class": (MAIN, '"""Measures."""', '"""Measures lengths."""'),
    "docstring of a method": (MAIN, '"""How long."""', '"""How long it is."""'),
    "docstring of the module": (MAIN, '"""What the module is for."""', '"""Other words."""'),
    "blank lines": (MAIN, "\n    y = ", "\n\n\n    y = "),
    "spaces": (MAIN, "SCALE * x", "SCALE  *  x"),
    "line broken in brackets": (MAIN, "moved(double(x))", "moved(\n        double(x)\n    )"),
    "a comma after the last argument": (MAIN, "moved(double(x))", "moved(\n        double(x),\n    )"),
    "brackets that do nothing": (MAIN, "return SCALE * x", "return (SCALE * x)"),
    "quotes": (MAIN, '"a": 1', "'a': 1"),
    "docstring that goes": (MAIN, '    """Twice x."""\n', ""),
    "docstring of a class that goes": (MAIN, '    """Measures."""\n\n', ""),
    "docstring of the module that goes": (MAIN, '"""What the module is for."""', ""),
    "docstring that comes": (HELP, "    return x + OFFSET", '    """x, shifted."""\n    return x + OFFSET'),
    "unrelated function": (MAIN, "return x - 1", "return x - 2"),
    "new function": (MAIN, "def other", "def another():\n    return 0\n\n\ndef other"),
    "unrelated function elsewhere": (HELP, "def unused(x):\n    return x", "def unused(x):\n    return -x"),
    "types": (HELP, "def shift(x):", 'def shift(x: "int") -> "int":'),
    "a type of a variable": (MAIN, "y = moved(", "y: list[int] = moved("),
    "another type of a constant": (MAIN, "SCALE: float = 2.0", "SCALE = 2.0"),
    "order of definitions": (
        HELP,
        "OFFSET = 3\n\n\ndef shift(x):\n    return x + OFFSET",
        "def shift(x):\n    return x + OFFSET\n\n\nOFFSET = 3",
    ),
}
OTHER = {
    "the entry": (MAIN, "+ len(TABLE)", "- len(TABLE)"),
    "constant": (MAIN, "SCALE: float = 2.0", "SCALE: float = 2.5"),
    "table": (MAIN, '"b": 2', '"b": 3'),
    "default of an argument": (MAIN, "APART = 5", "APART = 6"),
    "called function": (MAIN, "return SCALE * x", "return SCALE + x"),
    "called class": (MAIN, "unit = 1", "unit = 2"),
    "method": (MAIN, "self.unit * x", "self.unit / x"),
    "decorator": (MAIN, "@staticmethod", "@classmethod"),
    "indentation that decides": (MAIN, "* x\n        return 0", "* x\n            return 0"),
    "function of another module": (HELP, "x + OFFSET", "x - OFFSET"),
    "constant of another module": (HELP, "OFFSET = 3", "OFFSET = 4"),
    "order of statements": (
        MAIN,
        "if x:\n            return self.unit * x\n        return 0",
        "return 0\n        if x:\n            return self.unit * x",
    ),
    "text": (MAIN, '"a": 1', '"c": 1'),
    "white space within a text": (MAIN, '"a": 1', '"a ": 1'),
    "a text that is no docstring": (MAIN, '"a": 1', '"a": "".join("Twice x.")'),
    "a tuple for a number": (HELP, "OFFSET = 3", "OFFSET = (3,)"),
    "a number for another kind of number": (MAIN, "APART = 5", "APART = 5.0"),
    "a later change of a table": (MAIN, "APART = 5", 'APART = 5\nTABLE["c"] = 3'),
    "a call on a table": (MAIN, "APART = 5", "APART = 5\nTABLE.update(c=3)"),
    "a condition": (MAIN, "APART = 5", "APART = 5\nif SCALE > 1:\n    SCALE = 1.0"),
    "a loop": (MAIN, "APART = 5", "APART = 5\nfor one in range(3):\n    TABLE[one] = one"),
    "one of two names": (MAIN, "APART = 5", "APART, REST = 5, 6"),
    "addition to a constant": (HELP, "OFFSET = 3", "OFFSET = 3\nOFFSET += 1"),
    "a second definition": (HELP, "def unused(x)", "def shift(x)"),
}


def edited(change: tuple[str, str, str]) -> dict[str, str]:
    source, old, new = change
    assert source.count(old) == 1
    return {"main" if source is MAIN else "aid": source.replace(old, new)}


@pytest.mark.parametrize("change", SAME)
def test_unchanged_by(change, digest):
    assert digest(**edited(SAME[change])) == digest()


@pytest.mark.parametrize("change", OTHER)
def test_changed_by(change, digest):
    assert digest(**edited(OTHER[change])) != digest()


# what stands in a function besides the code of MAIN, and something that is not the same
WITHIN = {
    "white space": ('" ".join("ab")', '"".join("ab")'),
    "a text at the start of a statement": ('" ".join("ab")', '"; ".join("ab")'),
    "white space in an f-string": ('f"{x} a"', 'f"{x}  a"'),
    "braces in an f-string": ('f"{x} {{}}"', 'f"{x} {{}} "'),
    "the format in an f-string": ('f"{x:.2f}"', 'f"{x:.3f}"'),
    "the conversion in an f-string": ('f"{x!r}"', 'f"{x!s}"'),
    "a text for a value": ('f"{x}"', '"{x}"'),
    "bytes for a text": ('"ab"[0]', 'b"ab"[0]'),
    "None for unpacking": ("print({**{}, 1: 2})", "print({None: {}, 1: 2})"),
    "None for nothing": ("print([1, None])", "print([1])"),
    "a name for a constant": ("print(None)", "print(Nothing)"),
    "the order of arguments": ("print(x, limit)", "print(limit, x)"),
}


@pytest.mark.parametrize("change", WITHIN)
def test_changed_within_a_statement_by(change, digest):
    one, other = (
        digest(MAIN.replace("    y = moved", f"    {text}\n    y = moved")) for text in WITHIN[change]
    )
    assert one != other


def test_changed_by_the_first_of_two_assignments(digest):
    filled = MAIN.replace("APART = 5", 'APART = 5\nTABLE["c"] = 3')
    assert digest(filled) != digest(filled.replace('"b": 2', '"b": 4'))


def test_what_fills_a_table_brings_what_it_uses(digest):
    filled = MAIN.replace("APART = 5", "APART = 5\nTABLE.update(c=aid.unused(3))")
    assert digest(filled) != digest(
        filled, HELP.replace("def unused(x):\n    return x", "def unused(x):\n    return -x")
    )


def test_a_name_imported_from_where_it_was_imported_is_followed(digest):
    main, aid = (
        MAIN.replace("aid.shift(y)", "aid.passed_on(y)"),
        HELP + "\nif OFFSET > 9:\n    from lib.toy import other as passed_on\n",
    )
    assert digest(main, aid) != digest(main.replace("return x - 1", "return x - 2"), aid)


# Syntax whose tree, tokens or printed form differ between versions of Python.
ODD = r'''
OUT = TABLE = {}
TABLE["w"] = OUT


def odd(x, w, /, *a, k=None, **z) -> "text":
    """Documented."""
    import os.path as p, json
    from math import (sin as wave)
    ROOT, inner = [p.join(q, str(ROOT)) for q in sorted(z) for ROOT in a if q != ROOT], lambda y, m=lambda y: wave(y): m(y) + OUT
    class Within(json.JSONEncoder):
        wide: int = 3
        other = {wide: wide for wide in (1, 2)}
        def wave(self, n: "int" = 2) -> int:
            global OUT
            return (OUT, wave(n), {one for one in self.wide if one in TABLE}, [w for w in w])
    y = f"{x:{w}.{w}f} {{}} {x!r:>{w}} {x=} é…🫠" "tail" f'{x}' rf"\d{x}" f"" f"{x:}{x=!s:>{w}}{w:{x}{w}}{{{x}}}" f'{x["a"]}'
    u = "plain" "é" u"u" r"\n" """ two
    lines  """, 1e-6, 0x10, 1_000, 2j, ..., -1, x[1:, ::2], lambda q, /, r: (yield)
    v = f"""{
        x
    } more""" f"{x:%Y-%m}" f"{ {1: 2}[1] }" if False else {**z, None: 1}
    match x:
        case None | [1, *_] | {"a": 1}: pass
        case {"b": 2, **rest}: pass
'''
SAID = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("code_alone", sys.argv[1])
sys.path.insert(0, sys.argv[2])
code = sys.modules["code_alone"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(code)
from lib.toy import odd
print(code.digest([odd]))
"""


def pythons() -> dict[str, Path]:
    """This Python, and those of the versions we run on that are installed here."""
    folders = [
        Path("/usr/bin"),
        *Path.home().glob(".pyenv/versions/3.*/bin"),
        *Path.home().glob(".local/share/uv/python/*/bin"),
    ]
    found = {
        version: folder / f"python{version}"
        for version in ("3.11", "3.12", "3.13")
        for folder in folders
        if (folder / f"python{version}").exists()
    }
    return {"this": Path(sys.executable)} | found


@pytest.mark.parametrize("python", pythons().values(), ids=pythons())
def test_the_same_on_every_version_of_python(python, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()
    (tmp_path / "lib" / "toy.py").write_text(ODD, encoding="utf-8")
    (tmp_path / "lib" / "base").mkdir()
    (tmp_path / "lib" / "base" / "__init__.py").touch()
    shutil.copy(scopes.__file__, tmp_path / "lib" / "base")
    command = [python, "-W", "ignore", "-B", "-c", SAID, fingerprint.__file__, tmp_path]
    said = subprocess.run(command, capture_output=True, check=False)
    assert not said.returncode, said.stderr.decode()
    said = said.stdout.decode().strip()
    assert said == "2:fa202d510ba1"


def test_reached_names_everything_once(digest):
    digest()
    entry = SimpleNamespace(__module__="lib.toy", __qualname__="entry")
    names = {f"lib.toy.{name}" for name in ("entry", "double", "SCALE", "TABLE", "APART", "Ruler")} | {
        "lib.aid.shift",
        "lib.aid.OFFSET",
    }
    found = fingerprint.reached([entry])
    assert set(found) == names
    assert not any("Twice" in text or "factor" in text for text in found.values())
    double = sys.modules["lib.toy"].double
    assert set(fingerprint.reached([entry], skip=[double])) == names - {"lib.toy.double", "lib.toy.SCALE"}


def test_skipped_names_do_not_count(digest):
    def skipping(main: str) -> str:
        digest(main)
        toy = sys.modules["lib.toy"]
        return fingerprint.digest([toy.entry], skip=[toy.TABLE])

    main = MAIN.replace("@staticmethod\n", "")
    assert skipping(main.replace('"b": 2', '"b": 3')) == skipping(main)
    assert skipping(main.replace("APART = 5", "APART = 6")) != skipping(main)


def test_facts_count():
    entries = [selectivity.class_selectivity]
    assert fingerprint.digest(entries, 1) != fingerprint.digest(entries, 2) != fingerprint.digest(entries)
    assert fingerprint.digest(entries, {"a": 1}) == fingerprint.digest(entries, {"a": 1})
    assert re.fullmatch(r"2:[0-9a-f]{12}", fingerprint.digest(entries))


# ---- code that is moved or renamed: same results, same digest ----------------------------------------------

MOVED_MAIN = """
import lib.aid as other_room
from lib.aid import FACTOR, Measure, twice


@staticmethod
def entry(x, limit=other_room.LEFT):
    y = other_room.pushed(twice(x))
    return other_room.pushed(y) + len(other_room.TABLE) + Measure().measure(y) + limit
"""
MOVED_HELP = """
LEFT = 5
TABLE = {"a": 1, "b": 2}


class Measure:
    unit = 1

    def measure(self, x):
        if x:
            return self.unit * x
        return 0


def pushed(x):
    return x + BY


def twice(x):
    return FACTOR * x


FACTOR = 2.0
BY = 3
"""


def test_unchanged_by_moving_and_renaming_everything(digest):
    assert digest(MOVED_MAIN, MOVED_HELP) == digest()
    assert digest(MOVED_MAIN, MOVED_HELP.replace("BY = 3", "BY = 4")) != digest()
    assert digest(MOVED_MAIN.replace("Measure().measure(y)", "Measure().measure(x)"), MOVED_HELP) != digest()


def test_changed_by_calling_another_function_of_the_same_names(digest):
    """Two functions that change places are two other functions."""
    crossed = MAIN.replace("moved(double(x))", "double(moved(x))")
    assert digest(crossed) != digest()
    swapped = MAIN.replace("from lib.aid import shift as moved", "from lib.aid import unused as moved")
    assert digest(swapped) != digest()


IMPORTED = """
from math import sqrt
import json as j


def entry(x, sqrt_of=None):
    from math import floor
    return sqrt(x) + floor(x) + j.loads("1")
"""


def test_where_a_name_outside_comes_from_counts_and_what_it_is_called_does_not(digest):
    same = (
        IMPORTED
        .replace("from math import sqrt", "import math as m")
        .replace("sqrt(x)", "m.sqrt(x)")
        .replace("import json as j", "import json")
        .replace("j.loads", "json.loads")
    )
    assert digest(same) == digest(IMPORTED)
    assert digest(IMPORTED.replace("from math import sqrt", "from cmath import sqrt")) != digest(IMPORTED)
    assert digest(IMPORTED.replace("import floor", "import ceil as floor")) != digest(IMPORTED)


LOCAL = """
from lib.aid import shift, OFFSET


def entry(x):
    {}
"""


@pytest.mark.parametrize(
    ("inside", "follows"),
    [
        ("return [shift for shift in x]", False),
        ("return [shift(one) for one in x]", True),
        ("return [OFFSET for OFFSET in shift(x)]", True),
        ("return (lambda shift: shift)(x)", False),
        ("return (lambda y: shift(y))(x)", True),
        ("shift = abs; return shift(x)", False),
        ("global shift; return shift(x)", True),
        ("return {shift: 1 for OFFSET in x}", True),
        ("from lib.aid import shift as here; return here(x)", True),
        ("import lib.aid; return lib.aid.shift(x)", True),
        ("return x.shift", False),
        ("return f'{shift(x)}'", True),
        ("return f'shift(x)'", False),
    ],
)
def test_a_local_name_is_no_mention(inside, follows, digest):
    main = LOCAL.format(inside)
    assert (digest(main) != digest(main, HELP.replace("x + OFFSET", "x - OFFSET"))) == follows


def test_the_same_question_is_answered_once(monkeypatch):
    asked, real = [], fingerprint._numbered
    monkeypatch.setattr(fingerprint, "_ANSWERS", {})
    monkeypatch.setattr(fingerprint, "_numbered", lambda *given: asked.append(given) or real(*given))
    answer = fingerprint.digest([models.build], 1)
    assert fingerprint.digest([models.build], 1) == answer and len(asked) == 1
    assert fingerprint.digest([models.build], 1.0) != answer and len(asked) == 2
    assert fingerprint.digest([models.build], 1, skip=[models.MODELS]) != answer and len(asked) == 3
    monkeypatch.setattr(fingerprint, "_module", lru_cache(fingerprint._Module))  # as after an edit
    assert fingerprint.digest([models.build], 1) == answer and len(asked) == 4


def test_a_module_as_a_value_cannot_be_followed(digest):
    with pytest.raises(TypeError, match="name what is used"):
        digest("from lib import aid\n\n\ndef entry(x):\n    return getattr(aid, x)\n")


# ---- on the library itself ---------------------------------------------------------------------------------


def test_what_training_and_measuring_reach():
    training = fingerprint.reached([train, CifarResNet], skip=[models.MODELS])
    in_train = {f"lib.training.loop.{name}" for name in ("learning_rate", "accuracy", "to_half")} | {
        "lib.training.augmentation.draw",
        "lib.training.step.Session",
    }
    elsewhere = {
        "lib.selectivity.EPSILON",
        "lib.selectivity.selectivity_index",
        "lib.models.resnet.CifarBlock",
        "lib.models.resnet.MEAN",
    }
    assert in_train | elsewhere <= set(training)
    table = fingerprint.reached([units, CifarResNet], skip=[models.MODELS])
    assert "lib.selectivity.class_means" in table and "lib.models.activations.spatial_means" in table
    assert "lib.selectivity.mean_selectivity" not in table and "lib.training.loop.train" not in table
    recorded_otherwise = {
        "lib.data.datasets.load",
        "lib.data.images.Images",
        "lib.training.training.Training",
        "lib.base.errors.InputError",
        "lib.training.checkpoint.read_checkpoint",
    }
    assert not recorded_otherwise & {*training, *table}


VARIANTS = ("plain", "augmix", "pgd-3")
MODELS = tuple(RECIPES["paper"])  # those that can be trained


def example(model: str, variant: str) -> Training:
    dataset = next(name for name in data.DATASETS if data.image_side(name) == models.image_side(model))
    return Training(dataset, model, recipe="paper", variant=variant)


def digests() -> dict[str, str]:
    found = {
        f"training {model} {variant}": provenance.training_digest(example(model, variant))
        for model in MODELS
        for variant in VARIANTS
    }
    return found | {
        f"{table} {model}": provenance.table_digest(table, model)
        for table in measurements.MEASUREMENTS
        for model in MODELS
    }


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The digests of the code as it is, which every edit is compared with."""
    return digests()


ALL_TRAININGS = {f"training {model} {variant}" for model in MODELS for variant in VARIANTS}
ALL_SELECTIVITY = {f"selectivity {model}" for model in MODELS}
ALL_CLASS_MEANS = {f"class_means {model}" for model in MODELS}
ALL_CORRUPTION = {
    f"{table} {model}"
    for table in ("corruption", "corruption_examples", "image_corruption", "saved_corruption")
    for model in MODELS
}
ALL_ATTACKS = {
    f"{table} {model}"
    for table in (
        "attack",
        "transfer",
        "image_attack",
        "image_transfer",
        "jacobian",
        "autoattack",
        "logits",
        "logit_bias",
        "pgd_radii",
    )
    for model in MODELS
}
ALL_PHOTOGRAPHS = {f"imagenet_a {model}" for model in MODELS}
ALL_INSIDE = {f"{table} {model}" for table in ("gradient", "dimensionality") for model in MODELS}
# those of the companion papers
ALL_PURIFICATION = {
    f"{table} {model}"
    for table in ("weight_angles", "low_rank", "perturbation", "alignment", "reconstruction", "pictures")
    for model in MODELS
}
ALL_CERTIFICATES = {
    f"{table} {model}" for table in ("certificate", "certified_radius", "half_width") for model in MODELS
}
ALL = (
    ALL_TRAININGS
    | ALL_SELECTIVITY
    | ALL_CLASS_MEANS
    | ALL_CORRUPTION
    | ALL_ATTACKS
    | ALL_PHOTOGRAPHS
    | ALL_INSIDE
    | ALL_PURIFICATION
    | ALL_CERTIFICATES
)
CIFAR = {name for name in ALL if "resnet8" in name or "resnet20" in name}
IMAGENET = ALL - CIFAR


def of(variant: str) -> set[str]:
    return {name for name in ALL_TRAININGS if name.endswith(variant)}


def tables(*names: str) -> set[str]:
    return {f"{name} {model}" for name in names for model in MODELS}


# tables whose images PGD makes
ALL_PGD = tables(
    "attack",
    "transfer",
    "image_attack",
    "image_transfer",
    "logits",
    "logit_bias",
    "pgd_radii",
    "low_rank",
    "perturbation",
    "pictures",
    "certificate",
)

# edit of the library: what it makes stale
EDITS = {
    "epsilon": (("selectivity", "EPSILON = 1e-6", "EPSILON = 1e-5"), ALL_TRAININGS | ALL_SELECTIVITY),
    "the index": (
        ("selectivity", "best + rest + epsilon", "best + epsilon"),
        ALL_TRAININGS | ALL_SELECTIVITY,
    ),
    "class means": (
        ("selectivity", "counts.clamp(min=1)", "counts.clamp(min=2)"),
        ALL_TRAININGS | ALL_SELECTIVITY | ALL_CLASS_MEANS,
    ),
    "learning rate": (("training/loop", "0.1**passed", "0.2**passed"), ALL_TRAININGS),
    "which units are dead": (("selectivity", "(means == 0)", "(means <= 0)"), ALL_SELECTIVITY),
    "the CIFAR block": (("models/resnet", "self.extra // 2", "self.extra // 4"), CIFAR),
    "normalisation": (("models/resnet", "0.485", "0.5"), CIFAR | IMAGENET),
    "the objective of AugMix": (
        ("training/objective/views", "settings.jsd * consistency", "2 * settings.jsd * consistency"),
        of("augmix"),
    ),
    "AugMix's mixtures": (("training/augmix", "div_(255).clamp_", "div_(256).clamp_"), of("augmix")),
    "adversarial images": (
        ("training/objective/adversarial", 'reduction="sum"', 'reduction="mean"'),
        of("pgd-3"),
    ),
    "the step of an attack": (("attacks/ascent", "found + step_size", "found - step_size"), of("pgd-3")),
    "the step of PGD": (
        ("attacks/ascent", "x + step_size * ball", "x - step_size * ball"),
        ALL_PGD | tables("dimensionality"),
    ),
    "the gradient of an attack": (
        ("attacks/gradient", "nan_to_num_(0, 0, 0)", "nan_to_num_(1, 0, 0)"),
        ALL_PGD | tables("dimensionality"),
    ),
    "AutoAttack": (("measurements/autoattack", "batch_size=250", "batch_size=200"), tables("autoattack")),
    "a ball": (
        ("attacks/norms", "return gradient.sign()", "return -gradient.sign()"),
        ALL_PGD | tables("dimensionality"),
    ),
    "a loss": (
        ("attacks/losses", "_others(logits, labels).amax(1)", "logits.amax(1)"),
        ALL_PGD | tables("jacobian", "dimensionality"),
    ),
    "which α = 0 networks": (
        ("measurements/transfer", "seed != training.seed", "seed < training.seed"),
        tables("transfer"),
    ),
    "the stand-in": (
        ("models/fuse", "PROBES = 3", "PROBES = 4"),
        ALL_PGD | tables("jacobian") | ALL_INSIDE,
    ),
    "a gate": (("gradients", "return x * mask", "return 2 * x * mask"), tables("gradient")),
    "how components are counted": (
        ("dimensionality", "values > ROUNDING", "values >= ROUNDING"),
        tables("dimensionality"),
    ),
    "a change": (
        ("measurements/dimensionality", "clean[layer] - means", "means - clean[layer]"),
        tables("dimensionality"),
    ),
    "a table's column": (
        ("measurements/selectivity", 'var_name="class"', 'var_name="kind"'),
        ALL_CLASS_MEANS,
    ),
    "a severity": (
        ("corruptions/severities", "(0.04,), (0.06,), (0.08,)", "(0.04,), (0.07,), (0.08,)"),
        ALL_CORRUPTION | tables("dimensionality"),
    ),
    "a corruption": (
        ("corruptions/weather", "mul_(1.5).add_(0.5)", "mul_(1.5).add_(0.6)"),
        ALL_CORRUPTION | tables("dimensionality"),
    ),
    "counts of right answers": (
        ("measurements/corruption", "pixels) == labels", "pixels) != labels"),
        {f"corruption {model}" for model in MODELS},
    ),
    "a docstring": (("selectivity", "Units that never fire", "Silent units"), set()),
    "the store": (("runs/store", "MANIFEST =", "MANIFEST = OTHER ="), set()),
    # is in the key of the run
    "a recipe": (("training/recipe", "epochs=16, batch=64", "epochs=16, batch=32"), set()),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_makes_stale_what_it_decides_and_nothing_else(name, before, edit):
    change, expected = EDITS[name]
    edit(*change)
    after = digests()
    assert {name for name in before if before[name] != after[name]} == expected


@pytest.mark.parametrize(
    ("old", "model"),
    [("return self.relu2(h + (x if", "resnet18"), ("return self.relu3(h + (x if", "resnet50")],
)
def test_an_edit_of_a_torchvision_block_makes_its_networks_stale(old, model, before, edit):
    edit("models/resnet", old, old.replace("+", "-"))
    after = digests()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in ALL if f" {model}" in name}


MOVES = {  # a function, where it stands, and where it goes
    "a function of networks": ("def to_unit(", "models/activations", "models/resnet"),
    "a function of tables": ("def is_early(", "measurements/measurement", "measurements/strengths"),
    "a step of training": ("def learning_rate(", "training/loop", "training/augmentation"),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_function_that_moves_to_another_module_makes_nothing_stale(name, before, edit, tmp_path):
    head, old, new = MOVES[name]
    source = (tmp_path / "lib" / f"{old}.py").read_text(encoding="utf-8")
    start = source.index(head)
    end = source.find("\n\n\n", start)
    function = source[start : end if end > 0 else len(source)]
    target = "lib." + new.replace("/", ".")
    moved = head.removeprefix("def ").rstrip("(")
    needed = "".join(line + "\n" for line in source.splitlines() if re.match(r"(from|import) ", line))
    edit(old, function, f"from {target} import {moved}\n")
    whole = (tmp_path / "lib" / f"{new}.py").read_text(encoding="utf-8")
    edit(new, whole, f"{whole}\n\n{needed}\n\n{function}\n")
    assert digests() == before
    edit(new, head, f"{head.rstrip('(')}_renamed(")
    edit(old, f"import {moved}\n", f"import {moved}_renamed as {moved}\n")
    assert digests() == before
