"""The design of a study: its methods, generators and estimators, and the fits from which each λ̂ is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from codsa.data.split import FOLD_RATIO, FOLDS, part_label
from codsa.errors import CodsaError
from codsa.generators.base import uses_gpu
from codsa.io.digests import digest
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import ESTIMATORS, GENERATORS, locate
from codsa.settings.types import ObjectName
from codsa.workflow.arms import arms_of, further_of, primary_of, rank_of
from codsa.workflow.config import Data, Experiment
from codsa.workflow.methods import Method

PLAIN = "none"
"""The method without augmentation."""


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


class Design:
    """What an experiment compares: methods, generators, estimators, fits.

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

    def pretrained_module(self) -> str:
        """Return the module of the generator that is pretrained on the source set."""
        return module_of("generator", self._pretrained_name(), GENERATORS)

    def _pretrained_name(self) -> str:
        name = self.experiment.pretrain.denoiser.get("generator", "tabular-diffusion")
        try:
            return TypeAdapter(ObjectName).validate_python(name)
        except ValidationError:
            raise CodsaError(f"pretrain.denoiser: generator = {name!r}: a registered name or module:Class") from None

    def generator_module(self, generator: str) -> str:
        """Return the module of a generator."""
        return module_of("generator", self.generators[generator].name, GENERATORS)

    def estimator_modules(self) -> list[str]:
        """Return the modules of all estimators."""
        return list(dict.fromkeys(module_of("estimator", spec.name, ESTIMATORS) for spec in self.all_estimators))


def module_of(kind: str, name: str, registered: Mapping[str, str]) -> str:
    """Return the module of a registered name or of `module:Class`."""
    return locate(kind, name, registered).partition(":")[0]
