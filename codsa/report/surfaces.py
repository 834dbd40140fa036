"""Figures over the grid of λ: the validation surface, by which λ̂ was chosen, and test metrics over the grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from codsa.data.metrics import HIGHER_IS_BETTER, RAW
from codsa.evidence.studies import PLAIN, EvaluationResults, StudyResults
from codsa.evidence.wording import better_word, method_name, metric_name
from codsa.report.drawing import COLOURS, GREY, INK, LIGHT_GREY, MARKERS, is_number, label, new_figure, short_ticks

NO_ALPHA = "none"
KEYS = ["r", "m_ratio", "alpha"]


@dataclass(frozen=True)
class Panel:
    """One heat map: its title, the labels of its rows, and its cells (row, m_ratio, value, chosen)."""

    title: str
    labels: list[str]
    cells: pd.DataFrame


def surface(study: StudyResults, method: str) -> pd.DataFrame:
    """Return the validation metric of every grid point of a method, averaged over replicates.

    It is of the study's own estimator, and of the column that the verdict is about. Of points that differ in the weight
    of a synthetic row alone, the mean is shown.

    Returns
    -------
    DataFrame
        Columns r, m_ratio, alpha, value and chosen: the number of replicates in which λ̂ is this grid point.
    """
    figure = "validation" if study.column == RAW else "validation recalibrated"
    grid_points = pd.concat([_keyed(_own(result), figure) for result in study.of(method)])
    table = grid_points.groupby(KEYS, sort=True)["value"].mean().reset_index()
    chosen = _keyed(pd.DataFrame([vars(point) for point in study.chosen(method).values()]), None)
    counts = chosen.groupby(KEYS).size().rename("chosen").reset_index()
    merged = table.merge(counts, on=KEYS, how="left")
    return merged.assign(chosen=merged["chosen"].fillna(0).astype(int))


def _own(result: EvaluationResults) -> pd.DataFrame:
    """Return the fits of the study's own estimator; those of a method with an estimator of its own are all."""
    own = result.fits[result.fits["estimator"] == result.record.estimator]
    return own if len(own) else result.fits


def _keyed(frame: pd.DataFrame, value: str | None) -> pd.DataFrame:
    """Return the columns of `KEYS`, comparable between tables, and one column as `value`."""
    keys = {"r": frame["r"].astype(float).round(6), "m_ratio": frame["m_ratio"].astype(float).round(6)}
    table = pd.DataFrame({**keys, "alpha": frame["alpha"].astype(str)})
    return table if value is None else table.assign(value=frame[value].astype(float))


def alpha_order(labels: Iterable[str]) -> list[str]:
    """Return allocation labels in order: numbers by size, then words."""
    return sorted(set(labels) - {NO_ALPHA}, key=_label_order)


def _label_order(label: str) -> tuple[bool, float, str]:
    return not is_number(label), float(label) if is_number(label) else 0.0, label


def surface_figure(study: StudyResults, method: str) -> Figure | None:
    """Draw a method's validation surface over (m/n, α), a panel for each r; None with one point or several methods."""
    if study.chooses(method):
        return None
    table = surface(study, method)
    if table["value"].notna().sum() < 2:
        return None
    panels = _panels(table)
    ratios = sorted(table["m_ratio"].unique())
    limits = _limits(table["value"], study.choose_by)
    figure, grid = _canvas(panels)
    for axes, panel in zip(grid.flat, panels, strict=False):
        image = _heat(axes, panel, ratios, limits=limits, metric=study.choose_by)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    _label_surface(grid, panels)
    all_axes = grid.ravel().tolist()
    bar = figure.colorbar(image, ax=all_axes, shrink=0.9, pad=0.02, aspect=24, extend=_extend(study.choose_by))
    chooser = label(metric_name(study.choose_by))
    bar.set_label(f"validation {chooser} ({better_word(study.choose_by)} is better)", parse_math=False)
    bar.outline.set_visible(False)
    return figure


def _canvas(panels: Sequence[Panel]) -> tuple[Figure, np.ndarray]:
    """Return a figure with room for the panels, at most five in a row, and its axes."""
    columns = min(len(panels), 5)
    rows = -(-len(panels) // columns)
    height = max(1.6, 0.34 + 0.3 * max(len(panel.labels) for panel in panels)) if rows == 1 else 1.6
    width = 1.5 + 1.72 * columns if columns > 1 else 5.2
    figure = new_figure(width, rows * (height + 0.42) + 0.75)
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def _panels(table: pd.DataFrame) -> list[Panel]:
    """Return a panel for each r; one over r where α has one value."""
    labels = alpha_order(table["alpha"])
    if len(labels) < 2:
        rows = [f"{r:g}" for r in sorted(table["r"].unique())]
        cells = table.assign(row=[f"{r:g}" for r in table["r"]])
        return [Panel(f"α = {labels[0]}" if labels else "", rows, cells)]
    return [Panel(f"r = {r:g}", labels, _spread(part, labels)) for r, part in table.groupby("r")]


def _spread(part: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """Repeat the grid point m = 0, which has no α, over all rows; the middle row gets its mark."""
    without_alpha = part[part["alpha"] == NO_ALPHA]
    middle = labels[len(labels) // 2]
    copies = [without_alpha.assign(row=text, chosen=without_alpha["chosen"] * (text == middle)) for text in labels]
    return pd.concat([part[part["alpha"] != NO_ALPHA].assign(row=lambda frame: frame["alpha"]), *copies])


def _limits(values: pd.Series, metric: str) -> tuple[float, float]:
    """Return colour limits from the best value to the 90 % quantile: the worst tenth shares one colour."""
    low, high = (0.1, 1.0) if metric in HIGHER_IS_BETTER else (0.0, 0.9)
    limits = np.nanquantile(values, [low, high])
    return float(limits[0]), float(limits[1] if limits[1] > limits[0] else limits[0] + 1e-9)


def _extend(metric: str) -> str:
    return "min" if metric in HIGHER_IS_BETTER else "max"


def _heat(axes: Axes, panel: Panel, ratios: list[float], limits: tuple[float, float], metric: str) -> QuadMesh:
    """Draw one panel; a grid point that was not fitted (m = 0 with r = 1, say) is grey."""
    cells, labels = panel.cells, panel.labels
    table = cells.pivot_table(index="row", columns="m_ratio", values="value", dropna=False)
    shown = table.reindex(index=labels, columns=ratios)
    colours = "cividis" if metric in HIGHER_IS_BETTER else "cividis_r"
    x, y = np.arange(len(ratios) + 1) - 0.5, np.arange(len(labels) + 1) - 0.5
    image = axes.pcolormesh(
        x,
        y,
        np.ma.masked_invalid(shown.to_numpy(dtype=float)),
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        lw=0,
    )
    for _, cell in cells[cells["chosen"] > 0].iterrows():
        position = (ratios.index(cell["m_ratio"]), labels.index(cell["row"]))
        axes.plot(*position, "o", ms=11, mfc="white", mec=INK, mew=0.9)
        axes.annotate(str(cell["chosen"]), position, ha="center", va="center", fontsize=7.5, color=INK)
    axes.set_title(label(panel.title), loc="left", pad=4, parse_math=False)
    axes.set_facecolor(LIGHT_GREY)
    short_ticks(axes, "x", [f"{ratio:g}" for ratio in ratios], 5)
    short_ticks(axes, "y", labels, 9)
    axes.tick_params(axis="y", labelsize=8)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return image


def _label_surface(grid: np.ndarray, panels: list[Panel]) -> None:
    rows = len(grid)
    in_last_row = len(panels) - (rows - 1) * grid.shape[1]
    for k in range(grid.shape[1]):
        bottom = grid[rows - 1 if k < in_last_row else rows - 2, k]
        bottom.set_xlabel("m/n")
        bottom.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("r" if not panels[0].title.startswith("r") else "α")


def sweeps(results: Sequence[EvaluationResults], metric: str) -> dict[str, pd.DataFrame]:
    """Return the mean test metric by m/n, by α and by r, each with the best values of the other two.

    For figures alone: the test metric itself decides which values are best, so that the curves are more favourable
    than any choice of λ by validation can be.

    Returns
    -------
    dict of str to DataFrame
        'm_ratio', 'alpha' and 'r' → columns: the key, mean, and the best values of the other two.
    """
    grids = [result.grid for result in results if result.grid is not None and len(result.grid)]
    grid_points = pd.concat([_keyed(grid, "test") for grid in grids])
    table = grid_points.groupby(KEYS, sort=True)["value"].mean().dropna().reset_index(name="mean")
    ascending = metric not in HIGHER_IS_BETTER
    best = {key: table.sort_values("mean", ascending=ascending, kind="stable").drop_duplicates(key) for key in KEYS}
    return {key: curve.sort_values(key).reset_index(drop=True) for key, curve in best.items()}


def sweep_figure(study: StudyResults) -> Figure | None:
    """Draw the mean test metric over m/n, α and r, one line per CoDSA method; None without a grid."""
    with_grid = {
        method: [result for result in study.of(method) if result.grid is not None and len(result.grid)]
        for method in study.kinds("codsa", "primary")
        if not study.chooses(method)
    }
    lines = {method: sweeps(results, study.metric) for method, results in with_grid.items() if results}
    if not lines:
        return None
    figure = new_figure(9.4, 3.1)
    panels = figure.subplots(1, 3, sharey=True)
    labels = alpha_order(alpha for curves in lines.values() for alpha in curves["alpha"]["alpha"])
    for axes, key, title in zip(panels, ("m_ratio", "alpha", "r"), ("m/n", "α", "r"), strict=True):
        for k, (method, curves) in enumerate(lines.items()):
            _sweep(axes, curves[key], key, labels=labels, k=k, method=method)
        _plain_line(axes, study)
        axes.set_xlabel(title)
        axes.grid(axis="y", color="#e5e7eb", lw=0.8)
    if not all(map(is_number, labels)):
        short_ticks(panels[1], "x", labels, 9)
        panels[1].tick_params(axis="x", rotation=40)
    metric = label(metric_name(study.metric))
    panels[0].set_ylabel(f"test {metric}, raw\n({better_word(study.metric)} is better)", parse_math=False)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=4, frameon=False)
    return figure


def _sweep(axes: Axes, line: pd.DataFrame, key: str, labels: list[str], k: int, method: str) -> None:
    """Draw one method's line; allocations with a name (balance, say) are single marks beside it."""
    line = line[line["alpha"] != NO_ALPHA] if key == "alpha" else line
    by_name = key == "alpha" and not all(map(is_number, labels))
    x = line[key].map(labels.index) if by_name else line[key].astype(float)
    points = pd.DataFrame({"x": x, "y": line["mean"], "joined": line[key].astype(str).map(is_number)}).sort_values("x")
    marks: dict[str, Any] = {
        "color": COLOURS[k % len(COLOURS)],
        "marker": MARKERS[k % len(MARKERS)],
        "ms": 4.5,
    }
    joined, single = points[points["joined"]], points[~points["joined"]]
    axes.plot(joined["x"].to_numpy(), joined["y"].to_numpy(), lw=1.6, label=label(method_name(method)), **marks)
    axes.plot(single["x"].to_numpy(), single["y"].to_numpy(), lw=0, **marks)


def _plain_line(axes: Axes, study: StudyResults) -> None:
    if PLAIN in study.methods and study.values(PLAIN, column=RAW).notna().any():
        axes.axhline(
            study.values(PLAIN, column=RAW).mean(), color=GREY, ls=(0, (4, 3)), lw=1.3, label=method_name(PLAIN)
        )
