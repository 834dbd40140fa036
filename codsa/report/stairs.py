"""The figure of the ladder: a waterfall from the plain model to CoDSA, and beside it the same for the ranking."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codsa.data.metrics import HIGHER_IS_BETTER
from codsa.evidence.ladder import RUNGS, Ladder, Rung
from codsa.evidence.wording import better_word, decimals_of, enough, metric_name, number
from codsa.report.drawing import COLOURS, GREY, INK, label, new_figure

GAIN, LOSS = COLOURS[2], COLOURS[1]


def ladder_figure(steps: Ladder, ranking: Ladder | None = None) -> Figure:
    """Draw a ladder as a waterfall, rung under rung; a second one beside it where there is one."""
    ladders = [steps, *([ranking] if ranking is not None else [])]
    keys = [key for key in RUNGS if any(rung.key == key for one in ladders for rung in one.rungs)]
    figure = new_figure(9.4 if len(ladders) > 1 else 7.2, 1.15 + 0.46 * len(keys), gap=0.05)
    panels = figure.subplots(1, len(ladders), sharey=True, squeeze=False)[0]
    for axes, one in zip(panels, ladders, strict=True):
        _waterfall(axes, one, keys)
    panels[0].set_yticks(range(len(keys)), [RUNGS[key][0].upper() + RUNGS[key][1:] for key in keys])
    panels[0].set_ylim(len(keys) - 0.45, -0.6)
    return figure


def _waterfall(axes: Axes, steps: Ladder, keys: list[str]) -> None:
    sign = 1.0 if steps.metric in HIGHER_IS_BETTER else -1.0
    decimals = enough(decimals_of([rung.mean for rung in steps.rungs]), steps.total.mean)
    axes.axvline(steps.rungs[0].mean, color=GREY, ls=(0, (4, 3)), lw=1, zorder=1)
    axes.plot(steps.rungs[0].mean, keys.index(steps.rungs[0].key), "o", ms=7, color=INK, zorder=4)
    _note(axes, steps.rungs[0].mean, keys.index(steps.rungs[0].key), number(steps.rungs[0].mean, decimals))
    for below, rung in zip(steps.rungs, steps.rungs[1:], strict=False):
        start, end = keys.index(below.key), keys.index(rung.key)
        axes.plot([below.mean] * 2, [start, end], color=GREY, lw=0.8, zorder=1)
        _bar(axes, end, below.mean, rung, sign=sign)
        _note(axes, rung.mean, end, _gain_text(rung, decimals))
    axes.set_xlabel(
        f"{label(metric_name(steps.metric))} under Q ({better_word(steps.metric)} is better)", parse_math=False
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.use_sticky_edges = False
    axes.margins(x=0.12)


def _bar(axes: Axes, place: int, below: float, rung: Rung, sign: float) -> None:
    """Draw one step as a bar from the rung below, with the interval of its end; pale where it includes 0."""
    gain = rung.gain
    assert gain is not None
    colour = GAIN if gain.mean >= 0 else LOSS
    clear = gain.low > 0 or gain.high < 0
    axes.barh(place, rung.mean - below, left=below, height=0.5, color=colour, alpha=0.9 if clear else 0.35, zorder=2)
    if np.isfinite(gain.low):
        ends = [below + sign * gain.low, below + sign * gain.high]
        axes.plot(ends, [place, place], color=INK, lw=1.3, zorder=3)
        axes.plot(ends, [place, place], "|", ms=6, color=INK, zorder=3)


def _gain_text(rung: Rung, decimals: int) -> str:
    assert rung.gain is not None
    return number(rung.gain.mean, enough(decimals, rung.gain.mean), signed=True)


def _note(axes: Axes, x: float, place: int, text: str) -> None:
    axes.annotate(text, (x, place - 0.36), ha="center", va="center", fontsize=7.5, color="#374151", zorder=5)
