"""The typed model of `config.yaml` and of an experiment file; unknown keys are refused with the nearest name."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from codsa import __version__
from codsa.errors import CodsaError, suggest
from codsa.io.yamls import read_yaml
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import GridConfig
from codsa.settings.images import ImageOptions
from codsa.settings.limits import MOST_PROCESSES, MOST_SEED, MOST_SHARDS
from codsa.settings.regions import RegionRule
from codsa.settings.section import Section, validated
from codsa.settings.sources import Part, Simulation
from codsa.settings.split import SplitOptions
from codsa.settings.tables import TableOptions
from codsa.settings.texts import TextOptions
from codsa.settings.types import FOLDER_PATH, FolderPath, ImageAddress, Name, Title
from codsa.workflow.methods import Method, expanded


class Data(ColumnOptions):
    """Where rows come from (exactly one of path, url, parts and simulation), and what their columns are."""

    section: ClassVar[str] = "data"
    path: str | None = Field(default=None, description="local table, relative to the working folder")
    url: str | None = Field(default=None, description="table to download; needs sha256")
    sha256: str | None = Field(default=None, description="checksum of the file")
    parts: list[Part] | None = Field(default=None, min_length=1, description="tables, or images, of several places")
    table: TableOptions = TableOptions()
    images: ImageOptions = ImageOptions()
    texts: TextOptions | None = Field(default=None, description="texts, with their embeddings")
    simulation: Simulation | None = None
    keep: str | None = Field(default=None, description="pandas query: only rows for which it holds")

    @model_validator(mode="after")
    def _one_origin(self) -> Data:
        origins = [key for key in ("path", "url", "parts", "simulation") if getattr(self, key) is not None]
        if len(origins) != 1:
            raise CodsaError(f"data: give exactly one of path, url, parts, simulation (given: {origins or 'none'})")
        return self


class PretrainConfig(Section):
    """Settings of what is pretrained on the source set, for the methods with a transfer."""

    section: ClassVar[str] = "pretrain"
    encoder: dict[str, Any] = Field(default={}, description="settings of the encoder–decoder")
    denoiser: dict[str, Any] = Field(default={}, description="the generator to pretrain, and its settings")
    inverter: dict[str, Any] = Field(default={}, description="settings of the inverter of the source's embeddings")


DEFAULT_METHODS = ["none", "weighted", "bootstrap", "smote", "codsa"]


class Experiment(Section):
    """One study: data, regions, law, methods, grid, estimator."""

    section: ClassVar[str] = "experiment"
    name: Name
    title: Title = Field(default="", description="heading of the report")
    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="root of all random streams")
    replicates: int = Field(default=5, ge=1, le=10_000, description="independent splits")
    data: Data
    source: Data | None = Field(default=None, description="independent related rows, for transfer")
    fresh: Data | None = Field(default=None, description="more real rows of the data's own law, for the oracle")
    regions: RegionRule = RegionRule()
    split: SplitOptions = SplitOptions()
    methods: list[Method] = Field(default=[], validate_default=True)
    controls: list[Method] | None = Field(
        default=None,
        description="simpler methods that a gain must survive, beside those of methods; default: all that suit the "
        "data, and what chooses among them (control-auto) and among everything (codsa-auto); []: none",
    )
    primary: Name | None = Field(
        default=None, description="the method that the verdict is about, named before the run; default: codsa-auto"
    )
    grid: GridConfig = GridConfig()
    generators: dict[str, dict[str, Any]] = Field(default={}, description="settings by generator")
    pretrain: PretrainConfig = PretrainConfig()
    estimator: EstimatorSpec = EstimatorSpec()
    further_estimators: dict[Name, EstimatorSpec] | None = Field(
        default=None,
        description="estimators that are fitted on the same rows and judged beside the study's own, by label; default: "
        "for tables a strong one (averaged perceptrons, or regularised boosting); {}: none",
    )
    metric: str | None = Field(default=None, description="metric of test rows; default: cross-entropy or mse")
    choose_by: str | None = Field(default=None, description="metric by which validation chooses λ; default: metric")
    keep_grid: bool = Field(default=False, description="measure the whole grid on test rows, for figures")
    shards: int = Field(default=1, ge=1, le=MOST_SHARDS, description="sampling jobs per pool")
    gpus: int = Field(
        default=0,
        ge=0,
        le=MOST_PROCESSES,
        description="GPUs, each with a process, that train a generator; 0: one process, on what is there",
    )
    scales: dict[Name, dict[str, Any]] = Field(default={}, description="overrides by scale")

    @field_validator("methods", mode="before")
    @classmethod
    def _presets(cls, methods: Any) -> Any:
        return expanded(DEFAULT_METHODS if methods in (None, []) else methods, "methods")

    @field_validator("controls", mode="before")
    @classmethod
    def _control_presets(cls, controls: Any) -> Any:
        return None if controls is None else expanded(controls, "controls")

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        names = [method.name for method in self.methods]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise CodsaError(f"experiment: method '{twice[0]}' stands twice; give one another name")
        for method in [*self.methods, *(self.controls or [])]:
            self._check_choose_from(method, names)
            self._check_transfer(method)
            self._check_rows(method)
        used = {method.generator for method in self.methods}
        for name in self.generators:
            if name not in used:
                raise CodsaError(f"generators: no method uses '{name}'; {suggest(name, filter(None, used))}")
        return self

    def _check_choose_from(self, method: Method, names: list[str]) -> None:
        candidates = [] if isinstance(method.choose_from, str) else method.choose_from or []
        unknown = [name for name in candidates if name not in names or name == method.name]
        if unknown:
            raise CodsaError(f"method '{method.name}': choose_from: no other method '{unknown[0]}' in the experiment")
        if any(self._method(name).choose_from for name in candidates):
            raise CodsaError(f"method '{method.name}': choose_from takes methods that are fitted")

    def _check_transfer(self, method: Method) -> None:
        if method.source_rows is not None and method.transfer is None:
            raise CodsaError(f"method '{method.name}': source_rows without transfer; say what is carried over")
        if method.transfer == "fresh" and self.fresh is None:
            raise CodsaError(f"method '{method.name}' takes fresh rows; give fresh")
        if method.transfer not in (None, "fresh") and self.source is None:
            raise CodsaError(f"method '{method.name}' transfers from a source set; give source")

    def _check_rows(self, method: Method) -> None:
        """Raise where a method leaves out folds and rows by r at once, or lacks what its keys are about."""
        if method.cross_fit and (method.generator is None or method.r is not None):
            raise CodsaError(f"method '{method.name}': cross_fit takes a generator and no r; it leaves out folds")
        if method.generator is None and (method.domain or method.pool_weight != [1.0]):
            raise CodsaError(f"method '{method.name}': domain and pool_weight are about a pool; give generator")

    def _method(self, name: str) -> Method:
        return next(method for method in self.methods if method.name == name)


class Config(Section):
    """`config.yaml`: which experiments to run, at which scale, and into which folder."""

    section: ClassVar[str] = "config"
    results: FolderPath = Field(
        default="results",
        description="folder of all results; letters, digits, blanks and . _ - + @ = , in its path, no .. or ~",
    )
    scale: Name = Field(default="quick", description="which of the experiments' scales")
    container: ImageAddress | None = Field(
        default=f"containers/codsa-{__version__}.sif",
        description="Apptainer image of the toolkit, used with `--sdm apptainer`: a path, an address, or none",
    )
    forks: bool = Field(
        default=True,
        description="on one machine, run stages as forks of a process that has the libraries loaded; false: start "
        "Python anew for each",
    )
    experiments: list[str] = Field(min_length=1, description="experiment files, relative to the working folder")

    @field_validator("results", mode="before")
    @classmethod
    def _plain(cls, results: Any) -> Any:
        if not isinstance(results, str):
            return results
        if not re.fullmatch(FOLDER_PATH, results):
            allowed = "letters, digits, blanks and . _ - + @ = , in folders that '/' parts; not '..', not '~'"
            raise CodsaError(f"results = {results!r}: a folder's path has {allowed}")
        return os.path.normpath(results)

    @field_validator("container", mode="before")
    @classmethod
    def _no_container(cls, container: Any) -> Any:
        return None if container in ("", "none") else container


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping in which the values of `over` replace those of `base`, section by section."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load_experiment(path: Path, scale: str) -> tuple[str, Experiment]:
    """Read an experiment at a scale.

    Returns
    -------
    label : str
        The name of its results folder: its name, and the scale where it has that scale.
    experiment : Experiment
    """
    content = read_yaml(path)
    scales = content.get("scales") if isinstance(content, Mapping) else None
    if scales and scale not in scales:
        raise CodsaError(f"{path}: no scale '{scale}'; {suggest(scale, scales)}")
    overrides = scales[scale] if isinstance(scales, Mapping) and scales else None
    merged = merge(content, overrides) if isinstance(overrides, Mapping) else content
    experiment: Experiment = validated(Experiment, merged, str(path))
    return (f"{experiment.name}-{scale}" if scales else experiment.name), experiment


def main() -> None:
    """Print the JSON schema of a model, by its name (Config or Experiment)."""
    model: type[Section] = Config if sys.argv[1] == "Config" else Experiment
    print(json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
