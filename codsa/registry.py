"""Names of generators and estimators, and the way from a name and settings to an object."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from codsa.errors import CodsaError, suggest

GENERATORS = {
    "adasyn": "codsa.generators.adasyn:Adasyn",
    "bootstrap": "codsa.generators.bootstrap:Bootstrap",
    "distortions": "codsa.generators.distortions:Distortions",
    "gaussian": "codsa.generators.gaussian:Gaussian",
    "image-diffusion": "codsa.generators.image_diffusion:ImageDiffusion",
    "oracle": "codsa.generators.oracle:Oracle",
    "restyled": "codsa.generators.distortions:Restyled",
    "smogn": "codsa.generators.smogn:Smogn",
    "smote": "codsa.generators.smote:Smote",
    "source-rows": "codsa.generators.source_rows:SourceRows",
    "stable-diffusion": "codsa.generators.stable_diffusion:StableDiffusion",
    "tabular-diffusion": "codsa.generators.tabular_diffusion:TabularDiffusion",
    "text-diffusion": "codsa.generators.text_diffusion:TextDiffusion",
    "text-gaussian": "codsa.generators.text_diffusion:TextGaussian",
    "text-noise": "codsa.generators.text_noise:TextNoise",
}

WITHOUT_GPU = (
    "adasyn",
    "bootstrap",
    "distortions",
    "gaussian",
    "oracle",
    "restyled",
    "smogn",
    "smote",
    "source-rows",
    "text-noise",
)
"""Generators that would leave a GPU idle; any other may want one."""

ESTIMATORS = {
    "autoencoder": "codsa.estimators.detectors:autoencoder",
    "cnn": "codsa.estimators.cnn:cnn",
    "gradient-boosting": "codsa.estimators.trees:gradient_boosting",
    "local-outliers": "codsa.estimators.local:local_outliers",
    "logistic": "codsa.estimators.linear:logistic",
    "mlp": "codsa.estimators.mlp:mlp",
    "random-forest": "codsa.estimators.trees:random_forest",
    "tfidf-logistic": "codsa.estimators.words:tfidf_logistic",
}


def locate(kind: str, name: str, known: Mapping[str, str]) -> str:
    """Return `module:Object` for a registered name, or for a name that is one already.

    Raises
    ------
    CodsaError
        With the nearest registered name.
    """
    if ":" in name:
        return name
    if name not in known:
        raise CodsaError(f"no {kind} '{name}'; {suggest(name, known)}, or give module:Class")
    return known[name]


def load(kind: str, name: str, known: Mapping[str, str]) -> Any:
    """Import the object behind a name.

    Raises
    ------
    CodsaError
        When the module or the object in it is not there.
    """
    module, _, attribute = locate(kind, name, known).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise CodsaError(f"{kind} '{name}': cannot be imported ({error})") from None


def check_settings(kind: str, name: str, call: Any, settings: Mapping[str, Any]) -> None:
    """Raise a `CodsaError` naming a setting that a constructor does not take."""
    parameters = inspect.signature(call).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in settings:
        if key not in parameters:
            raise CodsaError(f"{kind} '{name}' has no setting '{key}'; {suggest(key, parameters)}")
