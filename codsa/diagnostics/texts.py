"""How generated texts are: varied or not, copied or not, and some to read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from codsa.data.near_duplicates import shingles, words
from codsa.data.schema import Column, Schema
from codsa.encoders.sentences import SentenceEncoder
from codsa.encoders.similarity import nearest_rows, paired_cosine_similarity
from codsa.errors import CodsaError
from codsa.io import array_columns

SAMPLE = 500
"""Texts of each side that are measured."""
SHOWN = 5
"""Texts of each kind that are shown."""
ROUND_TRIP = 50
"""Texts of a region that are embedded again."""
NEAR = 0.8
"""Texts at least so similar are near copies."""


def distinct(texts: Sequence[str], n: int) -> float:
    """Return distinct-n (Li 2016): the share of all runs of n words that are different; NaN without any."""
    runs = [tuple(own[i : i + n]) for own in map(words, texts) for i in range(len(own) - n + 1)]
    return len(set(runs)) / len(runs) if runs else float("nan")


def similarities(texts: Sequence[str], others: Sequence[str] | None = None) -> np.ndarray:
    """Return each text's greatest Jaccard similarity of runs of words with another one, ndarray of shape (n,).

    Parameters
    ----------
    others : sequence of str, optional
        Among which the other is looked for; None: among the other texts.
    """
    sets = [shingles(text) for text in texts]
    known = sets if others is None else [shingles(text) for text in others]
    places: dict[int, list[int]] = defaultdict(list)
    for place, own in enumerate(known):
        for one in own.tolist():
            places[one].append(place)
    found = np.zeros(len(sets))
    for i, own in enumerate(sets):
        common = Counter(place for one in own.tolist() for place in places.get(one, ()))
        if others is None:
            common.pop(i, None)
        found[i] = max((c / (len(own) + len(known[j]) - c) for j, c in common.items()), default=0.0)
    return found


def text_quality(
    synthetic: pd.DataFrame,
    test: pd.DataFrame,
    training: pd.DataFrame,
    schema: Schema,
    encoder: SentenceEncoder | None = None,
) -> dict[str, float]:
    """Compare one region's generated texts with its test and training texts.

    Parameters
    ----------
    encoder : SentenceEncoder, optional
        By which texts are embedded again; none: no round trip.

    Returns
    -------
    dict
        distinct_1, distinct_2, self_overlap (the mean of each text's greatest similarity with another
        one) and the same of as many real texts (… real); copies and near_copies: the shares that are, or
        nearly are, texts of S_g; round_trip: the mean cosine of the embedding that was generated and that of
        the text which it was decoded to. Empty where no text is modelled.
    """
    if not schema.texts:
        return {}
    size = min(SAMPLE, len(synthetic), len(test))
    made, real = (rows[schema.texts[0]].iloc[:size].tolist() for rows in (synthetic, test))
    known = training[schema.texts[0]].tolist()
    found: dict[str, float] = {}
    for side, texts in (("", made), (" real", real)):
        found |= {f"distinct_{n}{side}": distinct(texts, n) for n in (1, 2)}
        found[f"self_overlap{side}"] = float(similarities(texts).mean())
    near = similarities(made, known)
    found["copies"] = float(np.mean([text in set(known) for text in made]))
    found["near_copies"] = float((near >= NEAR).mean())
    vector = embedding_of_text(schema)
    if encoder is not None and vector is not None:
        found["round_trip"] = round_trip(synthetic.iloc[:ROUND_TRIP], schema.texts[0], vector, encoder)
    return found


def embedding_of_text(schema: Schema) -> Column | None:
    """Return the modelled column of the text's embeddings, if there is one."""
    return schema.embedding if schema.embedding is not None and schema.embedding.of in schema.texts else None


def round_trip(rows: pd.DataFrame, text: str, vector: Column, encoder: SentenceEncoder) -> float:
    """Return the mean cosine of embeddings and of what their texts are embedded as.

    Raises
    ------
    CodsaError
        Where the embeddings are another encoder's.
    """
    if vector.encoder is not None and vector.encoder != encoder.digest:
        raise CodsaError(f"{encoder.place}: not the encoder that '{vector.name}' is of; give that one")
    a, b = array_columns.arrays(rows[vector.name]), encoder.encode(rows[text].tolist())
    return float(paired_cosine_similarity(a, b).mean())


def text_examples(
    synthetic: pd.DataFrame, test: pd.DataFrame, training: pd.DataFrame, schema: Schema
) -> dict[str, list[str]]:
    """Return some texts to read: real ones, generated ones, and the text of S_g most like each of these.

    Returns
    -------
    dict
        'real', 'generated' and 'nearest'; empty where no text is modelled.
    """
    if not schema.texts:
        return {}
    name = schema.texts[0]
    made, real = (rows[name].iloc[:SHOWN].tolist() for rows in (synthetic, test))
    vector = embedding_of_text(schema)
    found = {"real": real, "generated": made}
    if vector is not None and len(training):
        a, b = (array_columns.arrays(rows[vector.name]) for rows in (synthetic.iloc[:SHOWN], training))
        found["nearest"] = training[name].iloc[nearest_rows(a, b)].tolist()
    return found
