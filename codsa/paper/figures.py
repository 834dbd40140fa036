"""The data of the paper's figures: curves over one parameter of λ, and figures by replicate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from codsa.data.metrics import HIGHER_IS_BETTER
from codsa.paper.results import Results

PARAMETERS = {"m_ratio": "m/n", "alpha": "α of the minority", "r": "split ratio r"}
"""The parameters of λ, by column, with their names."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes
    ----------
    item : str
        'Figure 2'.
    study, metric : str
    kind : {'marginal', 'by m', 'replicates'}
        Curves over each parameter of λ, the other two at their best; curves over m; or box plots over replicates.
    methods : mapping
        The method as it is published, with the names that it may have in our study, the first that is there.
    caption : str
    """

    item: str
    study: str
    metric: str
    kind: str
    methods: Mapping[str, tuple[str, ...]]
    caption: str
    baselines: tuple[str, ...] = field(default=())


def _same(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


SIZES = (1000, 3000, 6000, 10000)
FIGURES = (
    PaperFigure(
        "Figure 2",
        "sim41",
        "cross-entropy",
        "marginal",
        _same("codsa", "codsa-transfer"),
        "Section 4.1: test cross-entropy over each of m/n, α and r, the other two chosen on validation rows; "
        "below, the values that were chosen",
    ),
    PaperFigure(
        "Figure 3",
        "sim42",
        "mse",
        "marginal",
        _same("codsa", "codsa-transfer"),
        "Section 4.2: mean squared error over each of m/n, α and r, the other two chosen on validation rows; "
        "below, the values that were chosen",
    ),
    PaperFigure(
        "Figure 4",
        "yelp",
        "kappa",
        "by m",
        {
            "codsa": ("codsa", "codsa-nearest"),
            "codsa-finetune": ("codsa-finetune", "codsa-nearest-finetune"),
        },
        "Section 4.3: Cohen's κ over m for each r, with and without transfer",
        baselines=("weighted", "none"),
    ),
    PaperFigure(
        "Figure 5",
        "utkface",
        "rmse",
        "by m",
        {"codsa": ("codsa", "codsa-reuse")},
        "Section 4.4: root mean squared error of ages over m",
        baselines=("none",),
    ),
    PaperFigure(
        "Figure 7",
        "sim42-d1",
        "mse",
        "replicates",
        _same("codsa", "codsa-crossfit"),
        "Appendix D.1: mean squared error by replicate of one fit and of cross-fitting",
        baselines=("none",),
    ),
    PaperFigure(
        "Figure 8",
        "sim42-d2",
        "mse",
        "replicates",
        _same(*(f"codsa-encoder-{rows}" for rows in SIZES), *(f"codsa-denoiser-{rows}" for rows in SIZES)),
        "Appendix D.2: mean squared error by replicate, by the number of source rows that the transfer starts from",
        baselines=("none", "codsa"),
    ),
)


def figure_data(figure: PaperFigure, results: Results) -> pd.DataFrame:
    """Return what a figure shows, as its CSV file holds it; empty where the study measured none of it."""
    make = {"marginal": marginal, "by m": by_m, "replicates": by_replicate}[figure.kind]
    return make(figure, results)


def named_as(figure: PaperFigure, results: Results) -> dict[str, str]:
    """Return each method of a figure with its name in the study, where the study has it."""
    there = {method: next((n for n in names if n in results.methods), None) for method, names in figure.methods.items()}
    return {method: name for method, name in there.items() if name is not None}


def marginal(figure: PaperFigure, results: Results) -> pd.DataFrame:
    """Return the curve of each method over each parameter.

    At every value of a parameter and in every replicate the other two are chosen on validation rows.

    Returns
    -------
    DataFrame
        method, parameter, value, rows ('test', or 'validation' where no test figures were kept), mean, sd, replicates,
        and the mean of each parameter at the chosen points.
    """
    parts = [
        _curve(results.grid(name), parameter, figure.metric).assign(method=name, parameter=parameter)
        for name in named_as(figure, results).values()
        for parameter in PARAMETERS
        if len(results.grid(name))
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _curve(grid: pd.DataFrame, parameter: str, metric: str) -> pd.DataFrame:
    known = grid.dropna(subset=[parameter, "validation"]).reset_index(drop=True)
    rows = "test" if "test" in known else "validation"
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    best = known.loc[(sign * known["validation"]).groupby([known["replicate"], known[parameter]]).idxmin()]
    grouped = best.groupby(parameter)
    curve = grouped[rows].agg(["mean", "std", "count"]).set_axis(["mean", "sd", "replicates"], axis=1)
    others = grouped[list(PARAMETERS)].mean().add_prefix("chosen ")
    return curve.join(others).rename_axis("value").reset_index().assign(rows=rows)


def by_m(figure: PaperFigure, results: Results) -> pd.DataFrame:
    """Return each method's figures over m for each r, and those of the baselines at m = 0.

    Where no grid was kept there is one point a method, at the m that validation chose.

    Returns
    -------
    DataFrame
        method, r (NaN for a baseline), m, mean, sd, replicates.
    """
    parts = [_over_m(results, name, figure.metric) for name in named_as(figure, results).values()]
    for name in figure.baselines:
        parts.append(_grouped(results.values(name, figure.metric).assign(m=0, r=np.nan), name))
    joined = [part for part in parts if len(part)]
    return pd.concat(joined, ignore_index=True) if joined else pd.DataFrame()


def _over_m(results: Results, method: str, metric: str) -> pd.DataFrame:
    grid = results.grid(method)
    if "test" not in grid:
        return _grouped(results.values(method, metric), method)
    return _grouped(grid[grid["m"] > 0].rename(columns={"test": "value"}), method)


def _grouped(table: pd.DataFrame, method: str) -> pd.DataFrame:
    grouped = table.groupby(["r", "m"], dropna=False)["value"].agg(["mean", "std", "count"])
    return grouped.set_axis(["mean", "sd", "replicates"], axis=1).reset_index().assign(method=method)


def by_replicate(figure: PaperFigure, results: Results) -> pd.DataFrame:
    """Return the test figures of a figure's methods and baselines by replicate: method, replicate, value."""
    names = [*figure.baselines, *named_as(figure, results).values()]
    parts = [results.values(name, figure.metric).assign(method=name) for name in names]
    return pd.concat(parts, ignore_index=True)[["method", "replicate", "value"]]
