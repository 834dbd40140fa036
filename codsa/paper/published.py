"""The figures that the paper publishes, as data of the package."""

from __future__ import annotations

from functools import cache
from importlib import resources

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from codsa.io.yamls import parse_yaml

FILE = "published.yaml"


@dataclass(frozen=True, config={"extra": "forbid"})
class Published:
    """One published figure.

    Attributes
    ----------
    item : str
        The table or figure, 'Table 1'.
    study, method : str
        The experiment that repeats it, and the method as it is named there.
    region : str
        'majority', 'minority', 'usps', 'mnist' or 'overall'.
    metric : str
        As `codsa.data.metrics` names it; 'chosen r', 'chosen m/n' and 'chosen alpha' are means of λ̂.
    mean : float
        Over replicates.
    source : str
    sd : float, optional
        Standard deviation over replicates, where it is published.
    m : int, optional
        Synthetic rows, where the figure is about one number of them.
    r : float, optional
        Split ratio, where the figure is about one.
    """

    item: str
    study: str
    method: str
    region: str
    metric: str
    mean: float
    source: str
    sd: float | None = None
    m: int | None = None
    r: float | None = None


@cache
def published() -> tuple[Published, ...]:
    """Return all published figures, in the paper's order."""
    text = resources.files("codsa.paper").joinpath(FILE).read_text(encoding="utf-8")
    return TypeAdapter(tuple[Published, ...]).validate_python(parse_yaml(text, FILE))


def of_item(item: str) -> list[Published]:
    """Return the published figures of a table or figure."""
    return [figure for figure in published() if figure.item == item]
