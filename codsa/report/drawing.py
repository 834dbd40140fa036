"""Shared by all figures: colours, fonts, layout, and the bytes of SVG and PNG files."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind readers tell apart (Okabe and Ito)."""
MARKERS = "osD^vP"
INK, GREY, LIGHT_GREY = "#1f2937", "#6b7280", "#e5e7eb"
FONT_STACK = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

STYLE: Any = {  # names of the data are plain text: a dollar sign does not start mathematics
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "codsa",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": "#4b5563",
    "xtick.labelsize": 8.5,
    "ytick.color": "#4b5563",
    "ytick.labelsize": 8.5,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and write figures in this style, whatever matplotlib's settings are, and restore these at the end."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def new_figure(width: float, height: float, gap: float = 0.02) -> Figure:
    """Return a figure of a size in inches; its panels are laid out without overlap, `gap` apart."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=gap))


def label(text: str, most: int | None = None) -> str:
    """Return a text of the data for a figure: without control characters, and cut to `most` characters."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if most is None or len(printable) <= most else printable[: most - 1] + "…"


def is_number(text: str) -> bool:
    """Say whether a label is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def short_ticks(axes: Axes, side: str, labels: Sequence[str], most: int) -> None:
    """Label categories 0, 1, … along 'x' or 'y', leaving out some numbers where there are more than `most`."""
    numbers = sum(map(is_number, labels))
    step = max(1, -(-numbers // max(most - (len(labels) - numbers), 1)))
    positions = [k for k, text in enumerate(labels) if k % step == 0 or not is_number(text)]
    texts = [label(labels[k], 16) for k in positions]
    (axes.set_xticks if side == "x" else axes.set_yticks)(positions, texts, parse_math=False)


def svg_uri(figure: Figure) -> str:
    """Return a figure as a data URI of an SVG, its text in the reader's own font."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    text = buffer.getvalue().replace("'DejaVu Sans'", FONT_STACK)
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as a PNG on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None}, facecolor="white")
    return buffer.getvalue()
