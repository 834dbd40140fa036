"""Numeric columns that are exact sums of others: copies in another unit, totals, differences of dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np

from codsa.encoders.evidence import surprise
from codsa.encoders.numeric_precision import NumericPrecision

TERMS = 8
"""A column is a sum of at most so many others."""
SAMPLE = 3000
"""Rows in which sums are looked for; they are then verified in all."""
TOLERANCE = 1e-9
"""Largest residual, relative to the column's spread and to the terms of its row."""
EPSILON = 4e-15
CANCELLING = 1e-3
"""A column this much narrower than the widest term of a sum is not rebuilt from it."""


@dataclass(frozen=True)
class Linear:
    """name = offset + sum of weights times columns, in the numbers of their `NumericPrecision`.

    Attributes
    ----------
    of : list of str
    weights : list of float
    offset : float
    low, high : float
        Bounds of the sum.
    lows, highs, ticks : list of float
        Bounds of the columns and the least steps by which they may move.
    fixed : list of bool
        Columns that a repair leaves as they are.
    """

    name: str
    of: list[str]
    weights: list[float]
    offset: float
    low: float
    high: float
    lows: list[float]
    highs: list[float]
    ticks: list[float]
    fixed: list[bool]

    def value(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the sum, missing where a column is."""
        terms = [w * numbers[name] for w, name in zip(self.weights, self.of, strict=True)]
        return self.offset + np.sum(terms, axis=0)

    def repair(self, numbers: MutableMapping[str, np.ndarray]) -> None:
        """Move columns within their bounds, one after the other, until the sum is within its own."""
        for j, name in enumerate(self.of):
            total = self.value(numbers)
            lack = (np.clip(total, self.low, self.high) - total) / self.weights[j]
            if self.fixed[j] or not (np.abs(lack) > 0).any():
                continue
            if self.ticks[j]:
                lack = np.sign(lack) * np.ceil(np.abs(lack) / self.ticks[j] - 1e-6) * self.ticks[j]
            moved = np.clip(numbers[name] + lack, self.lows[j], self.highs[j])
            numbers[name] = np.where(np.abs(lack) > 0, moved, numbers[name])


def find_linear(
    numbers: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray],
    precisions: Mapping[str, NumericPrecision],
    doubt: float,
    deciding: str | None,
) -> list[Linear]:
    """Find columns that are exact sums of others.

    Parameters
    ----------
    numbers : mapping of str to ndarray of float64, shape (n,)
        The columns, missing as NaN, the one that decides the region first: an earlier column is
        never a sum of later ones.
    codes : mapping of str to ndarray of int64
        Their distinct values.
    precisions : mapping of str to Grain
    doubt : float
        The evidence that a sum needs, in nats (see `codsa.encoders.dependencies`).
    deciding : str, optional
        A column that no repair may move.

    Returns
    -------
    list of Linear
        No column of theirs is itself one of these sums.
    """
    usable = {name: x for name, x in numbers.items() if np.nanmax(np.abs(x), initial=0.0) < 1e150}
    found: list[Linear] = []
    patterns = _patterns(usable)
    for names in patterns.values():
        for name, original in _copies(names, usable):
            found += _verified(name, [original], usable, codes, precisions, doubt, deciding)
    taken, copied = {t.name for t in found}, {a for t in found for a in t.of}
    first = sorted((n for n in usable if n not in taken), key=lambda n: (n != deciding, n not in copied))
    for pattern, names in patterns.items():
        while True:
            gone = {t.name for t in found}
            own = [n for n in first if n in names and n not in gone]
            whole = [n for n in first if n in patterns[b""] and n not in gone and pattern]
            more = _sums_of(own, whole, usable, codes, precisions, doubt, deciding, found) if len(own) > 1 else []
            if not more:
                break
            found += more
    return found


def _sums_of(
    own: list[str],
    whole: list[str],
    numbers: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray],
    precisions: Mapping[str, NumericPrecision],
    doubt: float,
    deciding: str | None,
    found: list[Linear],
) -> list[Linear]:
    """Return more sums, among columns with the same missing values and columns without any.

    Of the columns of a sum, the one with the widest term is rebuilt: a small difference of large
    columns would inherit their errors.
    """
    made: list[Linear] = []
    for name, of in _sums([*whole, *own], numbers):
        inputs = {a for t in [*found, *made] for a in t.of}
        solved = solve(numbers[name], np.stack([numbers[a] for a in of], axis=1))
        if solved is None or {name, *of} & {t.name for t in made}:
            continue
        weights = zip([name, *of], [1.0, *np.abs(solved[0]).tolist()], strict=True)
        widths = {a: float(np.nanstd(numbers[a])) * w for a, w in weights}
        wide = [a for a in widths if widths[a] >= CANCELLING * max(widths.values())]
        free = [a for a in wide if a in own and a != deciding and a not in inputs]
        for y in sorted(free, key=lambda a: -widths[a]):
            others = [a for a in [name, *of] if a != y]
            tie = set(others) & set(own) and _verified(y, others, numbers, codes, precisions, doubt, deciding)
            if tie:
                made += tie
                break
    return made


def _patterns(numbers: Mapping[str, np.ndarray]) -> dict[bytes, list[str]]:
    """Return the columns by which of their values are missing; b"" for none."""
    groups: dict[bytes, list[str]] = {b"": []}
    for name, x in numbers.items():
        absent = np.isnan(x)
        groups.setdefault(np.packbits(absent).tobytes() if absent.any() else b"", []).append(name)
    return groups


def _copies(names: list[str], numbers: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Yield (later column, earlier column) where one seems to be the other times a factor plus a constant."""
    seen: list[tuple[float, str]] = []
    for name in names:
        x = numbers[name][~np.isnan(numbers[name])]
        far = x - x[0]
        if not far.any():
            continue
        shape = far / far[np.argmax(np.abs(far) > 0.999999 * np.abs(far).max())]
        key = float((shape * np.cos(np.arange(len(x)))).sum())
        close = next((other for mark, other in seen if abs(mark - key) <= 1e-7 * (1 + abs(key))), None)
        if close is not None:
            yield name, close
        else:
            seen.append((key, name))


def _sums(names: list[str], numbers: Mapping[str, np.ndarray]) -> Iterator[tuple[str, list[str]]]:
    """Yield (column, earlier columns of which it seems to be a sum), from a QR decomposition in order."""
    if len(names) < 3:
        return
    x = np.stack([numbers[name] for name in names], axis=1)
    x = x[~np.isnan(x).any(axis=1)]
    x = x[np.linspace(0, len(x) - 1, min(SAMPLE, len(x))).astype(int)]
    if len(x) < len(names) + 10:
        return
    spread = x.std(axis=0)
    z = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)])
    r: np.ndarray = np.asarray(np.linalg.qr(z, mode="r"))
    free = np.abs(np.diag(r)) > 1e-7 * np.sqrt(len(x))
    for j in np.flatnonzero(~free[1:]):
        basis = np.flatnonzero(free[: j + 1])
        weights = np.linalg.lstsq(r[:, basis], r[:, j + 1], rcond=None)[0]
        used = [names[i - 1] for i, w in zip(basis, weights, strict=True) if i > 0 and abs(w) > 1e-6]
        if 1 <= len(used) <= TERMS:
            yield names[j], used


def _verified(
    name: str,
    of: list[str],
    numbers: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray],
    precisions: Mapping[str, NumericPrecision],
    doubt: float,
    deciding: str | None,
) -> list[Linear]:
    """Return the sum as a list of one where it holds in every row and is not there by chance."""
    n, p = len(codes[name]), len(of)
    if surprise(codes[name]) < doubt + (p > 1) * ((p + 1) * np.log(n) + p * np.log(len(numbers))):
        return []
    solved = solve(numbers[name], np.stack([numbers[a] for a in of], axis=1))
    if solved is None:
        return []
    weights, offset = solved
    if not _on_grid(precisions[name].tick, weights, [precisions[a].tick for a in of]):
        return []
    lows, highs = ([float(edge(numbers[a])) for a in of] for edge in (np.nanmin, np.nanmax))
    low, high = float(np.nanmin(numbers[name])), float(np.nanmax(numbers[name]))
    ticks, fixed = [precisions[a].tick for a in of], [a == deciding for a in of]
    return [Linear(name, of, weights.tolist(), offset, low, high, lows, highs, ticks, fixed)]


def solve(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return weights and offset with y = offset + x weights in every row, or None.

    Weights are rounded as far as the rows allow, so that a sum is a sum.

    Parameters
    ----------
    y : ndarray of shape (n,)
    x : ndarray of shape (n, p)
        Missing (NaN) in a row of y's missing values and in no other.
    """
    present = ~np.isnan(y)
    if not np.array_equal(present, ~np.isnan(x).any(axis=1)):
        return None
    y, x = y[present], x[present]
    centre, scale = x.mean(axis=0), x.std(axis=0)
    if len(y) < x.shape[1] + 2 or not (scale > 0).all() or not y.std() > 0:
        return None
    raw = np.linalg.lstsq((x - centre) / scale, y - y.mean(), rcond=None)[0] / scale
    for digits in (6, 9, 17):
        weights = _rounded(raw, digits)
        offset = _rounded(np.array([np.median(y - x @ weights)]), digits)[0]
        offset = 0.0 if abs(offset) < TOLERANCE * y.std() else float(offset)
        if _holds(y, x, weights, offset):
            return weights, offset
    return None


def _on_grid(tick: float, weights: np.ndarray, ticks: list[float]) -> bool:
    """Say whether a sum of columns with these ticks is always a multiple of its own."""
    if tick == 0:
        return True
    steps = np.abs(weights) * ticks / tick
    return bool((np.rint(steps) >= 1).all() and np.allclose(steps, np.rint(steps), rtol=1e-9, atol=0))


def _holds(y: np.ndarray, x: np.ndarray, weights: np.ndarray, offset: float) -> bool:
    terms = np.abs(y) + np.abs(x * weights).sum(axis=1) + abs(offset)
    allowed = TOLERANCE * np.minimum(terms, y.std()) + EPSILON * terms
    return bool((np.abs(y - offset - x @ weights) <= np.minimum(allowed, 1e-3 * y.std())).all())


def _rounded(numbers: np.ndarray, digits: int) -> np.ndarray:
    return np.array([float(f"{number:.{digits}g}") for number in numbers])
