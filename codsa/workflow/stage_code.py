"""The modules that each stage of a study runs; the rules take their digest (see `codsa.workflow.code_digests`).

A stage names the module of its command, the modules of the experiment's generators and estimator, and the optional
code that functions import only for images or texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from codsa.errors import CodsaError
from codsa.io.module_files import module_file
from codsa.settings.registry import NAME
from codsa.workflow.code_digests import DIAGNOSTICS, REGISTERED
from codsa.workflow.config import Data
from codsa.workflow.modalities import modality_modules, optional_code, reader_code
from codsa.workflow.study import Study


class StageCode:
    """The modules that each stage of a study runs, as names for `codsa.workflow.code_digests.stage_digest`.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def checked(self) -> StageCode:
        """Return this object once the source of every class of the user's is located.

        Raises
        ------
        CodsaError
            For a `module:Class` whose module is not on the search path.
        """
        experiment = self.study.experiment
        names = {"estimator": [spec.name for spec in self.study.all_estimators]}
        names["generator"] = [source.name for source in self.study.generators.values()]
        names["pretrain.denoiser: generator"] = [str(experiment.pretrain.denoiser.get("generator", ""))]
        for role, role_names in names.items():
            for name in filter(NAME.fullmatch, role_names):
                _check_module_exists(role, name)
        return self

    def all_stages(self) -> list[str]:
        """Name the code of all stages."""
        study, kinds = self.study, [kind for name in self.study.generators for kind in self.study.transfers(name)]
        names = [name for data in study.row_sets for name in self.prepare(data)]
        names += [name for kind in kinds for name in self.pretrain(kind)]
        names += [name for generator in study.generators for name in self.sample(generator) + self.train(generator)]
        return list(dict.fromkeys([*names, *self.split(), *self.fit(), *self.evaluate(), *self.report()]))

    def prepare(self, data: Data) -> list[str]:
        """Name the code that reads a dataset."""
        return ["codsa.cli.prepare", *reader_code(data)]

    def split(self) -> list[str]:
        """Name the code that gives rows their roles."""
        return ["codsa.cli.split", *self._modalities]

    def pretrain(self, transfer: str) -> list[str]:
        """Name the code that pretrains what `ConfiguredGenerator.transfer` says."""
        kind = transfer.partition("-")[0]
        learner: list[str] = []
        if kind == "encoder":
            learner = ["codsa.nn.autoencoder"]
        elif kind == "denoiser":
            learner = [self.study.pretrained_module(), *named_modules(self.study.experiment.pretrain.denoiser)]
        elif kind == "inverter":
            learner = ["codsa.generators.texts.inverting"]
        return ["codsa.cli.train_gen", "codsa.stages.pretrain", *learner, *self._modalities]

    def train(self, generator: str) -> list[str]:
        """Name the code that trains a generator."""
        return ["codsa.cli.train_gen", *self._generator(generator), *self._modalities]

    def sample(self, generator: str) -> list[str]:
        """Name the code that draws a generator's pool."""
        return ["codsa.cli.sample", *self._generator(generator), *self._modalities, *self._modality_modules]

    def fit(self) -> list[str]:
        """Name the code that fits the estimator."""
        return ["codsa.cli.fit", *self._estimator, *self._modalities]

    def evaluate(self) -> list[str]:
        """Name the code that scores λ̂ on test rows."""
        return ["codsa.cli.eval", DIAGNOSTICS, *self._estimator, *self._modalities, *self._modality_modules]

    def report(self) -> list[str]:
        """Name the code that writes the report."""
        return ["codsa.cli.report", *self._modalities]

    @cached_property
    def _estimator(self) -> list[str]:
        specs = self.study.all_estimators
        named = [module for spec in specs for module in named_modules({"own": spec.settings, "search": spec.search})]
        return [*self.study.estimator_modules(), *named]

    def _generator(self, generator: str) -> list[str]:
        return [self.study.generator_module(generator), *named_modules(self.study.generators[generator].settings)]

    @cached_property
    def _modalities(self) -> list[str]:
        """The optional code that the study's data need."""
        return optional_code(self.study.row_sets)

    @property
    def _modality_modules(self) -> list[str]:
        """The modules of the registered modalities that the study's data need, tables always."""
        return modality_modules(self._modalities)


def named_modules(settings: Mapping[str, Any]) -> list[str]:
    """Return the modules that settings name, at any depth: by a registered name, or as `module:Class`."""
    modules = {_named_module(text) for text in _texts_of(settings)}
    return sorted(module for module in modules if module is not None)


def _named_module(text: str) -> str | None:
    if text in REGISTERED:
        return REGISTERED[text].partition(":")[0]
    module = text.partition(":")[0]
    return module if NAME.fullmatch(text) and module_file(module) is not None else None


def _texts_of(value: Any) -> Iterator[str]:
    """Yield the texts among nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts_of(item)


def _check_module_exists(role: str, name: str) -> None:
    module = name.partition(":")[0]
    if module_file(module) is None:
        raise CodsaError(f"{role} '{name}': no module '{module}' is found; put its folder on PYTHONPATH")
