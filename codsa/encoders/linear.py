"""Numeric columns that are exact sums of others: copies in another unit, totals, differences of dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np

from codsa.encoders.evidence import log_multinomial
from codsa.encoders.numeric_precision import NumericPrecision

MAX_TERMS = 8
"""A column is a sum of at most this many others."""
SAMPLE_ROWS = 3000
"""Rows in which sums are looked for; they are then verified in all rows."""
TOLERANCE = 1e-9
"""Largest residual, relative to the column's spread and to the terms of its row."""
EPSILON = 4e-15
"""Largest residual due to rounding, relative to the terms of its row."""
MIN_RELATIVE_WIDTH = 1e-3
"""A column is not rebuilt from a sum whose widest term is wider by more than this factor: digits would cancel."""


@dataclass(frozen=True)
class LinearDependency:
    """name = offset + sum of weights times terms, in the numbers that their `NumericPrecision` gives.

    Attributes
    ----------
    name : str
        The dependent column.
    terms : list of str
        The columns that determine it.
    weights : list of float
        One per term.
    offset : float
    low, high : float
        Bounds of the sum.
    lows, highs, resolutions : list of float
        Bounds of the terms, and the least steps by which they can change (see `NumericPrecision.resolution`).
    fixed : list of bool
        Terms that a repair does not change.
    """

    name: str
    terms: list[str]
    weights: list[float]
    offset: float
    low: float
    high: float
    lows: list[float]
    highs: list[float]
    resolutions: list[float]
    fixed: list[bool]

    def evaluate(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the sum, ndarray of float64, shape (n,); NaN where a term is missing."""
        weighted = [weight * numbers[name] for weight, name in zip(self.weights, self.terms, strict=True)]
        return self.offset + np.sum(weighted, axis=0)

    def repair(self, numbers: MutableMapping[str, np.ndarray]) -> None:
        """Change the terms in place, within their bounds and one after the other, until the sum is within its own."""
        for j, name in enumerate(self.terms):
            total = self.evaluate(numbers)
            change = (np.clip(total, self.low, self.high) - total) / self.weights[j]
            if self.fixed[j] or not (np.abs(change) > 0).any():
                continue
            step = self.resolutions[j]
            if step:
                change = np.sign(change) * np.ceil(np.abs(change) / step - 1e-6) * step
            changed = np.clip(numbers[name] + change, self.lows[j], self.highs[j])
            numbers[name] = np.where(np.abs(change) > 0, changed, numbers[name])


def find_linear(
    numbers: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray],
    precisions: Mapping[str, NumericPrecision],
    min_evidence: float,
    region_column: str | None,
) -> list[LinearDependency]:
    """Find columns that are exact sums of others.

    Parameters
    ----------
    numbers : mapping of str to ndarray of float64, shape (n,)
        The columns, missing as NaN, the region's column first: an earlier column is never a sum of later ones.
    codes : mapping of str to ndarray of int64, shape (n,)
        Their distinct values.
    precisions : mapping of str to NumericPrecision
    min_evidence : float
        The evidence that a sum needs, in nats (see `codsa.encoders.evidence`).
    region_column : str, optional
        The column that defines the regions, which no repair may change.

    Returns
    -------
    list of LinearDependency
        No term of them is itself one of these sums.
    """
    search = _SumSearch(numbers, codes, precisions, min_evidence=min_evidence, region_column=region_column)
    search.find_copies()
    search.find_sums()
    return search.sums


class _SumSearch:
    """The search for sums: copies first, then sums of several columns with the same missing values."""

    def __init__(
        self,
        numbers: Mapping[str, np.ndarray],
        codes: Mapping[str, np.ndarray],
        precisions: Mapping[str, NumericPrecision],
        min_evidence: float,
        region_column: str | None,
    ) -> None:
        self.numbers = {name: x for name, x in numbers.items() if np.nanmax(np.abs(x), initial=0.0) < 1e150}
        self.codes, self.precisions = codes, precisions
        self.min_evidence, self.region_column = min_evidence, region_column
        self.by_pattern = _by_missing_pattern(self.numbers)
        self.sums: list[LinearDependency] = []

    def find_copies(self) -> None:
        """Find columns that are another one times a factor plus a constant."""
        for names in self.by_pattern.values():
            for name, original in _copies(names, self.numbers):
                self.sums += self._verify(name, [original])

    def find_sums(self) -> None:
        """Find columns that are sums of several others, until there are no more."""
        copies, originals = self._names(), self._terms()
        remaining = [name for name in self.numbers if name not in copies]
        ranked = sorted(remaining, key=lambda name: (name != self.region_column, name not in originals))
        for pattern, names in self.by_pattern.items():
            while True:
                dependent = self._names()
                candidates = [name for name in ranked if name in names and name not in dependent]
                complete = [
                    name for name in ranked if name in self.by_pattern[b""] and name not in dependent and pattern
                ]
                sums = self._sums_among(candidates, complete) if len(candidates) > 1 else []
                if not sums:
                    break
                self.sums += sums

    def _names(self) -> set[str]:
        return {dependency.name for dependency in self.sums}

    def _terms(self) -> set[str]:
        return {term for dependency in self.sums for term in dependency.terms}

    def _sums_among(self, candidates: list[str], complete: list[str]) -> list[LinearDependency]:
        """Return sums among candidates, columns with the same missing values, and columns without missing values.

        Of the columns of a sum, the one with the widest term is rebuilt: a small difference of large
        columns would inherit their errors.
        """
        numbers = self.numbers
        sums: list[LinearDependency] = []
        for name, terms in _apparent_sums([*complete, *candidates], numbers):
            inputs = self._terms() | {term for dependency in sums for term in dependency.terms}
            solution = solve(numbers[name], np.stack([numbers[term] for term in terms], axis=1))
            if solution is None or {name, *terms} & {dependency.name for dependency in sums}:
                continue
            weights = zip([name, *terms], [1.0, *np.abs(solution[0]).tolist()], strict=True)
            widths = {column: float(np.nanstd(numbers[column])) * weight for column, weight in weights}
            wide = [column for column in widths if widths[column] >= MIN_RELATIVE_WIDTH * max(widths.values())]
            rebuildable = [
                column
                for column in wide
                if column in candidates and column != self.region_column and column not in inputs
            ]
            for column in sorted(rebuildable, key=lambda column: -widths[column]):
                others = [other for other in [name, *terms] if other != column]
                verified = self._verify(column, others) if set(others) & set(candidates) else []
                if verified:
                    sums += verified
                    break
        return sums

    def _verify(self, name: str, terms: list[str]) -> list[LinearDependency]:
        """Return the sum as a list of one where it holds in every row and is unlikely by chance; else an empty list."""
        n, p = len(self.codes[name]), len(terms)
        log_choices = (p > 1) * ((p + 1) * np.log(n) + p * np.log(len(self.numbers)))
        if log_multinomial(self.codes[name]) < self.min_evidence + log_choices:
            return []
        y, x = self.numbers[name], [self.numbers[term] for term in terms]
        solution = solve(y, np.stack(x, axis=1))
        if solution is None:
            return []
        weights, offset = solution
        resolutions = [self.precisions[term].resolution for term in terms]
        if not _on_grid(self.precisions[name].resolution, weights, resolutions):
            return []
        dependency = LinearDependency(
            name=name,
            terms=terms,
            weights=weights.tolist(),
            offset=offset,
            low=float(np.nanmin(y)),
            high=float(np.nanmax(y)),
            lows=[float(np.nanmin(term)) for term in x],
            highs=[float(np.nanmax(term)) for term in x],
            resolutions=resolutions,
            fixed=[term == self.region_column for term in terms],
        )
        return [dependency]


def _by_missing_pattern(numbers: Mapping[str, np.ndarray]) -> dict[bytes, list[str]]:
    """Return the columns grouped by the rows in which they are missing; b"" for none."""
    groups: dict[bytes, list[str]] = {b"": []}
    for name, x in numbers.items():
        absent = np.isnan(x)
        groups.setdefault(np.packbits(absent).tobytes() if absent.any() else b"", []).append(name)
    return groups


def _copies(names: list[str], numbers: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Yield (later column, earlier column) where one seems to be the other times a factor plus a constant.

    Columns are compared by a hash of their differences from the first row, relative to the largest.
    """
    hashes: list[tuple[float, str]] = []
    for name in names:
        x = numbers[name][~np.isnan(numbers[name])]
        differences = x - x[0]
        if not differences.any():
            continue
        sizes = np.abs(differences)
        relative = differences / differences[np.argmax(sizes > 0.999999 * sizes.max())]
        own_hash = float((relative * np.cos(np.arange(len(x)))).sum())
        tolerance = 1e-7 * (1 + abs(own_hash))
        original = next((other for other_hash, other in hashes if abs(other_hash - own_hash) <= tolerance), None)
        if original is not None:
            yield name, original
        else:
            hashes.append((own_hash, name))


def _apparent_sums(names: list[str], numbers: Mapping[str, np.ndarray]) -> Iterator[tuple[str, list[str]]]:
    """Yield (column, earlier columns of which it seems to be a sum), by a QR decomposition in order."""
    if len(names) < 3:
        return
    x = np.stack([numbers[name] for name in names], axis=1)
    x = x[~np.isnan(x).any(axis=1)]
    x = x[np.linspace(0, len(x) - 1, min(SAMPLE_ROWS, len(x))).astype(int)]
    if len(x) < len(names) + 10:
        return
    spread = x.std(axis=0)
    z = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)])
    r: np.ndarray = np.asarray(np.linalg.qr(z, mode="r"))
    independent = np.abs(np.diag(r)) > 1e-7 * np.sqrt(len(x))
    for j in np.flatnonzero(~independent[1:]):
        basis = np.flatnonzero(independent[: j + 1])
        weights = np.linalg.lstsq(r[:, basis], r[:, j + 1], rcond=None)[0]
        terms = [names[i - 1] for i, weight in zip(basis, weights, strict=True) if i > 0 and abs(weight) > 1e-6]
        if 1 <= len(terms) <= MAX_TERMS:
            yield names[j], terms


def solve(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return weights and offset with y = offset + x weights in every row, or None.

    Weights and offset are rounded to as few digits as the rows allow, so that a plain sum has weights of 1.

    Parameters
    ----------
    y : ndarray of shape (n,)
    x : ndarray of shape (n, p)
        Missing (NaN) exactly in the rows in which y is.

    Returns
    -------
    weights : ndarray of float64, shape (p,)
    offset : float
    """
    present = ~np.isnan(y)
    if not np.array_equal(present, ~np.isnan(x).any(axis=1)):
        return None
    y, x = y[present], x[present]
    centre, scale = x.mean(axis=0), x.std(axis=0)
    if len(y) < x.shape[1] + 2 or not (scale > 0).all() or not y.std() > 0:
        return None
    exact = np.linalg.lstsq((x - centre) / scale, y - y.mean(), rcond=None)[0] / scale
    for digits in (6, 9, 17):
        weights = _rounded(exact, digits)
        offset = _rounded(np.array([np.median(y - x @ weights)]), digits)[0]
        offset = 0.0 if abs(offset) < TOLERANCE * y.std() else float(offset)
        if _holds(y, x, weights, offset):
            return weights, offset
    return None


def _on_grid(resolution: float, weights: np.ndarray, resolutions: list[float]) -> bool:
    """Say whether a sum of terms with these resolutions is always a multiple of the sum's own resolution."""
    if resolution == 0:
        return True
    steps = np.abs(weights) * resolutions / resolution
    return bool((np.rint(steps) >= 1).all() and np.allclose(steps, np.rint(steps), rtol=1e-9, atol=0))


def _holds(y: np.ndarray, x: np.ndarray, weights: np.ndarray, offset: float) -> bool:
    """Say whether y = offset + x weights up to rounding, in every row."""
    size = np.abs(y) + np.abs(x * weights).sum(axis=1) + abs(offset)
    allowed = TOLERANCE * np.minimum(size, y.std()) + EPSILON * size
    return bool((np.abs(y - offset - x @ weights) <= np.minimum(allowed, 1e-3 * y.std())).all())


def _rounded(numbers: np.ndarray, digits: int) -> np.ndarray:
    return np.array([float(f"{number:.{digits}g}") for number in numbers])
