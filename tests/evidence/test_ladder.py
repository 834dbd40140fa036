"""The ladder from the plain model to CoDSA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_study import LEVELS, RAW_EXTRA, SINGLE, change, make_study, study_of

from codsa.evidence.ladder import Ladder, ladder, ranking_ladder, sentence
from codsa.evidence.reading import read_study

ALL = ["plain", "balance", "calibration", "averaging", "labels", "generated", "source"]


def gains(steps: Ladder) -> dict[str, float]:
    """Return the mean gain of every rung but the first."""
    return {rung.key: rung.gain.mean for rung in steps.rungs if rung.gain is not None}


def climbed(levels: dict[str, float] = LEVELS) -> Ladder:
    """Return the ladder of a study with these levels."""
    steps = ladder(study_of(levels, spread=0.0))
    assert steps is not None
    return steps


def test_every_rung_in_order() -> None:
    steps = climbed()
    assert [rung.key for rung in steps.rungs] == ALL and not steps.left_out
    assert gains(steps) == pytest.approx(
        {
            "balance": LEVELS["none"] - LEVELS["weighted"],
            "calibration": RAW_EXTRA,
            "averaging": SINGLE,
            "labels": LEVELS["weighted"] - LEVELS["relabelled"],
            "generated": LEVELS["relabelled"] - LEVELS["codsa"],
            "source": LEVELS["codsa"] - LEVELS["codsa-transfer"],
        },
        abs=1e-5,
    )
    assert steps.total.mean == pytest.approx(sum(gains(steps).values()))


def test_one_sentence() -> None:
    assert sentence(climbed()) == (
        "Of the 0.167 gained in cross-entropy under Q, weights give 0.071, calibration 0.030, averaging and steps "
        "0.020, labels of the label model 0.025, generated features 0.016 [0.016, 0.016] and source set 0.005 "
        "[0.005, 0.005]."
    )


def test_a_loss_is_told_as_one() -> None:
    found = sentence(climbed({"none": 0.5, "codsa": 0.7}))
    assert found.startswith("The way from the plain model to generated features loses 0.150 in cross-entropy under Q:")


def test_where_weights_do_harm_the_last_rung_is_held_to_the_plain_model_without_them() -> None:
    steps = climbed({"none": 0.40, "weighted": 0.45, "codsa": 0.39})
    assert gains(steps)["generated"] == pytest.approx(0.06)
    assert steps.without_weights is not None and steps.without_weights.mean == pytest.approx(0.01)
    assert sentence(steps).endswith(
        "calibrated and averaged without weights, the last rung gains 0.010 [0.010, 0.010]."
    )
    assert climbed().without_weights is None


def test_rungs_of_absent_methods_are_left_out() -> None:
    steps = climbed({"none": 0.5, "codsa": 0.4})
    assert [rung.key for rung in steps.rungs] == ["plain", "calibration", "averaging", "generated"]
    assert steps.left_out == {
        "balance": "the study has no method weighted",
        "labels": "the study has no method relabelled",
        "source": "no CoDSA arm has a source set",
    }
    assert ladder(study_of({"weighted": 0.5, "codsa": 0.4})) is None


def test_without_several_fits_there_is_no_rung_of_averaging(tmp_path: Path) -> None:
    folders = make_study(tmp_path, spread=0.0)
    for folder in folders:
        change(folder, lambda own: own.update(single={}))
    steps = ladder(read_study(folders))
    assert steps is not None and steps.left_out == {"averaging": "the fits of weighted are single ones"}
    assert steps.rungs[0].source == "none, raw" and gains(steps)["calibration"] == pytest.approx(RAW_EXTRA)


def test_without_recalibration_everything_is_raw(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5, "codsa": 0.4}, spread=0.0)
    for folder in folders:
        change(folder, lambda own: own.update(recalibrated=None, single={}))
    steps = ladder(read_study(folders))
    assert steps is not None and [rung.key for rung in steps.rungs] == ["plain", "generated"]
    assert gains(steps)["generated"] == pytest.approx(0.1)


def test_validation_chooses_the_arm_in_every_replicate_and_test_rows_do_not(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5, "codsa": 0.4, "codsa-reuse": 0.3}, replicates=2, spread=0.0)
    for folder in folders:
        if folder.parts[-2:] == ("rep~1", "eval~codsa"):
            change(folder, lambda own: own["recalibrated"]["validation"].update(overall=0.01))
    study = read_study(folders)
    steps = ladder(study)
    assert steps is not None
    expected = (study.values("codsa-reuse")[0] + study.values("codsa")[1]) / 2
    assert steps.rungs[-1].mean == pytest.approx(expected)


def test_arms_that_add_nothing_are_no_rungs(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5, "relabelled": 0.45, "codsa": 0.4}, replicates=2, spread=0.0)
    for folder in folders:
        if folder.name == "eval~relabelled" or folder.parts[-2:] == ("rep~1", "eval~codsa"):
            change(folder, lambda own: own["recalibrated"]["chosen"].update(m=0))
    steps = ladder(read_study(folders))
    assert steps is not None and [rung.key for rung in steps.rungs] == [
        "plain",
        "calibration",
        "averaging",
        "generated",
    ]
    assert steps.rungs[-1].source.endswith("recalibrated (adds nothing in 1 replicate)")
    assert sentence(steps).endswith("; validation chose no labels of the label model.")


def test_the_choosing_arm_is_no_rung() -> None:
    with_primary = climbed(LEVELS | {"codsa-auto": 0.1})
    assert with_primary.rungs[-1].mean == pytest.approx(climbed().rungs[-1].mean)


def test_rungs_are_paired_on_common_replicates(tmp_path: Path) -> None:
    folders = [f for f in make_study(tmp_path) if f.parts[-2:] != ("rep~1", "eval~weighted")]
    steps = ladder(read_study(folders))
    assert steps is not None and steps.replicates == [0, 2, 3, 4, 5]
    assert steps.rungs[1].gain is not None and np.isfinite(steps.rungs[1].gain.low)


def test_the_ranking_has_a_ladder_of_its_own() -> None:
    steps = ranking_ladder(study_of(spread=0.0))
    assert steps is not None and steps.metric == "roc-auc"
    assert gains(steps)["balance"] == pytest.approx((LEVELS["none"] - LEVELS["weighted"]) / 5, abs=1e-5)
    assert ranking_ladder(study_of(task="regression")) is None
