"""A fitted estimator with what is needed to predict from the user's own tables, and its folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.errors import InputError
from codsa.api.forms import ColumnForm, TableForm
from codsa.api.problem import Problem
from codsa.data.schema import Schema
from codsa.estimators import Average, Predictor
from codsa.estimators.recalibration import Recalibration
from codsa.estimators.store import dump_object, load_fitted, load_object, save_fitted
from codsa.io.artifacts import new_folder
from codsa.io.library_internals import sklearn_estimators
from codsa.io.manifests import check_folder, write_manifest
from codsa.io.names import MANIFEST, MODEL, SCHEMA
from codsa.io.records import read_as, read_json, write_json
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.stages.fits import RecalibrationFacts

RECORD, ESTIMATOR, UNFITTED = "model.json", "estimator", "unfitted.skops"


@dataclass(frozen=True)
class Model:
    """What a search chose.

    Attributes
    ----------
    predictor : Predictor
    recalibration : Recalibration, optional
        None: predictions stay as they are.
    form : TableForm
        How the user's columns are read.
    schema : Schema
        Of the training rows.
    spec : EstimatorSpec
    order : ndarray of int64, shape (C,)
        The places of the sorted classes among the schema's; empty for regression.
    """

    predictor: Predictor
    recalibration: Recalibration | None
    form: TableForm
    schema: Schema
    spec: EstimatorSpec
    order: np.ndarray

    @property
    def as_given(self) -> bool:
        """Whether the estimator takes the user's columns as they are."""
        return isinstance(self.spec, ObjectEstimator)

    def predict(self, x: Any) -> np.ndarray:
        """Return class probabilities by sorted class, shape (n, C), or values, shape (n,)."""
        features = x if self.as_given else self.form.features(x, self.schema)
        predicted = self.predictor.predict(features)
        if self.recalibration is not None:
            predicted = self.recalibration.apply(predicted)
        return predicted[:, self.order] if len(self.order) else predicted


@dataclass(frozen=True)
class ModelRecord:
    """What `model.json` holds.

    Attributes
    ----------
    kind : str
        'CoDSAClassifier' or 'CoDSARegressor'.
    params : dict
        Its parameters; an estimator, generator or function that was an object is there by name, or not at all.
    attributes : dict
        Its fitted attributes in JSON's types.
    columns : list of [str, str]
        Name and kind of each column of X.
    given : bool
        Whether the estimator was an object.
    order : list of int
    recalibration : RecalibrationFacts, optional
    """

    kind: str
    params: dict[str, Any]
    attributes: dict[str, Any]
    columns: list[list[str]]
    given: bool
    order: list[int]
    recalibration: RecalibrationFacts | None


def write_model(folder: Path, model: Model, kind: str, params: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Write a model's folder, all of it or nothing, without pickle."""
    if "<locals>" in model.spec.name or model.spec.name.startswith("__main__:"):
        raise InputError(f"estimator '{model.spec.name}': no module has this class; move it into one to save it")
    facts = None
    if model.recalibration is not None:
        shift = model.recalibration.shift
        facts = RecalibrationFacts(
            **{**asdict(model.recalibration), "shift": None if shift is None else shift.tolist()}
        )
    columns = [[column.name, column.kind] for column in model.form.columns]
    record = ModelRecord(kind, params, attributes, columns, model.as_given, model.order.tolist(), facts)
    with new_folder(folder, MODEL) as staged:
        write_json(staged / RECORD, asdict(record))
        write_json(staged / SCHEMA, model.schema.to_dict())
        save_fitted(staged / ESTIMATOR, model.predictor, model.spec)
        if isinstance(model.spec, ObjectEstimator):
            dump_object(model.spec.unfitted, staged / UNFITTED, model.spec.name)
        write_manifest(staged / MANIFEST, MODEL, {}, {})


def read_model(folder: Path, trusted: Collection[str] = ()) -> tuple[Model, ModelRecord]:
    """Read what `write_model` wrote.

    Parameters
    ----------
    trusted : collection of str
        The `module:Class` of estimators, and full names of types, that may be imported beside scikit-learn's.
    """
    check_folder(folder, MODEL)
    record = read_as(folder / RECORD, ModelRecord)
    own = [name for full in sklearn_estimators() for name in (full, ":".join(full.rsplit(".", 1)))]
    known = [*trusted, *own] if record.given else trusted
    predictor = load_fitted(folder / ESTIMATOR, known)
    first = predictor.members[0] if isinstance(predictor, Average) else predictor
    spec = first.facts.spec or EstimatorSpec()
    if record.given:
        spec = ObjectEstimator(**spec.model_dump(), unfitted=load_object(folder / UNFITTED, known))
    form = TableForm([ColumnForm(name, kind, None) for name, kind in record.columns])
    helped = None if record.recalibration is None else record.recalibration.recalibration()
    schema = Schema.from_dict(read_json(folder / SCHEMA))
    return Model(predictor, helped, form, schema, spec, np.array(record.order, dtype=np.int64)), record


def model_of(problem: Problem, schema: Schema, spec: EstimatorSpec, predictor: Predictor, helped: Any) -> Model:
    """Return a model without the rows that it was fitted on."""
    order = np.array([], dtype=np.int64) if problem.classes is None else np.argsort(problem.classes)
    form = TableForm([ColumnForm(column.name, column.kind, None) for column in problem.form.columns])
    return Model(predictor, helped, form, schema, spec, order)


def plain(value: Any) -> Any:
    """Return a value of a parameter or attribute in JSON's types, whatever numpy made of it; an object by its name."""
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value.tolist()]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "item"):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else None


def array_of(values: list[Any], dtype: str) -> np.ndarray:
    """Return a list of JSON's as an array of the dtype that it had."""
    if dtype.startswith(("datetime64", "timedelta64")):
        return np.asarray(pd.array(values).astype(dtype))
    return np.array(values, dtype=dtype)
