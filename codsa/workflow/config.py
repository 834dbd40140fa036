"""The typed model of `config.yaml` and of an experiment file; unknown keys are refused with the nearest name."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from codsa import __version__
from codsa.data.limits import (
    LONGEST_TITLE,
    MOST_DRAWN,
    MOST_PIXELS,
    MOST_PROCESSES,
    MOST_ROWS,
    MOST_SEED,
    MOST_SHARDS,
    MOST_WORDS,
    check_line,
)
from codsa.errors import CodsaError, shortened, suggest
from codsa.io.yamls import read_yaml

Ratio = Annotated[float, Field(gt=0, le=1)]
Multiple = Annotated[float, Field(ge=0, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]
Alpha = Share | Literal["balance", "training", "target"] | dict[str, Share]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
Title = Annotated[str, AfterValidator(lambda text: text and check_line("title", text, LONGEST_TITLE))]
Size = Annotated[int, Field(ge=1, le=MOST_ROWS)] | Annotated[float, Field(gt=0, lt=1)]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
SEGMENT = r"\.?\w[\w .+@=,-]*"
Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)]
"""What folders are called after: experiments, scales, methods."""
ObjectName = Annotated[str, Field(pattern=rf"^({NAME}|{IDENTIFIER}(\.{IDENTIFIER})*:{IDENTIFIER})$", max_length=100)]
"""A registered name, or `module:Class`."""
FOLDER_PATH = rf"(\./)*/?{SEGMENT}(/{SEGMENT})*/?"
FolderPath = Annotated[str, Field(pattern=f"^{FOLDER_PATH}$")]
"""A relative or absolute path: letters, digits, blanks and a few signs, no `..`, nothing that a shell reads."""
ImageAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/][A-Za-z0-9._/:@+=-]*$")]
"""A path or an address of an image. Snakemake writes it into a shell command as it is, so blanks are refused too."""


class Strict(BaseModel):
    """A section of a configuration: typed, frozen, closed to unknown keys."""

    # YAML reads `0:` as a number; regions and columns are called by text.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)
    section: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, content: Any) -> Any:
        for key in content if isinstance(content, Mapping) else ():
            if key not in cls.model_fields:
                where = f"{cls.section}: " if cls.section else ""
                raise CodsaError(f"{where}unknown key '{key}'; {suggest(str(key), cls.model_fields)}")
            if _has_truth(content[key]) and not re.search("bool|Any|codsa", repr(cls.model_fields[key].annotation)):
                raise CodsaError(
                    f"{cls.section}: {key} = {shortened(repr(content[key]))}: a truth value where a number or text is "
                    "needed; quote text, as YAML reads yes, no, on and off as truths"
                )
        return content


def _has_truth(value: Any) -> bool:
    """Say whether a value is true or false, or a list or mapping of which one is; pydantic would take it as 1 or 0."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return any(isinstance(item, bool) for item in inner)


class Simulation(Strict):
    """One of the paper's simulations."""

    section: ClassVar[str] = "simulation"
    name: str = Field(description="imbalanced-classification (4.1) or undersampled-regression (4.2)")
    minority: int = Field(default=2000, ge=1, le=MOST_DRAWN, description="rows of the minority")
    majority: int = Field(default=4400, ge=1, le=MOST_DRAWN, description="rows of the majority")
    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="seed of the draw, apart from the study's")


class ColumnConfig(Strict):
    """A correction of what is inferred about a column."""

    section: ClassVar[str] = "columns"
    type: Literal["numeric", "integer", "categorical", "boolean", "datetime", "text"] | None = None
    role: Literal["feature", "attribute", "ignored"] | None = None


class PartConfig(Strict):
    """Images of one place."""

    section: ClassVar[str] = "parts"
    path: str = Field(description="folder, idx, npz or Parquet file, or Hugging Face data set")
    columns: dict[str, str | int | float | bool] = Field(default={}, description="values that all its rows get")
    labels: str | None = Field(default=None, description="table with a row per file, or the idx file of labels")
    pattern: str | None = Field(default=None, description="how file names are written: '{age}_{gender}_{_}.jpg'")
    column: str | None = Field(default=None, description="image column of a Parquet file or data set")
    arrays: dict[str, str] = Field(default={}, description="column: array of an npz file; one column is image")
    split: str | None = Field(default=None, description="split of a Hugging Face data set")


class ImagesConfig(Strict):
    """What images are brought to."""

    section: ClassVar[str] = "images"
    size: Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="pixels, or [height, width]"
    )
    mode: Literal["L", "RGB"] | None = Field(default=None, description="default: as they are")
    fit: Literal["stretch", "crop", "pad"] = Field(default="stretch", description="how others meet the size")
    broken: Literal["refuse", "skip"] = Field(default="refuse", description="unreadable or unlabelled images")


class TextsConfig(Strict):
    """A column of texts, and what is done with it."""

    section: ClassVar[str] = "texts"
    column: str = Field(description="column that holds the texts")
    words: list[Annotated[int, Field(ge=0, le=MOST_WORDS)]] = Field(
        default=[1, 0], min_length=2, max_length=2, description="least and most words; 0: no most"
    )
    broken: Literal["refuse", "skip"] = Field(default="refuse", description="empty texts and those beyond the limits")
    near: Ratio = Field(default=0.8, description="so similar texts stay on one side of a split")
    encoder: str | None = Field(default=None, description="sentence-transformers model: folder or hub name")
    precision: Literal["auto", "no", "bf16"] = Field(default="auto", description="of the encoder")


class Data(Strict):
    """Where rows come from: exactly one of path, url, parts and simulation."""

    section: ClassVar[str] = "data"
    path: str | None = Field(default=None, description="local table, relative to the working folder")
    url: str | None = Field(default=None, description="table to download; needs sha256")
    sha256: str | None = Field(default=None, description="checksum of the file")
    parts: list[PartConfig] | None = Field(
        default=None, min_length=1, description="tables, or images, of several places"
    )
    images: ImagesConfig = ImagesConfig()
    texts: TextsConfig | None = Field(default=None, description="texts, with their embeddings")
    simulation: Simulation | None = None
    keep: str | None = Field(default=None, description="pandas query: only rows for which it holds")
    target: str = Field(default="y", description="column to be predicted")
    task: Literal["classification", "regression", "detection"] | None = Field(
        default=None, description="the first two are inferred if absent"
    )
    normal: list[str] = Field(default=[], description="levels of the target that are normal, for detection")
    classes: list[str] = Field(default=[], description="the only levels that the target may have")
    group: str | None = Field(default=None, description="column whose values may not straddle roles")
    columns: dict[str, ColumnConfig] = Field(default={}, description="corrections by column name")

    @model_validator(mode="after")
    def _one_origin(self) -> Data:
        given = [k for k in ("path", "url", "parts", "simulation") if getattr(self, k) is not None]
        if len(given) != 1:
            raise CodsaError(f"data: give exactly one of path, url, parts, simulation (given: {given or 'none'})")
        return self


class RegionsConfig(Strict):
    """How the sample space is parted."""

    section: ClassVar[str] = "regions"
    by: Literal["class", "column", "quantile", "range", "expression"] | None = Field(
        default=None, description="default: class for classification, quantile of the target for regression"
    )
    column: str | None = Field(default=None, description="column that decides; default: the target")
    quantiles: int = Field(default=3, ge=2, le=1000, description="number of ranges by quantile")
    edges: list[float | str] | None = Field(default=None, description="inner edges of ranges")
    expressions: dict[str, str] | None = Field(default=None, description="name: pandas query")
    pool: bool | None = Field(default=None, description="join small regions; default: unless explicit")
    min_rows: int = Field(default=20, ge=1, le=MOST_ROWS, description="regions under so many rows are pooled")

    @field_validator("edges", mode="before")
    @classmethod
    def _dates_as_text(cls, edges: Any) -> Any:
        if not isinstance(edges, list):
            return edges
        for edge in edges:
            if isinstance(edge, float) and not math.isfinite(edge):
                raise CodsaError(f"regions: edges: {edge} is not a finite number")
        return [e.isoformat() if isinstance(e, date) else e for e in edges]


class SplitConfig(Strict):
    """The law Q and the sizes of what is drawn under it."""

    section: ClassVar[str] = "split"
    law: Literal["balanced", "training"] | dict[str, Weight] = Field(default="balanced", description="Q")
    validation: Size = Field(default=0.2, description="rows under Q, or a share of every region")
    test: Size = Field(default=0.2, description="rows under Q, or a share of every region")


class GridConfig(Strict):
    """The values of λ = (m, α, r) that are tried."""

    section: ClassVar[str] = "grid"
    r: list[Ratio] = Field(default=[0.5, 0.8, 1.0], min_length=1, description="split ratios")
    m: list[Multiple] = Field(default=[0.5, 1.0, 2.0], min_length=1, description="synthetic rows / n")
    alpha: list[Alpha] = Field(default=["balance"], min_length=1, description="allocations")
    focus: str | None = Field(default=None, description="region that a numeric alpha weighs")


class EstimatorConfig(Strict):
    """The model whose loss is to fall."""

    section: ClassVar[str] = "estimator"
    name: ObjectName = Field(default="gradient-boosting", description="registered name or module:Class")
    preprocess: Literal["auto", "none", "ordinal", "standard", "smooth"] = "auto"
    settings: dict[str, Any] = Field(default={}, description="keyword arguments")


class PretrainConfig(Strict):
    """What is learned from the source set, for the methods that transfer it."""

    section: ClassVar[str] = "pretrain"
    encoder: dict[str, Any] = Field(default={}, description="settings of the encoder–decoder")
    denoiser: dict[str, Any] = Field(default={}, description="the generator fitted on the source, and its settings")
    inverter: dict[str, Any] = Field(default={}, description="settings of the inverter of the source's embeddings")


class Method(Strict):
    """A way to fit the estimator: which real rows, which synthetic ones."""

    section: ClassVar[str] = "methods"
    name: Name
    generator: ObjectName | None = Field(default=None, description="registered name or module:Class; none: m = 0")
    settings: dict[str, Any] = Field(default={}, description="over the experiment's generators section")
    transfer: Literal["encoder", "denoiser", "rows", "fresh"] | None = Field(
        default=None,
        description="what is carried over from the source set (see codsa-train-gen --pretrain); fresh: the fresh rows",
    )
    source_rows: int | None = Field(
        default=None, ge=1, le=MOST_ROWS, description="so many of the source set's rows; default: all"
    )
    weighted: bool = Field(default=False, description="weigh real rows by q/p")
    reserve: Literal["disjoint", "all"] = Field(
        default="disjoint", description="real rows of the estimator: S_r, or all, which uses rows twice"
    )
    among: list[Name] | None = Field(
        default=None, description="fit nothing, but choose among these methods' fits on validation"
    )
    cross_fit: bool = Field(default=False, description="average one estimator per fold (D.1); r is 0.8")
    r: list[Ratio] | None = Field(default=None, description="default: the experiment's grid")
    m: list[Multiple] | None = None
    alpha: list[Alpha] | None = None


DIFFUSION = "tabular-diffusion"
PRESETS: dict[str, dict[str, Any]] = {
    "none": {"reserve": "all"},
    "weighted": {"reserve": "all", "weighted": True},
    **{name: {"generator": name, "reserve": "all", "r": [1.0]} for name in ("bootstrap", "smote", "adasyn", "smogn")},
    "non-adaptive": {"generator": DIFFUSION, "alpha": ["training"]},
    "gaussian": {"generator": "gaussian", "reserve": "all", "r": [1.0]},
    "codsa": {"generator": DIFFUSION},
    "codsa-reuse": {"generator": DIFFUSION, "reserve": "all", "r": [1.0]},
    "codsa-crossfit": {"generator": DIFFUSION, "cross_fit": True},
    "codsa-bagged": {"generator": DIFFUSION, "cross_fit": True, "reserve": "all"},
    "codsa-transfer": {"generator": DIFFUSION, "transfer": "encoder"},
    "codsa-finetune": {"generator": DIFFUSION, "transfer": "denoiser"},
    "source-rows": {"generator": "source-rows", "transfer": "rows", "reserve": "all", "r": [1.0]},
    "oracle": {"generator": "oracle", "reserve": "all", "r": [1.0]},
    "fresh-rows": {"generator": "source-rows", "transfer": "fresh", "reserve": "all", "r": [1.0]},
    "distortions": {"generator": "distortions", "reserve": "all", "r": [1.0]},
    "restyled": {"generator": "restyled", "reserve": "all", "r": [1.0]},
}
"""Methods known by name alone. non-adaptive is unconditional generation at one r (Shen 2023)."""


class Experiment(Strict):
    """One study: data, regions, law, methods, grid, estimator."""

    section: ClassVar[str] = "experiment"
    name: Name
    title: Title = Field(default="", description="heading of the report")
    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="root of all random streams")
    replicates: int = Field(default=5, ge=1, le=10_000, description="independent splits")
    data: Data
    source: Data | None = Field(default=None, description="independent related rows, for transfer")
    fresh: Data | None = Field(default=None, description="more real rows of the data's own law: what an oracle has")
    regions: RegionsConfig = RegionsConfig()
    split: SplitConfig = SplitConfig()
    methods: list[Method] = Field(default=[], validate_default=True)
    grid: GridConfig = GridConfig()
    generators: dict[str, dict[str, Any]] = Field(default={}, description="settings by generator")
    pretrain: PretrainConfig = PretrainConfig()
    estimator: EstimatorConfig = EstimatorConfig()
    metric: str | None = Field(default=None, description="by which all is judged; default: cross-entropy or mse")
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
    def _presets(cls, given: Any) -> Any:
        if given is not None and not isinstance(given, list):
            raise CodsaError(f"methods = {shortened(repr(given))}: give a list, as [none, codsa]")
        return [_expand(method) for method in given or ["none", "weighted", "bootstrap", "smote", "codsa"]]

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        names = [method.name for method in self.methods]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise CodsaError(f"experiment: method '{twice[0]}' stands twice; give one another name")
        for method in self.methods:
            strange = [name for name in method.among or [] if name not in names or name == method.name]
            if strange:
                raise CodsaError(f"method '{method.name}': among: no other method '{strange[0]}' in the experiment")
            if method.source_rows is not None and method.transfer is None:
                raise CodsaError(f"method '{method.name}': source_rows without transfer; say what is carried over")
            if method.transfer == "fresh" and self.fresh is None:
                raise CodsaError(f"method '{method.name}' takes fresh rows; give fresh")
            if method.transfer not in (None, "fresh") and self.source is None:
                raise CodsaError(f"method '{method.name}' transfers from a source set; give source")
            if method.cross_fit and (method.generator is None or method.r is not None):
                raise CodsaError(f"method '{method.name}': cross_fit takes a generator and no r; it leaves out folds")
            if any(self._method(name).among for name in method.among or []):
                raise CodsaError(f"method '{method.name}': among takes methods that are fitted")
            real = method.generator is None or method.cross_fit or method.reserve == "all"
            if not real and not any(method.m or self.grid.m) and set(method.r or self.grid.r) == {1.0}:
                raise CodsaError(f"method '{method.name}': m = 0 with r = 1 leaves no row to fit on")
        used = {method.generator for method in self.methods}
        for name in self.generators:
            if name not in used:
                raise CodsaError(f"generators: no method uses '{name}'; {suggest(name, filter(None, used))}")
        return self

    def _method(self, name: str) -> Method:
        return next(method for method in self.methods if method.name == name)


def _expand(method: Any) -> Any:
    """Turn a method's name into its preset, and fill a preset's name with what is said besides."""
    if isinstance(method, str):
        if method not in PRESETS:
            raise CodsaError(f"methods: no method '{method}'; {suggest(method, PRESETS)}")
        return {"name": method, **PRESETS[method]}
    if isinstance(method, Mapping) and str(method.get("name")) in PRESETS:
        return {**PRESETS[str(method["name"])], **method}
    return method


class Config(Strict):
    """`config.yaml`: which experiments to run, at which scale, and where to."""

    section: ClassVar[str] = "config"
    results: FolderPath = Field(
        default="results",
        description="folder of everything produced; letters, digits, blanks and . _ - + @ = , in its path, no .. or ~",
    )
    scale: Name = Field(default="quick", description="which of the experiments' scales")
    container: ImageAddress | None = Field(
        default=f"containers/codsa-{__version__}.sif",
        description="Apptainer image of the toolkit, used with `--sdm apptainer`: a path, an address, or none",
    )
    experiments: list[str] = Field(min_length=1, description="experiment files, relative to the working folder")

    @field_validator("results", mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if not re.fullmatch(FOLDER_PATH, given):
            allowed = "letters, digits, blanks and . _ - + @ = , in folders that '/' parts; not '..', not '~'"
            raise CodsaError(f"results = {given!r}: a folder's path has {allowed}")
        return os.path.normpath(given)

    @field_validator("container", mode="before")
    @classmethod
    def _no_container(cls, given: Any) -> Any:
        return None if given in ("", "none") else given


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with another laid over it, section by section."""
    made = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merge(made[key], value) if both else value
    return made


def validated(model: type[Strict], content: Any, where: str) -> Any:
    """Check a mapping against a model.

    Raises
    ------
    CodsaError
        Naming the file, the key, the value and what is allowed.
    """
    if not isinstance(content, Mapping):
        raise CodsaError(f"{where}: holds no keys")
    try:
        return model.model_validate(dict(content))
    except CodsaError as error:
        raise CodsaError(f"{where}: {error}") from None
    except ValidationError as error:
        first = _nearest(error)
        key = ".".join(str(part) for part in first["loc"] if not _UNION.match(str(part)))
        raise CodsaError(f"{where}: {key} = {shortened(repr(first['input']))}: {first['msg']}") from None


_UNION = re.compile(r"(?:constrained|function|literal|dict|list|bool|int|float|str|none)(?:$|[-\[])")
"""How pydantic calls a kind of value where several are allowed."""


def _nearest(error: ValidationError) -> Mapping[str, Any]:
    """Return the first error; where several kinds of value are allowed, that of the kind which is given."""
    errors = error.errors(include_url=False)
    first = errors[0]["loc"]
    place = [str(part) for part in first]
    union = next((k for k, part in enumerate(place) if _UNION.match(part)), len(place))
    return max((e for e in errors if e["loc"][:union] == first[:union]), key=lambda e: len(e["loc"]))


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
    over = scales[scale] if isinstance(scales, Mapping) and scales else None
    experiment: Experiment = validated(
        Experiment, merge(content, over) if isinstance(over, Mapping) else content, str(path)
    )
    return (f"{experiment.name}-{scale}" if scales else experiment.name), experiment


def main() -> None:
    """Print the JSON schema of a model, by its name (Config or Experiment)."""
    model: type[Strict] = Config if sys.argv[1] == "Config" else Experiment
    print(json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
