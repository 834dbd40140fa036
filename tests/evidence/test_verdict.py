"""The verdict on the primary arm, whatever else the study has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_study import LEVELS, change, make_study, study_of

from codsa.errors import CodsaError
from codsa.evidence.judgement import band_of, compare, compared, judge, kind_of, reference_of, share_of_way
from codsa.evidence.reading import read_study
from codsa.evidence.statistics import holm
from codsa.evidence.verdict import verdict_of
from codsa.evidence.within import within_replicates
from codsa.io.manifests import write_manifest
from codsa.io.records import write_json
from codsa.io.seeds import stream


def series(*values: float) -> pd.Series:
    """Return figures of replicates 0, 1, …."""
    return pd.Series(values, dtype=float)


def test_clearly_better_than_all() -> None:
    found = verdict_of(study_of())
    assert found.kind == "better" and found.primary == "codsa-auto" and found.reference == "control-auto"
    assert found.headline.startswith(
        "CoDSA (codsa-auto) is clearly better than the plain model and every control: it lowers cross-entropy under Q"
    )
    assert "against the control that validation chooses (control-auto)." in found.headline
    assert "Exploratory, without part in the verdict: CoDSA and CoDSA (codsa-transfer)." in found.details
    assert "n_test/n_train = 0.50" in found.statistics and "5 comparisons" in found.statistics


def test_an_exploratory_arm_has_no_part() -> None:
    levels = LEVELS | {"codsa-auto": LEVELS["smote"], "codsa-transfer": 0.2}
    assert verdict_of(study_of(levels)).kind != "better"


def test_one_control_that_is_clearly_better_makes_it_worse() -> None:
    found = verdict_of(study_of(LEVELS | {"smote": 0.40}))
    assert found.kind == "worse"
    assert found.headline.startswith("SMOTE is clearly better than CoDSA (codsa-auto): cross-entropy under Q is 0.4")
    assert any("clearly worse than SMOTE" in line for line in found.details)


def test_a_small_clear_loss_is_said_to_be_small() -> None:
    found = verdict_of(study_of({"none": 0.5, "smote": 0.498, "codsa-auto": 0.5}, spread=0.0001))
    assert found.kind == "worse" and found.headline.endswith("for practical purposes none.")


def test_the_plain_model_can_be_the_better_one() -> None:
    found = verdict_of(study_of({"none": 0.4, "codsa-auto": 0.5}))
    assert found.kind == "worse" and found.headline.startswith("The plain model is clearly better than CoDSA")


def test_practically_the_same() -> None:
    found = verdict_of(study_of(LEVELS | {"relabelled": 0.4822, "codsa-auto": 0.4822}, spread=0.0005))
    assert found.kind == "same"
    assert found.headline.startswith("CoDSA (codsa-auto) does the same as the control that validation chooses")
    assert "within ±0.0058, 1 % of the plain model’s figure." in found.headline
    assert any(line.startswith("CoDSA (codsa-auto) is clearly better than the plain model") for line in found.details)


def test_exactly_the_same(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5, "control-auto": 0.45, "codsa-auto": 0.45})
    for folder in folders:
        if folder.name == "eval~codsa-auto":
            other = read_study([folder.with_name("eval~control-auto")]).first.record.estimators["mlp"]
            figures = other.recalibrated.test if other.recalibrated else {}
            change(folder, lambda own, figures=figures: own["recalibrated"].update(test=figures))
    found = verdict_of(read_study(folders))
    assert found.kind == "same" and found.headline.startswith("CoDSA (codsa-auto) does exactly the same as the control")


def test_open_where_nothing_can_be_said() -> None:
    levels = {"none": 0.50, "smote": 0.50, "control-auto": 0.50, "codsa-auto": 0.495}
    found = verdict_of(study_of(levels, spread=0.02))
    assert found.kind == "open" and "is not clearly better than the control that validation chooses" in found.headline
    assert "nor clearly worse or the same" in found.headline
    assert "CoDSA (codsa-auto) is neither clearly better nor clearly worse than any control." in found.details


def test_better_than_the_plain_model_alone_is_open() -> None:
    found = verdict_of(study_of(LEVELS | {"codsa-auto": 0.478}, spread=0.01))
    assert found.kind == "open"
    assert "is clearly better than the plain model, but not than every control" in found.headline


def test_shared_rows_widen_the_interval() -> None:
    sizes = {"train": {"majority": 10**9}, "validation": {}, "test": {"majority": 1}}
    shared, apart = study_of(), study_of(sizes=sizes)
    wide, narrow = (judge(study, "codsa-auto").family["none"].estimate for study in (shared, apart))
    assert wide.error == pytest.approx(narrow.error * np.sqrt(1 + 6 * 0.5))


def test_p_values_are_adjusted_for_the_family() -> None:
    family = judge(study_of(), "codsa-auto").family
    assert list(family) == ["none", "weighted", "smote", "relabelled", "control-auto"]
    raw = {name: comparison.estimate.p for name, comparison in family.items()}
    assert {name: comparison.adjusted for name, comparison in family.items()} == holm(raw)


def test_the_recalibrated_column_decides_and_the_raw_one_is_told(tmp_path: Path) -> None:
    folders = make_study(tmp_path)
    for folder in folders:
        if folder.name == "eval~codsa-auto":
            change(folder, lambda own: own["raw"]["test"]["cross-entropy"].update(overall=0.9))
    found = verdict_of(read_study(folders))
    assert found.kind == "better"
    line = next(line for line in found.details if line.startswith("As fitted, before recalibration"))
    assert "clearly worse than a control: 0.900 against" in line


def test_other_estimators_are_told() -> None:
    found = verdict_of(study_of(labels=("mlp", "boosting")))
    assert any(line.startswith("With boosting: clearly better than the plain model") for line in found.details)
    assert "own estimator (mlp)" in found.statistics


def test_no_primary_arm_was_named() -> None:
    levels = {"none": 0.5, "weighted": 0.45, "codsa": 0.40}
    only = verdict_of(study_of(levels))
    assert only.kind == "better" and only.primary == "codsa"
    assert "No primary arm was named; CoDSA is the only CoDSA arm." in only.details
    two = verdict_of(study_of(levels | {"codsa-reuse": 0.3}))
    assert two.kind == "open" and two.primary is None
    assert two.headline.startswith("No primary arm was named among CoDSA and CoDSA (codsa-reuse)")
    nothing = verdict_of(study_of({"none": 0.5}))
    assert nothing.headline == "No CoDSA method was evaluated, so there is nothing to judge."


def test_simple_methods_of_an_evaluation_by_hand_are_controls() -> None:
    study = study_of({"none": 0.5, "smote": 0.45, "codsa": 0.4}, kind="codsa")
    assert study.kinds("control") == ["none", "smote"] and study.primary == "codsa"


def test_one_replicate_concludes_nothing(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path, replicates=1))
    found = verdict_of(study, within_replicates(study, stream(0, "x")))
    assert found.kind == "open"
    assert found.headline.startswith(
        "One replicate cannot show how results vary between splits, so nothing is concluded"
    )
    assert "95 % over test rows" in found.headline and "bootstrapped over its test rows" in found.statistics


def test_higher_is_better_reads_rightly() -> None:
    levels = {"none": 0.70, "smote": 0.75, "control-auto": 0.75, "codsa-auto": 0.81}
    found = verdict_of(study_of(levels, metric="roc-auc"))
    assert found.kind == "better" and "it raises ROC AUC under Q by 0.1" in found.headline
    other = verdict_of(study_of(levels | {"codsa-auto": 0.60}, metric="roc-auc"))
    assert other.kind == "worse"


def test_the_oracle_is_no_control() -> None:
    study = study_of(LEVELS | {"oracle": 0.3})
    found = verdict_of(study)
    assert found.kind == "better" and "oracle" not in judge(study, "codsa-auto").family
    assert any("of the way from the plain model to the oracle" in line for line in found.details)


def test_the_way_to_the_oracle() -> None:
    values = {"none": series(0.6, 0.5), "codsa": series(0.42, 0.38), "oracle": series(0.4, 0.3)}
    assert share_of_way("mse", values, "codsa", "oracle") == pytest.approx((0.55 - 0.40) / (0.55 - 0.35))
    assert np.isnan(share_of_way("mse", values, "codsa", None))


def test_without_the_choosing_control_validation_names_the_reference_and_test_does_not() -> None:
    validations = {"a": series(0.5, 0.4), "b": series(0.3, 0.3)}
    assert reference_of(["a", "b"], validations, "mse") == "b"
    assert reference_of(["a", "b"], validations, "roc-auc") == "a"
    assert reference_of(["a", "control-auto"], validations | {"control-auto": series(9, 9)}, "mse") == "control-auto"
    assert reference_of([], {}, "mse") is None


def test_the_reference_is_not_the_best_on_test_rows(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5, "weighted": 0.45, "smote": 0.40, "codsa-auto": 0.40})
    for folder in folders:
        if folder.name == "eval~weighted":
            change(folder, lambda own: own["recalibrated"]["validation"].update(overall=0.1))
    assert judge(read_study(folders), "codsa-auto").reference == "weighted"


def test_pairs_use_common_replicates_and_skip_undefined_figures() -> None:
    a = pd.Series({0: 1.0, 1: 2.0, 3: np.nan, 4: 5.0})
    found = compare("mse", {"a": a, "b": pd.Series({1: 1.0, 3: 1.0, 4: 3.0})}, "a", "b", ratio=0.0)
    assert found is not None and found.each == {1: 1.0, 4: 2.0}
    assert compare("mse", {"a": a, "b": pd.Series({9: 1.0})}, "a", "b", ratio=0.0) is None


def test_the_band_is_a_share_of_the_plain_figure_and_edges_count() -> None:
    values = {"p": series(1.0, 1.0, 1.0), "none": series(1.009, 1.009, 1.009)}
    family = compared("mse", values, "p", ["none"], ratio=0.5)
    assert band_of(family, "none") == pytest.approx(0.01009)
    assert kind_of(family, "none", 0.01009) == "better"  # a difference without any spread is clear, however small
    level = compared("mse", values | {"none": series(1.009, 1.0, 0.995)}, "p", ["none"], ratio=0.0)
    assert kind_of(level, "none", 0.05) == "same" and kind_of(level, "none", 0.01) == "open"


def test_test_rows_of_another_split_are_refused(tmp_path: Path) -> None:
    folders = make_study(tmp_path, replicates=1)
    path = folders[0] / "predictions.parquet"
    table = pd.read_parquet(path)
    table.assign(row_id=table["row_id"] + 1).to_parquet(path)
    write_manifest(folders[0] / "manifest.json", "eval", {}, {})
    with pytest.raises(CodsaError, match="not those of the primary arm"):
        within_replicates(read_study(folders), stream(0, "x"))


def test_tuned_thresholds_are_bootstrapped_too(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5, "codsa-auto": 0.5}, replicates=1, metric="f1")
    before = within_replicates(read_study(folders), stream(0, "x"))["none"][0]
    change(folders[1], lambda own: own["recalibrated"].update(thresholds={"f1": [0.99, 0.01]}))
    after = within_replicates(read_study(folders), stream(0, "x"))["none"][0]
    assert after.mean != before.mean


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"smote": {"kind": "primary"}}, "'codsa-auto' and 'smote' are both primary"),
        ({"smote": {"estimator": "x"}}, "has no figures of its estimator 'x'"),
    ],
)
def test_what_cannot_be_judged(tmp_path: Path, changes: Mapping[str, Any], words: str) -> None:
    folders = make_study(tmp_path, replicates=1)
    for folder in folders:
        content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        write_json(folder / "metrics.json", content | changes.get(content["method"], {}))
        write_manifest(folder / "manifest.json", "eval", {}, {})
    with pytest.raises(CodsaError, match=words):
        read_study(folders)
