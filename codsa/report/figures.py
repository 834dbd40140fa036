"""Figures of paired differences over replicates, and of real and synthetic marginals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codsa.evidence.judgement import Comparison, Within
from codsa.evidence.records import LevelsMarginal, MetricsRecord, OrderedMarginal
from codsa.evidence.statistics import Estimate
from codsa.evidence.studies import StudyResults
from codsa.evidence.verdict import Verdict
from codsa.evidence.wording import better_word, method_name, metric_name
from codsa.report.drawing import COLOURS, GREY, INK, LIGHT_GREY, label, new_figure
from codsa.report.tables import comparisons_of

MAX_COLUMNS = 12
"""Marginals are drawn of this many columns at most."""


def differences_figure(study: StudyResults, verdict: Verdict, within: Within) -> Figure | None:
    """Draw the primary arm's paired differences under Q to every other method; None where there is nothing to draw.

    Thick: the corrected interval over replicates; thin: each replicate with its bootstrap interval over test rows.
    """
    comparisons = comparisons_of(study, verdict)
    if verdict.judgement is None or not comparisons:
        return None
    methods = [name for name in study.methods if name in comparisons][::-1]
    figure = new_figure(9.4, 1.2 + 0.42 * len(methods))
    axes = figure.subplots()
    if np.isfinite(verdict.judgement.band):
        axes.axvspan(-verdict.judgement.band, verdict.judgement.band, color="#eef1f5", lw=0, zorder=0)
    for position, method in enumerate(methods):
        in_family = method in verdict.judgement.family
        _difference(axes, position, comparisons[method], within.get(method, {}), in_family)
    _frame(axes, study, verdict)
    axes.set_yticks(range(len(methods)), [label(method_name(method)) for method in methods], parse_math=False)
    axes.set_ylim(-0.6, len(methods) - 0.4)
    return figure


def _difference(
    axes: Axes, position: int, comparison: Comparison, within: Mapping[int, Estimate], in_family: bool
) -> None:
    colour = {1: COLOURS[2], -1: COLOURS[1], 0: INK}[comparison.clear] if in_family else GREY
    several = len(comparison.each) > 1
    offsets = np.linspace(0.3, -0.3, len(comparison.each)) if several else [0.0]
    for offset, (replicate, value) in zip(offsets, comparison.each.items(), strict=True):
        estimate = within.get(replicate)
        if estimate is not None and np.isfinite(estimate.low):
            ends = [estimate.low, estimate.high]
            axes.plot(ends, [position + offset] * 2, color=colour, lw=0.9, alpha=0.35, zorder=2)
        axes.plot(value, position + offset, "o", ms=2.6, mew=0, color=colour, alpha=0.55, zorder=2)
    low, high = comparison.estimate.low, comparison.estimate.high
    if np.isfinite(low):
        axes.plot([low, high], [position, position], color=colour, lw=2.8, solid_capstyle="butt", zorder=3)
    face = colour if in_family else "white"
    edge = "white" if in_family else colour
    axes.plot(comparison.mean, position, "o", ms=6.5, color=face, mec=edge, mew=1.2, zorder=4)


def _frame(axes: Axes, study: StudyResults, verdict: Verdict) -> None:
    metric, primary = study.metric, verdict.primary or ""
    axes.axvline(0, color="#374151", lw=1, zorder=1)
    axes.set_title(f"{label(method_name(primary))} less each other method", loc="left", pad=8, parse_math=False)
    good = "left" if better_word(metric) == "lower" else "right"
    words = (
        f"difference in {metric_name(metric)} under Q, {study.column} (to the {good}: {method_name(primary)} is better)"
    )
    axes.set_xlabel(label(words), parse_math=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=9)
    axes.margins(x=0.04)


def richest_region(record: MetricsRecord) -> str | None:
    """Return the region with most synthetic rows among those with marginals."""
    with_marginals = [name for name in record.regions if record.marginals.get(name)]
    counts = dict(zip(record.regions, record.chosen.counts, strict=True))
    return max(with_marginals, key=lambda name: counts[name]) if with_marginals else None


def marginals_figure(marginals: Mapping[str, OrderedMarginal | LevelsMarginal]) -> Figure:
    """Draw real and synthetic marginals of up to 12 columns, as `metrics.json` holds them."""
    names = list(marginals)[:MAX_COLUMNS]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(2.35 * columns if columns > 1 else 3.6, 1.7 * rows + 0.45)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        marginal = marginals[name]
        _steps(axes, marginal) if isinstance(marginal, OrderedMarginal) else _bars(axes, marginal)
        axes.set_title(label(name, 24), loc="left", pad=4, parse_math=False)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
    return figure


def _steps(axes: Axes, marginal: OrderedMarginal) -> None:
    edges = np.asarray(marginal.edges, dtype=float)
    real, synthetic = (np.nan_to_num(np.asarray(part, dtype=float)) for part in (marginal.real, marginal.synthetic))
    axes.stairs(real, edges, fill=True, color="#c3c8d0", label="real (test rows)")
    axes.stairs(synthetic, edges, color=COLOURS[1], lw=1.6, label="synthetic")
    axes.set_ylim(0, 1.08 * max(real.max(), synthetic.max(), 1e-9))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)


def _bars(axes: Axes, marginal: LevelsMarginal) -> None:
    positions = np.arange(len(marginal.levels))
    real, synthetic = (np.nan_to_num(np.asarray(part, dtype=float)) for part in (marginal.real, marginal.synthetic))
    axes.barh(positions - 0.2, real, 0.38, color="#c3c8d0", label="real (test rows)")
    axes.barh(positions + 0.2, synthetic, 0.38, color=COLOURS[1], label="synthetic")
    labels = [label(level, 14) for level in marginal.levels]
    axes.set_yticks(positions, labels, parse_math=False)
    axes.set_ylim(max(len(positions), 3) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.locator_params(axis="x", nbins=3)
    axes.grid(axis="x", color=LIGHT_GREY, lw=0.8)
    axes.set_axisbelow(True)
