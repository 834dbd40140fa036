"""Texts made on the spot, and an encoder that needs no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.io.seeds import rng, stream
from codsa.readers.datasets import Raw
from codsa.readers.texts import read_texts
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.settings.texts import TextOptions

WORDS = {1: "bad awful rude slow cold", 2: "dull weak stale tired late", 3: "fine plain okay usual fair"}


def toy_reviews(n: int = 90) -> pd.DataFrame:
    """Texts whose words tell the star."""
    random = np.random.default_rng(3)
    stars = np.arange(n) % 3 + 1
    nouns = ["food", "place", "staff", "room", "coffee", "bread", "waiter", "view", "music", "price"]
    said = [" ".join(random.choice([*WORDS[s].split() * 2, *nouns], 8)) for s in stars]
    return pd.DataFrame({"text": said, "stars": stars, "useful": np.arange(n) % 4, "place": np.arange(n) // 2})


class ToyEncoder:
    """A sentence encoder for tests: a fixed random direction for each word, summed, on the sphere."""

    dimension = 12
    precision = "no"

    def __init__(self, place: str = "toy", precision: str = "auto") -> None:
        self.name_or_path, self.digest, self.calls = place, f"digest of {place}", 0

    def encode(self, texts: Any) -> np.ndarray:
        self.calls += 1
        made = np.stack([sum((self._word(w) for w in t.split()), np.zeros(self.dimension)) for t in texts])
        made += 1e-3
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    def _word(self, word: str) -> np.ndarray:
        return rng(stream(0, word)).normal(size=self.dimension)

    def truncated(self, texts: Any) -> int:
        return 0


def use_toy_encoder(patch: pytest.MonkeyPatch) -> None:
    """Let `ToyEncoder` take the place of every sentence encoder."""
    generators = ("decoders", "inverting", "text_noise")
    users = ("codsa.readers.texts", "codsa.encoders.sentences")
    for module in (*users, *(f"codsa.generators.texts.{name}" for name in generators)):
        patch.setattr(f"{module}.SentenceEncoder", ToyEncoder)


def toy_dataset(folder: Path, encoder: str | None = "toy", **roles: str) -> Dataset:
    """Return the toy texts with the stars as target; with the encoder's name they have embeddings."""
    declared = ColumnOptions(target="stars", columns={name: {"role": role} for name, role in roles.items()})
    options = TextOptions(column="text", encoder=encoder)
    raw, declared = read_texts(Raw(toy_reviews(), {}, []), declared, options, folder / "cache")
    rows, schema = prepare(raw.table, declared, RegionRule(), raw.notes, raw.encoded)
    return Dataset(rows, schema, "")
