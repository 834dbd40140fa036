"""The paper's simulations, recomputed from their own columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from codsa.errors import CodsaError
from codsa.readers.simulations import classification_features, classification_score, simulate

CLASSIFICATION, REGRESSION = "imbalanced-classification", "undersampled-regression"


@pytest.fixture(scope="module")
def paper() -> dict[str, pd.DataFrame]:
    return {name: simulate(name, 2000, 4400, 0) for name in (CLASSIFICATION, REGRESSION)}


def latents(frame: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """u1, u2, u3 of 4.1 from their cubes and squares: x8/x4, x9/x5, x10/x6."""
    return tuple((frame[a] / frame[b]).to_numpy() for a, b in (("x8", "x4"), ("x9", "x5"), ("x10", "x6")))


def test_sizes_and_columns(paper: dict[str, pd.DataFrame]) -> None:
    assert list(paper[CLASSIFICATION]) == [f"x{i}" for i in range(1, 11)] + ["y"]
    assert list(paper[REGRESSION]) == [f"x{i}" for i in range(1, 6)] + ["y"]
    assert paper[CLASSIFICATION]["y"].value_counts().to_dict() == {0: 2000, 1: 4400}
    below = paper[REGRESSION]["x1"] < 0.5
    assert below.sum() == 2000 and len(below) == 6400


def test_features_of_4_1_by_hand() -> None:
    found = classification_features(np.array([[2.0, 3.0, -1.0]]))
    assert found.tolist() == [[6.0, -2.0, -3.0, 4.0, 9.0, 1.0, -6.0, 8.0, 27.0, -1.0]]


def test_features_of_4_1_follow_from_their_latents(paper: dict[str, pd.DataFrame]) -> None:
    few = paper[CLASSIFICATION].iloc[[0, 7, 1999, 2000, 6399]]
    for (_, row), u1, u2, u3 in zip(few.iterrows(), *latents(few), strict=True):
        products = [u1 * u2, u1 * u3, u2 * u3, u1 * u1, u2 * u2, u3 * u3, u1 * u2 * u3, u1**3, u2**3, u3**3]
        assert row.to_numpy()[:10] == pytest.approx(products, rel=1e-8, abs=1e-12)


def test_latents_of_4_1_have_their_laws(paper: dict[str, pd.DataFrame]) -> None:
    u1, u2, u3 = latents(paper[CLASSIFICATION])
    assert np.mean(u1) == pytest.approx(0, abs=0.15) and np.mean(u1**2) == pytest.approx(5, abs=0.25)  # 2² + 1
    assert ((u2 >= 0) & (u2 <= 1) | (u2 >= 2) & (u2 <= 3)).all() and np.mean(u2 > 1.5) == pytest.approx(0.5, abs=0.03)
    assert (u3 >= -1).all() and np.mean(u3) == pytest.approx(0, abs=0.06) and np.std(u3) == pytest.approx(1, abs=0.08)


def test_score_of_4_1_by_hand() -> None:
    x = np.zeros((3, 10))
    x[1, 0], x[1, 9] = 1.0, 1.0  # s = (−1, 1), t = (−½, ½): sin²(−π) − cos²(1.5π) = 0
    x[2, 4], x[2, 9] = 1 / 3, 1.0  # t = (¼, ½): sin²(π/2) − cos²(1.5π) = 1
    assert classification_score(x) == pytest.approx([-1.0, 0.0, 1.0], abs=1e-12)


def test_minority_of_4_1_is_the_extreme_ranks(paper: dict[str, pd.DataFrame]) -> None:
    frame = paper[CLASSIFICATION]
    x, w = frame.drop(columns="y").to_numpy(), np.array([-1, -0.5, 0, 0.5, 1])
    t1, t2 = (s / (1 + abs(s)) for s in (x[:, :5] @ w, x[:, 5:] @ w))
    score = np.sin(2 * np.pi * t1) ** 2 - np.cos(3 * np.pi * t2) ** 2
    order = np.argsort(score, kind="stable")
    assert (frame["y"].to_numpy()[np.r_[order[:1000], order[-1000:]]] == 0).all()
    assert (frame["y"].to_numpy()[order[1000:-1000]] == 1).all()


def test_the_law_of_a_class_does_not_depend_on_the_counts(paper: dict[str, pd.DataFrame]) -> None:
    """With equal counts the minority is still the outer 31 % of scores, not the outer half."""
    usual, even = paper[CLASSIFICATION], simulate(CLASSIFICATION, 2000, 2000, 5)
    edges = [
        np.quantile(classification_score(frame[frame["y"] == 1].drop(columns="y").to_numpy()), [0, 1])
        for frame in (usual, even)
    ]
    assert edges[0] == pytest.approx(edges[1], abs=0.06)


def test_columns_of_4_2_follow_from_u1_and_u2(paper: dict[str, pd.DataFrame]) -> None:
    for _, row in paper[REGRESSION].iloc[[0, 5, 1999, 2000, 6399]].iterrows():
        u1, u2 = row["x1"], row["x1"] - row["x5"]
        above = 1 if u1 > 0.5 else 0
        expected = [u1, above * u1 + u2, above * u2 + np.log(1 + abs(u2)), abs(u2), u1 - u2]
        assert row.to_numpy()[:5] == pytest.approx(expected, abs=1e-12)


def test_target_of_4_2(paper: dict[str, pd.DataFrame]) -> None:
    frame = paper[REGRESSION]
    s = 3 * frame["x1"] + 2 * frame["x2"] - frame["x3"] + 0.5 * frame["x4"] + frame["x5"]
    sign = np.where(frame["x1"] > 0.5, -1, 1)
    noise = frame["y"] - (2 * s**2 + sign * s)
    assert noise.mean() == pytest.approx(0, abs=0.01) and noise.std() == pytest.approx(0.2, abs=0.01)
    assert noise.groupby(sign).std().to_numpy() == pytest.approx([0.2, 0.2], abs=0.012)


def test_latents_of_4_2_have_their_laws(paper: dict[str, pd.DataFrame]) -> None:
    frame = paper[REGRESSION]
    rare, usual = frame["x1"].iloc[:2000], frame["x1"].iloc[2000:]
    assert rare.between(0, 0.5).all() and rare.mean() == pytest.approx(0.25, abs=0.01)
    assert usual.between(0.5, 1).all() and usual.mean() == pytest.approx(0.75, abs=0.01)
    centred = frame["x1"] - frame["x5"] - frame["x1"] ** 2
    assert centred.mean() == pytest.approx(0, abs=0.05) and centred.std() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("name", [CLASSIFICATION, REGRESSION])
def test_the_seed_alone_decides(name: str) -> None:
    first = simulate(name, 30, 50, 3)
    assert len(first) == 80
    pd.testing.assert_frame_equal(first, simulate(name, 30, 50, 3))
    assert not np.isin(first["x1"], simulate(name, 30, 50, 4)["x1"]).any()


def test_unknown_names_and_empty_sizes_are_refused() -> None:
    with pytest.raises(CodsaError, match="did you mean 'imbalanced-classification'"):
        simulate("imbalanced-clasification", 5, 5, 0)
    with pytest.raises(CodsaError, match="0 \\+ 5 rows"):
        simulate(REGRESSION, 0, 5, 0)
