"""Distances of generated arrays from real ones: values by hand, copies, uncovered rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from codsa.diagnostics.arrays import coverage, frechet
from codsa.encoders.principal import PrincipalSpace
from codsa.io import array_columns


def test_frechet_of_known_samples() -> None:
    a = np.array([[-1.0], [1.0]]) / np.sqrt(2)  # mean 0, variance 1
    assert frechet(a, a) == pytest.approx(0, abs=1e-12)
    assert frechet(a, a + 3) == pytest.approx(9)
    assert frechet(a, 2 * a) == pytest.approx(1)  # (2 - 1)²
    assert np.isnan(frechet(a[:1], a))


def test_coverage_tells_copies_gaps_and_strangers() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(200, 3))
    assert coverage(real, real) == {
        "precision": 1.0,
        "recall": 1.0,
        "density": pytest.approx(1.2, abs=0.05),  # each row also lies in its own ball
        "coverage": 1.0,
    }
    one_corner = coverage(real[:10], real)
    assert one_corner["precision"] == 1.0 and one_corner["coverage"] < 0.4
    assert coverage(real + 50, real) == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}
    assert np.isnan(coverage(real[:3], real)["recall"])


@pytest.mark.parametrize("shape", [(40, 6), (12, 9, 9, 1)])
def test_principal_components_keep_what_varies(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    coordinate = random.normal(size=shape[0])
    direction = random.normal(size=shape[1:])
    values = (10 + np.multiply.outer(coordinate, direction)).astype(np.float32)
    space = PrincipalSpace.fit(values, random)
    codes = space.encode(values)
    first = codes[:, 0]
    assert abs(np.corrcoef(first, coordinate)[0, 1]) > 0.9999 and first.std() == pytest.approx(1, rel=1e-3)
    assert np.abs(codes[:, 1:]).max() < 1e-2


def test_array_columns_behave_as_columns() -> None:
    values = np.arange(24, dtype=np.float32).reshape(6, 4)
    column = array_columns.column("vector", values)
    frame = pd.DataFrame({"v": column, "k": list("aabbcc")})
    concatenated = pd.concat([frame[frame["k"] == "b"], frame.iloc[:1]], ignore_index=True)
    np.testing.assert_array_equal(array_columns.arrays(concatenated["v"]), values[[2, 3, 0]])
    assert column.dtype == pd.api.types.pandas_dtype("vector[4]") and (column.array == column.array).all()
    hashes = pd.util.hash_pandas_object(concatenated[["v"]], index=False)
    assert hashes[2] == pd.util.hash_pandas_object(frame[["v"]], index=False)[0] and hashes.nunique() == 3
    with pytest.raises(ValueError, match="no missing values"):
        column.reindex([0, 9])


def test_vectors_survive_the_disk(tmp_path: object) -> None:
    from codsa.data.schema import Column, cast
    from codsa.io.tables import read_parquet, write_parquet

    frame = pd.DataFrame({"v": array_columns.column("vector", np.eye(3))})
    write_parquet(tmp_path / "v.parquet", frame)  # type: ignore[operator]
    read = read_parquet(tmp_path / "v.parquet")  # type: ignore[operator]
    assert read["v"][1].tolist() == [0.0, 1.0, 0.0]
    column = Column("v", "vector", shape=[3])
    np.testing.assert_array_equal(array_columns.arrays(cast(read["v"], column)), np.eye(3))
