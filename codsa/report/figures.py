"""Figures of paired differences over replicates, and of real and synthetic marginals."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codsa.evidence.studies import StudyResults
from codsa.evidence.verdict import PLAIN, Difference, Verdict, compare, is_codsa
from codsa.evidence.wording import better_word, method_name, metric_name
from codsa.report.drawing import COLOURS, GREY, LIGHT_GREY, label, new_figure
from codsa.report.tables import against_name

MAX_COLUMNS = 12
"""Marginals are drawn of this many columns at most."""


def differences_figure(study: StudyResults, verdict: Verdict) -> Figure | None:
    """Draw paired differences under Q to the plain model and to the best rival; None without either."""
    against = [name for name in (PLAIN, verdict.rival) if name in study.methods]
    if not against or len(study.methods) < 2:
        return None
    methods = study.methods[::-1]
    figure = new_figure(9.4, 1.15 + 0.33 * len(methods), gap=0.07)
    panels = figure.subplots(1, len(against), sharey=True, squeeze=False)[0]
    for axes, other in zip(panels, against, strict=True):
        for position, method in enumerate(methods):
            difference = compare(study.metric, study.overall(), method, other) if method != other else None
            _interval(axes, position, difference, is_codsa(method))
        _frame(axes, f"to {against_name(other)}", study.metric)
    panels[0].set_yticks(range(len(methods)), [label(method_name(method)) for method in methods], parse_math=False)
    panels[0].set_ylim(-0.6, len(methods) - 0.4)
    return figure


def _interval(axes: Axes, position: int, difference: Difference | None, of_codsa: bool) -> None:
    colour = COLOURS[0] if of_codsa else GREY
    axes.axhline(position, color="#f3f4f6", lw=1, zorder=0)
    if difference is None:
        axes.plot(0, position, marker="|", ms=9, color=GREY)
        return
    axes.plot(difference.each, np.full(len(difference.each), position), "o", ms=4, mew=0, color=colour, alpha=0.25)
    if np.isfinite(difference.low):
        axes.plot([difference.low, difference.high], [position, position], color=colour, lw=2.6, solid_capstyle="butt")
    axes.plot(difference.mean, position, "o" if of_codsa else "s", ms=6, color=colour, mec="white", mew=1.1)


def _frame(axes: Axes, title: str, metric: str) -> None:
    axes.axvline(0, color="#374151", lw=1, zorder=1)
    axes.set_title(f"Difference {label(title)}", loc="left", pad=8, parse_math=False)
    axes.set_xlabel(f"{label(metric_name(metric))} under Q ({better_word(metric)} is better)", parse_math=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=6)
    axes.margins(x=0.08)


def richest_region(metrics: dict[str, Any]) -> str | None:
    """Return the region with most synthetic rows among those with marginals."""
    with_marginals = [name for name in metrics["regions"] if metrics.get("marginals", {}).get(name)]
    counts = dict(zip(metrics["regions"], metrics["chosen"]["counts"], strict=True))
    return max(with_marginals, key=lambda name: counts[name]) if with_marginals else None


def marginals_figure(marginals: dict[str, Any]) -> Figure:
    """Draw real and synthetic marginals of up to 12 columns, as `metrics.json` holds them."""
    names = list(marginals)[:MAX_COLUMNS]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(2.35 * columns if columns > 1 else 3.6, 1.7 * rows + 0.45)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        (_steps if marginals[name]["kind"] == "ordered" else _bars)(axes, marginals[name])
        axes.set_title(label(name, 24), loc="left", pad=4, parse_math=False)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
    return figure


def _steps(axes: Axes, marginal: dict[str, Any]) -> None:
    edges = np.asarray(marginal["edges"], dtype=float)
    real, synthetic = (np.nan_to_num(np.asarray(marginal[side], dtype=float)) for side in ("real", "synthetic"))
    axes.stairs(real, edges, fill=True, color="#c3c8d0", label="real (test rows)")
    axes.stairs(synthetic, edges, color=COLOURS[1], lw=1.6, label="synthetic")
    axes.set_ylim(0, 1.08 * max(real.max(), synthetic.max(), 1e-9))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)


def _bars(axes: Axes, marginal: dict[str, Any]) -> None:
    positions = np.arange(len(marginal["levels"]))
    axes.barh(positions - 0.2, marginal["real"], 0.38, color="#c3c8d0", label="real (test rows)")
    axes.barh(positions + 0.2, marginal["synthetic"], 0.38, color=COLOURS[1], label="synthetic")
    labels = [label(level, 14) for level in map(str, marginal["levels"])]
    axes.set_yticks(positions, labels, parse_math=False)
    axes.set_ylim(max(len(positions), 3) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.locator_params(axis="x", nbins=3)
    axes.grid(axis="x", color=LIGHT_GREY, lw=0.8)
    axes.set_axisbelow(True)
