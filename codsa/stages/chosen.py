"""The fit that validation rows chose, found in the folder of a finished study."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from codsa.data.metrics import RAW, RECALIBRATED
from codsa.data.rows import AnyDataset
from codsa.data.split import Split, open_split
from codsa.errors import CodsaError, suggest
from codsa.evidence.records import MetricsRecord
from codsa.io.manifests import check_folder
from codsa.io.names import EVALUATE, METRICS
from codsa.io.records import read_as
from codsa.stages.fits import Choice, read_fits

DATA, SPLIT_TABLE = "data", "split.parquet"
"""Of a study and of a replicate: the prepared rows, and their roles."""
PRIMARY = "codsa-auto"
"""The method that is taken by default where a study has it: it chooses among all others, nothing included."""


@dataclass(frozen=True)
class _Place:
    fits: str
    point: int


@dataclass(frozen=True)
class _Column:
    method: str
    chosen: _Place


@dataclass(frozen=True)
class _Estimator:
    raw: _Column
    recalibrated: _Column | None = None


@dataclass(frozen=True)
class _Places:
    estimators: dict[str, _Estimator]


@dataclass(frozen=True)
class ChosenFit:
    """λ̂ of one method, estimator and replicate, with the rows that it is about.

    Attributes
    ----------
    folder : Path
        The replicate's folder.
    replicate : int
    method : str
        The method that was asked for; `fitted_method` is that whose fits hold λ̂.
    dataset : AnyDataset
    split : Split
    choice : Choice
        Its column is 'recalibrated' where the fit has a recalibration, else 'raw'.
    evaluation : MetricsRecord
    diagnosed : bool
        Whether the evaluation's diagnostics are of the synthetic rows of this very fit.
    """

    folder: Path
    replicate: int
    method: str
    dataset: AnyDataset
    split: Split
    choice: Choice
    evaluation: MetricsRecord
    diagnosed: bool

    @property
    def fitted_method(self) -> str:
        """The method whose fits hold λ̂: for a choosing arm one of its candidates."""
        return self.choice.fits.method

    @property
    def words(self) -> str:
        """The fit in words, on one line."""
        row = self.choice.row
        added = f"m = {row['m']}, α = {row['alpha']}, r = {row['r']:g}" if row["m"] else "no synthetic rows"
        through = "" if self.method == self.fitted_method else f"{self.method} chose "
        column = "recalibrated" if self.choice.column == RECALIBRATED else "not recalibrated"
        return (
            f"replicate {self.replicate}: {through}{self.fitted_method} ({added}), "
            f"estimator '{self.choice.label}', {column}"
        )

    @property
    def facts(self) -> dict[str, object]:
        """The fit as a manifest records it."""
        row = self.choice.row
        return {
            "replicate": self.replicate,
            "method": self.method,
            "fitted_method": self.fitted_method,
            "estimator": self.choice.label,
            "column": self.choice.column,
            "r": row["r"],
            "m": row["m"],
            "alpha": row["alpha"],
            "counts": dict(zip(self.evaluation.regions, self.choice.counts, strict=True)),
            "real_rows": row["real_rows"],
        }

    @property
    def inputs(self) -> dict[str, str]:
        """The digests of the split and of the fits, by name."""
        name = f"rep~{self.replicate}"
        return {f"{name} split": self.split.digest, f"{name} fits": self.choice.fits.record.digest}


def replicates(study: Path) -> list[int]:
    """Return the numbers of a study's replicates, sorted.

    Raises
    ------
    CodsaError
        Where the folder is none of a study.
    """
    numbers = (folder.name.removeprefix("rep~") for folder in study.glob("rep~*") if folder.is_dir())
    known = sorted(int(number) for number in numbers if number.isascii() and number.isdecimal())
    if not known or not (study / DATA).is_dir():
        raise CodsaError(f"{study}: is no folder of a study, as results/NAME is after `codsa run`; give that folder")
    return known


def methods(replicate: Path) -> list[str]:
    """Return the methods that a replicate has evaluations of."""
    return sorted(folder.name.removeprefix("eval~") for folder in replicate.glob("eval~*") if folder.is_dir())


def default_method(study: Path) -> str:
    """Return the method that is taken where none is said: codsa-auto, or the study's primary arm.

    Raises
    ------
    CodsaError
        Where the study has neither.
    """
    folder = study / f"rep~{replicates(study)[0]}"
    known = methods(folder)
    if PRIMARY in known:
        return PRIMARY
    for name in known:
        if read_as(folder / f"eval~{name}" / METRICS, MetricsRecord).kind == "primary":
            return name
    raise CodsaError(f"{study}: has no method '{PRIMARY}'; give --method: {', '.join(known) or 'none is evaluated'}")


def chosen_fit(
    study: Path, method: str | None, replicate: int, label: str | None = None, trusted: Collection[str] = ()
) -> ChosenFit:
    """Return λ̂ of a method as its evaluation recorded it. No test row is read.

    Parameters
    ----------
    study : Path
        The study's folder.
    method : str, optional
        Default: that of `default_method`.
    replicate : int
    label : str, optional
        Of the estimator; default: the study's own.
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.

    Raises
    ------
    CodsaError
        For a replicate, method or estimator that the study lacks, and for fits that are not those of the evaluation.
    """
    known = replicates(study)
    if replicate not in known:
        raise CodsaError(f"{study}: has no replicate {replicate}; it has {', '.join(map(str, known))}")
    method = method or default_method(study)
    folder = study / f"rep~{replicate}"
    if method not in methods(folder):
        raise CodsaError(f"{folder}: no evaluation of method '{method}'; {suggest(method, methods(folder))}")
    evaluated = folder / f"eval~{method}"
    manifest = check_folder(evaluated, EVALUATE)
    record = read_as(evaluated / METRICS, MetricsRecord)
    label = label or record.estimator
    if label not in record.estimators:
        raise CodsaError(f"{evaluated}: no estimator '{label}'; {suggest(label, record.estimators)}")
    places = read_as(evaluated / METRICS, _Places).estimators
    place = places[label].recalibrated or places[label].raw
    dataset, split = open_split(study / DATA, folder / SPLIT_TABLE)
    fits = read_fits(folder / _plain(place.chosen.fits, evaluated), dataset, split, {}, trusted)
    choice = Choice(fits, fits.label(label), RECALIBRATED if places[label].recalibrated else RAW)
    as_recorded = manifest.inputs.get(f"fits {place.chosen.fits}") == fits.record.digest
    if not as_recorded or choice.facts.point != place.chosen.point:
        raise CodsaError(f"{fits.folder}: fitted anew since {evaluated} was written; run the study again")
    diagnosed = label == record.estimator and places[label].raw.chosen == place.chosen
    return ChosenFit(folder, replicate, method, dataset, split, choice, record, diagnosed)


def _plain(fits: str, evaluated: Path) -> str:
    """Return the place of fits in their replicate, or raise a `CodsaError` where it is another."""
    parts = PurePosixPath(fits).parts
    if len(parts) == 2 and parts[0].startswith("fit~") and parts[1].startswith("r~"):
        return fits
    raise CodsaError(f"{evaluated / METRICS}: fits = {fits!r}, not fit~METHOD/r~R as in a study; give a study's folder")
