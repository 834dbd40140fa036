"""Names of generators and estimators, and the way from a name and settings to an object."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codsa.errors import CodsaError, suggest
from codsa.settings.arguments import check
from codsa.settings.plugins import TARGET, with_plugins

OWN_GENERATORS = {
    "adasyn": "codsa.generators.tables.adasyn:Adasyn",
    "bootstrap": "codsa.generators.tables.bootstrap:Bootstrap",
    "distortions": "codsa.generators.images.distortions:Distortions",
    "gaussian": "codsa.generators.tables.gaussian:Gaussian",
    "image-diffusion": "codsa.generators.images.image_diffusion:ImageDiffusion",
    "oracle": "codsa.generators.tables.oracle:Oracle",
    "relabelled": "codsa.generators.tables.relabelled:Relabelled",
    "restyled": "codsa.generators.images.distortions:Restyled",
    "smogn": "codsa.generators.tables.smogn:Smogn",
    "smote": "codsa.generators.tables.smote:Smote",
    "smote-labelled": "codsa.generators.tables.relabelled:SmoteLabelled",
    "source-rows": "codsa.generators.tables.source_rows:SourceRows",
    "stable-diffusion": "codsa.generators.images.stable_diffusion:StableDiffusion",
    "tabular-diffusion": "codsa.generators.tables.tabular_diffusion:TabularDiffusion",
    "text-diffusion": "codsa.generators.texts.text_diffusion:TextDiffusion",
    "text-gaussian": "codsa.generators.texts.text_diffusion:TextGaussian",
    "text-noise": "codsa.generators.texts.text_noise:TextNoise",
    "vp-diffusion": "codsa.generators.tables.vp_diffusion:VpDiffusion",
}

OWN_ESTIMATORS = {
    "autoencoder": "codsa.estimators.tables.detectors:autoencoder",
    "balanced-boosting": "codsa.estimators.tables.balanced:balanced_boosting",
    "balanced-forest": "codsa.estimators.tables.balanced:balanced_forest",
    "catboost": "codsa.estimators.tables.boosters:catboost",
    "cnn": "codsa.estimators.images.cnn:cnn",
    "gradient-boosting": "codsa.estimators.tables.trees:gradient_boosting",
    "label-model": "codsa.estimators.tables.ensemble:label_model",
    "lightgbm": "codsa.estimators.tables.boosters:lightgbm",
    "local-outliers": "codsa.estimators.tables.local:local_outliers",
    "logistic": "codsa.estimators.tables.linear:logistic",
    "mlp": "codsa.estimators.tables.mlp:mlp",
    "random-forest": "codsa.estimators.tables.trees:random_forest",
    "tabicl": "codsa.estimators.tables.in_context:tabicl",
    "tabpfn": "codsa.estimators.tables.in_context:tabpfn",
    "tfidf-logistic": "codsa.estimators.texts.words:tfidf_logistic",
    "xgboost": "codsa.estimators.tables.boosters:xgboost",
}
GENERATORS = with_plugins(OWN_GENERATORS, "codsa.generators")
ESTIMATORS = with_plugins(OWN_ESTIMATORS, "codsa.estimators")
"""The names that an experiment may use, those of installed plug-ins among them."""
PACKAGES = {
    "catboost": "codsa[boosters]",
    "lightgbm": "codsa[boosters]",
    "tabicl": "tabicl",
    "tabpfn": "tabpfn",
    "xgboost": "codsa[boosters]",
}
"""Registered estimators that need a package of the same name, with what pip installs to bring it."""


@dataclass(frozen=True)
class ModalityEntry:
    """The types of column that a modality stands for, and its class as `module:Class`."""

    types: tuple[str, ...]
    target: str


MODALITIES = (
    ModalityEntry(("text", "vector"), "codsa.modalities.texts:Texts"),
    ModalityEntry(("image",), "codsa.modalities.images:Images"),
    ModalityEntry((), "codsa.modalities.tables:Tables"),
)
"""Kinds of data, the one that leads first; the last stands for all other types."""

NAME = TARGET
"""What `module:Class` looks like: a module's dotted path, and the name of a class in it."""
METHODS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "generator": (("fit",), ("sample",), ("save",), ("load",)),
    "estimator": (("fit",), ("predict", "predict_proba", "score_samples")),
}
"""What a class needs, by kind: one method of each group."""


def plugin(kind: str, name: str) -> str | None:
    """Return `module:Object` of a plug-in's name; None for a name of our own, and for any other."""
    own, registered = {
        "generator": (OWN_GENERATORS, GENERATORS),
        "estimator": (OWN_ESTIMATORS, ESTIMATORS),
    }[kind]
    return None if name in own else registered.get(name)


def is_installed(name: str) -> bool:
    """Say whether the package that a registered name needs, if any, is there; nothing is imported."""
    return name not in PACKAGES or importlib.util.find_spec(name) is not None


def check_installed(name: str) -> None:
    """Raise a `CodsaError` where the package that a registered name needs is missing, with what installs it."""
    if not is_installed(name):
        raise CodsaError(
            f"estimator '{name}' needs the package {name}, which is not installed: pip install '{PACKAGES[name]}'"
        )


def installed(name: str) -> Any:
    """Import the package that a registered estimator is named after (see `check_installed`)."""
    check_installed(name)
    return importlib.import_module(name)


def locate(kind: str, name: str, registered: Mapping[str, str]) -> str:
    """Return `module:Object` for a registered name, or for a name that is one already.

    Raises
    ------
    CodsaError
        With the nearest registered name, or for what cannot be a class.
    """
    if name in registered:
        return registered[name]
    if ":" not in name:
        raise CodsaError(f"no {kind} '{name}'; {suggest(name, registered)}, or give module:Class")
    if not NAME.fullmatch(name):
        raise CodsaError(f"{kind} '{name}': write it as module:Class, as in 'package.module:Class'")
    return name


def load(kind: str, name: str, registered: Mapping[str, str], trusted: Collection[str] | None = None) -> Any:
    """Import the object behind a name.

    Parameters
    ----------
    kind : {'generator', 'estimator'}
    name : str
        A registered name or `module:Class`.
    registered : mapping
        The registered names.
    trusted : collection of str, optional
        Where the name was read from an artefact: the `module:Class` that the user trusts, so that nothing else is
        imported. None: the user named it.

    Raises
    ------
    CodsaError
        When it is not trusted, not there, no class, or lacks a method of the protocol.
    """
    module, _, attribute = locate(kind, name, registered).partition(":")
    if name in registered:
        if registered[name] != plugin(kind, name):
            return getattr(importlib.import_module(module), attribute)
        loaded = _imported(f"{kind} '{name}', a plug-in", module, attribute)
        return _checked(kind, name, loaded) if inspect.isclass(loaded) else loaded
    if trusted is not None and not {name, name.replace(":", ".")} & set(trusted):
        raise CodsaError(f"{kind} '{name}' is code that its artefact names; if you trust it, give --trust {name}")
    return _checked(kind, name, _imported(f"{kind} '{name}'", module, attribute))


def _imported(what: str, module: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the module raises while it is imported
        raise CodsaError(f"{what}: cannot be imported ({type(error).__name__}: {error})") from error


def _checked(kind: str, name: str, loaded: Any) -> Any:
    if not inspect.isclass(loaded):
        raise CodsaError(f"{kind} '{name}': is no class but a {type(loaded).__name__}; give module:Class")
    abstract = getattr(loaded, "__abstractmethods__", ())
    for group in METHODS[kind]:
        if not any(callable(getattr(loaded, method, None)) and method not in abstract for method in group):
            raise CodsaError(f"{kind} '{name}': lacks the method {' or '.join(group)}")
    return loaded


def trusted_types(trusted: Collection[str]) -> frozenset[str]:
    """Return the full names of types that a user trusts.

    Parameters
    ----------
    trusted : collection of str
        `module:Class`, which stands for that class and for what its attribute `trusted_types` lists; or the full
        name of a type, `module.Class`.

    Raises
    ------
    CodsaError
        For what is neither, or cannot be imported.
    """
    names: set[str] = set()
    for word in trusted:
        if NAME.fullmatch(word):
            module, _, attribute = word.partition(":")
            kind = _imported(f"--trust {word}", module, attribute)
            if not inspect.isclass(kind):
                raise CodsaError(f"--trust {word}: is no class but a {type(kind).__name__}; give module:Class")
            names |= {f"{kind.__module__}.{kind.__qualname__}", *map(str, getattr(kind, "trusted_types", ()))}
        elif NAME.fullmatch(":".join(word.rsplit(".", 1))):
            names.add(word)
        else:
            raise CodsaError(f"--trust {word}: write it as module:Class")
    return frozenset(names)


def check_settings(
    kind: str, name: str, call: Any, settings: Mapping[str, Any], filled: Collection[str] = ("self",)
) -> None:
    """Raise a `CodsaError` naming a setting that a constructor does not take, or a value that it cannot have.

    Parameters
    ----------
    filled : collection of str
        Parameters that are no settings: the caller gives them itself.
    """
    parameters = {key: value for key, value in _parameters(kind, name, call).items() if key not in filled}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for key in settings:
            if key not in parameters:
                raise CodsaError(f"{kind} '{name}' has no setting '{key}'; {suggest(key, parameters)}")
    named = {key: p for key, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    check(kind, name, named, settings)


def _parameters(kind: str, name: str, call: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(call, eval_str=True).parameters
    except Exception:  # an annotation that cannot be evaluated, in a class of the user's
        try:
            return inspect.signature(call).parameters
        except (ValueError, TypeError):
            raise CodsaError(f"{kind} '{name}': its settings cannot be read; give a class written in Python") from None
