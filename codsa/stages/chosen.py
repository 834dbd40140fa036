"""What a finished study chose: the fits behind λ̂ of a method, in one replicate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from codsa.data.metrics import RAW, RECALIBRATED
from codsa.data.pool import Pool, load_pool
from codsa.data.rows import AnyDataset
from codsa.data.split import Split, open_split
from codsa.errors import CodsaError, suggest
from codsa.evidence.records import MetricsRecord
from codsa.io.manifests import check_folder
from codsa.io.names import EVALUATE, METRICS
from codsa.io.records import read_as
from codsa.stages.fits import Choice, read_fits


@dataclass(frozen=True)
class Chosen:
    """λ̂ of one method, estimator and replicate.

    Attributes
    ----------
    folder : Path
        The replicate's.
    dataset : AnyDataset
    split : Split
    record : MetricsRecord
    choice : Choice
        Of recalibrated figures where the study has them.
    """

    folder: Path
    dataset: AnyDataset
    split: Split
    record: MetricsRecord
    choice: Choice

    @property
    def method(self) -> str:
        """The method whose fits hold λ̂: for a choosing arm one of its candidates."""
        return self.choice.fits.method

    def pool(self) -> Pool | None:
        """Return the pool that λ̂ takes rows of; None where it adds none.

        Raises
        ------
        CodsaError
            Where there are several, one for each fold, or none in the study's folder.
        """
        digests = [value for name, value in self.choice.fits.record.inputs.items() if name.startswith("pool")]
        if not sum(self.choice.counts):
            return None
        if len(digests) > 1:
            raise CodsaError(
                f"'{self.method}' averages {len(digests)} fits, each with rows of its own; give another --method"
            )
        for folder in sorted(self.folder.glob("gen~*/r~*/pool")):
            pool = load_pool(folder, self.dataset.schema)
            if pool.digest == digests[0]:
                return pool
        raise CodsaError(f"{self.folder}: the pool of '{self.method}' is not there; run the study again")


def replicates_of(study: Path, replicate: int | None) -> list[Path]:
    """Return the folders of a study's replicates, or of one, in order."""
    found = {int(path.name[4:]): path for path in study.glob("rep~*") if path.name[4:].isdecimal()}
    if not found:
        raise CodsaError(f"{study}: no replicate of a study there; give the folder that holds data and rep~0")
    if replicate is None:
        return [found[k] for k in sorted(found)]
    if replicate not in found:
        raise CodsaError(f"{study}: no replicate {replicate}; known: {', '.join(map(str, sorted(found)))}")
    return [found[replicate]]


def read_chosen(
    study: Path, folder: Path, method: str, estimator: str | None = None, trusted: Collection[str] = ()
) -> Chosen:
    """Read what a replicate chose, and check its files and that they belong together.

    Parameters
    ----------
    study : Path
    folder : Path
        One of `replicates_of`.
    method : str
    estimator : str, optional
        A label; default: the study's own estimator.
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    """
    evaluated = folder / f"eval~{method}"
    if not evaluated.is_dir():
        methods = sorted(path.name[5:] for path in folder.glob("eval~*"))
        raise CodsaError(f"{folder}: no method '{method}'; {suggest(method, methods)}")
    check_folder(evaluated, EVALUATE)
    record = read_as(evaluated / METRICS, MetricsRecord)
    label = estimator or record.estimator
    if label not in record.estimators:
        raise CodsaError(f"{evaluated}: no estimator '{label}'; {suggest(label, record.estimators)}")
    figures = record.estimators[label]
    column, choice = (RAW, figures.raw) if figures.recalibrated is None else (RECALIBRATED, figures.recalibrated)
    parts = Path(choice.chosen.fits).parts
    if len(parts) != 2 or not parts[0].startswith("fit~") or not parts[1].startswith("r~"):
        raise CodsaError(f"{evaluated / METRICS}: names no fits of the study; run codsa-eval again")
    dataset, split = open_split(study / "data", folder / "split.parquet")
    fits = read_fits(folder / choice.chosen.fits, dataset, split, {}, trusted)
    return Chosen(folder, dataset, split, record, Choice(fits, fits.label(label), column))
