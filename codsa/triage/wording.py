"""A triage in words: a small table, and a sentence whether augmentation is worth trying."""

from __future__ import annotations

from collections.abc import Sequence

from codsa.evidence.judgement import BAND
from codsa.evidence.wording import DASH, counted, decimals_of, enough, listed, metric_name, number, percent
from codsa.triage.curve import Doubling
from codsa.triage.judge import Triage

HEADER = ("region", "rows", "weight", "loss", "with twice the rows", "interval")


def verdict(found: Triage) -> str:
    """Return what the headroom's interval allows to say: 'yes', 'no' or 'open'; `BAND` is what counts as nothing."""
    _, low, high = found.headroom.share
    return "yes" if low > BAND else "no" if high < BAND else "open"


def sentence(found: Triage) -> str:
    """Return one sentence on whether augmentation is worth trying on the table."""
    share, low, high = found.headroom.share
    what = f"the rows of {_quoted(found.thin)}" if found.by_region else "all rows"
    gain = f"{percent(share)} [{percent(low)}, {percent(high)}]"
    word = verdict(found)
    if word == "no":
        return (
            f"Augmentation is hardly worth trying here: twice {what} would lower the loss under Q by {gain}, and "
            "synthetic rows cannot give more than real ones."
        )
    if word == "yes":
        return (
            f"Augmentation is worth trying here: twice {what} would lower the loss under Q by {gain}; synthetic rows "
            "can give a part of that, or none."
        )
    return (
        f"Whether augmentation is worth trying here stays open: twice {what} would lower the loss under Q by {gain}, "
        "of which synthetic rows can give a part, or none."
    )


def notes(found: Triage) -> list[str]:
    """Return what a reader should know beside the table."""
    learners = listed(f"{name} ({count})" for name, count in found.learners.items())
    lines = [
        f"The baseline is recalibrated and weighted to Q; {counted(found.splits, 'split')} by validation: {learners}."
    ]
    if not found.by_region:
        lines.append("No region is thin under Q, so the curve is by the rows of all regions.")
    if found.used < found.rows:
        lines.append(
            f"{found.used:,} of {found.rows:,} rows were used; the curve is extrapolated to all, too, and regions that "
            "are not thin would do somewhat better with all their rows."
        )
    if found.loss >= (1 - BAND) * found.guess:
        lines.append("The baseline does not beat a guess: the features say little of the target, or rows are too few.")
    return lines


def page(found: Triage) -> str:
    """Return the whole text for a terminal."""
    losses = [region.loss for region in found.regions]
    decimals = enough(decimals_of(losses), *losses)

    def written(value: float) -> str:
        return number(value, decimals)

    def cells(twice: Doubling | None) -> tuple[str, str]:
        if twice is None:
            return DASH, DASH
        loss, low, high = map(written, twice.twice)
        return loss, f"{low} to {high}"

    rows = [HEADER]
    for region in found.regions:
        name = region.name + (" (thin)" if region.thin else "")
        rows.append((name, f"{region.rows:,}", percent(region.q), written(region.loss), *cells(region.twice)))
    rows.append(("under Q", f"{found.rows:,}", "100 %", written(found.loss), *cells(found.headroom)))
    curve = ", ".join(f"{percent(x)}: {written(y)}" for x, y in zip(found.shares, found.curve, strict=True))
    which = "of the thin regions" if found.by_region else "of all regions"
    lines = [
        f"{metric_name(found.metric)} of a strong baseline; a guess without features: {written(found.guess)}",
        "",
        *_aligned(rows),
        "",
        f"Learning curve under Q by the share of the training rows {which}: {curve}.",
        *notes(found),
        "",
        sentence(found),
    ]
    return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _quoted(names: list[str]) -> str:
    shown = names if len(names) <= 4 else names[:3]
    text = listed([f"'{name}'" for name in shown])
    return text if len(names) <= 4 else f"{text} and {len(names) - 3} further thin regions"
