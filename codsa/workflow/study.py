"""From an experiment to the values that each rule passes to its command.

Pure functions of the configuration: a stage receives values on its command line, never the whole
configuration, so that a changed setting re-runs the stages that it touches and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from codsa.settings.registry import ESTIMATORS, GENERATORS, locate
from codsa.settings.types import ObjectName
from codsa.workflow.commands import options, section_options, settings, value
from codsa.workflow.config import Data, Experiment, Method

TORCH = ("torch",)
"""Packages that take seconds to import, so that planning does without."""


def own_code(name: str) -> str | None:
    """Return what a job is told to trust, for a name of the experiment: the user's own class, if it is one."""
    return name if ":" in name else None


def refuse_unwritable(content: Any, where: str) -> None:
    """Raise where a configuration holds a text that no command line can carry: with NUL, or with half a character.

    Raises
    ------
    CodsaError
        Naming the key that leads to the text.
    """
    if isinstance(content, Mapping):
        for key, below in content.items():
            refuse_unwritable(str(key), f"{where}, a key")
            refuse_unwritable(below, f"{where}: {key}")
    elif isinstance(content, list | tuple):
        for below in content:
            refuse_unwritable(below, where)
    elif isinstance(content, str) and ("\0" in content or any("\ud800" <= sign <= "\udfff" for sign in content)):
        raise CodsaError(f"{where} = {content!a}: no text; take out the characters that are written with a backslash")


def raw_files(data: Data) -> list[str]:
    """Return the local files and folders that a dataset is made from: none for simulations and URLs.

    Raises
    ------
    CodsaError
        Where Snakemake would take a part of a path for a wildcard.
    """
    places = [place for part in data.parts or [] for place in (part.path, part.labels) if place]
    paths = [data.path] if data.path is not None else [str(place) for place in places]
    for path in paths:
        if set(path) & set("{}<>"):
            raise CodsaError(f"data: path = {path!r}: Snakemake takes {{ }} < > for placeholders; rename the file")
    return paths


def _source(data: Data) -> list[str]:
    """Return what a dataset is read from: one source, or parts."""
    if data.parts is not None:
        return options(part=[part.model_dump(mode="json", exclude_defaults=True) for part in data.parts])
    path = f"./{data.path}" if data.path and data.path.startswith("-") else data.path  # it is no option
    return [path or data.url or f"simulation:{data.simulation.name if data.simulation else ''}"]


@dataclass(frozen=True)
class Source:
    """A generator as a study uses it: several methods may share it and its pool.

    Attributes
    ----------
    name : str
        Its registered name or `module:Class`.
    settings : mapping
    transfer : str, optional
        What is carried over from the source set, and from how many rows: 'encoder', 'encoder-3000'.
    """

    name: str
    settings: Mapping[str, Any]
    transfer: str | None


class Study:
    """An experiment with its label, as the rules of the workflow ask it.

    Parameters
    ----------
    label : str
        The name of its results folder.
    experiment : Experiment
    """

    def __init__(self, label: str, experiment: Experiment) -> None:
        self.label, self.experiment = label, experiment
        self.methods = {method.name: method for method in experiment.methods}

    def checked(self) -> Study:
        """Return the study itself once every name, text and setting that its rules will need is known to be good.

        Settings are checked here where that needs no torch: those of resamplers, trees and linear models. The jobs
        of the others check theirs before any work.
        """
        refuse_unwritable(self.experiment.model_dump(), f"experiment '{self.label}'")
        for data in filter(None, (self.experiment.data, self.experiment.source, self.experiment.fresh)):
            raw_files(data)
        spec = self.experiment.estimator
        estimator_module = self.estimator_module()
        self.pretrained_module()
        if spec.settings and spec.name in ESTIMATORS and not imports(estimator_module, TORCH):
            check_spec(spec, self.experiment.data.task)
        for name, source in self.generators.items():
            generator_module = self.generator_module(name)
            if source.settings and source.name in GENERATORS and not imports(generator_module, TORCH):
                generator_class(source.name, source.settings)
            if self.inverted(name):
                self.auxiliary("source")
        return self

    @cached_property
    def generators(self) -> dict[str, Source]:
        """The generators by the name of their folder."""
        found: dict[str, Source] = {}
        for method in self.methods.values():
            if method.generator is not None:
                found[self.generator_of(method)] = self._source(method)
        return found

    def _source(self, method: Method) -> Source:
        assert method.generator is not None
        locate("generator", method.generator, GENERATORS)
        common = self.experiment.generators.get(method.generator, {})
        rows = "" if method.source_rows is None else f"-{method.source_rows}"
        transfer = None if method.transfer is None else method.transfer + rows
        return Source(method.generator, {**common, **method.settings}, transfer)

    def generator_of(self, method: Method) -> str:
        """Return the name of a method's generator folder; equal generators share one."""
        source = self._source(method)
        name = source.name.replace(":", ".")
        transfer = f"from-{source.transfer}" if source.transfer else ""
        parts = [name, transfer, digest(method.settings)[:8] if method.settings else ""]
        return "-".join(part for part in parts if part)

    def gpus(self, generator: str) -> int:
        """Return how many GPUs a generator is trained on: those of the experiment, or none where they would idle."""
        return self.experiment.gpus if uses_gpu(self.generators[generator].name) else 0

    def pretraining_gpus(self, transfer: str) -> int:
        """Return how many GPUs a `Source.transfer` is learned on; rows are only kept."""
        return 0 if transfer.startswith(("rows", "fresh")) else self.experiment.gpus

    @property
    def most_synthetic(self) -> float:
        """The largest m of the study, as a multiple of n."""
        return max(float(m) for method in self.methods.values() for m in self.grid(method)["m"])

    def candidates(self, method: str) -> list[str]:
        """Return the methods whose fits λ̂ is chosen among: the method's own, or those it names."""
        return list(self.methods[method].choose_from or [method])

    def fits(self, method: Method) -> dict[str, list[str]]:
        """Return the labels of a method's fits, and the parts S_g whose pools each draws on.

        A part is written as `part_label` writes it, '0.8' or '0.8-fold2'. A fit is called by its r.
        """
        if method.generator is None:
            return {"1.0": []}
        if method.cross_fit:
            return {f"{FOLD_RATIO}-cross": [part_label(FOLD_RATIO, fold) for fold in range(FOLDS)]}
        return {str(r): [str(r)] for r in self._ratios(method)}

    def _ratios(self, method: Method) -> list[float]:
        """Return a method's ratios r; with α fixed to p (non-adaptive) the largest below 1."""
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
        alpha = [a if isinstance(a, (str, dict)) else float(a) for a in method.alpha or grid.alpha]
        return {"m": m, "alpha": alpha, "reserve": method.reserve, "focus": grid.focus}

    def stream(self, replicate: int | str | None = None) -> list[str]:
        """Return the options that random streams derive from."""
        return options(seed=self.experiment.seed, experiment=self.label, replicate=replicate)

    def prepare(self, data: Data) -> list[str]:
        """Return the arguments of codsa-prepare."""
        corrections = [
            f"{name}={word}" for name, c in data.columns.items() for word in (c.type, c.role) if word is not None
        ]
        sections = [self.experiment.regions, data.images, data.texts, data.simulation]
        return [
            *_source(data),
            *options(
                target=data.target,
                sha256=data.sha256,
                task=data.task,
                normal=data.normal,
                **{"class": data.classes},
                keep=data.keep,
                group=data.group,
                column=corrections,
            ),
            *(word for section in sections if section for word in section_options(section, without=("name",))),
        ]

    def auxiliary(self, name: str) -> Data:
        """Return a further set of rows: 'source', of the transfer, or 'fresh', of the oracle."""
        found: Data | None = getattr(self.experiment, name)
        if found is None:
            raise CodsaError(f"experiment '{self.label}' has no {name} set")
        return found

    def pretrain(self, transfer: str) -> list[str]:
        """Return the arguments of codsa-train-gen --pretrain for a `Source.transfer`."""
        return [*self.pretrained_options(transfer), *self.stream()]

    def pretrained_options(self, transfer: str) -> list[str]:
        """Return the options of codsa-train-gen --pretrain that say what is learned from the source set."""
        kind, _, rows = transfer.partition("-")
        chosen = options(
            pretrain="rows" if kind == "fresh" else kind,
            source_rows=int(rows) if rows else None,
            gpus=self.pretraining_gpus(kind) or None,
        )
        own = getattr(self.experiment.pretrain, kind, {})
        if kind == "inverter":
            texts = self.auxiliary("source").texts
            own = {**({"encoder": texts.encoder} if texts and texts.encoder else {}), **own}
        return [*chosen, *settings(own)]

    def inverted(self, generator: str) -> bool:
        """Say whether a generator decodes by the inverter that is trained on the source set."""
        return self.generators[generator].settings.get("inverter") == "source"

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
        source = self.generators[generator]
        own = {k: v for k, v in source.settings.items() if k != "inverter" or not self.inverted(generator)}
        return [*options(generator=source.name, gpus=self.gpus(generator) or None), *settings(own)]

    def part_options(self, part: str) -> list[str]:
        """Return the option of codsa-train-gen that says on which rows: a ratio r, or all outside a fold."""
        r, _, fold = part.partition("-fold")
        return options(fold=int(fold)) if fold else options(r=float(r))

    def sample(self, replicate: int | str, generator: str, part: str) -> list[str]:
        """Return the arguments of codsa-sample."""
        return [*self.pool_grids(generator, part), *self.generator_trust(generator), *self.stream(replicate)]

    def pool_grids(self, generator: str, part: str) -> list[str]:
        """Return the options of codsa-sample that say how many rows: the grids of all methods that share the pool."""
        users = [
            m
            for m in self.methods.values()
            if m.generator and self.generator_of(m) == generator and any(part in p for p in self.fits(m).values())
        ]
        return options(grid=sorted({value(self.grid(m)) for m in users}))

    def generator_trust(self, generator: str) -> list[str]:
        """Return the option that lets a generator of the user's own run."""
        return options(trust=own_code(self.generators[generator].name))

    def fit(self, replicate: int | str, method: str, label: str) -> list[str]:
        """Return the arguments of codsa-fit."""
        grid, estimator = self.grid_options(method, label), self.estimator_options()
        return [*grid, *estimator, *self.metric_options(), *self.stream(replicate)]

    def grid_options(self, method: str, label: str) -> list[str]:
        """Return the options of codsa-fit that say which (m, α) are fitted, on which real rows."""
        chosen = self.methods[method]
        ratio = float(label.removesuffix("-cross"))
        return options(r=ratio, **self.grid(chosen), weighted=chosen.weighted, keep_grid=self.experiment.keep_grid)

    def estimator_options(self) -> list[str]:
        """Return the options of codsa-fit that say what is fitted."""
        return section_options(self.experiment.estimator)

    def metric_options(self) -> list[str]:
        """Return the options of codsa-fit that say how the fits are judged."""
        return options(metric=self.experiment.metric, choose_by=self.experiment.choose_by)

    def evaluate(self, replicate: int | str) -> list[str]:
        """Return the arguments of codsa-eval, but for the evaluations."""
        return [*self.estimator_trust(), *self.stream(replicate)]

    def estimator_trust(self) -> list[str]:
        """Return the option that lets an estimator of the user's own run."""
        return options(trust=own_code(self.experiment.estimator.name))

    def evaluation(self, method: str, **paths: Any) -> str:
        """Return a method's --evaluation for codsa-eval: its name, its encoder, and the paths that are given."""
        encoder = self._round_trip_encoder(method)
        return value({"method": method, **paths, **({"encoder": encoder} if encoder else {})})

    def _round_trip_encoder(self, method: str) -> str | None:
        """Return the encoder by which generated texts are embedded again, where a method has some."""
        texts = self.experiment.data.texts
        if texts is None or all(self.methods[one].generator is None for one in self.candidates(method)):
            return None
        said = self.experiment.data.columns.get(texts.column)
        return None if said is not None and said.role == "ignored" else texts.encoder

    def pretrained_module(self) -> str:
        """Return the module that defines the generator which is fitted on the source set."""
        return locate("generator", self._pretrained_name(), GENERATORS).partition(":")[0]

    def _pretrained_name(self) -> str:
        name = self.experiment.pretrain.denoiser.get("generator", "tabular-diffusion")
        try:
            return TypeAdapter(ObjectName).validate_python(name)
        except ValidationError:
            raise CodsaError(f"pretrain.denoiser: generator = {name!r}: a registered name or module:Class") from None

    def generator_module(self, generator: str) -> str:
        """Return the module that defines a generator."""
        return locate("generator", self.generators[generator].name, GENERATORS).partition(":")[0]

    def estimator_module(self) -> str:
        """Return the module that defines the estimator."""
        return locate("estimator", self.experiment.estimator.name, ESTIMATORS).partition(":")[0]
