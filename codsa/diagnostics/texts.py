"""Quality of generated texts: diversity, copies of training texts, round trip of embeddings; and example texts."""

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

SAMPLE_TEXTS = 500
"""At most this many generated and real texts are measured."""
EXAMPLES = 5
"""Example texts of each kind."""
ROUND_TRIP_TEXTS = 50
"""Texts of a region that are embedded again."""
NEAR_COPY_SIMILARITY = 0.8
"""Texts of at least this Jaccard similarity are near copies."""


def distinct(texts: Sequence[str], n: int) -> float:
    """Return distinct-n (Li 2016): distinct n-grams of words as a share of all n-grams; NaN without any."""
    ngrams = [tuple(tokens[i : i + n]) for tokens in map(words, texts) for i in range(len(tokens) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else float("nan")


def similarities(texts: Sequence[str], others: Sequence[str] | None = None) -> np.ndarray:
    """Return each text's greatest Jaccard similarity of shingles with another text, ndarray of float64, shape (n,).

    Parameters
    ----------
    texts : sequence of n str
    others : sequence of str, optional
        The texts to compare with; None: the other ones of `texts`.
    """
    sets = [shingles(text) for text in texts]
    other_sets = sets if others is None else [shingles(text) for text in others]
    inverted_index: dict[int, list[int]] = defaultdict(list)
    for j, other in enumerate(other_sets):
        for shingle in other.tolist():
            inverted_index[shingle].append(j)
    greatest = np.zeros(len(sets))
    for i, own in enumerate(sets):
        shared = Counter(j for shingle in own.tolist() for j in inverted_index.get(shingle, ()))
        if others is None:
            shared.pop(i, None)
        jaccard = (count / (len(own) + len(other_sets[j]) - count) for j, count in shared.items())
        greatest[i] = max(jaccard, default=0.0)
    return greatest


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
        Embeds the generated texts again; None: no round trip.

    Returns
    -------
    dict
        distinct_1, distinct_2, self_overlap (the mean of each text's greatest similarity with another one) and the
        same of as many real texts (names that end in ' real'); copies and near_copies: the shares of generated texts
        that equal, or nearly equal, a text of S_g; round_trip: the mean cosine similarity of the generated embeddings
        and the embeddings of the texts that they were decoded to. Empty where no text is modelled.
    """
    if not schema.texts:
        return {}
    size = min(SAMPLE_TEXTS, len(synthetic), len(test))
    generated, real = (rows[schema.texts[0]].iloc[:size].tolist() for rows in (synthetic, test))
    training_texts = training[schema.texts[0]].tolist()
    quality: dict[str, float] = {}
    for suffix, texts in (("", generated), (" real", real)):
        quality |= {f"distinct_{n}{suffix}": distinct(texts, n) for n in (1, 2)}
        quality[f"self_overlap{suffix}"] = float(similarities(texts).mean())
    distinct_training_texts = set(training_texts)
    quality["copies"] = float(np.mean([text in distinct_training_texts for text in generated]))
    quality["near_copies"] = float((similarities(generated, training_texts) >= NEAR_COPY_SIMILARITY).mean())
    vector = embedding_of_text(schema)
    if encoder is not None and vector is not None:
        quality["round_trip"] = round_trip(synthetic.iloc[:ROUND_TRIP_TEXTS], schema.texts[0], vector, encoder)
    return quality


def embedding_of_text(schema: Schema) -> Column | None:
    """Return the modelled column that holds the embeddings of a modelled text, if there is one."""
    return schema.embedding if schema.embedding is not None and schema.embedding.of in schema.texts else None


def round_trip(rows: pd.DataFrame, text: str, vector: Column, encoder: SentenceEncoder) -> float:
    """Return the mean cosine similarity of embeddings and the embeddings of the texts decoded from them.

    Parameters
    ----------
    rows : DataFrame
        Rows with both columns.
    text : str
        The column of texts.
    vector : Column
        The column of embeddings.
    encoder : SentenceEncoder

    Raises
    ------
    CodsaError
        Where the embeddings are of another encoder.
    """
    if vector.encoder is not None and vector.encoder != encoder.digest:
        raise CodsaError(f"{encoder.name_or_path}: not the encoder that '{vector.name}' is of; give that one")
    embeddings = array_columns.arrays(rows[vector.name])
    return float(paired_cosine_similarity(embeddings, encoder.encode(rows[text].tolist())).mean())


def text_examples(
    synthetic: pd.DataFrame, test: pd.DataFrame, training: pd.DataFrame, schema: Schema
) -> dict[str, list[str]]:
    """Return example texts: real ones, generated ones, and the text of S_g nearest to each generated one.

    Returns
    -------
    dict
        'real', 'generated' and 'nearest'; empty where no text is modelled.
    """
    if not schema.texts:
        return {}
    name = schema.texts[0]
    generated, real = (rows[name].iloc[:EXAMPLES].tolist() for rows in (synthetic, test))
    vector = embedding_of_text(schema)
    examples = {"real": real, "generated": generated}
    if vector is not None and len(training):
        queries, references = (
            array_columns.arrays(rows[vector.name]) for rows in (synthetic.iloc[:EXAMPLES], training)
        )
        examples["nearest"] = training[name].iloc[nearest_rows(queries, references)].tolist()
    return examples
