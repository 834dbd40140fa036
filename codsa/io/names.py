"""The names of the stages, and of the files that they write."""

PREPARE, SPLIT, TRAIN, PRETRAIN = "prepare", "split", "train-gen", "pretrain"
INVERTER, SAMPLE, FIT, EVALUATE, REPORT = "inverter", "sample", "fit", "eval", "report"
PREDICT, EXPORT = "predict", "export"
MODEL = "model"
"""What an estimator of the Python interface saves."""

MANIFEST = "manifest.json"
"""Of an artefact that is a folder of its own."""
TABLE, SCHEMA = "rows.parquet", "schema.json"
"""Of a dataset."""
FITS, CHOSEN = "fits.parquet", "chosen.json"
"""Of fits; an evaluation has the table, too."""
PREDICTIONS, ESTIMATORS = "predictions.parquet", "estimators"
"""Of fits: predictions of validation rows, and the chosen estimators; of an evaluation: predictions of test rows."""
METRICS, GRID = "metrics.json", "grid.parquet"
"""Of an evaluation."""
REPORT_MANIFEST = "report.json"
"""Of a report: its folder is the study's, which has other things in it."""
PAGE, METRICS_TABLE, SUMMARY_TABLE, SUMMARY_TEXT, FIGURES = (
    "report.html",
    "metrics.csv",
    "summary.csv",
    "summary.txt",
    "figures",
)
"""Of a report."""
