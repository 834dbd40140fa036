"""The modules behind each stage of a study, of which the rules pass the digest on (see `codsa.workflow.code_digests`).

A stage names its command's module, what the registries or `module:Class` stand for in the experiment, and what
functions import only for data with images or texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from codsa.errors import CodsaError
from codsa.io.module_files import module_file
from codsa.readers.places import holds_images
from codsa.settings.registry import MODALITIES, NAME
from codsa.workflow.code_digests import DIAGNOSTICS, IMAGES, OPTIONAL, REGISTERED, TEXTS
from codsa.workflow.config import Data
from codsa.workflow.study import Study

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")
"""What is downloaded under another name may hold images."""


class StageCode:
    """What each stage of a study runs, as names for `codsa.workflow.code_digests.stage_digest`.

    Parameters
    ----------
    study : Study
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def checked(self) -> StageCode:
        """Return this once the source of every class of the user's is found.

        Raises
        ------
        CodsaError
            For a `module:Class` whose module is not on the search path.
        """
        experiment = self.study.experiment
        names = {"estimator": [experiment.estimator.name]}
        names["generator"] = [source.name for source in self.study.generators.values()]
        names["pretrain.denoiser: generator"] = [str(experiment.pretrain.denoiser.get("generator", ""))]
        for kind, given in names.items():
            for name in filter(NAME.fullmatch, given):
                _refuse_missing(kind, name)
        return self

    def prepare(self, data: Data) -> list[str]:
        """Name the code that reads a dataset."""
        images = [IMAGES] if data.parts is not None or _has_images(data) else []
        return ["codsa.cli.prepare", *images, *([TEXTS] if data.texts is not None else [])]

    def split(self) -> list[str]:
        """Name the code that gives rows their roles."""
        return ["codsa.cli.split", *self._modalities]

    def pretrain(self, transfer: str) -> list[str]:
        """Name the code that learns a `Source.transfer`."""
        kind = transfer.partition("-")[0]
        own: list[str] = []
        if kind == "encoder":
            own = ["codsa.nn.autoencoder"]
        elif kind == "denoiser":
            own = [self.study.pretrained_module(), *named_modules(self.study.experiment.pretrain.denoiser)]
        elif kind == "inverter":
            own = ["codsa.generators.texts.inverting"]
        return ["codsa.cli.train_gen", *own, *self._modalities]

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
        """Name the code that measures the chosen estimator."""
        return ["codsa.cli.eval", DIAGNOSTICS, *self._estimator, *self._modalities, *self._modality_modules]

    def report(self) -> list[str]:
        """Name the code that writes the report."""
        return ["codsa.cli.report", *self._modalities]

    @cached_property
    def _estimator(self) -> list[str]:
        return [self.study.estimator_module(), *named_modules(self.study.experiment.estimator.settings)]

    def _generator(self, generator: str) -> list[str]:
        return [self.study.generator_module(generator), *named_modules(self.study.generators[generator].settings)]

    @cached_property
    def _modalities(self) -> list[str]:
        """The optional packages that the study's data need."""
        experiment = self.study.experiment
        sets = [data for data in (experiment.data, experiment.source, experiment.fresh) if data is not None]
        images = any(map(_has_images, sets))
        texts = any(data.texts is not None for data in sets)
        return [*([IMAGES] if images else []), *([TEXTS] if texts else [])]

    @property
    def _modality_modules(self) -> list[str]:
        """The modules of the registered modalities that the study's data need, tables always."""
        modules = [entry.target.partition(":")[0] for entry in MODALITIES]
        return [name for name in modules if OPTIONAL.get(name) in (None, *self._modalities)]


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
        for below in value.values():
            yield from _texts_of(below)
    elif isinstance(value, (list, tuple)):
        for below in value:
            yield from _texts_of(below)


def _refuse_missing(kind: str, name: str) -> None:
    module = name.partition(":")[0]
    if module_file(module) is None:
        raise CodsaError(f"{kind} '{name}': no module '{module}' is found; put its folder on PYTHONPATH")


def _has_images(data: Data) -> bool:
    """Say whether a dataset's rows may have images; where its file is not there yet, go by its name."""
    if data.url is not None:
        return not any(suffix in Path(data.url.partition("?")[0]).suffixes for suffix in TABLES)
    places = [part.path for part in data.parts or []] if data.path is None else [data.path]
    return any(holds_images(Path(place)) or _may_hold_images(Path(place)) for place in places)


def _may_hold_images(path: Path) -> bool:
    return not path.exists() and not any(suffix in path.suffixes for suffix in TABLES)
