"""Texts: cleaned, kept apart, encoded, generated as embeddings, judged by their words; all made on the spot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toy_texts import WORDS, ToyEncoder, toy_dataset, toy_reviews

from codsa.data.dataset import Dataset
from codsa.data.metrics import by_region
from codsa.data.near_duplicates import jaccard, near_groups, shingles
from codsa.data.preparation import prepare
from codsa.data.schema import Column, Schema
from codsa.encoders import sentences as encoding
from codsa.encoders.vectors import VectorBlock
from codsa.errors import CodsaError
from codsa.estimators import fit_all
from codsa.estimators.base import layout_of, weighted_rows
from codsa.generators import make
from codsa.io import array_columns
from codsa.io.seeds import rng, stream
from codsa.readers.clean_texts import clean, cleaned, pieces
from codsa.readers.datasets import Raw, read_parts
from codsa.readers.tables import read_table
from codsa.readers.texts import read_texts
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.images import ImageOptions
from codsa.settings.regions import RegionRule
from codsa.settings.sources import Part
from codsa.settings.texts import TextOptions
from codsa.stages.sample import conform, in_bounds
from codsa.stages.split import Size, split, target_law

RANDOM = np.random.default_rng(3)


def modelled(dataset: Dataset) -> pd.DataFrame:
    return dataset.rows[[c.name for c in dataset.schema.modelled]]


# Cleaning and limits


def test_cleaning_is_minimal_and_counted() -> None:
    assert cleaned(" Caf\u0065\u0301\n\n was  nice\x07! ") == "Café was nice!"
    texts, kept, notes = clean(pd.Series(["a  b", "c d"]), TextOptions(column="text"))
    assert texts.tolist() == ["a b", "c d"] and kept.all()
    assert notes == ["column 'text': 1 texts cleaned (Unicode NFC, control characters, white space)"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (None, "empty"),
        (" \n", "empty"),
        ("a", "shorter than 2 words"),
        ("a b c d", "longer than 3 words"),
    ],
)
def test_texts_beyond_the_limits_are_refused_or_left_out(text: str | None, why: str) -> None:
    values = pd.Series(["one two", text], dtype=object)
    with pytest.raises(CodsaError, match=f"1 of 2 texts are {why}; the first is row 1.*--on-unreadable skip"):
        clean(values, TextOptions(column="text", words=[2, 3]))
    texts, kept, notes = clean(values, TextOptions(column="text", words=[2, 3], on_unreadable="skip"))
    assert texts.tolist() == ["one two"] and kept.tolist() == [True, False]
    assert notes == [f"column 'text': 1 of 2 texts left out: {why}"]


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("One two. Three four five. Six!", 5, ["One two. Three four five.", "Six!"]),
        ("One two. Three four five. Six!", 3, ["One two.", "Three four five.", "Six!"]),
        ("one two three four five", 2, ["one two", "three four", "five"]),
        ('He said "no." Then 3.5 stars', 4, ['He said "no."', "Then 3.5 stars"]),
        ("short", 9, ["short"]),
        ("", 9, []),
    ],
)
def test_long_texts_become_pieces_of_whole_sentences(text: str, most: int, cut: list[str]) -> None:
    assert pieces(text, most) == cut


def test_limits_that_contradict_are_refused() -> None:
    with pytest.raises(CodsaError, match="5 to 3 words"):
        TextOptions(column="text", words=[5, 3])
    with pytest.raises(CodsaError, match="no text is left"):
        clean(pd.Series(["", ""]), TextOptions(column="text", on_unreadable="skip"))


# Near duplicates


def test_similarity_by_hand() -> None:
    a, b = shingles("the cat sat on the mat"), shingles("The cat sat on the rug!")
    assert len(a) == 4 and jaccard(a, b) == pytest.approx(3 / 5)
    assert jaccard(shingles("Great food."), shingles("great  FOOD")) == 1


def test_near_duplicates_share_a_group_and_others_do_not() -> None:
    base = [" ".join(RANDOM.choice(list("abcdefghijklmnopqrstuvwxyz"), 40)) for _ in range(200)]
    twin = [f"{text} indeed" for text in base[:50]]
    found = near_groups([*base, *twin], 0.8)
    assert (found[:50] == found[200:]).all() and len(set(found)) == 200
    assert len(set(near_groups([*base, *twin], 1.0))) == 250


def test_near_duplicates_stay_on_one_side_of_a_split(tmp_path: Path, toy: None) -> None:
    frame = toy_reviews(120)
    frame.loc[60:, "text"] = [f"{text} really." for text in frame["text"][:60]]
    raw, declared = read_texts(
        Raw(frame, {}, []),
        ColumnOptions(target="stars"),
        TextOptions(column="text", similarity_threshold=0.7),
        tmp_path,
    )
    rows, schema = prepare(raw.table, declared, RegionRule())
    data = Dataset(rows, schema, "")
    role = split(data, target_law("balanced", schema, data.regions()), Size(18), Size(18), rng(stream(0)))["role"]
    assert (role[:60].to_numpy() == role[60:].to_numpy()).all() and set(role) == {"train", "validation", "test"}
    assert schema.group == "together" and "nearly the same" in raw.notes[0]


def test_a_group_and_near_duplicates_are_joined(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"text": ["a b c d", "e f g h", "a b c d", "i j k l"], "who": [1, 2, 2, 3], "stars": [1, 2, 1, 2]}
    )
    raw, declared = read_texts(
        Raw(frame, {}, []), ColumnOptions(target="stars", group="who"), TextOptions(column="text"), tmp_path
    )
    assert raw.table["together"].tolist() == [0, 0, 0, 1] and declared.group == "together"


def test_a_source_set_is_kept_apart(tmp_path: Path) -> None:
    own = toy_reviews(30)
    own.to_parquet(tmp_path / "rows.parquet")
    theirs = pd.concat([own.iloc[:4], pd.DataFrame({"text": ["quite another text"], "stars": [1]})], ignore_index=True)
    raw, _ = read_texts(
        Raw(theirs, {}, []), ColumnOptions(target="stars"), TextOptions(column="text"), tmp_path, tmp_path
    )
    assert raw.table["text"].tolist() == ["quite another text"] and "4 texts left out" in raw.notes[0]
    with pytest.raises(CodsaError, match="every text is nearly one"):
        read_texts(Raw(own, {}, []), ColumnOptions(target="stars"), TextOptions(column="text"), tmp_path, tmp_path)


# Tables


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson.gz"])
def test_json_lines_are_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    pd.DataFrame({"text": ["a", "b"], "stars": [1, 2]}).to_json(path, orient="records", lines=True)
    assert read_table(path).to_dict("list") == {"text": ["a", "b"], "stars": [1, 2]}
    (tmp_path / "b.jsonl").write_text('{"text": "a"}\n{"te')
    with pytest.raises(CodsaError, match="not readable as a JSON object a line"):
        read_table(tmp_path / "b.jsonl")


def test_tables_of_several_places(tmp_path: Path) -> None:
    for name, stars in (("a", [1, 2]), ("b", [3])):
        pd.DataFrame({"stars": stars}).assign(**{name: 1}).to_csv(tmp_path / f"{name}.csv", index=False)
    parts = [Part(path=tmp_path / f"{n}.csv", columns={"from": n}) for n in "ab"]
    raw = read_parts(parts, ImageOptions())
    assert raw.table["stars"].tolist() == [1, 2, 3] and raw.table["from"].tolist() == ["a", "a", "b"]
    assert raw.table["b"].isna().tolist() == [True, True, False] and set(raw.origin["tables"]) == {"a.csv", "b.csv"}


def test_roles_without_and_with_an_encoder(tmp_path: Path, toy: None) -> None:
    plain = toy_dataset(tmp_path, None).schema
    assert plain.features == ["text"] and plain.column("useful").role == "ignored"
    both = toy_dataset(tmp_path).schema
    assert both.features == ["embedding"] and both.column("text").role == "attribute"
    assert both.column("embedding").of == "text" and both.column("embedding").encoder == "digest of toy"
    assert both.column("embedding").shape == [12] and both.texts == ["text"]
    assert Schema.from_dict(json.loads(json.dumps(both.to_dict()))).to_dict() == both.to_dict()


def test_a_text_beside_another_feature_is_refused(tmp_path: Path, toy: None) -> None:
    with pytest.raises(CodsaError, match="'text' and 'embedding' are both features"):
        toy_dataset(tmp_path, text="feature")


def test_a_rating_outside_the_declared_classes_is_refused() -> None:
    frame = pd.DataFrame({"x": np.arange(60) / 7, "stars": [1, 2, 6] * 20})
    with pytest.raises(CodsaError, match="'stars': 20 rows lie outside the classes 1, 2, 3; the first is row 2, '6'"):
        prepare(frame, ColumnOptions(target="stars", classes=["1", "2", "3"]), RegionRule())
    with pytest.raises(CodsaError, match="no row has class '7'"):
        prepare(frame, ColumnOptions(target="stars", classes=["1", "2", "6", "7"]), RegionRule())


# Embeddings


def test_embeddings_are_computed_once(tmp_path: Path) -> None:
    model: Any = ToyEncoder()
    first = encoding.embed(model, ["a b", "c"], tmp_path)
    np.testing.assert_array_equal(first, encoding.embed(model, ["a b", "c"], tmp_path))
    assert model.calls == 1 and first.dtype == np.float32
    encoding.embed(model, ["a b", "d"], tmp_path)
    other: Any = ToyEncoder("another")
    encoding.embed(other, ["a b", "c"], tmp_path)
    assert (model.calls, other.calls) == (2, 1) and len(list(tmp_path.iterdir())) == 3


def test_a_broken_file_of_the_cache_is_named(tmp_path: Path) -> None:
    model: Any = ToyEncoder()
    encoding.embed(model, ["a b"], tmp_path)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CodsaError, match="not whole; delete it"):
        encoding.embed(model, ["a b"], tmp_path)


def test_a_vector_goes_there_and_back_on_the_sphere() -> None:
    x = RANDOM.normal(size=(50, 6))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    block = VectorBlock.fit(Column("v", "vector", shape=[6]), array_columns.column("vector", x))
    encoded = block.encode(array_columns.column("vector", x))
    assert block.unit and encoded.var(axis=0).mean() == pytest.approx(1)
    np.testing.assert_allclose(array_columns.arrays(block.decode(encoded)), x, atol=1e-6)
    drawn = array_columns.arrays(block.decode(RANDOM.normal(size=(20, 6))))
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-6)
    free = VectorBlock.fit(Column("v", "vector", shape=[6]), array_columns.column("vector", 3 * x))
    assert not free.unit
    again = VectorBlock.restore(block.column, block.to_dict(), block.arrays())
    np.testing.assert_array_equal(again.encode(array_columns.column("vector", x)), encoded)


# Generators

TINY: dict[str, dict[str, Any]] = {
    "text-diffusion": {"steps": 60, "batch": 32, "width": 32, "depth": 2, "noise_width": 16, "sampler_steps": 6},
    "text-gaussian": {},
    "text-noise": {"encoder": "toy"},
    "bootstrap": {},
}


def fitted(name: str, dataset: Dataset, **settings: Any) -> Any:
    made = make(name, {**TINY[name], **settings})
    return made.fit(modelled(dataset), dataset.regions(), dataset.schema, stream(0, "fit"))


def check_rows(made: pd.DataFrame, dataset: Dataset, region: int) -> pd.DataFrame:
    rows = conform(made, dataset.schema)
    assert in_bounds(rows, dataset.schema).all() and (dataset.schema.regions.assign(rows) == region).all()
    np.testing.assert_allclose(np.linalg.norm(array_columns.arrays(rows["embedding"]), axis=1), 1, rtol=1e-5)
    return rows


@pytest.mark.parametrize("name", ["text-diffusion", "gaussian"])
def test_embeddings_alone(name: str, tmp_path: Path, toy: None) -> None:
    dataset = toy_dataset(tmp_path, text="ignored")
    generator = make(name, TINY.get(name, {}))
    generator.fit(modelled(dataset), dataset.regions(), dataset.schema, stream(0, "fit"))
    check_rows(generator.sample(2, 30, stream(0, "d")), dataset, 2)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("text-diffusion", "start", "zero"),
        ("text-diffusion", "means", "ordered"),
        ("text-diffusion", "shrinkage", 0.9),
        ("text-gaussian", "means", "ordered"),
        ("text-gaussian", "means", "shrunk"),
    ],
)
def test_settings_of_the_normal_start_count(name: str, setting: str, value: Any, tmp_path: Path, toy: None) -> None:
    dataset = toy_dataset(tmp_path, text="ignored")
    usual, other = (fitted(name, dataset, **more).sample(0, 10, stream(0, "d")) for more in ({}, {setting: value}))
    assert not np.allclose(array_columns.arrays(usual["embedding"]), array_columns.arrays(other["embedding"]))
    with pytest.raises(CodsaError, match=setting):
        make(name, {setting: 7})


def test_gaussian_embeddings_tell_the_regions_apart(tmp_path: Path, toy: None) -> None:
    dataset = toy_dataset(tmp_path, text="ignored")
    generator = make("gaussian", {})
    generator.fit(modelled(dataset), dataset.regions(), dataset.schema, stream(0, "fit"))
    real, region = array_columns.arrays(dataset.rows["embedding"]), dataset.regions()
    means = np.stack([real[region == k].mean(axis=0) for k in range(3)])
    drawn = [array_columns.arrays(generator.sample(k, 200, stream(0, k))["embedding"]) for k in range(3)]
    for k in range(3):
        distance = np.linalg.norm(drawn[k].mean(axis=0) - means, axis=1)
        assert distance.argmin() == k


def test_the_nearest_text_is_of_the_region_and_nearest(tmp_path: Path, toy: None) -> None:
    from codsa.generators.texts.decoders import Nearest

    dataset = toy_dataset(tmp_path)
    vectors, region = array_columns.arrays(dataset.rows["embedding"]), dataset.regions()
    decoder = Nearest(dataset.rows["text"], vectors, region)
    members = np.flatnonzero(region == 2)
    near = vectors[members] + RANDOM.normal(0, 1e-3, (len(members), vectors.shape[1])).astype(np.float32)
    assert decoder.decode(near, 2) == dataset.rows["text"].iloc[members].tolist()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "decoder is none"),
        ({"decoder": "nearst"}, "did you mean 'nearest'"),
        ({"decoder": "vec2text"}, "needs inverter"),
        ({"decoder": "nearest", "inverter": "x"}, "no other decoder takes one"),
        ({"decoder": "vec2text", "inverter": "x", "correct_steps": 2}, "give it as encoder"),
        ({"decoder": "nearest", "stepz": 2}, "no setting 'stepz'"),
    ],
)
def test_decoders_that_cannot_be(settings: dict[str, Any], said: str, tmp_path: Path, toy: None) -> None:
    with pytest.raises(CodsaError, match=said):
        fitted("text-diffusion", toy_dataset(tmp_path), **settings)


def test_changed_words_are_embedded_anew(tmp_path: Path, toy: None) -> None:
    dataset = toy_dataset(tmp_path)
    made = fitted("text-noise", dataset, drop=0.5).sample(0, 40, stream(0, "d"))
    np.testing.assert_allclose(array_columns.arrays(made["embedding"]), ToyEncoder().encode(made["text"]), atol=1e-6)
    assert made["text"].str.split().str.len().mean() < 7 and (made["text"].str.len() > 0).all()
    with pytest.raises(CodsaError, match="give encoder"):
        fitted("text-noise", dataset, encoder=None)
    with pytest.raises(CodsaError, match="not the encoder of 'embedding'"):
        fitted("text-noise", dataset, encoder="another")
    usual = fitted("text-noise", dataset).sample(0, 40, stream(0, "d"))
    assert not usual["text"].equals(fitted("text-noise", dataset, swap=0.9).sample(0, 40, stream(0, "d"))["text"])


def test_neighbours_of_texts_are_refused(tmp_path: Path, toy: None) -> None:
    dataset = toy_dataset(tmp_path, None)
    with pytest.raises(CodsaError, match="column 'text' holds texts: use bootstrap"):
        make("smote", {}).fit(modelled(dataset), dataset.regions(), dataset.schema, stream(0))


# Transfer


@pytest.mark.parametrize("tune", ["full", "head", "lora"])
def test_a_pretrained_denoiser_is_trained_further(tune: str, tmp_path: Path, toy: None) -> None:
    from codsa.io.seeds import SeedContext
    from codsa.stages.pretrain import write_pretrained

    dataset = toy_dataset(tmp_path)
    settings = {"generator": "text-diffusion", **TINY["text-diffusion"]}
    write_pretrained(tmp_path / "p", "denoiser", dataset, settings, SeedContext(0, "e", 0), tmp_path / "w", {}, {})
    generator = make("text-diffusion", {**TINY["text-diffusion"], "decoder": "nearest", "tune": tune, "steps": 5})
    generator.fit(modelled(dataset), dataset.regions(), dataset.schema, stream(0, "fit"), pretrained=tmp_path / "p")
    check_rows(generator.sample(0, 10, stream(0, "d")), dataset, 0)


@pytest.mark.parametrize("name", ["text-diffusion", "text-gaussian"])
def test_source_rows_join_those_of_the_study(name: str, tmp_path: Path, toy: None) -> None:
    from codsa.io.seeds import SeedContext
    from codsa.stages.pretrain import write_pretrained

    dataset = toy_dataset(tmp_path)
    write_pretrained(tmp_path / "p", "rows", toy_dataset(tmp_path), {}, SeedContext(0, "e", 0), tmp_path / "w", {}, {})
    alone = fitted(name, dataset, decoder="nearest").sample(0, 10, stream(0, "d"))
    generator = make(name, {**TINY[name], "decoder": "nearest"})
    generator.fit(modelled(dataset), dataset.regions(), dataset.schema, stream(0, "fit"), pretrained=tmp_path / "p")
    joint = check_rows(generator.sample(0, 10, stream(0, "d")), dataset, 0)
    assert not np.array_equal(array_columns.arrays(alone["embedding"]), array_columns.arrays(joint["embedding"]))
    half = modelled(dataset).iloc[:45]
    generator.fit(half, dataset.regions()[:45], dataset.schema, stream(0, "fit"), pretrained=tmp_path / "p")
    assert set(generator.sample(0, 60, stream(0, "d"))["text"]) - set(half["text"])  # some are the source's


# Estimators and metrics


def test_words_need_an_estimator_of_texts_and_terms(tmp_path: Path) -> None:
    dataset = toy_dataset(tmp_path, None)
    rows, layout = weighted_rows(dataset.rows, dataset.schema, np.ones(90)), layout_of(dataset.schema, 90)
    with pytest.raises(CodsaError, match="use tfidf-logistic"):
        fit_all(EstimatorSpec(name="logistic"), [rows], rows, layout, stream(0))
    with pytest.raises(CodsaError, match="lower min_df"):
        fit_all(EstimatorSpec(name="tfidf-logistic", settings={"min_df": 91}), [rows], rows, layout, stream(0))


def test_kappa_by_hand() -> None:
    """Cohen 1960 and 1968, worked by hand: p_o = 4/6, p_e = 1/3; squared weights 1, 4."""
    y, chosen = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])
    predicted, region, q = np.eye(3)[chosen], y, np.full(3, 1 / 3)
    plain = by_region("kappa", y, predicted, region, q, ["a", "b", "c"])
    assert plain["overall"] == pytest.approx((4 / 6 - 1 / 3) / (1 - 1 / 3))
    observed, expected = (1 + 4) / 6, sum((i - j) ** 2 * 2 * n for i in range(3) for j, n in enumerate([2, 3, 1])) / 36
    squared = by_region("quadratic-kappa", y, predicted, region, q, ["a", "b", "c"])
    assert squared["overall"] == pytest.approx(1 - observed / expected)
    # Class 'b' against the rest: p_o = 5/6, p_e = (2·3 + 4·3)/36.
    assert plain["b"] == pytest.approx((5 / 6 - 1 / 2) / (1 - 1 / 2))


# A real sentence encoder, of random weights


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers model as `save` writes it: a BERT of one layer, mean pooling, the unit sphere."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *" ".join(WORDS.values()).split()]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder / "bert")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    bert = models.Transformer(str(folder / "bert"), max_seq_length=8)
    SentenceTransformer(modules=[bert, models.Pooling(16), models.Normalize()], device="cpu").save(str(folder / "st"))
    return folder / "st"


def test_a_real_encoder(small_model: Path, tmp_path: Path) -> None:
    texts = ["bad awful food", "fine", " ".join(["slow"] * 20)]
    model = encoding.SentenceEncoder(str(small_model), "no")
    found = encoding.embed(model, texts, tmp_path)
    assert found.shape == (3, 16) and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.encode(texts[::-1])[::-1], found, atol=1e-6)
    assert model.truncated(texts) == 1
    half = encoding.SentenceEncoder(str(small_model), "bf16").encode(texts)
    assert ((half * found).sum(axis=1) > 0.99).all() and not np.array_equal(half, found)
    other = tmp_path / "other"
    shutil.copytree(small_model, other)
    (other / "README.md").write_text("words alone")
    assert encoding.SentenceEncoder(str(other)).digest == model.digest
    (other / "modules.json").write_text((other / "modules.json").read_text() + " ")
    assert encoding.SentenceEncoder(str(other)).digest != model.digest
    weights = next(other.rglob("model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(CodsaError, match="cannot be loaded as a sentence encoder"):
        encoding.SentenceEncoder(str(other)).encode(texts)
