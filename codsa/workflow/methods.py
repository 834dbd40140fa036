"""Methods: what they are made of, and those that are known by name alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from codsa.errors import CodsaError, shortened, suggest
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.limits import MOST_ROWS
from codsa.settings.section import Section
from codsa.settings.types import Alpha, Multiple, Name, ObjectName, Rate, Ratio


class Method(Section):
    """A way to fit the estimator: which real rows, which synthetic ones."""

    section: ClassVar[str] = "methods"
    name: Name
    generator: ObjectName | None = Field(default=None, description="registered name or module:Class; none: m = 0")
    settings: dict[str, Any] = Field(default={}, description="over the experiment's generators section")
    transfer: Literal["encoder", "denoiser", "rows", "fresh"] | None = Field(
        default=None,
        description="what is pretrained on the source set (see codsa-train-gen --pretrain); fresh: the fresh rows",
    )
    source_rows: int | None = Field(
        default=None, ge=1, le=MOST_ROWS, description="number of the source set's rows to use; default: all"
    )
    weighted: bool = Field(default=False, description="weigh real rows by q/p")
    reserve: Literal["disjoint", "all"] = Field(
        default="disjoint", description="real rows of the estimator: S_r, or all, which uses rows twice"
    )
    choose_from: list[Name] | Literal["all", "controls"] | None = Field(
        default=None,
        description="fit nothing, but let validation choose λ among these methods' fits: names, all (of the study), or "
        "controls (all without CoDSA)",
    )
    estimator: EstimatorSpec | None = Field(
        default=None, description="an estimator of the method's own, in place of the experiment's"
    )
    cross_fit: bool = Field(default=False, description="average one estimator per fold (D.1); r is 0.8")
    r: list[Ratio] | None = Field(default=None, description="default: the experiment's grid")
    m: list[Multiple] | None = None
    alpha: list[Alpha] | None = None
    pool_weight: list[Rate] = Field(
        default=[1.0], min_length=1, description="weights of a synthetic row, of which validation chooses"
    )
    domain: bool = Field(default=False, description="tell the estimator by a further column which rows are of the pool")


DIFFUSION = "tabular-diffusion"
_ALL_ROWS = {"reserve": "all", "r": [1.0]}
_SOURCE = {"generator": "source-rows", "transfer": "rows", **_ALL_ROWS}
PRESETS: dict[str, dict[str, Any]] = {
    "none": {"reserve": "all"},
    "weighted": {"reserve": "all", "weighted": True},
    **{name: {"generator": name, **_ALL_ROWS} for name in ("bootstrap", "smote", "adasyn", "smogn")},
    **{name: {"generator": name, **_ALL_ROWS} for name in ("relabelled", "smote-labelled", "gaussian")},
    **{name: {"estimator": {"name": name}, "reserve": "all"} for name in ("label-model", "balanced-forest")},
    "balanced-boosting": {"estimator": {"name": "balanced-boosting"}, "reserve": "all"},
    "non-adaptive": {"generator": DIFFUSION, "alpha": ["training"]},
    "codsa": {"generator": DIFFUSION},
    "codsa-reuse": {"generator": DIFFUSION, **_ALL_ROWS},
    "codsa-denoiser": {"generator": DIFFUSION, "settings": {"labels": "denoiser"}, **_ALL_ROWS},
    "codsa-crossfit": {"generator": DIFFUSION, "cross_fit": True},
    "codsa-bagged": {"generator": DIFFUSION, "cross_fit": True, "reserve": "all"},
    "codsa-transfer": {"generator": DIFFUSION, "transfer": "encoder"},
    "codsa-finetune": {"generator": DIFFUSION, "transfer": "denoiser"},
    "codsa-auto": {"choose_from": "all"},
    "control-auto": {"choose_from": "controls"},
    "source-rows": _SOURCE,
    "source-domain": {**_SOURCE, "domain": True},
    "source-weighted": {**_SOURCE, "pool_weight": [0.03, 0.1, 0.3, 1.0]},
    "source-ratio": {**_SOURCE, "settings": {"weighting": "density-ratio"}},
    "oracle": {"generator": "oracle", **_ALL_ROWS},
    "fresh-rows": {"generator": "source-rows", "transfer": "fresh", **_ALL_ROWS},
    "distortions": {"generator": "distortions", **_ALL_ROWS},
    "restyled": {"generator": "restyled", **_ALL_ROWS},
}
"""Methods known by name alone. non-adaptive is unconditional generation at one r (Shen 2023)."""


def expanded(methods: Any, key: str) -> list[Any]:
    """Return a list of methods with every preset written out.

    Parameters
    ----------
    methods : list of str or mapping
    key : str
        The key of the experiment that holds them.
    """
    if not isinstance(methods, list):
        raise CodsaError(f"{key} = {shortened(repr(methods))}: give a list, as [none, codsa]")
    return [_expand(method, key) for method in methods]


def _expand(method: Any, key: str) -> Any:
    """Return the preset of a method's name; where a mapping names a preset, its other keys override the preset's."""
    if isinstance(method, str):
        if method not in PRESETS:
            raise CodsaError(f"{key}: no method '{method}'; {suggest(method, PRESETS)}")
        return {"name": method, **PRESETS[method]}
    if isinstance(method, Mapping) and str(method.get("name")) in PRESETS:
        return {**PRESETS[str(method["name"])], **method}
    return method
