"""What a finished study chose: the fits and the grid point of a method, by replicate."""

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
from codsa.io.manifests import Manifest, check_files, read_manifest
from codsa.io.names import EVALUATE, MANIFEST, METRICS
from codsa.io.records import read_as
from codsa.stages.fits import Choice, read_fits

AUTO = "codsa-auto"
"""The arm that is taken where the study names no other as its primary one."""


@dataclass(frozen=True)
class StudyChoice:
    """The choice of one method on one replicate.

    Attributes
    ----------
    folder : Path
        The replicate's.
    record : MetricsRecord
        Its evaluation on test rows.
    manifest : Manifest
        Of the evaluation.
    dataset : AnyDataset
        In the regions of the split.
    split : Split
    choice : Choice
        The fits that hold λ̂, and its place among them.
    """

    folder: Path
    record: MetricsRecord
    manifest: Manifest
    dataset: AnyDataset
    split: Split
    choice: Choice

    @property
    def summary(self) -> str:
        """What was chosen, in words."""
        row = self.choice.row
        if not row["m"]:
            weighted = self.choice.fits.record.parameters.get("weighted")
            return f"{self.choice.fits.method}: no synthetic rows{', real rows weighted' if weighted else ''}"
        return f"{self.choice.fits.method}: r = {row['r']:g}, m = {row['m']}, α {row['alpha']}"

    def pools(self) -> list[Pool]:
        """Return the pools that the fits drew on, one per fold; none where there are no synthetic rows."""
        digests = [value for name, value in self.choice.fits.record.inputs.items() if name.startswith("pool")]
        if not digests or not self.choice.row["m"]:
            return []
        r, found = self.choice.row["r"], {}
        for folder in sorted(self.folder.glob(f"gen~*/r~{r:g}*/pool")):
            pool = load_pool(folder, self.dataset.schema)
            if pool.digest in digests:
                found[pool.digest] = pool
            if len(found) == len(set(digests)):
                return [found[value] for value in digests]
        raise CodsaError(f"{self.folder}: the pool of {self.summary} is not there; run the study again")


def replicates_of(study: Path, method: str) -> list[int]:
    """Return the replicates on which a study evaluated a method."""
    return sorted(int(p.name.removeprefix("rep~")) for p in _replicates(study) if (p / f"eval~{method}").is_dir())


def _replicates(study: Path) -> list[Path]:
    folders = [p for p in study.glob("rep~*") if p.name.removeprefix("rep~").isdecimal()]
    if not (study / "data").is_dir() or not folders:
        raise CodsaError(f"{study}: holds no finished study (data, rep~0, …); give its folder, as results/NAME")
    return sorted(folders)


def methods_of(study: Path) -> list[str]:
    """Return the methods that a study evaluated."""
    names = {p.parent.name.removeprefix("eval~") for rep in _replicates(study) for p in rep.glob(f"eval~*/{METRICS}")}
    if not names:
        raise CodsaError(f"{study}: nothing is evaluated there; run the study to its end first")
    return sorted(names)


def method_of(study: Path, method: str | None) -> str:
    """Return a method that a study evaluated: the one asked for, or its primary arm.

    Raises
    ------
    CodsaError
        With the nearest name; or where there is no primary arm and none was asked for.
    """
    methods = methods_of(study)
    if method is not None:
        if method not in methods:
            raise CodsaError(f"{study}: no method '{method}'; {suggest(method, methods)}")
        return method
    primary = [
        name for name in methods if any(_record(rep, name)[0].kind == "primary" for rep in _evaluated(study, name))
    ]
    chosen = next((name for name in (*primary, AUTO) if name in methods), methods[0] if len(methods) == 1 else None)
    if chosen is None:
        raise CodsaError(f"{study}: has no primary arm; say which method with --method: {', '.join(methods)}")
    return chosen


def _evaluated(study: Path, method: str) -> list[Path]:
    return [rep for rep in _replicates(study) if (rep / f"eval~{method}" / METRICS).is_file()][:1]


def _record(replicate: Path, method: str) -> tuple[MetricsRecord, Manifest]:
    path = replicate / f"eval~{method}" / MANIFEST
    manifest = read_manifest(path, EVALUATE)
    check_files(path, manifest)
    return read_as(path.with_name(METRICS), MetricsRecord), manifest


def open_choice(
    study: Path,
    method: str,
    replicate: int,
    estimator: str | None = None,
    as_fitted: bool = False,
    trusted: Collection[str] = (),
) -> StudyChoice:
    """Open what validation rows chose for a method on one replicate; test rows are not read.

    Parameters
    ----------
    estimator : str, optional
        The label of one of the study's estimators; default: its own.
    as_fitted : bool
        Take the choice among predictions as fitted, instead of that among recalibrated ones.
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    """
    known = replicates_of(study, method)
    if replicate not in known:
        there = ", ".join(map(str, known)) or "none"
        raise CodsaError(f"{study}: no replicate {replicate} of '{method}'; there are: {there}")
    folder = study / f"rep~{replicate}"
    record, manifest = _record(folder, method)
    label = estimator or record.estimator
    if label not in record.estimators:
        raise CodsaError(f"{study}: no estimator '{label}'; {suggest(label, record.estimators)}")
    column = RAW if as_fitted or record.estimators[label].recalibrated is None else RECALIBRATED
    chosen = record.estimators[label].column(column)
    assert chosen is not None
    dataset, split = open_split(study / "data", folder / "split.parquet")
    parts = chosen.chosen.fits.split("/")
    if len(parts) != 2 or not parts[0].startswith("fit~") or ".." in chosen.chosen.fits:
        raise CodsaError(f"{folder / f'eval~{method}'}: does not say which fits it chose; run codsa-eval again")
    fits = read_fits(folder / parts[0] / parts[1], dataset, split, {}, trusted)
    choice = Choice(fits, fits.label(label), column)
    if choice.facts.point != chosen.chosen.point:
        raise CodsaError(f"{fits.folder}: fitted again since it was evaluated; run codsa-eval again")
    return StudyChoice(folder, record, manifest, dataset, split, choice)
