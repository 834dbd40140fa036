"""Numbers, methods and metrics as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from codsa.data.metrics import HIGHER_IS_BETTER

DASH = "–"
METRIC_NAMES = {
    "cross-entropy": "cross-entropy",
    "roc-auc": "ROC AUC",
    "balanced-accuracy": "balanced accuracy",
    "f1": "F1",
    "kappa": "Cohen’s κ",
    "quadratic-kappa": "quadratic κ",
    "average-precision": "average precision",
    "mse": "mean squared error",
    "rmse": "root mean squared error",
}
METHOD_NAMES = {
    "none": "Plain model",
    "weighted": "Region weighting",
    "bootstrap": "Plain oversampling",
    "smote": "SMOTE",
    "adasyn": "ADASYN",
    "smogn": "SMOGN",
    "non-adaptive": "Non-adaptive augmentation",
    "bootstrap-bagged": "Plain oversampling, bagged",
    "smote-bagged": "SMOTE, bagged",
    "relabelled": "Real rows, relabelled",
    "smote-labelled": "SMOTE, relabelled",
    "label-model": "Label model alone",
    "balanced-forest": "Balanced forest",
    "balanced-boosting": "Balanced boosting",
    "gaussian": "Gaussian per region",
    "source-rows": "Source rows added",
    "source-domain": "Source rows, domain column",
    "source-weighted": "Source rows, weighted",
    "source-ratio": "Source rows, density ratio",
    "control-auto": "The controls’ choice",
    "oracle": "Oracle",
    "codsa": "CoDSA",
}


def metric_name(metric: str) -> str:
    """Return a metric's name as a reader knows it."""
    return METRIC_NAMES.get(metric, metric)


def method_name(method: str) -> str:
    """Return a method's title: 'CoDSA, transfer' for codsa-transfer; an unknown name stays as it is."""
    if method.startswith("codsa-"):
        return "CoDSA, " + method.removeprefix("codsa-").replace("-", " ")
    return METHOD_NAMES.get(method, method)


def named(method: str) -> str:
    """Return a method's title with its key: 'Plain oversampling (bootstrap)'."""
    title = "CoDSA" if method.startswith("codsa") else method_name(method)
    return title if title.lower() == method.lower() else f"{title} ({method})"


def arrow(metric: str) -> str:
    """Return ↑ where higher is better and ↓ where lower is."""
    return "↑" if metric in HIGHER_IS_BETTER else "↓"


def better_word(metric: str) -> str:
    """Return the word for the good direction of a metric."""
    return "higher" if metric in HIGHER_IS_BETTER else "lower"


def number(value: float | None, decimals: int, signed: bool = False) -> str:
    """Write a number with a true minus sign; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def decimals_of(values: Iterable[float]) -> int:
    """Return the decimals that show values of this size with about three significant figures."""
    sizes = sorted(abs(v) for v in values if math.isfinite(v) and v != 0)
    if not sizes:
        return 3
    typical = sizes[len(sizes) // 2]
    return min(max(2 - math.floor(math.log10(typical)), 0), 6) if not 0.1 <= typical < 10 else 3


def enough(decimals: int, *values: float) -> int:
    """Return `decimals`, or up to three more, so that only zero is written as zero."""
    for more in range(decimals, decimals + 3):
        if all(v == 0 or not math.isfinite(v) or abs(v) >= 0.5 * 10**-more for v in values):
            return more
    return decimals + 3


def percent(share: float | None) -> str:
    """Write a share as a percentage with two figures: 0.206 as '21 %'."""
    if share is None or not math.isfinite(share):
        return DASH
    value = 100 * share
    return f"{number(value, 0 if abs(value) >= 9.95 or value == 0 else 1)} %"


def counted(count: int, noun: str) -> str:
    """Return '1 replicate', '10 replicates'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: Iterable[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    parts = list(names)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""
