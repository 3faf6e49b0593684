"""What stands around the book: README, citation, workflows, container. In step with the book, and valid."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from lib import papers
from lib.base import paths
from lib.base.errors import InputError
from lib.book import readme, site

WORKFLOWS = sorted((paths.ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.slow
def test_all_that_is_made_is_in_step():
    for file, content in readme.made().items():
        assert file.read_bytes() == content, f"{file.name}: run python -m lib chapters"


def test_the_claims_are_shown_in_both_rounds():
    block = (
        (paths.ROOT / "README.md")
        .read_text(encoding="utf-8")
        .split("<!-- made: claims -->\n")[1]
        .split("<!-- end -->")[0]
    )
    ids = re.findall(r"^\| (LM-\d+) \|", block, re.MULTILINE)
    assert ids == [one.id for one in papers.CLAIMS]
    verdicts = re.findall(r"\| ([a-z ]+) \|$", block, re.MULTILINE)[1:]  # without the heading
    said = re.search(r'First round: (.*?)\.">', block)[1]
    counts = {verdict: int(number) for number, verdict in re.findall(r"(\d+) ([a-z ]+) \(", said)}
    assert counts == {verdict: verdicts.count(verdict) for verdict in set(verdicts)}
    care = block.split("To be read with care: ")[1]
    assert all(f"{one.id}: {one.caution}" in care for one in papers.CLAIMS if one.caution)
    pictures = re.findall(r'(?:srcset|src)="([^"]+)"', block)
    assert len(pictures) == 2 and all((paths.ROOT / file).exists() for file in pictures)


def test_markers_are_there_once():
    assert (
        readme._between("<!-- made: a -->\nold\n<!-- end --> rest", "a", "new \\1")
        == "<!-- made: a -->\nnew \\1\n<!-- end --> rest"
    )
    with pytest.raises(InputError, match="found them 0 times"):
        readme._between("text", "a", "new")


def test_the_address_is_filled_in_at_one_place(tmp_path, monkeypatch):
    for name in ("README.md", "CITATION.cff"):
        (tmp_path / name).write_text((paths.ROOT / name).read_text())
    (tmp_path / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/something/"\n'
    )
    for name, nothing in {
        "summary": (None, ""),
        "landing_page": None,
        "figure": ({}, ""),
        "claims": "",
    }.items():
        monkeypatch.setattr(f"lib.book.readme.{name}", lambda *_, nothing=nothing: nothing)
    monkeypatch.setattr("lib.book.readme.ledger_of", lambda *_: [])
    monkeypatch.setattr("lib.book.readme.pictures", lambda _: {})
    monkeypatch.setattr("lib.book.answer.sentences", lambda _: "")
    assert readme.binder() == ""
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    made = {file.name: content.decode() for file, content in readme.made().items()}
    assert "(https://mybinder.org/v2/gh/someone/something/main)" in made["README.md"]
    assert yaml.safe_load(made["CITATION.cff"])["repository-code"] == "https://github.com/someone/something"
    config = yaml.safe_load(
        site.addressed((site.Path(__file__).parent.parent / "_config.yml").read_text(), readme.repository())
    )
    assert (
        config["repository"]["url"] == "https://github.com/someone/something"
        and config["launch_buttons"]["binderhub_url"] == readme.BINDER
    )
    assert config["title"] and config["html"]["home_page_in_navbar"]


# ---- around the book ---------------------------------------------------------------------------------------


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=[file.name for file in WORKFLOWS])
def test_workflows_are_valid_and_run_what_everybody_runs(file):
    workflow = yaml.safe_load(file.read_text())
    # YAML 1.1 reads the key `on` as true
    assert workflow["name"] and workflow[True] and workflow["permissions"]
    assert any(step.get("run", "").strip() == ".ci/run" for step in steps(workflow))
    for job in workflow["jobs"].values():
        assert job["runs-on"] and all(("uses" in step) != ("run" in step) for step in job["steps"])
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])
    # a tag can be moved to other code, a commit cannot
    assert all(
        re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
        for step in steps(workflow)
        if "uses" in step
    )


@pytest.mark.parametrize("file", WORKFLOWS, ids=[file.name for file in WORKFLOWS])
def test_what_runs_the_code_of_others_may_not_write(file):
    """Installing and importing packages runs their code: a job that does so may read the repository alone,
    and holds no key to it.
    """
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        lines = "\n".join(step.get("run", "") for step in job["steps"]).splitlines()
        if {Path(line.split()[0]).name for line in lines if line.strip()} & {
            "make",
            "run",
            "uv",
            "pip",
            "python",
            "python3",
        }:
            assert "permissions" not in job and "github.token" not in str(job) and "secrets." not in str(job)
            checkouts = [
                step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")
            ]
            assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_main_is_published_and_versions_are_refreshed():
    first, second = (
        yaml.safe_load((paths.ROOT / ".github" / "workflows" / name).read_text())
        for name in ("ci.yml", "refresh.yml")
    )
    used = [step.get("uses", "") for step in steps(first)]
    pages = next(step for step in steps(first) if "upload-pages-artifact" in step.get("uses", ""))
    assert (
        pages["with"]["path"] == "_build/html"
        and pages["if"] == first["jobs"]["publish"]["if"] == "github.ref == 'refs/heads/main'"
    )
    assert any("deploy-pages" in one for one in used) and set(first[True]) == {
        "push",
        "pull_request",
        "workflow_dispatch",
    }
    said = "\n".join(step.get("run", "") for step in steps(second))
    assert (
        "uv lock --upgrade" in said
        and "make chapters" in said
        and second[True]["schedule"][0]["cron"].count(" ") == 4
    )


def test_what_workflows_call_is_there():
    makefile = (paths.ROOT / "Makefile").read_text()
    for file in WORKFLOWS:
        for target in re.findall(
            r"\bmake (\w+)",
            "\n".join(step.get("run", "") for step in steps(yaml.safe_load(file.read_text()))),
        ):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert os.access(paths.ROOT / ".ci" / "run", os.X_OK)


def test_the_citation_names_the_paper():
    citation = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    (paper,) = citation["references"]
    assert paper["year"] == 2020 and [author["family-names"] for author in paper["authors"]] == [
        "Leavitt",
        "Morcos",
    ]


def test_the_container_makes_the_usual_environment():
    folder = paths.ROOT / ".devcontainer"
    facts = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / facts["build"]["dockerfile"]).read_text().count("\nFROM ") == 1
    assert facts["postCreateCommand"] == "make env" and facts["hostRequirements"]["gpu"] == "optional"


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(file):
    text = (paths.ROOT / file).read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert links and all((paths.ROOT / link).exists() for link in links)
    assert all(
        (paths.ROOT / name).exists()
        for name in re.findall(r"`((?:sweeps|chapters|lib|reference)/[\w.-]+\.\w+)`", text)
        if "NN" not in name
    )


def test_the_house_is_drawn_as_the_contract_has_it():
    """The README's floors, top to bottom, are the layers of the import contract, and all that lib holds."""
    settings = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    contract = [name for layer in layers if layer != "__main__" for name in layer.split(" | ")]
    house = (paths.ROOT / "README.md").read_text(encoding="utf-8").split("## The house")[1].split("\n## ")[0]
    drawn = [
        name
        for row in re.findall(r"^\| (`.*?) \|", house, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    held = {file.stem for file in (paths.ROOT / "lib").iterdir() if file.suffix == ".py" or file.is_dir()}
    assert sorted(drawn) == sorted(contract) == sorted(held - {"__init__", "__main__", "__pycache__"})
    order = [layers.index(next(layer for layer in layers if name in layer.split(" | "))) for name in drawn]
    assert [
        name for name in ("commands", "book", "runs", "measurements", "training", "base") if name in drawn
    ] == [name for name in drawn if name in ("commands", "book", "runs", "measurements", "training", "base")]
    assert order[0] == min(order) and order[-1] == max(order)


def test_imports_run_downwards():
    """The import contract of pyproject.toml holds, and would not if a lower floor imported a higher one."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    found = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0 and "Imports run downwards KEPT" in found.stdout, found.stdout


def test_the_readme_is_read_in_three_minutes():
    """Words beside folds and pictures, the tables' included; 250 are read in a minute."""
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.sub(r"<!--.*?-->|<details>.*?</details>|<[^>]+>|[|-]{3,}", " ", text, flags=re.DOTALL)
    assert len(re.findall(r"\w\S*", shown)) <= 720
