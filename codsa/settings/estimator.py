"""The section of the estimator."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from codsa.settings.registry import ESTIMATORS
from codsa.settings.section import Flag, Section
from codsa.settings.types import Name, ObjectName


class EstimatorSpec(Section):
    """The model whose loss is to fall.

    preprocess none: raw numbers; ordinal: categories as codes, for trees; standard: imputed, scaled, one-hot; smooth:
    as standard, with every number twice, as its rank and by asinh, so that heavy tails do no harm; auto: the
    default of the estimator.

    search: every training set is fitted with each alternative, and the one with the lowest loss on validation rows is
    taken: squared error, or cross-entropy at the best temperature. average: fits of an estimator whose fit depends on
    no seed would be equal, so there is one of them.
    """

    section: ClassVar[str] = "estimator"
    name: Annotated[ObjectName, Flag("--estimator")] = Field(
        default="gradient-boosting", description=f"{', '.join(ESTIMATORS)}, or module:Class"
    )
    preprocess: Literal["auto", "none", "ordinal", "standard", "smooth"] = Field(
        default="auto", description="auto, none, ordinal, standard or smooth"
    )
    settings: Annotated[dict[str, Any], Flag("--set", "KEY=VALUE", read="settings")] = Field(
        default={}, description="keyword arguments; repeat the option"
    )
    average: int = Field(default=1, ge=1, le=50, description="number of seeds whose fits are averaged")
    search: Annotated[list[dict[str, Any]], Flag("--search", "'{KEY: VALUE, …}'", read="yaml")] = Field(
        default=[],
        description="keyword arguments over the settings, of which validation rows choose; one option an alternative",
    )


class NamedEstimator(EstimatorSpec):
    """An estimator with a label, one of several that are fitted on the same rows."""

    label: Name = Field(description="its name in tables")


class ObjectEstimator(EstimatorSpec):
    """An estimator that the caller has made: every fit takes a copy of it, on rows as the caller's own table has them.

    Its `name` is the `module:Class` that reads it back; it has no settings but the object's own.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: str
    unfitted: Any = Field(exclude=True, description="an unfitted estimator of scikit-learn's protocol")
