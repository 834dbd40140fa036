"""From an experiment to the options that each rule passes to its command.

Every function depends on the configuration alone. A stage receives the values that it uses on its command line, never
the complete configuration, so that a changed setting re-runs only the stages that use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from codsa.errors import CodsaError, suggest
from codsa.estimators.base import check_spec
from codsa.generators.base import generator_class
from codsa.io.class_sources import constructor_settings, imports
from codsa.settings.columns import ColumnOptions
from codsa.settings.registry import ESTIMATORS, GENERATORS, check_installed, locate
from codsa.workflow.arms import kind_of, uses_source
from codsa.workflow.commands import options, refuse_unwritable, section_options, settings, value
from codsa.workflow.config import Data
from codsa.workflow.design import ConfiguredGenerator, Design, module_of
from codsa.workflow.modalities import inverter_settings, round_trip_encoder

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


def _check_setting_names(generator: ConfiguredGenerator) -> None:
    """Raise for a setting that the constructor of a registered generator does not have, without importing it."""
    module, _, class_name = locate("generator", generator.name, GENERATORS).partition(":")
    known = constructor_settings(module, class_name)
    for key in generator.settings:
        if known is not None and key not in known:
            raise CodsaError(f"generator '{generator.name}' has no setting '{key}'; {suggest(key, known)}")


class Study(Design):
    """An experiment with its label: what the rules of the workflow take their inputs and options from."""

    def checked(self) -> Study:
        """Return the study itself once every name, text and setting that its rules need is checked.

        Where the check of a setting's value needs torch, only the setting's name is checked here: that of a registered
        generator, which its source tells. `check_all_settings`, and the jobs before they compute, check the rest.
        """
        refuse_unwritable(self.experiment.model_dump(), f"experiment '{self.label}'")
        for data in self.row_sets:
            raw_files(data)
        self.pretrained_module()
        for spec in self.all_estimators:
            check_installed(spec.name)
            module = module_of("estimator", spec.name, ESTIMATORS)
            if (spec.settings or spec.search) and spec.name in ESTIMATORS and not imports(module, TORCH):
                check_spec(spec, self.experiment.data.task)
        for name, generator in self.generators.items():
            if generator.settings and generator.name in GENERATORS:
                if imports(self.generator_module(name), TORCH):
                    _check_setting_names(generator)
                else:
                    generator_class(generator.name, generator.settings)
            if self.inverters(name):
                self.auxiliary("source")
        return self

    def check_all_settings(self) -> None:
        """Raise for any setting that a registered generator or estimator cannot have; it may import torch."""
        for spec in self.all_estimators:
            if (spec.settings or spec.search) and spec.name in ESTIMATORS:
                check_spec(spec, self.experiment.data.task)
        for name, generator in self.generators.items():
            own = {key: v for key, v in generator.settings.items() if key not in self.inverters(name)}
            if own and generator.name in GENERATORS:
                generator_class(generator.name, own)

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
