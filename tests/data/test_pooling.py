"""Pooling of many small regions: fast, and step by step what the definition says."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codsa.data import regions as partition
from codsa.data.pooling import NAMED_MEMBERS, pool_small
from codsa.data.region_rules import resolve_regions
from codsa.data.regions import MISSING, REST, Regions, range_name
from codsa.errors import CodsaError
from codsa.settings.regions import RegionRule


def reference(regions: Regions, frame: pd.DataFrame, least: int, ordered: bool) -> Regions:
    """Join the smallest region to its partner and count all rows anew, until none is small."""
    while len(regions) > 1:
        counts = np.bincount(regions.assign(frame), minlength=len(regions))
        small = int(np.argmin(counts))
        if counts[small] >= least:
            break
        regions = step(regions, small, partner_of(regions, counts, small, ordered), counts)
    return regions


def partner_of(regions: Regions, counts: np.ndarray, small: int, ordered: bool) -> int:
    others = [k for k in range(len(regions)) if k != small]
    if regions.kind == "expressions":
        others = [k for k in others if abs(k - small) == 1]
    elif ordered and regions.names[small] != MISSING:
        others = [k for k in others if abs(k - small) == 1 and regions.names[k] != MISSING] or others
    else:
        pooled = {note["into"] for note in regions.pooled}
        others = [k for k in others if regions.names[k] in pooled] or others
    return min(others, key=lambda k: (int(counts[k]), k))


def step(regions: Regions, small: int, partner: int, counts: np.ndarray) -> Regions:
    first, second = sorted((small, partner))
    names, members = list(regions.names), list(regions.members)
    joined = f"{names[first]}+{names[second]}"
    if regions.kind == "ranges":
        if [MISSING] in (members[first], members[second]):
            raise CodsaError("missing")
        members[first] = [members[first][0], members[second][1]]
        joined = range_name(str(regions.column), *members[first])
    elif regions.kind == "expressions" and [] in (members[first], members[second]):
        members[first], joined = [], REST
    else:
        members[first] = [*members[first], *members[second]]
        taken = {name for k, name in enumerate(names) if k not in (first, second)}
        rests = itertools.chain([REST], (f"{REST} {i}" for i in itertools.count(2)))
        joined = joined if len(members[first]) <= NAMED_MEMBERS else next(name for name in rests if name not in taken)
    note = {"region": names[small], "rows": int(counts[small]), "into": joined}
    notes = [{**p, "into": joined} if p["into"] in (names[first], names[second]) else p for p in regions.pooled]
    names[first] = joined
    del names[second], members[second]
    if len(set(names)) < len(names):
        raise CodsaError("twice")
    return Regions(regions.kind, names, regions.column, members, [*notes, note])


def outcome(pool: Any, *arguments: Any) -> Any:
    try:
        return pool(*arguments)
    except CodsaError:
        return "refused"


@pytest.mark.parametrize("kind", ["texts", "numbers", "ranges", "expressions"])
@pytest.mark.parametrize("seed", range(25))
def test_pooling_is_the_reference(kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(30, 200))
    values = random.zipf(1.3, n).clip(max=30) * random.integers(1, 3, n)
    gaps = random.random(n) < random.choice([0.0, 0.05, 0.3])
    if kind == "texts":
        names = np.array(["other", "other 2", "missing 1", *(f"s{i}" for i in range(60))])
        column = pd.Series(names[values % len(names)], dtype=object).mask(gaps).astype("str")
    else:
        column = pd.Series(values.astype(float)).mask(gaps)
    frame = pd.DataFrame({"k": column if kind == "texts" else column.astype("Int64")})
    if kind == "ranges":
        regions = partition.by_edges("k", frame["k"], sorted({int(v) for v in random.integers(1, 40, 8)}))
    elif kind == "expressions":
        tops = sorted({int(v) for v in random.integers(1, 40, 6)})
        regions = partition.by_expressions({f"k{top}": f"k <= {top}" for top in tops}, frame)
    else:
        regions = partition.by_values("k", frame["k"])
    ordered = kind in ("numbers", "ranges")
    for least in (2, 5, 20, n):
        expected = outcome(reference, regions, frame, least, ordered)
        assert outcome(pool_small, regions, frame, least, ordered) == expected


@pytest.mark.parametrize("numbers", [False, True])
def test_ten_thousand_regions_are_pooled_at_once(numbers: bool) -> None:
    codes = np.resize(np.arange(10_000), 25_000)
    values = pd.Series(codes) if numbers else pd.Series([f"level {k}" for k in codes]).astype("str")
    frame = pd.DataFrame({"k": values, "y": np.resize(["a", "b"], len(codes))})
    frame.loc[:2000, "k"] = frame["k"].iloc[0]
    begun = time.perf_counter()
    regions, notes = resolve_regions(RegionRule(by="column", column="k", min_rows=10), frame, "y", "classification")
    assert time.perf_counter() - begun < 10
    joined = [note for note in notes if "pooled into" in note]
    assert 1 < len(regions) < 2500 and len(joined) == 10_000 - len(regions)
