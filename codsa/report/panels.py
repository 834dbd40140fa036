"""Figures of real and generated images, region by region, for a person to compare."""

from __future__ import annotations

import base64

import numpy as np
from matplotlib.figure import Figure

from codsa.report.drawing import label, new_figure

KINDS = {"real": "real (test)", "generated": "generated", "nearest": "nearest in training"}
GAP_PIXELS = 2
"""Space between images."""


def panels_figure(panels: dict[str, dict[str, list[str]]]) -> Figure | None:
    """Draw images region by region: real ones, generated ones, and the training image nearest to each of these.

    Parameters
    ----------
    panels : dict
        Region → kind → PNG images in base64, as `metrics.json` holds them.
    """
    shown = {region: kinds for region, kinds in panels.items() if kinds.get("generated")}
    if not shown:
        return None
    figure = new_figure(9.4, 0.4 + 2.9 * len(shown))
    axes = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for panel, (region, kinds) in zip(axes, shown.items(), strict=True):
        rows = [kind for kind in KINDS if kinds.get(kind)]
        tiles = [[_image(text) for text in kinds[kind]] for kind in rows]
        height = tiles[0][0].shape[0] + GAP_PIXELS
        panel.imshow(_grid(tiles), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        panel.set_yticks([height * (i + 0.5) for i in range(len(rows))], [KINDS[kind] for kind in rows])
        panel.set_xticks([])
        panel.tick_params(axis="y", length=0)
        panel.set_title(label(region), loc="left", pad=4, parse_math=False)
        for side in panel.spines.values():
            side.set_visible(False)
    return figure


def _image(text: str) -> np.ndarray:
    from codsa.io.image_codec import decode

    return decode(base64.b64decode(text), "metrics.json")


def _grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Return images side by side and one row under the other, white between them."""
    height, width, channels = rows[0][0].shape
    columns = max(len(row) for row in rows)
    sheet = np.full(((height + GAP_PIXELS) * len(rows), (width + GAP_PIXELS) * columns, channels), 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            sheet[i * (height + GAP_PIXELS) :, j * (width + GAP_PIXELS) :][:height, :width] = image
    return sheet[..., 0] if channels == 1 else sheet
