"""From an experiment to the options that each rule passes to its command.

Every function depends on the configuration alone. A stage receives the values that it uses on its command line, never
the complete configuration, so that a changed setting re-runs only the stages that use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from codsa.data.split import FOLD_RATIO, FOLDS, part_label
from codsa.errors import CodsaError
from codsa.estimators.base import check_spec
from codsa.generators.base import generator_class, uses_gpu
from codsa.io.class_sources import imports
from codsa.io.digests import digest
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import ESTIMATORS, GENERATORS, locate
from codsa.settings.types import ObjectName
from codsa.workflow.arms import arms_of, further_of, kind_of, primary_of, rank_of, uses_source
from codsa.workflow.commands import options, refuse_unwritable, section_options, settings, value
from codsa.workflow.config import Data, Experiment
from codsa.workflow.methods import Method
from codsa.workflow.modalities import inverter_settings, round_trip_encoder

PLAIN = "none"
"""The method without augmentation."""
TORCH = ("torch",)
"""Packages that take seconds to import, so that planning does without."""


def own_class(name: str) -> str | None:
    """Return a name if it is `module:Class`, a class of the user's own that a job must trust; None otherwise."""
    return name if ":" in name else None


def raw_files(data: Data) -> list[str]:
    """Return the local files and folders that a dataset is read from: none for simulations and URLs.

    Raises
    ------
    CodsaError
        Where Snakemake would take a part of a path for a wildcard.
    """
    part_paths = [path for part in data.parts or [] for path in (part.path, part.labels) if path]
    paths = [data.path] if data.path is not None else [str(path) for path in part_paths]
    for path in paths:
        if set(path) & set("{}<>"):
            raise CodsaError(f"data: path = {path!r}: Snakemake takes {{ }} < > for placeholders; rename the file")
    return paths


def _origin(data: Data) -> list[str]:
    """Return the arguments that say where a dataset is read from: one path, URL or simulation, or --part options."""
    if data.parts is not None:
        return options(part=[part.model_dump(mode="json", exclude_defaults=True) for part in data.parts])
    path = f"./{data.path}" if data.path and data.path.startswith("-") else data.path  # it is no option
    return [path or data.url or f"simulation:{data.simulation.name if data.simulation else ''}"]


@dataclass(frozen=True)
class ConfiguredGenerator:
    """A generator with the settings of a study; several methods may share it and its pool.

    Attributes
    ----------
    name : str
        Its registered name or `module:Class`.
    settings : mapping
    transfer : str, optional
        What is pretrained on the source set, and on how many of its rows: 'encoder', 'encoder-3000'.
    """

    name: str
    settings: Mapping[str, Any]
    transfer: str | None


class Study:
    """An experiment with its label: what the rules of the workflow take their inputs and options from.

    Parameters
    ----------
    label : str
        The name of its results folder.
    experiment : Experiment
    """

    def __init__(self, label: str, experiment: Experiment) -> None:
        self.label, self.experiment = label, experiment
        self.methods = arms_of(experiment)
        self.primary = primary_of(experiment, self.methods)

    def checked(self) -> Study:
        """Return the study itself once every name, text and setting that its rules need is checked.

        Settings are checked here where the check needs no torch: those of resamplers, trees and linear models. Jobs
        check all other settings before they compute.
        """
        refuse_unwritable(self.experiment.model_dump(), f"experiment '{self.label}'")
        for data in self.row_sets:
            raw_files(data)
        self.pretrained_module()
        for spec in self.all_estimators:
            module = _module("estimator", spec.name, ESTIMATORS)
            if (spec.settings or spec.search) and spec.name in ESTIMATORS and not imports(module, TORCH):
                check_spec(spec, self.experiment.data.task)
        for name, generator in self.generators.items():
            generator_module = self.generator_module(name)
            if generator.settings and generator.name in GENERATORS and not imports(generator_module, TORCH):
                generator_class(generator.name, generator.settings)
            if self.inverters(name):
                self.auxiliary("source")
        return self

    @property
    def row_sets(self) -> list[Data]:
        """The study's own rows, and its source and fresh sets where it has them."""
        sets = (self.experiment.data, self.experiment.source, self.experiment.fresh)
        return [data for data in sets if data is not None]

    @cached_property
    def generators(self) -> dict[str, ConfiguredGenerator]:
        """The generators by the name of their folder."""
        with_generator = [method for method in self.methods.values() if method.generator is not None]
        return {self.generator_of(method): self._configured(method) for method in with_generator}

    def _configured(self, method: Method) -> ConfiguredGenerator:
        assert method.generator is not None
        locate("generator", method.generator, GENERATORS)
        common = self.experiment.generators.get(method.generator, {})
        rows = "" if method.source_rows is None else f"-{method.source_rows}"
        transfer = None if method.transfer is None else method.transfer + rows
        return ConfiguredGenerator(method.generator, {**common, **method.settings}, transfer)

    def generator_of(self, method: Method) -> str:
        """Return the name of a method's generator folder; equal generators share one."""
        generator = self._configured(method)
        name = generator.name.replace(":", ".")
        transfer = f"from-{generator.transfer}" if generator.transfer else ""
        parts = [name, transfer, digest(method.settings)[:8] if method.settings else ""]
        return "-".join(part for part in parts if part)

    def gpus(self, generator: str) -> int:
        """Return the number of GPUs that train a generator: the experiment's, or 0 for a generator that uses none."""
        return self.experiment.gpus if uses_gpu(self.generators[generator].name) else 0

    def pretraining_gpus(self, transfer: str) -> int:
        """Return the number of GPUs that pretrain a `ConfiguredGenerator.transfer`; rows are only copied."""
        return 0 if transfer.startswith(("rows", "fresh")) else self.experiment.gpus

    @cached_property
    def estimators(self) -> dict[str, EstimatorSpec]:
        """The study's estimators by label, its own first.

        Each averages at least as many fits as a cross-fitted arm has folds, so that all arms have the same budget.
        """
        own = self.experiment.estimator
        label, further = own.name.replace(":", "."), further_of(self.experiment)
        if label in further:
            raise CodsaError(f"further_estimators: '{label}' is the label of the study's own estimator; give another")
        folds = FOLDS if any(method.cross_fit for method in self.methods.values()) else 1
        return {
            name: spec.model_copy(update={"average": max(spec.average, folds)})
            for name, spec in {label: own, **further}.items()
        }

    def estimators_of(self, method: str) -> dict[str, EstimatorSpec]:
        """Return the estimators of a method by label: the study's, or the method's own."""
        own = self.methods[method].estimator
        return self.estimators if own is None else {method: own}

    @property
    def all_estimators(self) -> list[EstimatorSpec]:
        """Every estimator of the study, those of single methods, too."""
        own = [method.estimator for method in self.methods.values() if method.estimator is not None]
        return [*self.estimators.values(), *own]

    @property
    def most_synthetic(self) -> float:
        """The largest m of the study, as a multiple of n."""
        return max(float(m) for method in self.methods.values() for m in self.grid(method)["m"])

    def candidates(self, method: str) -> list[str]:
        """Return the methods from whose fits λ̂ is chosen: those of its `choose_from`, or the method itself.

        A method with a generator may also add nothing: the fits of 'none' are among its candidates.
        """
        chosen = self.methods[method]
        if chosen.choose_from is not None:
            return list(chosen.choose_from)
        return [PLAIN, method] if chosen.generator is not None and PLAIN in self.methods else [method]

    def ranks(self, method: str) -> list[int]:
        """Return how simple each of the fits is from which a method's λ̂ is chosen, in their order."""
        candidates = [self.methods[name] for name in self.candidates(method)]
        return [rank_of(candidate) for candidate in candidates for _ in self.fits(candidate)]

    def fits(self, method: Method) -> dict[str, list[str]]:
        """Return the labels of a method's fits, each with the parts S_g whose pools it uses.

        Labels of parts are those of `part_label`: '0.8' or '0.8-fold2'. The label of a fit is its r, or '0.8-cross'.
        """
        if method.generator is None:
            return {"1.0": []}
        if method.cross_fit:
            return {f"{FOLD_RATIO}-cross": [part_label(FOLD_RATIO, fold) for fold in range(FOLDS)]}
        return {str(r): [str(r)] for r in self._ratios(method)}

    def _ratios(self, method: Method) -> list[float]:
        """Return a method's ratios r; where α is fixed to p (non-adaptive), only the largest below 1."""
        if method.r is None and method.alpha == ["training"]:
            below = [r for r in self.experiment.grid.r if r < 1]
            return [max(below or self.experiment.grid.r)]
        return list(method.r or self.experiment.grid.r)

    def grid(self, method: Method) -> dict[str, Any]:
        """Return a method's grid of (m, α)."""
        grid = self.experiment.grid
        if method.generator is None:
            return {"m": [0.0], "alpha": ["balance"], "reserve": method.reserve, "focus": None}
        m = list(method.m or grid.m)
        if PLAIN in self.methods:
            m = [ratio for ratio in m if ratio > 0] or m  # the fits of 'none' are candidates
        elif 0 not in m:
            m = [0.0, *m]
        alpha = [a if isinstance(a, (str, dict)) else float(a) for a in method.alpha or grid.alpha]
        return {"m": m, "alpha": alpha, "reserve": method.reserve, "focus": grid.focus}

    def pool_use(self, method: Method) -> dict[str, Any]:
        """Return how a method's estimator uses the rows of the pool: their weights, and whether it is told of them."""
        weights = [] if method.pool_weight == [1.0] else list(method.pool_weight)
        return {"pool_weight": weights, "domain": method.domain}

    def stream(self, replicate: int | str | None = None) -> list[str]:
        """Return the options from which random streams derive."""
        return options(seed=self.experiment.seed, experiment=self.label, replicate=replicate)

    def prepare(self, data: Data) -> list[str]:
        """Return the arguments of codsa-prepare."""
        sections = [self.experiment.regions, data.table, data.images, data.texts, data.simulation]
        return [
            *_origin(data),
            *options(sha256=data.sha256, keep=data.keep),
            *section_options(data, ColumnOptions),
            *(word for section in sections if section for word in section_options(section, without=("name",))),
        ]

    def auxiliary(self, name: str) -> Data:
        """Return an auxiliary set of rows: 'source' (for transfer) or 'fresh' (for the oracle)."""
        data: Data | None = getattr(self.experiment, name)
        if data is None:
            raise CodsaError(f"experiment '{self.label}' has no {name} set")
        return data

    def pretrain(self, transfer: str) -> list[str]:
        """Return the arguments of codsa-train-gen --pretrain for a `ConfiguredGenerator.transfer`."""
        return [*self.pretrained_options(transfer), *self.stream()]

    def pretrained_options(self, transfer: str) -> list[str]:
        """Return the options of codsa-train-gen --pretrain that say what is pretrained, and by which settings."""
        kind, _, rows = transfer.partition("-")
        what = options(
            pretrain="rows" if kind == "fresh" else kind,
            source_rows=int(rows) if rows else None,
            gpus=self.pretraining_gpus(kind) or None,
        )
        kind_settings = getattr(self.experiment.pretrain, kind, {})
        if kind == "inverter":
            kind_settings = {**inverter_settings(self.auxiliary("source")), **kind_settings}
        return [*what, *settings(kind_settings)]

    def transfers(self, generator: str) -> list[str]:
        """Return what a generator starts from, as pretrained on the source set: one kind, or none."""
        transfer = self.generators[generator].transfer
        return [] if transfer is None else [transfer]

    def inverters(self, generator: str) -> list[str]:
        """Return ['inverter'] for a generator that decodes by the inverter of the source set; else an empty list."""
        return ["inverter"] if self.generators[generator].settings.get("inverter") == "source" else []

    def inverter_options(self, folders: Iterable[str]) -> list[str]:
        """Return the options of codsa-train-gen that name the folders of inverters."""
        return [option for folder in folders for option in settings({"inverter": str(folder)})]

    def split(self, replicate: int | str) -> list[str]:
        """Return the arguments of codsa-split."""
        return [*self.split_sizes(), *self.stream(replicate)]

    def split_sizes(self) -> list[str]:
        """Return the options of codsa-split: the law and how many rows are held out."""
        return section_options(self.experiment.split)

    def train(self, replicate: int | str, generator: str, part: str) -> list[str]:
        """Return the arguments of codsa-train-gen."""
        return [*self.generator_options(generator), *self.part_options(part), *self.stream(replicate)]

    def generator_options(self, generator: str) -> list[str]:
        """Return the options of codsa-train-gen that say what is trained, and on how many GPUs."""
        configured = self.generators[generator]
        elsewhere = self.inverters(generator)  # `inverter_options` sets this one
        own_settings = {key: setting for key, setting in configured.settings.items() if key not in elsewhere}
        return [*options(generator=configured.name, gpus=self.gpus(generator) or None), *settings(own_settings)]

    def part_options(self, part: str) -> list[str]:
        """Return the option of codsa-train-gen that defines S_g: a ratio r, or all rows outside a fold."""
        r, _, fold = part.partition("-fold")
        return options(fold=int(fold)) if fold else options(r=float(r))

    def sample(self, replicate: int | str, generator: str, part: str) -> list[str]:
        """Return the arguments of codsa-sample."""
        return [*self.pool_grids(generator, part), *self.generator_trust(generator), *self.stream(replicate)]

    def pool_grids(self, generator: str, part: str) -> list[str]:
        """Return the options of codsa-sample that set the pool's size: the grids of all methods that share it."""
        sharing = [
            method
            for method in self.methods.values()
            if method.generator
            and self.generator_of(method) == generator
            and any(part in parts for parts in self.fits(method).values())
        ]
        return options(grid=sorted({value(self.grid(method)) for method in sharing}))

    def generator_trust(self, generator: str) -> list[str]:
        """Return the option that lets a generator of the user's own run."""
        return options(trust=own_class(self.generators[generator].name))

    def fit(self, replicate: int | str, method: str, label: str) -> list[str]:
        """Return the arguments of codsa-fit."""
        grid, estimator = self.grid_options(method, label), self.estimator_options(method)
        return [*grid, *estimator, *self.metric_options(), *self.stream(replicate)]

    def grid_options(self, method: str, label: str) -> list[str]:
        """Return the options of codsa-fit for the grid of (m, α) and the real rows."""
        chosen = self.methods[method]
        ratio = float(label.removesuffix("-cross"))
        grid = {**self.grid(chosen), **self.pool_use(chosen)}
        return options(r=ratio, **grid, weighted=chosen.weighted, keep_grid=self.experiment.keep_grid)

    def estimator_options(self, method: str) -> list[str]:
        """Return the options of codsa-fit for the estimators."""
        (label, own), *further = self.estimators_of(method).items()
        return [
            *section_options(own),
            *options(label=label),
            *options(
                further=[value({"label": name, **spec.model_dump(exclude_defaults=True)}) for name, spec in further]
            ),
        ]

    def metric_options(self) -> list[str]:
        """Return the options of codsa-fit for the metrics of test and validation rows."""
        return options(metric=self.experiment.metric, choose_by=self.experiment.choose_by)

    def evaluate(self, replicate: int | str) -> list[str]:
        """Return the arguments of codsa-eval, but for the evaluations."""
        return [*self.estimator_trust(), *self.stream(replicate)]

    def estimator_trust(self) -> list[str]:
        """Return the options that let estimators of the user's own run."""
        own = (own_class(spec.name) for spec in self.all_estimators)
        return options(trust=list(dict.fromkeys(name for name in own if name is not None)))

    def evaluation(self, method: str, **paths: Any) -> str:
        """Return a method's --evaluation for codsa-eval: its name, what it is to the report, and paths by key."""
        encoder, chosen = self._round_trip_encoder(method), self.methods[method]
        facts = {
            "kind": kind_of(chosen, self.primary),
            "source": uses_source(chosen, self.methods),
            "ranks": self.ranks(method),
            "estimators": list(self.estimators),
        }
        return value({"method": method, **facts, **paths, **({"encoder": encoder} if encoder else {})})

    def _round_trip_encoder(self, method: str) -> str | None:
        """Return the encoder that embeds a method's generated texts again; None where it generates none."""
        generates = any(self.methods[name].generator for name in self.candidates(method))
        return round_trip_encoder(self.experiment.data) if generates else None

    def pretrained_module(self) -> str:
        """Return the module of the generator that is pretrained on the source set."""
        return _module("generator", self._pretrained_name(), GENERATORS)

    def _pretrained_name(self) -> str:
        name = self.experiment.pretrain.denoiser.get("generator", "tabular-diffusion")
        try:
            return TypeAdapter(ObjectName).validate_python(name)
        except ValidationError:
            raise CodsaError(f"pretrain.denoiser: generator = {name!r}: a registered name or module:Class") from None

    def generator_module(self, generator: str) -> str:
        """Return the module of a generator."""
        return _module("generator", self.generators[generator].name, GENERATORS)

    def estimator_modules(self) -> list[str]:
        """Return the modules of all estimators."""
        return list(dict.fromkeys(_module("estimator", spec.name, ESTIMATORS) for spec in self.all_estimators))


def _module(kind: str, name: str, registered: Mapping[str, str]) -> str:
    """Return the module of a registered name or of `module:Class`."""
    return locate(kind, name, registered).partition(":")[0]
