"""The arms of a study: the methods that its experiment names, the controls that every study has, the primary arm.

A gain counts where nothing simpler gives it, so a study fits what is simpler unless the experiment says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codsa.data.choice import GENERATOR, NONE, RESAMPLING, WEIGHTS
from codsa.errors import CodsaError, suggest
from codsa.generators.base import resamples
from codsa.settings.estimator import EstimatorSpec
from codsa.workflow.config import Data, Experiment
from codsa.workflow.methods import PRESETS, Method
from codsa.workflow.modalities import may_have_images

PRIMARY, CONTROL = "codsa-auto", "control-auto"
TABLES = ("weighted", "bootstrap", "smote", "relabelled", "smote-labelled", "label-model", "codsa-denoiser")
"""Controls of plain tables, and one ablation: the denoiser's own labels."""
CLASSES = ("balanced-forest", "balanced-boosting")
"""Controls of classification: ensembles that balance the classes of each member."""
OTHERS = ("weighted", "bootstrap")
"""Controls of images and texts."""
SOURCE = ("source-rows", "source-domain", "source-weighted", "source-ratio")
"""Controls of a study of tables with a source set: its rows added."""
NOT_TABLES = ("cnn", "tfidf-logistic", "autoencoder", "local-outliers")
"""Registered estimators of images, texts, and for detection."""
CLOSED_FORM = ("gaussian", "text-gaussian")
"""Generators that cost one covariance matrix: what a network has to beat."""
STRONG = {
    "perceptrons": EstimatorSpec(
        name="mlp",
        preprocess="standard",
        settings={"hidden": [128, 128], "batch": 256, "learning_rate": 0.002, "patience": 15},
        average=3,
    ),
    "boosting": EstimatorSpec(
        name="gradient-boosting",
        settings={"l2_regularization": 1.0, "min_samples_leaf": 5},
        search=[
            {"max_iter": 50, "max_leaf_nodes": 4, "min_samples_leaf": 20},
            {"max_iter": 100, "max_leaf_nodes": 8},
            {"max_iter": 200, "max_leaf_nodes": 8},
            {"max_iter": 200, "max_leaf_nodes": 31},
        ],
    ),
}
"""Strong estimators beside the study's own, by label: averaged perceptrons on standardised features, and boosting whose
size validation rows choose, so that few rows get a small model."""


def plain_table(experiment: Experiment) -> bool:
    """Say whether a study is one of classification or regression on a plain table."""
    data: Data = experiment.data
    if data.texts is not None or data.task == "detection" or experiment.estimator.name in NOT_TABLES:
        return False
    return data.parts is None and not may_have_images(data)


def arms_of(experiment: Experiment) -> dict[str, Method]:
    """Return all methods of a study by name: those of the experiment first, then the controls, then the choosing arms.

    Raises
    ------
    CodsaError
        Where the primary arm is none of them.
    """
    methods = {method.name: method for method in experiment.methods}
    controls = experiment.controls if experiment.controls is not None else _preset_methods(_default(experiment))
    for control in controls:
        methods.setdefault(control.name, control)
    for name in (CONTROL, PRIMARY) if experiment.controls is None or experiment.primary is not None else ():
        if name == CONTROL or any(is_codsa(method) for method in methods.values()):
            methods.setdefault(name, *_preset_methods([name]))
    if experiment.primary is not None and experiment.primary not in methods:
        raise CodsaError(f"primary: no method '{experiment.primary}'; {suggest(experiment.primary, methods)}")
    return {name: _resolved(method, methods) for name, method in methods.items()}


def _default(experiment: Experiment) -> list[str]:
    if not plain_table(experiment):
        return ["none"] if experiment.data.task == "detection" else ["none", *OTHERS]
    diffusion = any(method.generator == "tabular-diffusion" for method in experiment.methods)
    names = ["none", *(name for name in TABLES if diffusion or name != "codsa-denoiser")]
    names += CLASSES if _may_classify(experiment) else ()
    return [*names, *(SOURCE if experiment.source is not None else ())]


def _may_classify(experiment: Experiment) -> bool:
    """Say whether the task is classification, as far as the experiment tells: a simulation's name does."""
    if experiment.data.task is not None:
        return experiment.data.task == "classification"
    if experiment.data.simulation is not None:
        return "classification" in experiment.data.simulation.name
    return experiment.regions.by == "class" and experiment.metric not in ("mse", "rmse")


def _preset_methods(names: Iterable[str]) -> list[Method]:
    return [Method.model_validate({"name": name, **PRESETS[name]}) for name in names]


def _resolved(method: Method, methods: Mapping[str, Method]) -> Method:
    """Return a method with the names that it chooses from."""
    if not isinstance(method.choose_from, str):
        return method
    fitted = {name: other for name, other in methods.items() if other.choose_from is None and not is_oracle(other)}
    controls = method.choose_from == "controls"
    names = [name for name, other in fitted.items() if not (controls and is_codsa(other))]
    return method.model_copy(update={"choose_from": names})


def is_oracle(method: Method) -> bool:
    """Say whether a method's pool holds fresh true rows."""
    return method.generator == "oracle" or method.transfer == "fresh"


def is_codsa(method: Method) -> bool:
    """Say whether a method adds rows of a trained generator where Q asks for them.

    No resampler does, no closed form, no oracle, and not unconditional generation (α = p), the rival of the paper.
    """
    generated = method.generator is not None and not is_oracle(method) and not _is_simple(method)
    return generated and method.alpha != ["training"]


def _is_simple(method: Method) -> bool:
    """Say whether a method's pool is made of real rows by a rule, or drawn from a closed form."""
    return method.generator is not None and (resamples(method.generator) or method.generator in CLOSED_FORM)


def kind_of(method: Method, primary: str | None) -> str:
    """Return what a method is to the report: primary, codsa, control or oracle."""
    if method.name == primary:
        return "primary"
    if is_oracle(method):
        return "oracle"
    return "codsa" if is_codsa(method) or method.name.startswith("codsa") else "control"


def rank_of(method: Method) -> int:
    """Return how simple a method is; of two that validation cannot tell apart the simpler is chosen."""
    if method.generator is None:
        own = method.estimator is not None
        return RESAMPLING if own else WEIGHTS if method.weighted else NONE
    return RESAMPLING if _is_simple(method) else GENERATOR


def uses_source(method: Method, methods: Mapping[str, Method]) -> bool:
    """Say whether a method, or one that it chooses from, uses the source set."""
    candidates = [method, *(methods[name] for name in method.choose_from or ())]
    return any(candidate.transfer not in (None, "fresh") for candidate in candidates)


def primary_of(experiment: Experiment, methods: Mapping[str, Method]) -> str | None:
    """Return the name of the primary arm, of which the verdict speaks: the experiment's, or codsa-auto where it is."""
    return experiment.primary or (PRIMARY if PRIMARY in methods else None)


def further_of(experiment: Experiment) -> dict[str, EstimatorSpec]:
    """Return the further estimators of a study: the experiment's, or for plain tables one strong one."""
    if experiment.further_estimators is not None:
        return dict(experiment.further_estimators)
    if not plain_table(experiment):
        return {}
    own = experiment.estimator
    name = "perceptrons" if own.name != "mlp" or own.preprocess == "none" else "boosting"
    return {name: STRONG[name]}
