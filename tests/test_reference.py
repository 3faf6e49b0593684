"""The reference: complete, in step with the code by construction, and with examples that work."""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from sphinx.util.inventory import InventoryFile
from warm import STRICT
from warm import run as run_warm

from lib import measurements, runs
from lib.__main__ import app
from lib.base import paths
from lib.base.errors import InputError
from lib.book import notebooks, reference, sphinx
from lib.runs import images, provenance
from lib.runs.kinds import SIMULATIONS
from lib.training.training import Training

REFERENCE = paths.ROOT / "reference"
ADDING = (REFERENCE / "adding.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```\{code-block\} python\n:caption: (.+?)\n(.*?)```", ADDING, re.DOTALL)


def contents() -> list[str]:
    """Every page that the book's contents name."""
    toc = yaml.safe_load((paths.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def test_every_page_is_in_the_contents_once():
    made = {name.removesuffix(".md") for name in reference.pages()}
    pages = made | {f"reference/{file.stem}" for file in REFERENCE.glob("*.md")}
    assert pages == {page for page in contents() if page.startswith("reference/")}
    assert len(set(contents())) == len(contents())


# ---- docstrings --------------------------------------------------------------------------------------------

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|References|Example|Examples|Note):")
FORMER = re.compile(r"(?:returns|raises|source) +\S.*|[\w.]+(?:, [\w.]+)* {2,}\S.*")


def sections(text: str) -> dict[str, list[str]]:
    """The lines of each section of a docstring; those before the first are under ""."""
    found, name = {"": []}, ""
    for line in text.splitlines():
        if title := SECTION.fullmatch(line):
            name = title[1]
            assert name not in found, f"two sections {name}"
            found[name] = []
        else:
            found[name].append(line)
    return found


def entries(lines: list[str]) -> list[str]:
    """The names that a section such as Args lists."""
    return [
        one for line in lines if (item := re.match(r"    (\S[^:]*):", line)) for one in item[1].split(", ")
    ]


def faults(text: str, parameters: list[str] | None) -> list[str]:
    """List what is not Google style in a docstring; `parameters` are a function's, None for anything else."""
    said = sections(text)
    wrong = [f"a line of the former format: {line}" for line in said[""] if FORMER.fullmatch(line)]
    wrong += [
        f"not indented in {name}: {line}"
        for name in said
        if name
        for line in said[name]
        if re.match(r"\S", line)
    ]
    if not re.search(r"[.!?:…)]$", said[""][0]) and len(said[""]) > 1 and not said[""][1].strip():
        wrong.append(f"the summary is no sentence: {said[''][0]}")
    if "Args" in said and (parameters is None or set(names := entries(said["Args"])) - set(parameters)):
        wrong.append(f"Args that are no parameters: {said['Args']}")
    elif "Args" in said and names != sorted(names, key=parameters.index):
        wrong.append(f"Args in another order: {names}")
    for name in ("Returns", "Yields"):  # what stands before a colon in the first line would be read as a type
        if name in said and ":" in re.sub(r"``[^`]+``", "", said[name][0]):
            wrong.append(f"a colon in the first line of {name}: {said[name][0]}")
    wrong += [
        f"an exception without a name: {line}"
        for line in said.get("Raises", [])
        if re.match(r"    [^ :]+ [^:]*$", line)
    ]
    return wrong + [f"{len(line)} columns" for line in text.splitlines() if len(line) > 110]


def test_the_docstrings_of_the_library_are_in_google_style():
    wrong, seen = [], 0
    for file in sorted((paths.ROOT / "lib").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if not function and not isinstance(node, ast.Module | ast.ClassDef):
                continue
            text, given = ast.get_docstring(node), None
            if function:
                listed = node.args
                every = [*listed.posonlyargs, *listed.args, listed.vararg, *listed.kwonlyargs, listed.kwarg]
                given = [one.arg for one in every if one]
            if text:
                seen += 1
                wrong += [f"{file.name}: {getattr(node, 'name', '')}: {one}" for one in faults(text, given)]
    assert seen > 300 and wrong == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Sum.\n\nfirst   a number", "former format"),
        ("Sum.\n\nreturns (n,) float", "former format"),
        ("Sum.\n\nArgs:\n    third: A number.", "no parameters"),
        ("Sum.\n\nArgs:\n    second: A number.\n    first: Another.", "another order"),
        ("Sum.\n\nReturns:\n    the sum: a number.", "colon in the first line"),
        ("Sum.\n\nRaises:\n    If they are no numbers.", "without a name"),
        ("Sum of two numbers\n\nReturns:\n    The sum.", "no sentence"),
        ("Sum " * 40 + ".", "columns"),
    ],
)
def test_what_is_not_google_style_is_found(text, fault):
    (found,) = faults(text, ["first", "second"])
    assert fault in found


def test_google_style_has_no_fault():
    text = (
        "Sum.\n\nArgs:\n    first, second: Numbers.\n\nReturns:\n    ``{name: sum}``, of float.\n\n"
        "Raises:\n    InputError: If they are no numbers.\n\nExample:\n    >>> f(1, 2)\n    3"
    )
    assert faults(text, ["first", "second"]) == []


# ---- pages of packages -------------------------------------------------------------------------------------

# a library whose packages have faces; one of them gives a function the name of its module
TOY = {
    "__init__.py": '"""A toy."""',
    "__main__.py": "raise SystemExit('the reference runs nothing')",
    "_hidden.py": "raise SystemExit('the reference leaves this out')",
    "alone.py": '''
        """A module."""

        def one() -> int:
            """See `lib.attacks.pgd` and `lib.attacks.pgd.ascend`."""
    ''',
    "attacks/__init__.py": '''
        """Attacks."""
        from lib.attacks.norms import BALL, Ball
        from lib.attacks.pgd import pgd

        __all__ = ["BALL", "Ball", "pgd"]
    ''',
    "attacks/pgd.py": '''
        """Descent."""

        def pgd(steps: int) -> int:
            """Descend.

            Args:
                steps: How often.
            """

        def ascend() -> int:
            """Ascend."""

        class Path:
            """A path."""

            def end(self) -> int:
                """Its end."""
    ''',
    "attacks/norms.py": '''
        """Norms."""

        #: The unit ball.
        BALL = 1

        class Ball:
            """A ball.

            Attributes:
                size: Its radius.
            """

            size: int

        def length() -> int:
            """See `lib.attacks.Ball`."""
    ''',
    "attacks/deep/__init__.py": '"""Deeper."""',
    "attacks/deep/down.py": '''
        """Deepest."""

        def dig() -> int:
            """Dig."""
    ''',
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """The built reference of the toy library, by the book's own settings, warnings being errors."""
    root = tmp_path_factory.mktemp("toy")
    for name, text in TOY.items():
        (root / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "lib" / name).write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    shutil.copy(inspect.getsourcefile(sphinx), root / "its_extension.py")
    settings = yaml.safe_load((paths.ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
    used = [name for name in settings["extra_extensions"] if name.startswith("sphinx.ext.")]
    wanted = {
        key: value
        for key, value in settings["config"].items()
        if key.startswith(("auto", "napoleon", "default_role", "nitpick_ig"))
    }
    book = root / "book"
    shutil.copytree(REFERENCE / "_templates", book / "_templates")
    lines = [f"{key} = {value!r}" for key, value in wanted.items()] + [
        f"extensions = {[*used, 'its_extension']!r}",
        "templates_path = ['_templates']",
    ]
    (book / "conf.py").write_text("\n".join(lines), encoding="utf-8")
    page = re.search(
        r"```\{eval-rst\}\n(.*?)```", (REFERENCE / "library.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (book / "index.rst").write_text(f"The library\n===========\n\n{page[1]}", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-n",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(book),
        str(root / "html"),
    ]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return root / "html"


def names(site: Path) -> dict[str, str]:
    """{name: page} of all that the reference of a built site has indexed."""
    with (site / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda _, address: address)
    return {
        name: entry[2].split("#")[0]
        for kind, some in found.items()
        if kind.startswith("py:")
        for name, entry in some.items()
    }


@pytest.mark.slow
def test_each_package_has_a_page_with_its_face_and_its_modules(toy):
    found = names(toy)
    assert {Path(page).stem for page in found.values()} == {
        "lib",
        "lib.attacks",
        "lib.attacks.deep",
    }
    assert found["lib.alone.one"].endswith("/lib.html") and found["lib.attacks.deep.down.dig"].endswith(
        "/lib.attacks.deep.html"
    )
    attacks = {
        name.removeprefix("lib.attacks") for name, page in found.items() if page.endswith("/lib.attacks.html")
    }
    assert attacks >= {
        "",
        ".Ball",
        ".norms",
        ".norms.BALL",
        ".norms.length",
        ".pgd",
        ".pgd.ascend",
        ".pgd.Path",
        ".pgd.Path.end",
    }
    page = (toy / "api" / "lib.attacks.html").read_text(encoding="utf-8")
    assert page.count("How often") == 1 and page.count("Its radius") == 1  # told once, under the public name
    assert page.count("Ascend.") == 1 and page.count("Descent.") == 1  # what a shadowed module has besides


@pytest.mark.slow
def test_a_name_in_a_docstring_is_a_link_where_it_is_known(toy):
    one, two = ((toy / "api" / f"{name}.html").read_text(encoding="utf-8") for name in ("lib", "lib.attacks"))
    assert (
        'href="lib.attacks.html#lib.attacks.pgd"' in one
        and 'href="lib.attacks.html#lib.attacks.pgd.ascend"' in one
    )
    assert 'href="#lib.attacks.Ball"' in two


# ---- the command line --------------------------------------------------------------------------------------

TOP = typer.main.get_command(app)


def test_the_command_line_is_all_there():
    page, top = reference.command_line(TOP), TOP
    found = list(reference._commands(top, "python -m lib"))
    assert len(found) >= 10 and re.findall(r"^## `(python .+)`$", page, re.MULTILINE) == [
        words for words, _ in found
    ]
    for words, command in found:
        section = page.split(f"## `{words}`\n")[1].split("\n## ")[0]
        assert reference._said(command.help) in section
        for one in command.params:
            assert reference._cell(reference._said(one.help)) in section
            assert one.param_type_name == "argument" or all(
                f"`{option}" in section or f", {option}" in section for option in one.opts
            )
    assert 'selectivity: `--alpha=-0.7`; several: "0.1, 0.2" |' in page and "COMMAND `--help` says" in page
    assert "| `--recipe` | `fast` |" in page and "| `FILE` | required |" in page and "| `make book` |" in page


def test_the_page_of_the_command_line_is_in_step():
    page = (paths.ROOT / reference.COMMAND_LINE).read_text(encoding="utf-8")
    assert page == reference.command_line(TOP), "write it again: python -m lib chapters"


def test_the_page_of_the_command_line_is_written_where_it_differs(tmp_path, monkeypatch):
    shutil.copy(paths.ROOT / "Makefile", tmp_path)
    (tmp_path / "reference").mkdir()
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    file = tmp_path / reference.COMMAND_LINE
    assert reference.write(TOP) == [file] and reference.write(TOP) == []
    file.write_text("edited by hand", encoding="utf-8")
    assert reference.write(TOP) == [file] and file.read_text(encoding="utf-8") == reference.command_line(TOP)


# ---- files of a run ----------------------------------------------------------------------------------------


def test_fields_are_those_of_the_cached_runs():
    found, entries = set(), set()
    for file in (paths.ROOT / "runs").glob(f"*/*/{runs.CONFIG}"):
        found |= set(reference.fields(json.loads(file.read_text())))
        entries |= {
            name
            for entry in json.loads(file.with_name("manifest.json").read_text())["files"].values()
            for name in entry
        }
    entries |= {images.FACT}  # of tables from now on; the first do not say
    assert found == {*reference.CONFIG_FIELDS, *reference.SIMULATION_FIELDS}
    assert entries == set(reference.ENTRY_FIELDS)


def test_tables_are_described_with_their_columns():
    page = reference.run_files()
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == [runs.HISTORY, *measurements.MEASUREMENTS]
    assert re.search(
        r"`layer` text, .*`selectivity` float32, `dead` bool, ",
        page.split("### selectivity\n")[1].split("###")[0],
    )
    assert all(f"`{name}`" in page for name in (*reference.CONFIG_FIELDS, *reference.SIMULATION_FIELDS))
    toy = page.split("## Simulations\n")[1]
    assert "`purification`, by {py:func}`lib.purification.theorem`: " in toy and "tau = 0.15" in toy
    assert all(f"`{table}`" in toy for table in SIMULATIONS["purification"].tables)


def test_an_empty_store_has_a_page_too(empty_store):
    page = reference.run_files()
    assert page.count("*No run has this table yet.*") == 1 + len(measurements.MEASUREMENTS)


# ---- how to add something ----------------------------------------------------------------------------------


def added(heading: str) -> dict[str, str]:
    """{file, or "try it": code} of the examples under a heading of the page."""
    section = re.split(r"^## ", (REFERENCE / "adding.md").read_text(), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    return {caption: code for caption, code in EXAMPLES if code in text}


KINDS = re.findall(r"^## (.+)$", ADDING, re.MULTILINE)


@pytest.mark.parametrize("heading", KINDS)
def test_the_files_to_touch_are_named_and_are_there(heading):
    text = ADDING.split(f"## {heading}\n")[1].split("\n## ")[0]
    named, examples = re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE), added(heading)
    made = {name for name, code in examples.items() if code.startswith('"""')}  # a module of its own
    assert 2 <= len(named) <= 3 and [name for name in named if "NN" not in name]
    for name in named:
        assert "NN" in name or (paths.ROOT / name).is_file() != (name in made), name
    assert [name for name in examples if "/" in name and "99" not in name] in (named, [])


DIGESTS = """
import json

from lib.runs import provenance
from lib.training.training import Training

found = {name: provenance.table_digest(name, "resnet20") for name in ("selectivity", "attack", "corruption")}
print(json.dumps(found | {"training": provenance.training_digest(Training())}))
"""
STALE = {"An attack": {"attack"}, "A corruption": {"corruption"}}  # what else was cached before stays valid


@pytest.mark.slow
@pytest.mark.parametrize("heading", [kind for kind in KINDS if kind != "A chapter"])
def test_the_examples_work(heading, tmp_path, warm):
    shutil.copytree(paths.ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    examples = added(heading)
    trial = examples.pop("try it")
    for file, code in examples.items():
        before = f"{(tmp_path / file).read_text()}\n\n" if (tmp_path / file).exists() else ""
        (tmp_path / file).write_text(before + code)
    (tmp_path / "data" / "shapes").mkdir(parents=True)
    for split in ("train", "test"):
        np.savez(
            tmp_path / "data" / "shapes" / f"{split}.npz",
            pixels=np.zeros((4, 3, 32, 32), "uint8"),
            labels=np.arange(4) % 2,
        )
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "DATA_DIR": str(tmp_path / "data"),
        "LIB_CACHE": str(tmp_path / "cache"),
    }
    done = run_warm(warm, STRICT + trial + DIGESTS, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    before = {name: provenance.table_digest(name, "resnet20") for name in found if name != "training"}
    before["training"] = provenance.training_digest(Training())
    assert {name for name in found if found[name] != before[name]} == STALE.get(heading, set())


@pytest.mark.slow
def test_the_example_of_a_chapter_runs(tmp_path, monkeypatch):
    ((file, source),) = added("A chapter").items()
    (tmp_path / "chapters").mkdir()
    (tmp_path / file).write_text(source)
    for module in ("names", "notebooks"):
        monkeypatch.setattr(f"lib.book.{module}.sources", lambda: {"99-best": tmp_path / file})
    notebook = notebooks.execute(
        "best", {"dataset": "digits", "alphas": [0.0, 2.0], "seeds": [0]}, frozen=True
    )
    assert any(
        output.get("metadata", {}).get("scrapbook", {}).get("name") == "best"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    with pytest.raises(InputError, match="unknown parameter 'alpah'"):
        notebooks.execute("best", {"alpah": 1})


def test_no_page_holds_an_address_in_memory():
    signature = (
        "(name: ~typing.Annotated[list[str], <typer.models.OptionInfo object at 0x7f0f2a68e410>] = [], "
        "csv: ~typing.Annotated[bool | None, <typer.models.ArgumentInfo object at 0x7f0f>] = None) -> None"
    )
    plain, _ = sphinx.plainly_typed(None, "function", "lib.f", None, None, signature, None)
    assert plain == "(name: list[str] = [], csv: bool | None = None) -> None"
    assert sphinx.plainly_typed(None, "data", "lib.A", None, None, None, None) == (None, None)
