"""Levels and values that no training row has, when an estimator meets them later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from codsa.data.preparation import prepare
from codsa.data.rows import described
from codsa.data.schema import Schema
from codsa.estimators import fit_all
from codsa.estimators.base import layout_of, preprocessor, weighted_rows
from codsa.io.seeds import stream
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.regions import RegionRule

TRAINING = 80


@pytest.fixture
def table() -> tuple[pd.DataFrame, Schema]:
    """Eighty training rows and four others: a known level, a missing one, one that is new, a number far beyond."""
    random = np.random.default_rng(0)
    site = np.where(random.random(TRAINING) < 0.1, None, random.choice(["m", "s"], TRAINING))
    frame = pd.DataFrame({"x": random.normal(size=TRAINING), "site": site, "y": ["a", "b"] * (TRAINING // 2)})
    others = pd.DataFrame({"x": [0.5, 0.5, 0.5, 1e6], "site": ["s", None, "a new one", "s"], "y": list("abab")})
    rows, schema = prepare(pd.concat([frame, others], ignore_index=True), ColumnOptions(target="y"), RegionRule())
    return rows, described(schema, rows.iloc[:TRAINING])


def test_a_level_that_training_rows_lack_has_no_code(table: tuple[pd.DataFrame, Schema]) -> None:
    rows, schema = table
    assert schema.column("site").levels == ["m", "s"]
    x = weighted_rows(rows, schema, np.ones(len(rows))).x[TRAINING:]
    assert x.tolist() == [[0.5, 1.0], [0.5, 2.0], [0.5, -1.0], [1e6, 1.0]]
    assert layout_of(schema, TRAINING).missing_codes == [2]


@pytest.mark.parametrize("kind", ["ordinal", "standard"])
def test_it_counts_as_missing_or_has_no_column(table: tuple[pd.DataFrame, Schema], kind: str) -> None:
    rows, schema = table
    x = weighted_rows(rows, schema, np.ones(len(rows))).x
    made = preprocessor(kind, layout_of(schema, TRAINING)).fit(x[:TRAINING]).transform(x[TRAINING:])
    if kind == "ordinal":
        assert made[2].tolist() == made[1].tolist() and made[3, 0] == 1e6
        assert x[TRAINING + 2, 1] == -1.0  # the matrix that was given stays
    else:
        assert made[:3, -3:].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
        assert made[3, 0] > 1e5


@pytest.mark.parametrize("name", ["gradient-boosting", "mlp", "random-forest", "logistic"])
def test_every_estimator_predicts_such_rows(table: tuple[pd.DataFrame, Schema], name: str) -> None:
    rows, schema = table
    weighted = weighted_rows(rows, schema, np.ones(len(rows)))
    training = weighted_rows(rows.iloc[:TRAINING], schema, np.ones(TRAINING))
    (fitted,) = fit_all(EstimatorSpec(name=name), [training], training, layout_of(schema, TRAINING), stream(0, "f"))
    predicted = fitted.predict(weighted.x[TRAINING:])
    assert np.isfinite(predicted).all() and np.allclose(predicted.sum(axis=1), 1)
