"""The stage that reports on a study: it reads the metrics of all evaluations and writes a page, tables and figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from codsa.errors import CodsaError
from codsa.evidence.ladder import ladder, ranking_ladder, sentence
from codsa.evidence.studies import StudyResults
from codsa.evidence.verdict import Verdict, verdict_of
from codsa.evidence.within import within_replicates
from codsa.io.artifacts import files_output, new_files
from codsa.io.manifests import write_manifest
from codsa.io.names import FIGURES, METRICS_TABLE, PAGE, REPORT, REPORT_MANIFEST, SUMMARY_TABLE, SUMMARY_TEXT
from codsa.io.seeds import stream
from codsa.report.page import Findings, pictures_of, render
from codsa.report.sheets import metrics_table, plain_text, summary_table


def write_report(out: Path, study: StudyResults, title: str | None = None) -> Verdict:
    """Write `report.html`, `metrics.csv`, `summary.csv`, `summary.txt`, `figures/*.png` and their manifest, together.

    The same results give the same bytes.

    Parameters
    ----------
    out : Path
        Folder to write to; other files in it stay.
    study : StudyResults
        As `codsa.evidence.studies.read_study` reads it.
    title : str, optional
        Title of the page; default: the experiment's name.

    Returns
    -------
    Verdict
    """
    findings = findings_of(study)
    pictures = pictures_of(study, findings)
    html = render(study, findings, pictures, title or study.experiment)
    inputs = {f"{result.method} {result.replicate}": result.digest for result in study.evaluations}
    with new_files(out / REPORT_MANIFEST, REPORT) as staged:
        _write_csv(staged / METRICS_TABLE, metrics_table(study))
        _write_csv(staged / SUMMARY_TABLE, summary_table(study))
        (staged / FIGURES).mkdir()
        for picture in pictures:
            (staged / FIGURES / f"{picture.name}.png").write_bytes(picture.png)
        (staged / SUMMARY_TEXT).write_text(f"{plain_text(study)}\n\n{conclusion(findings)}\n", encoding="utf-8")
        (staged / PAGE).write_text(html, encoding="utf-8")
        write_manifest(staged / REPORT_MANIFEST, REPORT, inputs, {"title": title})
    return findings.verdict


def findings_of(study: StudyResults) -> Findings:
    """Return the verdict on a study, where its gain comes from, and how its replicates depend on their test rows."""
    within = within_replicates(study, stream(study.seed, REPORT, study.experiment))
    return Findings(verdict_of(study, within), ladder(study), ranking_ladder(study), within)


def conclusion(findings: Findings) -> str:
    """Return the verdict's headline, and below it the sentence on where the gain comes from."""
    lines = [findings.verdict.headline]
    lines += [sentence(findings.steps)] if findings.steps is not None else []
    return "\n".join(lines)


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False, lineterminator="\n")


def report_output(out: Path) -> None:
    """Raise a `CodsaError` where a report cannot be written because of files that this stage did not write."""
    files_output(out / REPORT_MANIFEST, REPORT, (PAGE, METRICS_TABLE, SUMMARY_TABLE, SUMMARY_TEXT))


def summarise(folder: Path) -> str:
    """Return a report's table, its verdict, where the gain comes from, and the path of its page.

    Raises
    ------
    CodsaError
        Where the folder holds no report.
    """
    path = folder / SUMMARY_TEXT
    if not path.exists():
        raise CodsaError(f"{folder}: no report there; run the workflow, or codsa-report")
    return f"{path.read_text(encoding='utf-8')}{folder / PAGE}"
