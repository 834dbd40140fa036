"""Differences over replicates, and real against synthetic marginals, as figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codsa.evidence.studies import StudyResults
from codsa.evidence.verdict import PLAIN, Difference, Verdict, compare, is_codsa
from codsa.evidence.wording import better_word, method_name, metric_name
from codsa.report.drawing import COLOURS, GREY, LIGHT, label, new_figure
from codsa.report.tables import against_name

COLUMNS = 12
"""Columns whose marginals are drawn."""


def differences_figure(study: StudyResults, verdict: Verdict) -> Figure | None:
    """Draw paired differences under Q to the plain model and to the best rival; None without either."""
    against = [name for name in (PLAIN, verdict.rival) if name in study.methods]
    if not against or len(study.methods) < 2:
        return None
    methods = study.methods[::-1]
    figure = new_figure(9.4, 1.15 + 0.33 * len(methods), gap=0.07)
    panels = figure.subplots(1, len(against), sharey=True, squeeze=False)[0]
    for axes, other in zip(panels, against, strict=True):
        for place, method in enumerate(methods):
            found = compare(study.metric, study.overall(), method, other) if method != other else None
            _interval(axes, place, found, is_codsa(method))
        _frame(axes, f"to {against_name(other)}", study.metric)
    panels[0].set_yticks(range(len(methods)), [label(method_name(method)) for method in methods], parse_math=False)
    panels[0].set_ylim(-0.6, len(methods) - 0.4)
    return figure


def _interval(axes: Axes, place: int, found: Difference | None, ours: bool) -> None:
    colour = COLOURS[0] if ours else GREY
    axes.axhline(place, color="#f3f4f6", lw=1, zorder=0)
    if found is None:
        axes.plot(0, place, marker="|", ms=9, color=GREY)
        return
    axes.plot(found.each, np.full(len(found.each), place), "o", ms=4, mew=0, color=colour, alpha=0.25)
    if np.isfinite(found.low):
        axes.plot([found.low, found.high], [place, place], color=colour, lw=2.6, solid_capstyle="butt")
    axes.plot(found.mean, place, "o" if ours else "s", ms=6, color=colour, mec="white", mew=1.1)


def _frame(axes: Axes, title: str, metric: str) -> None:
    axes.axvline(0, color="#374151", lw=1, zorder=1)
    axes.set_title(f"Difference {label(title)}", loc="left", pad=8, parse_math=False)
    axes.set_xlabel(f"{label(metric_name(metric))} under Q ({better_word(metric)} is better)", parse_math=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=6)
    axes.margins(x=0.08)


def richest_region(metrics: dict[str, Any]) -> str | None:
    """Return the region that got most synthetic rows among those with marginals."""
    shown = [name for name in metrics["regions"] if metrics.get("marginals", {}).get(name)]
    counts = dict(zip(metrics["regions"], metrics["chosen"]["counts"], strict=True))
    return max(shown, key=lambda name: counts[name]) if shown else None


def marginals_figure(shown: dict[str, Any]) -> Figure:
    """Draw real and synthetic marginals of up to 12 columns, as `metrics.json` holds them."""
    names = list(shown)[:COLUMNS]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(2.35 * columns if columns > 1 else 3.6, 1.7 * rows + 0.45)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        (_steps if shown[name]["kind"] == "ordered" else _bars)(axes, shown[name])
        axes.set_title(label(name, 24), loc="left", pad=4, parse_math=False)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
    return figure


def _steps(axes: Axes, one: dict[str, Any]) -> None:
    edges = np.asarray(one["edges"], dtype=float)
    real, made = (np.nan_to_num(np.asarray(one[side], dtype=float)) for side in ("real", "synthetic"))
    axes.stairs(real, edges, fill=True, color="#c3c8d0", label="real (test rows)")
    axes.stairs(made, edges, color=COLOURS[1], lw=1.6, label="synthetic")
    axes.set_ylim(0, 1.08 * max(real.max(), made.max(), 1e-9))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)


def _bars(axes: Axes, one: dict[str, Any]) -> None:
    places = np.arange(len(one["levels"]))
    axes.barh(places - 0.2, one["real"], 0.38, color="#c3c8d0", label="real (test rows)")
    axes.barh(places + 0.2, one["synthetic"], 0.38, color=COLOURS[1], label="synthetic")
    labels = [label(level, 14) for level in map(str, one["levels"])]
    axes.set_yticks(places, labels, parse_math=False)
    axes.set_ylim(max(len(places), 3) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.locator_params(axis="x", nbins=3)
    axes.grid(axis="x", color=LIGHT, lw=0.8)
    axes.set_axisbelow(True)
