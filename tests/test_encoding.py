"""All text is UTF-8, in whatever locale: no call of lib leaves the encoding of a text file to the locale."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base import paths

FILES = sorted(
    file
    for part in ("lib", "benchmarks", "chapters", "_scripts")
    for file in (paths.ROOT / part).rglob("*.py")
    if "__pycache__" not in file.parts
)
NOT_TEXT = {"Image", "tarfile", "zipfile", "os", "gzip", "lzma", "bz2"}  # whose `open` opens no text


def left_to_the_locale(source: str) -> list[int]:
    """Lines of calls that read or write text without saying its encoding."""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if "encoding" in given or None in given:
            continue
        if name in ("read_text", "write_text"):
            found.append(call.lineno)
        if name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile") and owner not in NOT_TEXT - {
            "os"
        }:
            if owner == "os" and name == "open":
                continue
            named = name.endswith("TemporaryFile")
            place = 1 if owner in ("", "io", "os") and not named else 0
            mode = given.get("mode", call.args[place] if len(call.args) > place else None)
            binary = "b" in mode.value if isinstance(mode, ast.Constant) else named
            if not binary:
                found.append(call.lineno)
        if any(
            isinstance(given.get(one), ast.Constant) and given[one].value
            for one in ("text", "universal_newlines")
        ):
            found.append(call.lineno)
    return found


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("p.read_text()", True),
        ("p.write_text('x')", True),
        ("p.read_text(encoding='utf-8')", False),
        ("open(p)", True),
        ("open(p, 'rb')", False),
        ("p.open('a')", True),
        ("p.open('w+b')", False),
        ("Image.open(p)", False),
        ("os.open(p, 0)", False),
        ("os.fdopen(3)", True),
        ("NamedTemporaryFile()", False),
        ("NamedTemporaryFile('w')", True),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, text=True, encoding='utf-8')", False),
    ],
)
def test_calls_that_leave_it_to_the_locale_are_found(code, wrong):
    assert bool(left_to_the_locale(code)) is wrong


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(paths.ROOT)))
def test_no_text_is_left_to_the_locale(file):
    assert left_to_the_locale(file.read_text(encoding="utf-8")) == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_is_printed_is_utf8_too(encoding):
    """And what no encoding has, such as an argument that is no text, is no traceback."""
    hostile = os.environ | {
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": encoding,
    }
    command = [sys.executable.encode(), b"-m", b"lib", b"rerun", b"no-\xff-\xce\xb1"]
    done = subprocess.run(command, cwd=paths.ROOT, env=hostile, capture_output=True, check=False)
    said = done.stderr.decode("utf-8")
    assert done.returncode == 2 and said.count("\n") == 1 and said.startswith("error: unknown chapter 'no-")
    done = subprocess.run(
        [*command[:3], b"train", b"--help"], cwd=paths.ROOT, env=hostile, capture_output=True, check=False
    )
    assert done.returncode == 0 and done.stdout.decode("utf-8")


MADE = """
from typer.main import get_command

from lib.__main__ import app
from lib.book import readme, reference
print([str(file) for file, content in readme.made().items() if file.read_bytes() != content])
print(reference.write(get_command(app)))
"""


@pytest.mark.slow
def test_the_readme_and_the_reference_are_the_same_in_any_locale():
    hostile = os.environ | {
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "RUNS_FROZEN": "1",
    }
    hostile.pop("RUNS_DIR", None)
    before = Path(paths.ROOT / "README.md").read_bytes()
    command = [sys.executable, "-c", MADE]
    done = subprocess.run(
        command, cwd=paths.ROOT, env=hostile, capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr
    assert Path(paths.ROOT / "README.md").read_bytes() == before
