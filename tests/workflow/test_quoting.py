"""Nothing that an experiment file says is run by a shell, or names a place outside the results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from stub_stage import write_stubs
from test_workflow import EXPERIMENT, ROOT, snakemake

from codsa.errors import CodsaError
from codsa.workflow.config import Config, Experiment, load_experiment, validated
from codsa.workflow.study import Study, options

CANARY = "$(touch canary)"
HOSTILE = f'it\'s "{CANARY}" `touch canary`; touch canary\n& {{wildcards.study}} ${{HOME}} *'
DATA: dict[str, Any] = {
    "path": f"da ta/{HOSTILE.translate({ord(sign): None for sign in '{}<>'})}.csv",
    "target": HOSTILE,
    "keep": HOSTILE,
    "group": HOSTILE,
    "classes": ["", HOSTILE],
    "columns": {HOSTILE: {"role": "ignored"}},
    "texts": {"column": HOSTILE, "encoder": HOSTILE},
}
STUDY: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "title": HOSTILE.replace("\n", " "),
    "replicates": 1,
    "data": DATA,
    "source": {**DATA, "path": "-source's.csv"},
    "regions": {"by": "expression", "expressions": {HOSTILE: HOSTILE}},
    "split": {"law": {HOSTILE: 1.0}},
    "methods": [
        "none",
        {"name": "codsa", "generator": "text-diffusion", "settings": {"prompt": HOSTILE, "inverter": "source"}},
        {"name": "codsa-transfer", "r": [1.0e-05]},
    ],
    "grid": {"r": [0.5], "m": [1.0], "alpha": ["balance", {HOSTILE: 1.0}], "focus": HOSTILE},
    "pretrain": {"encoder": {"name": HOSTILE}, "inverter": {"name": HOSTILE}},
    "estimator": {"name": "own:Estimator", "settings": {"x": HOSTILE}},
    "metric": HOSTILE,
}


def refuse(content: dict[str, Any]) -> str:
    """The message by which an experiment is refused."""
    with pytest.raises(CodsaError) as refused:
        Study("toy", validated(Experiment, {**EXPERIMENT, **content}, "toy.yaml")).checked()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", ["json:x$(touch p)", "a b:C", "../x:y", "a:b:c", "a:b/c", "-x", "a\n", "smote;id"])
def test_names_of_objects_are_plain(name: str) -> None:
    assert "generator" in refuse({"methods": [{"name": "own", "generator": name}], "generators": {}})
    assert "estimator.name" in refuse({"estimator": {"name": name}})
    assert "pretrain.denoiser: generator" in refuse({"pretrain": {"denoiser": {"generator": name}}})


@pytest.mark.parametrize("name", ["a$(touch p)", "../../x", "a/b", "..", "a b", "a\n", "", "~", "x" * 101])
def test_names_of_folders_are_plain(name: str) -> None:
    assert "name" in refuse({"name": name})
    assert "methods.0.name" in refuse({"methods": [{"name": name}], "generators": {}})
    with pytest.raises(CodsaError, match="scale"):
        validated(Config, {"experiments": ["toy.yaml"], "scale": name}, "config.yaml")


@pytest.mark.parametrize("name", ["a$(touch p)", "../../x", "a/b", "..", "a b", "", "~"])
def test_names_of_scales_are_plain(name: str) -> None:
    assert "scales" in refuse({"scales": {name: {}}})


def test_a_scale_of_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump({**EXPERIMENT, "scales": {"../../x": {}}}))
    with pytest.raises(CodsaError, match=r"toy\.yaml: scales"):
        load_experiment(tmp_path / "toy.yaml", "../../x")


@pytest.mark.parametrize(
    "path", ["../x", "x/../../y", "~/x", "$HOME", "a;b", "a`b`", "a'b", "a\nb", "x//y", "-x", "", "{x}", "/"]
)
def test_results_lie_where_a_plain_path_says(path: str) -> None:
    with pytest.raises(CodsaError, match=r"config\.yaml: results = .*: a folder's path has letters"):
        validated(Config, {"experiments": ["toy.yaml"], "results": path}, "config.yaml")


@pytest.mark.parametrize(("given", "used"), [("./x/", "x"), ("/my data/é-1/r=2", "/my data/é-1/r=2"), (".x", ".x")])
def test_plain_paths_of_results_stay(given: str, used: str) -> None:
    assert validated(Config, {"experiments": ["toy.yaml"], "results": given}, "config.yaml").results == used


@pytest.mark.parametrize("image", ["a b.sif", "x.sif; id", "$(id)", "-x", "docker://x'y"])
def test_images_are_plain(image: str) -> None:
    with pytest.raises(CodsaError, match="container"):
        validated(Config, {"experiments": ["toy.yaml"], "container": image}, "config.yaml")


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_no_command_can_take_is_refused(text: str) -> None:
    assert "title" in refuse({"title": text})
    assert "experiment 'toy': generators" in refuse({"generators": {"tabular-diffusion": {"x": [text]}}})


@pytest.mark.parametrize("path", ["{study}.csv", "a{b.csv", "<x>.csv"])
def test_paths_that_snakemake_would_fill_in_are_refused(path: str) -> None:
    assert f"data: path = '{path}': Snakemake takes" in refuse({"data": {"path": path}})


def test_no_word_of_a_command_is_empty() -> None:
    assert options(keep="", classes=["", "a"]) == ["--keep=", "--classes=", "--classes", "a"]


def test_every_field_of_a_shell_command_is_quoted() -> None:
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for command in re.findall(r'shell:\s*"""(.*?)"""', path.read_text(), flags=re.DOTALL):
            fields = re.findall(r"(?<!\{)\{([^{}]+)\}", command)
            assert fields and all(field == "threads" or field.endswith(":q") for field in fields), (path.name, fields)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The commands of a study in which everything that may be hostile is, as stand-ins for the stages got them."""
    folder = tmp_path_factory.mktemp("quoting") / f"it's {CANARY} here"
    (folder / "da ta").mkdir(parents=True)
    for path in (DATA["path"], "-source's.csv", "own.py"):
        (folder / path).touch()
    (folder / "toy.yaml").write_text(yaml.safe_dump(STUDY))
    (folder / "config.yaml").write_text(yaml.safe_dump({"experiments": ["toy.yaml"], "results": "re sults/é"}))
    write_stubs(folder / "bin")
    record = folder / "calls"
    run = snakemake(folder, "--cores", "2", before=str(folder / "bin"), CALLS=str(record))
    assert run.returncode == 0, run.stderr[-3000:]
    assert not list(folder.rglob("canary*"))
    return [json.loads(line) for line in record.read_text().splitlines()]


def contains(call: list[str], words: list[str]) -> bool:
    """Whether a command got some words one after the other, as they are."""
    return any(call[start : start + len(words)] == words for start in range(len(call)))


def test_commands_get_the_very_words(calls: list[list[str]]) -> None:
    study = Study("toy", Experiment.model_validate(STUDY))
    sent, plain = next(name for name in study.generators if "from" not in name), "codsa"
    expected = [
        ["codsa-prepare", *study.prepare(study.experiment.data)],
        ["codsa-prepare", *study.prepare(study.auxiliary("source"))],
        study.split(0),
        study.pretrain("encoder"),
        study.pretrain("inverter"),
        study.train(0, sent, "0.5"),
        study.sample(0, sent, "0.5"),
        study.fit(0, plain, "0.5"),
        study.evaluate(0),
        ["--title", HOSTILE.replace("\n", " ")],
        ["--data", "re sults/é/toy/data"],
        ["--set", "inverter=re sults/é/toy/pretrained~inverter"],
    ]
    for words in expected:
        assert sum(contains(call, words) for call in calls) >= 1, words


def test_a_failure_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"experiments": ["toy.yaml"], "results": "re sults"}))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/codsa-prepare").write_text("#!/bin/sh\nseq 1 9\nexit 3\n")
    (tmp_path / "bin/codsa-prepare").chmod(0o755)
    run = snakemake(tmp_path, "--cores", "1", "re sults/toy/data/rows.parquet", before=str(tmp_path / "bin"))
    assert run.returncode != 0 and "\n5\n6\n7\n8\n9\n" in run.stderr and "\n4\n" not in run.stderr
    assert (tmp_path / "re sults/toy/logs/prepare.log").read_text().startswith("1\n2\n")
