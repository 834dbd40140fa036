"""Experiments and what becomes of them: keys, presets, scales, schemas, arguments, code digests, templates."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import RunCli, call, make_mixed_table

from codsa.cli.common import parse_settings, parse_value
from codsa.cli.main import main as codsa
from codsa.cli.prepare import main as codsa_prepare
from codsa.data.dataset import load_dataset
from codsa.errors import CodsaError
from codsa.io.yamls import read_yaml
from codsa.settings.estimator import EstimatorSpec
from codsa.workflow import code_digests
from codsa.workflow.config import Config, Experiment, load_experiment, merge, validated
from codsa.workflow.methods import PRESETS
from codsa.workflow.study import Study, settings
from codsa.workflow.template import write_experiment

ROOT = Path(__file__).parents[2]
BASE: dict[str, Any] = {
    "name": "toy",
    "data": {"simulation": {"name": "imbalanced-classification"}},
    "source": {"simulation": {"name": "imbalanced-classification", "seed": 1}},
    "methods": ["none", "smote", "non-adaptive", "codsa", "codsa-transfer"],
    "grid": {"r": [0.5, 0.8], "m": [1.0], "alpha": ["balance"]},
    "generators": {"tabular-diffusion": {"steps": 100}},
    "estimator": {"name": "gradient-boosting", "settings": {"max_iter": 50}},
    "controls": [],
    "further_estimators": {},
}


def experiment(**changes: Any) -> Experiment:
    return validated(Experiment, merge(BASE, changes), "toy.yaml")


def written(folder: Path, content: Any) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "key", "nearest"),
    [
        ({"replicate": 3}, "experiment: unknown key 'replicate'", "replicates"),
        ({"data": {"targets": "y"}}, "data: unknown key 'targets'", "target"),
        ({"source": {"pathe": "x.csv"}}, "data: unknown key 'pathe'", "path"),
        ({"data": {"simulation": {"sede": 1}}}, "simulation: unknown key 'sede'", "seed"),
        ({"data": {"columns": {"x": {"typ": "numeric"}}}}, "columns: unknown key 'typ'", "type"),
        ({"regions": {"colum": "x"}}, "regions: unknown key 'colum'", "column"),
        ({"split": {"tests": 0.2}}, "split: unknown key 'tests'", "test"),
        ({"grid": {"alphas": [0.5]}}, "grid: unknown key 'alphas'", "alpha"),
        ({"estimator": {"setting": {}}}, "estimator: unknown key 'setting'", "settings"),
        ({"methods": [{"name": "mine", "genrator": "smote"}]}, "methods: unknown key 'genrator'", "generator"),
    ],
)
def test_an_unknown_key_at_any_level_suggests_the_nearest(changes: dict[str, Any], key: str, nearest: str) -> None:
    with pytest.raises(CodsaError, match=f"toy.yaml: {key}; did you mean '{nearest}'"):
        experiment(**changes)


def test_an_unknown_key_of_the_configuration_suggests_the_nearest() -> None:
    with pytest.raises(CodsaError, match="config: unknown key 'result'; did you mean 'results'"):
        validated(Config, {"experiments": ["a.yaml"], "result": "out"}, "config.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": {"r": [0.0]}}, r"grid.r.0 = 0.0: .*greater than 0"),
        ({"grid": {"r": [1.5]}}, r"grid.r.0 = 1.5"),
        ({"grid": {"r": []}}, r"grid.r = \[\]"),
        ({"grid": {"m": [-1]}}, r"grid.m.0 = -1"),
        ({"grid": {"alpha": [1.5]}}, "alpha = 1.5"),
        ({"replicates": 0}, "replicates = 0"),
        ({"replicates": "many"}, "replicates = 'many'"),
        ({"name": "../up"}, "name = '../up'"),
        ({"split": {"validation": 0}}, "size "),
        ({"split": {"law": "balance"}}, "split.law"),
        ({"regions": {"by": "colour"}}, "regions.by = 'colour'"),
        ({"estimator": {"preprocess": "scale"}}, "estimator.preprocess = 'scale'"),
        (
            {"data": {"path": "x.csv"}},
            r"data: give exactly one of path, url, parts, simulation \(given: \['path', 'simulation'\]\)",
        ),
        ({"methods": ["codsaa"]}, "methods: no method 'codsaa'; did you mean 'codsa'"),
        ({"methods": ["none", "none"]}, "experiment: method 'none' stands twice"),
        ({"generators": {"smotte": {}}}, "generators: no method uses 'smotte'; did you mean 'smote'"),
        ({"source": None}, "method 'codsa-transfer' transfers from a source set; give source"),
        (
            {"methods": ["none", {"name": "a", "choose_from": ["none", "b"]}]},
            "method 'a': choose_from: no other method 'b'",
        ),
        (
            {"methods": ["none", {"name": "a", "choose_from": ["none"]}, {"name": "b", "choose_from": ["a"]}]},
            "method 'b': choose_from takes methods that are fitted",
        ),
        ({"methods": [{"name": "codsa", "source_rows": 5}]}, "method 'codsa': source_rows without transfer"),
        ({"methods": [{"name": "codsa", "transfer": "rowz"}]}, "methods.0.transfer = 'rowz'"),
        ({"methods": [{"name": "none", "cross_fit": True}]}, "method 'none': cross_fit takes a generator and no r"),
        ({"pretrain": {"latent": 3}}, "pretrain: unknown key 'latent'"),
    ],
)
def test_wrong_values_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CodsaError, match=f"toy.yaml: {message}"):
        experiment(**changes)


def test_data_need_an_origin() -> None:
    with pytest.raises(CodsaError, match="given: none"):
        validated(Experiment, {"name": "toy", "data": {"target": "y"}}, "toy.yaml")


def test_names_of_regions_and_columns_may_be_numbers() -> None:
    """YAML reads `0:` as a number; regions and columns are called by text."""
    made = experiment(grid={"focus": 0, "alpha": [{0: 0.5, 1: 0.5}]}, split={"law": {0: 1, 1: 3}})
    assert made.grid.focus == "0"
    assert made.grid.alpha == [{"0": 0.5, "1": 0.5}] and made.split.law == {"0": 1.0, "1": 3.0}
    assert experiment(regions={"by": "range", "column": 7, "edges": [1, 2.5, "2020-01-01"]}).regions.edges == [
        1.0,
        2.5,
        "2020-01-01",
    ]


def test_dates_among_edges_stay_dates() -> None:
    content = yaml.safe_load("{by: range, column: day, edges: [2020-01-01, 2021-06-30]}")
    assert experiment(regions=content).regions.edges == ["2020-01-01", "2021-06-30"]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_known_by_name_and_can_be_changed(name: str) -> None:
    (plain,) = one_of(name)
    assert plain.name == name
    for key, value in PRESETS[name].items():
        assert getattr(plain, key) == (EstimatorSpec(**value) if key == "estimator" else value)
    (changed,) = one_of({"name": name, "m": [7.0]})
    assert changed.m == [7.0] and changed.generator == plain.generator and changed.reserve == plain.reserve


def one_of(method: Any) -> Any:
    content = {**BASE, "methods": [method], "generators": {}, "fresh": BASE["data"]}
    return validated(Experiment, content, "toy.yaml").methods


def test_fresh_rows_need_a_fresh_set() -> None:
    with pytest.raises(CodsaError, match="method 'fresh-rows' takes fresh rows; give fresh"):
        validated(Experiment, {**BASE, "methods": ["fresh-rows"], "generators": {}}, "toy.yaml")


def test_methods_of_ones_own() -> None:
    (mine,) = one_of({"name": "mine", "generator": "my.module:Class", "settings": {"k": 3}, "reserve": "all"})
    assert (mine.generator, mine.settings, mine.reserve) == ("my.module:Class", {"k": 3}, "all")


def test_default_methods() -> None:
    made = validated(Experiment, {"name": "toy", "data": {"path": "x.csv"}}, "toy.yaml")
    assert [m.name for m in made.methods] == ["none", "weighted", "bootstrap", "smote", "codsa"]


def test_merge_goes_section_by_section() -> None:
    base = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}
    over = {"a": {"y": {"w": 4}}, "b": [5], "c": {"d": 6}}
    assert merge(base, over) == {"a": {"x": 1, "y": {"z": 2, "w": 4}}, "b": [5], "c": {"d": 6}}
    assert base["a"] == {"x": 1, "y": {"z": 2}}


def test_scales_lie_over_the_experiment(tmp_path: Path) -> None:
    path = written(tmp_path, {**BASE, "scales": {"full": {}, "quick": {"replicates": 2, "grid": {"r": [0.9]}}}})
    label, full = load_experiment(path, "full")
    assert label == "toy-full" and (full.replicates, full.grid.r) == (5, [0.5, 0.8])
    label, quick = load_experiment(path, "quick")
    assert label == "toy-quick" and (quick.replicates, quick.grid.r, quick.grid.m) == (2, [0.9], [1.0])
    with pytest.raises(CodsaError, match="no scale 'quik'; did you mean 'quick'"):
        load_experiment(path, "quik")
    assert load_experiment(written(tmp_path, BASE), "anything")[0] == "toy"


@pytest.mark.parametrize(
    ("scales", "message"),
    [({"quick": {"replicate": 2}}, "did you mean 'replicates'"), ({"quick": None}, "quick"), (["quick"], "scales")],
)
def test_wrong_scales_are_refused(scales: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match=message):
        load_experiment(written(tmp_path, {**BASE, "scales": scales}), "quick")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "cannot be read as YAML"),
        ("- a\n- b\n", "holds no keys"),
        ("", "holds no keys"),
        ("1: 2\n", "experiment: unknown key '1'"),
    ],
)
def test_files_that_are_no_experiment_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CodsaError, match=f"x.yaml: {message}"):
        load_experiment(path, "quick")


@pytest.mark.parametrize(("name", "model"), [("config", Config), ("experiment", Experiment)])
def test_json_schemas_are_those_of_the_model(name: str, model: Any) -> None:
    written = json.loads((ROOT / f"workflow/schemas/{name}.schema.json").read_text(encoding="utf-8"))
    assert written == model.model_json_schema()


def test_json_schemas_are_closed_at_every_level() -> None:
    schema = Experiment.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False


def test_the_repositorys_experiments_are_read_at_every_scale() -> None:
    settings = validated(Config, read_yaml(ROOT / "config.yaml"), "config.yaml")
    files = sorted((ROOT / "workflow/experiments").glob("*.yaml"))
    assert {ROOT / name for name in settings.experiments} <= set(files)
    for path in files:
        for scale in read_yaml(path).get("scales") or [settings.scale]:
            label, made = load_experiment(path, scale)
            assert label.startswith(made.name) and Study(label, made).checked()


def arguments(made: Experiment) -> dict[str, list[str]]:
    """The arguments of every stage of a study, for the generator and the method 'codsa'."""
    study = Study("toy", made)
    name = study.generator_of(study.methods["codsa"])
    return {
        "prepare": study.prepare(made.data),
        "source": study.prepare(study.auxiliary("source")),
        "pretrain": study.pretrain("encoder"),
        "split": study.split(0),
        "train": study.train(0, name, "0.8"),
        "sample": study.sample(0, name, "0.8"),
        "fit": study.fit(0, "codsa", "0.8"),
        "baseline": study.fit(0, "none", "1.0"),
        "evaluate": [*study.evaluate(0), study.evaluation("codsa")],
    }


EVERY_STAGE = set(arguments(experiment()))


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ({"grid": {"alpha": [0.6]}}, {"sample", "fit"}),
        ({"grid": {"m": [2.0]}}, {"sample", "fit"}),
        ({"grid": {"focus": "0"}}, {"sample", "fit"}),
        ({"generators": {"tabular-diffusion": {"steps": 200}}}, {"train"}),
        ({"generators": {"smote": {"k_neighbors": 2}}}, set()),
        ({"estimator": {"settings": {"max_iter": 9}}}, {"fit", "baseline"}),
        ({"estimator": {"name": "logistic"}}, {"fit", "baseline", "evaluate"}),
        ({"estimator": {"average": 3}}, {"fit", "baseline"}),
        ({"further_estimators": {"forest": {"name": "random-forest"}}}, {"fit", "baseline", "evaluate"}),
        ({"estimator": {"preprocess": "ordinal"}}, {"fit", "baseline"}),
        ({"metric": "kappa"}, {"fit", "baseline"}),
        ({"choose_by": "kappa"}, {"fit", "baseline"}),
        ({"keep_grid": True}, {"fit", "baseline"}),
        ({"split": {"test": 0.3}}, {"split"}),
        ({"split": {"law": "training"}}, {"split"}),
        ({"data": {"simulation": {"seed": 9}}}, {"prepare"}),
        ({"data": {"columns": {"x1": {"type": "numeric", "role": "ignored"}}}}, {"prepare"}),
        ({"data": {"task": "regression"}}, {"prepare"}),
        ({"source": {"simulation": {"minority": 9}}}, {"source"}),
        ({"regions": {"by": "quantile", "column": "x1", "quantiles": 4}}, {"prepare", "source"}),
        ({"regions": {"pool": False}}, {"prepare", "source"}),
        ({"pretrain": {"encoder": {"latent": 2}}}, {"pretrain"}),
        ({"seed": 1}, EVERY_STAGE - {"prepare", "source"}),
        ({"replicates": 9}, set()),
        ({"title": "Another"}, set()),
        ({"shards": 4}, set()),
    ],
)
def test_a_changed_setting_touches_its_stages_and_no_other(changes: dict[str, Any], touched: set[str]) -> None:
    before, after = arguments(experiment()), arguments(experiment(**changes))
    assert {stage for stage in EVERY_STAGE if before[stage] != after[stage]} == touched


@pytest.mark.parametrize(
    ("regions", "names"),
    [
        ({"by": "range", "column": "seen", "edges": ["2021-01-01"]}, ["seen ≤ 2021-01-01", "seen > 2021-01-01"]),
        ({"by": "quantile", "column": "income", "quantiles": 2}, 2),
        ({"by": "expression", "expressions": {"a b": "visits == 3", "c": "site in ['north']"}}, ["a b", "c", "other"]),
        ({"by": "column", "column": "site", "min_rows": 16}, ["north", "south", "west+missing"]),
        ({"by": "column", "column": "site", "pool": False}, ["north", "south", "west", "missing"]),
    ],
)
def test_the_prepare_command_reads_its_arguments(regions: dict[str, Any], names: Any, tmp_path: Path) -> None:
    data = {"path": str(tables(tmp_path)["y"]), "columns": {"visits": {"type": "numeric"}}, "group": "patient_id"}
    made = validated(Experiment, {"name": "toy", "data": data, "regions": regions}, "toy.yaml")
    assert call(codsa_prepare, *Study("toy", made).prepare(made.data), "--out", tmp_path / "d").code == 0
    schema = load_dataset(tmp_path / "d").schema
    assert schema.regions.names == names or len(schema.regions) == names
    assert (schema.column("visits").type, schema.group) == ("numeric", "patient_id")


def test_replicate_and_label_are_part_of_the_work() -> None:
    study = Study("toy-quick", experiment())
    assert study.split(3)[-6:] == ["--seed", "0", "--experiment", "toy-quick", "--replicate", "3"]


def test_methods_that_differ_in_the_grid_alone_share_a_generator() -> None:
    study = Study("toy", experiment())
    assert set(study.generators) == {"smote", "tabular-diffusion", "tabular-diffusion-from-encoder"}
    assert study.fits(study.methods["smote"]) == {"1.0": ["1.0"]}
    grids = [json.loads(word) for word in study.sample(0, "tabular-diffusion", "0.8") if word.startswith("{")]
    assert sorted(str(grid["alpha"]) for grid in grids) == ["['balance']", "['training']"]


def test_methods_with_settings_of_their_own_have_a_generator_of_their_own() -> None:
    mine = {"name": "mine", "generator": "smote", "settings": {"k_neighbors": 2}}
    content = {**BASE, "methods": ["smote", mine], "generators": {"smote": {"k_neighbors": 3}}}
    study = Study("toy", validated(Experiment, content, "toy.yaml"))
    assert len(study.generators) == 2
    for name, k in (("smote", 3), ("mine", 2)):
        assert f"k_neighbors={k}" in study.train(0, study.generator_of(study.methods[name]), "1.0")


def test_non_adaptive_is_fitted_at_the_largest_ratio_below_one() -> None:
    study = Study("toy", experiment(grid={"r": [0.5, 0.8, 1.0]}))
    assert list(study.fits(study.methods["non-adaptive"])) == ["0.8"]
    assert list(study.fits(study.methods["codsa"])) == ["0.5", "0.8", "1.0"]
    assert study.fits(study.methods["none"]) == {"1.0": []}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"estimator": {"name": "gradient-bosting"}},
            "no estimator 'gradient-bosting'; did you mean 'gradient-boosting'",
        ),
        (
            {"methods": [{"name": "mine", "generator": "smotte"}], "generators": {}},
            "no generator 'smotte'; did you mean",
        ),
    ],
)
def test_unknown_names_are_refused_before_any_job(changes: dict[str, Any], message: str) -> None:
    made = validated(Experiment, {**BASE, **changes}, "toy.yaml")
    with pytest.raises(CodsaError, match=message):
        Study("toy", made).checked()


@pytest.mark.parametrize("value", [3, 0.5, 1e-05, True, None, [64, 64], {"a": 1e-9}, "relu", "", "a=b", "weiß"])
def test_settings_survive_the_command_line(value: Any) -> None:
    words = settings({"key": value})
    assert words[0] == "--set"
    found = parse_settings(words[1::2])["key"]
    assert found == value or (value == "" and found is None)


def test_values_of_the_command_line() -> None:
    found = [parse_value(text) for text in ("1e-4", "balance", "{0: 0.5, b: 0.5}", "'0'", "[1, 2]")]
    assert found == [1e-4, "balance", {0: 0.5, "b": 0.5}, "0", [1, 2]]
    with pytest.raises(CodsaError, match=r"'\{a': cannot be read"):
        parse_value("{a")
    with pytest.raises(CodsaError, match="write it as KEY=VALUE"):
        parse_settings(["steps"])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose code the digests are taken of."""
    shutil.copytree(code_digests.PACKAGE, tmp_path / "codsa", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digests, "PACKAGE", tmp_path / "codsa")
    return tmp_path / "codsa"


def digest_of(*modules: str) -> str:
    code_digests.forget()
    try:
        return code_digests.stage_digest(*modules)
    finally:
        code_digests.forget()


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n# a comment\n",
        lambda text: text.replace("\n\n\n", "\n\n\n\n"),
        lambda text: text.replace("Return the region shares π", "Give the shares π"),
        lambda text: text.replace(
            "rest = others.astype(float).copy()", "rest = others.astype(\n        float\n    ).copy()"
        ),
        lambda text: re.sub(r'    """Return Σ_k \|q_k.*?"""\n', "", text),  # a docstring taken away
    ],
)
def test_comments_docstrings_and_layout_do_not_count(package: Path, change: Callable[[str], str]) -> None:
    before = digest_of("codsa.cli.fit")
    edit(package / "data/allocation.py", change)
    assert digest_of("codsa.cli.fit") == before


def test_code_counts_for_the_stages_that_import_it(package: Path) -> None:
    before = {stage: digest_of(f"codsa.cli.{stage}") for stage in ("prepare", "split", "train_gen", "fit")}
    edit(package / "stages/fit.py", lambda text: text.replace("if point.m == 0 else", "if point.m != 0 else"))
    after = {stage: digest_of(f"codsa.cli.{stage}") for stage in before}
    assert {stage for stage in before if before[stage] != after[stage]} == {"fit"}


def test_code_that_is_imported_through_others_counts(package: Path) -> None:
    before = {stage: digest_of(f"codsa.cli.{stage}") for stage in ("prepare", "train_gen")}
    edit(package / "data/regions.py", lambda text: text.replace("numbers <= ", "numbers < "))
    assert all(digest_of(f"codsa.cli.{stage}") != before[stage] for stage in before)


def test_an_estimator_counts_where_it_is_named(package: Path) -> None:
    before = [digest_of("codsa.cli.fit", f"codsa.estimators.tables.{name}") for name in ("trees", "linear")]
    edit(package / "estimators/tables/trees.py", lambda text: text + "\nEXTRA = 1\n")
    after = [digest_of("codsa.cli.fit", f"codsa.estimators.tables.{name}") for name in ("trees", "linear")]
    assert before[0] != after[0] and before[1] == after[1]


def test_modules_of_others_count_by_name() -> None:
    assert digest_of("codsa.cli.fit", "sklearn.svm") != digest_of("codsa.cli.fit", "sklearn.linear_model")


def tables(folder: Path) -> dict[str, Path]:
    frame = make_mixed_table()
    frame.to_csv(folder / "patients.csv", index=False)
    frame.drop(columns="y").dropna(subset="score").to_csv(folder / "scores.csv", index=False)
    return {"y": folder / "patients.csv", "score": folder / "scores.csv"}


@pytest.mark.parametrize(
    ("target", "task", "methods"), [("y", "classification", "adasyn"), ("score", "regression", "smogn")]
)
def test_new_writes_an_experiment_that_is_read(
    target: str, task: str, methods: str, tmp_path: Path, run_cli: RunCli
) -> None:
    table, out = tables(tmp_path)[target], tmp_path / "mine.yaml"
    ended = run_cli(codsa, "new", table, "--target", target, "--out", out)
    assert ended.code == 0 and str(out) in ended.out
    label, made = load_experiment(out, "full")
    assert label == f"{table.stem}-full" and Study(label, made).checked()
    assert (made.data.path, made.data.target, made.data.task) == (str(table), target, task)
    assert methods in [method.name for method in made.methods]


def test_new_has_a_comment_for_every_column(tmp_path: Path) -> None:
    text = write_experiment(tables(tmp_path)["y"], "y", None, None, tmp_path / "mine.yaml").read_text(encoding="utf-8")
    for name, kind in {"income": "numeric", "visits": "integer", "site": "categorical", "seen": "datetime"}.items():
        assert f"# {name}: {{type: {kind}, role: feature}}\n" in text
    assert "# patient_id: {type: categorical, role: ignored}   # identifier: every value is different" in text
    assert "by: class            # sick, well" in text and "they hold 36, 204 rows" in text


def test_the_comments_of_new_are_corrections_once_uncommented(tmp_path: Path) -> None:
    path = write_experiment(tables(tmp_path)["y"], "y", None, None, tmp_path / "mine.yaml")
    text = path.read_text(encoding="utf-8").replace("columns: {} ", "columns: ")
    path.write_text(re.sub(r"^    # (\w+: \{type)", r"    \1", text, flags=re.MULTILINE), encoding="utf-8")
    columns = load_experiment(path, "quick")[1].data.columns
    assert set(columns) == set(make_mixed_table().columns) - {"y"}
    assert (columns["seen"].type, columns["empty"].role) == ("datetime", "ignored")


def test_new_parts_by_the_region_asked_for(tmp_path: Path) -> None:
    path = write_experiment(tables(tmp_path)["y"], "y", "smoker", "smokers", tmp_path / "mine.yaml")
    label, made = load_experiment(path, "quick")
    assert (label, made.regions.by, made.regions.column) == ("smokers-quick", "column", "smoker")


def test_new_overwrites_nothing(tmp_path: Path, run_cli: RunCli) -> None:
    out = tmp_path / "mine.yaml"
    out.write_text("mine", encoding="utf-8")
    ended = run_cli(codsa, "new", tables(tmp_path)["y"], "--target", "y", "--out", out)
    assert ended.code == 2 and "is there already" in ended.err
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["2024.csv", "no.csv", "1e5.csv", "été d'or.csv", "null.csv"])
@pytest.mark.parametrize("target", ["yes", 'it\'s: "so"', "a\\b", "line\nbreak", "7", "null"])
def test_new_quotes_what_yaml_would_read_otherwise(name: str, target: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"on": np.linspace(0, 1, 60), "a: {b}\n#": range(3, 123, 2), target: ["u", "v\nw"] * 30})
    frame.to_csv(tmp_path / name, index=False)
    path = write_experiment(tmp_path / name, target, None, None, tmp_path / "mine.yaml")
    _, made = load_experiment(path, "quick")
    assert (made.data.path, made.data.target) == (str(tmp_path / name), target)
    text = path.read_text(encoding="utf-8").replace("columns: {} ", "columns: ")
    path.write_text(re.sub(r"^    # (.*\{type)", r"    \1", text, flags=re.MULTILINE), encoding="utf-8")
    assert set(load_experiment(path, "quick")[1].data.columns) == {"on", "a: {b}\n#"}


def test_a_choice_among_methods_is_judged_by_their_fits() -> None:
    auto = {"name": "codsa-auto", "choose_from": ["none", "smote"]}
    study = Study("toy", experiment(methods=["none", "smote", "codsa", auto]))
    assert study.candidates("codsa-auto") == ["none", "smote"] and study.candidates("none") == ["none"]
    assert study.candidates("smote") == ["none", "smote"]  # to add nothing is a candidate of every method with a pool


def test_a_transfer_from_fewer_source_rows_has_a_model_of_its_own() -> None:
    methods = [
        {"name": "a", "generator": "tabular-diffusion", "transfer": "encoder", "source_rows": 100},
        {"name": "b", "generator": "tabular-diffusion", "transfer": "encoder"},
        {"name": "c", "generator": "tabular-diffusion", "transfer": "denoiser"},
    ]
    made = experiment(methods=methods, generators={}, pretrain={"encoder": {"latent": 2}, "denoiser": {"steps": 9}})
    study = Study("toy", made)
    assert [one.transfer for one in study.generators.values()] == ["encoder-100", "encoder", "denoiser"]
    few, whole = study.pretrain("encoder-100"), study.pretrain("encoder")
    assert few[:4] == ["--pretrain", "encoder", "--source-rows", "100"] and "--source-rows" not in whole
    assert "latent=2" in few and "latent=2" in whole and "steps=9" in study.pretrain("denoiser")


def test_cross_fitting_draws_on_the_pools_of_all_folds() -> None:
    study = Study("toy", experiment(methods=["none", "codsa-crossfit", "codsa-bagged"]))
    for name in ("codsa-crossfit", "codsa-bagged"):
        assert study.fits(study.methods[name]) == {"0.8-cross": [f"0.8-fold{fold}" for fold in range(5)]}
    assert len(study.generators) == 1
    arguments = study.train(0, "tabular-diffusion", "0.8-fold3")
    assert arguments[arguments.index("--fold") + 1] == "3" and "--r" not in arguments
