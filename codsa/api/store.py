"""Fitted wrappers on disk: JSON, and skops for what scikit-learn fitted; no pickle."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.forms import ColumnForm, TableForm
from codsa.api.pools import generator_name
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.estimators.recalibration import Recalibration
from codsa.estimators.store import dump_object, load_fitted, load_object, save_fitted
from codsa.generators.base import Generator
from codsa.io.artifacts import new_folder
from codsa.io.library_internals import sklearn_estimators
from codsa.io.manifests import check_folder, write_manifest
from codsa.io.names import MANIFEST, MODEL
from codsa.io.records import read_as, write_json
from codsa.io.tensors import readable
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator

log = logging.getLogger(__name__)

RECORD, PREDICTOR, UNFITTED = "model.json", "predictor", "estimator.skops"
PUBLIC = ("cv_results_", "best_index_", "best_params_", "best_score_", "verdict_", "law_", "n_features_in_")


@dataclass(frozen=True)
class ModelRecord:
    """What `model.json` holds.

    Attributes
    ----------
    wrapper : str
        The class of the wrapper.
    parameters : dict
        Of its constructor, as far as JSON can hold them.
    spec : EstimatorSpec
    attributes : dict
        Fitted attributes that are plain.
    classes : dict of str to {dtype, values}
        `classes_`, and the same in the schema's order; empty for regression.
    table : dict
        frame: whether X was a DataFrame; columns: those of the schema, with their kinds; names: `feature_names_in_`.
    schema : dict
    recalibration : dict, optional
    """

    wrapper: str
    parameters: dict[str, Any]
    spec: EstimatorSpec
    attributes: dict[str, Any]
    classes: dict[str, dict[str, Any]]
    table: dict[str, Any]
    schema: dict[str, Any]
    recalibration: dict[str, Any] | None


def save(model: Any, folder: Path) -> None:
    """Write a fitted wrapper into a new folder, or one that this function wrote."""
    spec: EstimatorSpec = model._spec
    if isinstance(spec, ObjectEstimator) and ":" not in spec.name:
        kind = type(spec.unfitted).__qualname__
        raise CodsaError(f"estimator {kind}: cannot be read back; define its class at the top of a module")
    with new_folder(folder, MODEL) as staged:
        save_fitted(staged / PREDICTOR, model._predictor, spec)
        if isinstance(spec, ObjectEstimator):
            dump_object(spec.unfitted, staged / UNFITTED, spec.name)
        write_json(staged / RECORD, _record(model))
        write_manifest(staged / MANIFEST, MODEL, {}, {})


def _record(model: Any) -> dict[str, Any]:
    form, helped = model._form, model._recalibration
    names = getattr(model, "feature_names_in_", None)
    return {
        "wrapper": type(model).__name__,
        "parameters": _parameters(model),
        "spec": model._spec.model_dump(),
        "attributes": {
            **{name: getattr(model, name) for name in PUBLIC},
            "validation_indices_": model.validation_indices_,
        },
        "classes": {}
        if model._schema_classes is None
        else {"classes_": _values(model.classes_), "schema": _values(model._schema_classes)},
        "table": {
            "frame": form.index is not None,
            "columns": [[column.name, column.kind] for column in form.columns],
            "names": None if names is None else list(names),
        },
        "schema": model._schema.to_dict(),
        "recalibration": None
        if helped is None
        else {
            "shift": None if helped.shift is None else helped.shift.tolist(),
            "temperature": helped.temperature,
            "slope": helped.slope,
            "intercept": helped.intercept,
        },
    }


def _parameters(model: Any) -> dict[str, Any]:
    """Return the constructor's parameters that JSON can hold; a function and a random state become None."""
    parameters = model.get_params(deep=False)
    if isinstance(parameters["generator"], Generator):
        parameters["generator"] = generator_name(parameters["generator"])
    if hasattr(parameters["estimator"], "fit"):
        parameters["estimator"] = None
    for name, value in parameters.items():
        if callable(value) or isinstance(value, np.random.RandomState):
            log.warning("%s is not kept: the model that is read back has None there", name)
            parameters[name] = None
    return dict(parameters)


def _values(classes: np.ndarray) -> dict[str, Any]:
    values = classes.tolist()
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise CodsaError(f"classes {values[:3]}: only texts, numbers and truth values can be kept without pickle")
    return {"dtype": classes.dtype.str if classes.dtype != object else "object", "values": values}


def _array(record: Mapping[str, Any]) -> np.ndarray:
    dtype = str(record["dtype"])
    if dtype != "object" and np.dtype(dtype).kind not in "biufU":
        raise CodsaError(f"classes of type {dtype}: not what a saved model has; fit it again")
    return np.array(record["values"], dtype=dtype)


def load(wrapper: type, folder: Path, trusted: Collection[str]) -> Any:
    """Read a fitted wrapper of a class."""
    try:
        return _load(wrapper, folder, trusted)
    except CodsaError as error:  # here it is no option of a command
        raise CodsaError(str(error).replace("give --trust", "name it in trusted:")) from error


def _load(wrapper: type, folder: Path, trusted: Collection[str]) -> Any:
    check_folder(folder, MODEL)
    record = read_as(folder / RECORD, ModelRecord)
    if record.wrapper != wrapper.__name__:
        raise CodsaError(f"{folder}: holds a {record.wrapper}, not a {wrapper.__name__}; load it as that")
    name = record.spec.name
    known = [*trusted, *([name] if name.replace(":", ".") in sklearn_estimators() else [])]
    with readable(folder):
        predictor = load_fitted(folder / PREDICTOR, known)
        parameters, spec = dict(record.parameters), record.spec
        if (folder / UNFITTED).exists():
            parameters["estimator"] = load_object(folder / UNFITTED, known)
            spec = ObjectEstimator(**spec.model_dump(), unfitted=parameters["estimator"])
        for key in ("r", "m", "alpha"):
            parameters[key] = tuple(parameters[key]) if isinstance(parameters[key], list) else parameters[key]
        model: Any = wrapper(**parameters)
        _restore(model, record)
        model._spec, model._predictor = spec, predictor
    return model


def _restore(model: Any, record: ModelRecord) -> None:
    """Set the fitted attributes of a wrapper."""
    for name in PUBLIC:
        setattr(model, name, record.attributes[name])
    model.best_score_ = np.nan if model.best_score_ is None else model.best_score_
    model.cv_results_ = {
        key: np.array(values, dtype=float) if key.startswith("validation_") else values
        for key, values in model.cv_results_.items()
    }
    model.validation_indices_ = np.array(record.attributes["validation_indices_"], dtype=np.int64)
    columns = [ColumnForm(str(name), str(kind), None) for name, kind in record.table["columns"]]
    model._form = TableForm(columns, pd.Index([c.name for c in columns]) if record.table["frame"] else None)
    if record.table["names"] is not None:
        model.feature_names_in_ = np.array(record.table["names"], dtype=object)
    model._schema = Schema.from_dict(record.schema)
    model._schema_classes = None
    if record.classes:
        model.classes_, model._schema_classes = (_array(record.classes[key]) for key in ("classes_", "schema"))
    helped = record.recalibration
    model._recalibration = helped
    if helped is not None:
        shift = None if helped["shift"] is None else np.array(helped["shift"], dtype=float)
        model._recalibration = Recalibration(shift, *(float(helped[k]) for k in ("temperature", "slope", "intercept")))
