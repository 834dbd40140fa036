"""What a report was made of, and whether a study has more by now."""

from __future__ import annotations

from pathlib import Path

from codsa.errors import CodsaError
from codsa.io.manifests import read_manifest
from codsa.io.names import METRICS, REPORT, REPORT_MANIFEST
from codsa.workflow.study import Study


def unreported(study: Study, folder: Path) -> list[str]:
    """Return the metrics of a study that its report lacks: of replicates or methods that were added since.

    Snakemake remembers what a report was made of, but not where `.snakemake` was lost, or where the report was made
    without it.

    Parameters
    ----------
    study : Study
    folder : Path
        Its results.

    Returns
    -------
    list of str
        Paths; none where there is no report, which will be made of everything anyway.
    """
    try:
        reported = read_manifest(folder / REPORT_MANIFEST, REPORT).inputs
    except (CodsaError, OSError):
        return []
    return [
        str(folder / f"rep~{replicate}" / f"eval~{method}" / METRICS)
        for replicate in range(study.experiment.replicates)
        for method in study.methods
        if f"{method} {replicate}" not in reported
    ]
