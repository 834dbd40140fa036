"""The paper's figures, drawn from our results, with what is published as lines and marks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codsa.evidence.wording import better_word, method_name, metric_name
from codsa.paper.figures import PARAMETERS, PaperFigure
from codsa.paper.published import Published, of_item
from codsa.report.drawing import COLOURS, GREY, LIGHT_GREY, MARKERS, label, new_figure

CHOSEN = {"m_ratio": "chosen m/n", "alpha": "chosen alpha", "r": "chosen r"}
"""The published mean of each parameter of λ̂."""


def draw(figure: PaperFigure, data: pd.DataFrame, levels: dict[str, float]) -> Figure:
    """Draw a figure.

    Parameters
    ----------
    figure : PaperFigure
    data : DataFrame
        As `figure_data` returns it, not empty.
    levels : dict
        Published mean by method, where the paper has one in a table.
    """
    if figure.kind == "marginal":
        return _marginal(figure, data, levels)
    return _by_m(figure, data) if figure.kind == "by m" else _boxes(figure, data)


def _marginal(figure: PaperFigure, data: pd.DataFrame, levels: dict[str, float]) -> Figure:
    """Draw a column of two panels for each parameter: the metric, and the chosen values of the other two."""
    drawn = new_figure(10.2, 5.4, gap=0.06)
    grid = drawn.subplots(2, len(PARAMETERS), sharex="col", height_ratios=(3, 2))
    for place, (parameter, name) in enumerate(PARAMETERS.items()):
        top, below = grid[:, place]
        for number, (method, curve) in enumerate(data[data["parameter"] == parameter].groupby("method", sort=False)):
            colour, marker = COLOURS[number], MARKERS[number]
            top.errorbar(
                curve["value"], curve["mean"], yerr=_error(curve), color=colour, marker=marker, ms=4, lw=1.3,
                elinewidth=0.7, label=label(method_name(str(method))),
            )  # fmt: skip
            _published_lines(top, figure, str(method), parameter, levels=levels, colour=colour)
            _others(below, curve, parameter, colour)
        below.set_xlabel(label(name))
        below.set_ylim(-0.05, None)
        for axes in (top, below):
            axes.grid(color=LIGHT_GREY, lw=0.7)
            axes.set_axisbelow(True)
    rows = str(data["rows"].iloc[0])
    grid[0, 0].set_ylabel(f"{rows} {metric_name(figure.metric)}")
    grid[1, 0].set_ylabel("chosen values")
    grid[0, 0].legend(frameon=False)
    return drawn


def _error(curve: pd.DataFrame) -> np.ndarray:
    """Return the standard error of the means; 0 for one replicate."""
    return np.asarray(curve["sd"].fillna(0.0) / np.sqrt(curve["replicates"].clip(lower=1)))


def _published_lines(
    axes: Axes, figure: PaperFigure, method: str, parameter: str, levels: dict[str, float], colour: str
) -> None:
    """Draw the published level as a dashed line, and the published mean of λ̂ as a dotted one."""
    if method in levels:
        axes.axhline(levels[method], color=colour, lw=0.9, ls="--", alpha=0.7)
    for published in of_item(figure.item):
        if published.method == method and published.metric == CHOSEN[parameter]:
            axes.axvline(published.mean, color=colour, lw=0.9, ls=":", alpha=0.9)


def _others(axes: Axes, curve: pd.DataFrame, parameter: str, colour: str) -> None:
    others = [name for name in PARAMETERS if name != parameter]
    for name, style in zip(others, ("-", ":"), strict=True):
        axes.plot(curve["value"], curve[f"chosen {name}"], style, color=colour, lw=1.3)
        last = curve.dropna(subset=[f"chosen {name}"]).tail(1)
        for _, point in last.iterrows():
            text = PARAMETERS[name].split(" ")[0] if name != "r" else "r"
            axes.annotate(text, (point["value"], point[f"chosen {name}"]), fontsize=7.5, color=colour)


def _by_m(figure: PaperFigure, data: pd.DataFrame) -> Figure:
    """Draw a curve over m for each method and r, baselines and published figures as lines."""
    drawn = new_figure(7.4, 3.8)
    axes = drawn.subplots()
    curves = data[data["r"].notna()].groupby(["method", "r"], sort=False)
    for number, ((method, r), curve) in enumerate(curves):
        axes.errorbar(
            curve["m"], curve["mean"], yerr=_error(curve), color=COLOURS[number % len(COLOURS)], lw=1.3, ms=4,
            marker=MARKERS[number % len(MARKERS)], label=label(f"{method_name(str(method))}, r = {r:g}"),
        )  # fmt: skip
    for _, baseline in data[data["r"].isna()].iterrows():
        axes.axhline(baseline["mean"], color=GREY, lw=1.2)
        _line_name(axes, method_name(str(baseline["method"])), 1, baseline["mean"], GREY)
    for published in of_item(figure.item):
        axes.axhline(published.mean, color=COLOURS[1], lw=0.9, ls="--")
        _line_name(axes, _named(published), 0, published.mean, COLOURS[1])
    axes.set_xlabel("m, synthetic rows")
    axes.set_ylabel(f"{metric_name(figure.metric)} ({better_word(figure.metric)} is better)")
    axes.grid(color=LIGHT_GREY, lw=0.7)
    if len(curves):
        axes.legend(frameon=False, fontsize=8)
    return drawn


def _line_name(axes: Axes, text: str, side: int, y: float, colour: str) -> None:
    """Write on a horizontal line, at the left (0) or the right (1) side."""
    align = "right" if side else "left"
    frame = ("axes fraction", "data")
    axes.annotate(label(text), (side, y), xycoords=frame, fontsize=7.5, color=colour, ha=align, va="bottom")


def _named(published: Published) -> str:
    r = "" if published.r is None else f", r = {published.r:g}"
    m = f", m = {published.m:,}" if published.m else ""
    return f"published: {method_name(published.method)}{r}{m}"


def _boxes(figure: PaperFigure, data: pd.DataFrame) -> Figure:
    """Draw a box for each method over its replicates, with the published mean and standard deviation beside it."""
    methods = list(dict.fromkeys(data["method"]))
    drawn = new_figure(2.4 + 0.9 * len(methods), 3.6)
    axes = drawn.subplots()
    values = [data.loc[data["method"] == method, "value"].to_numpy() for method in methods]
    axes.boxplot(values, widths=0.5, medianprops={"color": COLOURS[0]}, flierprops={"ms": 4})
    for place, each in enumerate(values, start=1):
        axes.plot(np.full(len(each), place), each, "o", ms=3.5, mew=0, color=COLOURS[0], alpha=0.4)
    table = {"Figure 7": "Table 5"}.get(figure.item, figure.item)
    for published in of_item(table):
        if published.method in methods:
            beside = methods.index(published.method) + 1.33
            axes.errorbar([beside], [published.mean], yerr=[published.sd or 0.0], fmt="D", ms=4, color=COLOURS[1],
                          label="published mean (sd)")  # fmt: skip
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles[:1], labels[:1], frameon=False)
    axes.set_xticks(range(1, len(methods) + 1), [label(name.replace("codsa-", "")) for name in methods], rotation=20)
    axes.set_ylabel(f"{metric_name(figure.metric)} ({better_word(figure.metric)} is better)")
    axes.grid(axis="y", color=LIGHT_GREY, lw=0.7)
    return drawn
