"""The report: what the metrics of all methods and replicates say, as a page, tables and figures."""

from pathlib import Path

from codsa.errors import CodsaError
from codsa.evidence.studies import Evaluation, Study, read_study
from codsa.evidence.verdict import Verdict, verdict_of
from codsa.io.names import PAGE, SUMMARY_TEXT
from codsa.report.page import report_output, write_report
from codsa.report.tables import metrics_table, plain_text, summary_table


def summarise(folder: Path) -> str:
    """Return a report's table and verdict as text, and the path of its page.

    Raises
    ------
    CodsaError
        When the folder holds no report.
    """
    path = folder / SUMMARY_TEXT
    if not path.exists():
        raise CodsaError(f"{folder}: no report there; run the workflow, or codsa-report")
    return f"{path.read_text(encoding='utf-8')}{folder / PAGE}"


__all__ = [
    "Evaluation",
    "Study",
    "Verdict",
    "metrics_table",
    "plain_text",
    "read_study",
    "report_output",
    "summarise",
    "summary_table",
    "verdict_of",
    "write_report",
]
