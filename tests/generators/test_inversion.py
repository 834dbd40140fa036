"""Inversion of embeddings: a tiny inverter is trained, loaded, refused where it is broken, and decodes in a study."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_texts import ToyEncoder, toy_reviews

from codsa.data.dataset import Dataset
from codsa.data.pool import load_pool
from codsa.data.preparation import prepare
from codsa.encoders.sentences import SentenceEncoder, model_folder
from codsa.errors import CodsaError
from codsa.generators import make
from codsa.generators.texts.inversion import invert, load_inverter
from codsa.generators.texts.training import train_inverter
from codsa.io import array_columns
from codsa.io.seeds import SeedContext, stream
from codsa.readers.datasets import Raw
from codsa.readers.texts import read_texts
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.settings.texts import TextOptions
from codsa.stages.sample import write_shard
from codsa.stages.train_generator import Trained, Training

NOUNS = ["food", "place", "staff", "room", "coffee", "bread", "waiter", "view"]
SIZES: dict[str, Any] = {
    "width": 32, "layers": 1, "heads": 2, "repeat": 4, "vocabulary": 60, "tokens": 24, "batch": 32, "noise": 0.01,
    "learning_rate": 1e-2, "precision": "no",
}  # fmt: skip


def no_network(name: str, **_options: Any) -> str:
    raise OSError("no network")


def sentences() -> list[str]:
    adjectives = ["bad", "fine", "great", "cold", "warm", "slow", "new", "old"]
    return [f"the {noun} was {adjective}" for noun in NOUNS for adjective in adjectives]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inverter")
    model, texts = ToyEncoder(), sentences()
    found = train_inverter(
        texts,
        model,
        model.encode(texts),
        folder,
        stream(0),
        steps=250,
        corrector_steps=20,
        **SIZES,  # type: ignore[arg-type]
    )
    assert found == json.loads((folder / "measures.json").read_text()) and found["cosine corrected"] >= found["cosine"]
    return folder


def copied(trained: Path, folder: Path) -> Path:
    return Path(shutil.copytree(trained, folder / "copy"))


def test_texts_come_back_from_their_embeddings(trained: Path) -> None:
    models, texts = load_inverter(str(trained), None, False), sentences()
    decoded = invert(models, ToyEncoder().encode(texts), None)
    assert np.mean([a == b for a, b in zip(decoded, texts, strict=True)]) > 0.7
    assert models.dimension == 12 and models.encoder == "digest of toy"


@pytest.mark.parametrize(("run", "said"), [(0, 0), (1, 1), (None, 3)])
def test_runs_of_tokens_are_not_repeated(run: int | None, said: int, trained: Path, tmp_path: Path) -> None:
    """A folder says how long runs may be written but once; a checkpoint that does not, as vec2text's, has no limit."""
    shutil.copytree(trained, tmp_path / "own")
    path = tmp_path / "own" / "inversion" / "config.json"
    record = json.loads(path.read_text())
    assert record["no_repeat"] == 3
    if run is not None:
        path.write_text(
            json.dumps({k: v for k, v in record.items() if k != "no_repeat"} | ({"no_repeat": run} if run else {}))
        )
    models = load_inverter(str(tmp_path / "own"), None, False)
    assert models.inverter.encoder_decoder.generation_config.no_repeat_ngram_size == said
    vectors = np.random.default_rng(0).normal(size=(8, ToyEncoder.dimension)).astype(np.float32)
    tokens = [models.words(text)["input_ids"] for text in invert(models, vectors, None)]
    runs = [[tuple(ids[i : i + said]) for i in range(len(ids) - said + 1)] for ids in tokens] if said else []
    assert all(len(one) == len(set(one)) for one in runs) and any(tokens)


def test_corrections_never_lead_away(trained: Path) -> None:
    models, model = load_inverter(str(trained), None, True), ToyEncoder()
    wanted = model.encode([f"{text} indeed" for text in sentences()[:10]])

    def nearness(texts: list[str]) -> np.ndarray:
        return np.asarray((model.encode(texts) * wanted).sum(axis=1))

    plain, corrected = (invert(models, wanted, model, steps, 2) for steps in (0, 2))  # type: ignore[arg-type]
    assert (nearness(corrected) >= nearness(plain) - 1e-6).all()


def test_the_same_seed_gives_the_same_bytes_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codsa.nn.trainer import Trainer

    model, texts = ToyEncoder(), sentences()
    vectors, few = model.encode(texts), {**SIZES, "steps": 20, "corrector_steps": 10}

    def train(name: str, scratch: Path | None) -> bytes:
        (tmp_path / name).mkdir(exist_ok=True)
        train_inverter(texts, model, vectors, tmp_path / name, stream(0), scratch, **few)  # type: ignore[arg-type]
        return b"".join((tmp_path / name / f"{p}/model.safetensors").read_bytes() for p in ("inversion", "corrector"))

    whole = train("a", None)
    advance = Trainer.advance

    def killed(self: Trainer) -> torch.Tensor:
        if self.step == 12:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(Trainer, "advance", killed)
    with pytest.raises(KeyboardInterrupt):
        train("b", tmp_path / "work")
    monkeypatch.setattr(Trainer, "advance", advance)
    assert train("b", tmp_path / "work") == whole


# Checkpoints that are refused

KEY = "encoder_decoder.decoder.block.0.layer.0.SelfAttention.q.weight"


def broken(folder: Path, change: Any) -> None:
    path = folder / "inversion" / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop(KEY), "lacks 1 weights, 'encoder_decoder.decoder.block.0.layer.0.SelfAttention.q.weight'"),
        (lambda w: w.update({KEY: w[KEY][:-1].clone()}), "mis-shapes 1 weights"),
        (lambda w: w.update({"classifier.weight": torch.ones(2)}), "holds the foreign 1 weights, 'classifier.weight'"),
        (lambda w: w.update({KEY: w[KEY] * float("nan")}), "breaks 1 weights"),
        (lambda w: w.pop("embedding_transform.0.weight"), "holds no 'embedding_transform'"),
        (lambda w: w.pop("encoder_decoder.shared.weight"), "lacks 1 weights, 'encoder_decoder.shared.weight'"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused(trained: Path, tmp_path: Path, change: Any, said: str) -> None:
    folder = copied(trained, tmp_path)
    broken(folder, change)
    with pytest.raises(CodsaError, match=said):
        load_inverter(str(folder), None, False)


def test_the_embedder_inside_a_checkpoint_does_not_count(trained: Path, tmp_path: Path) -> None:
    folder = copied(trained, tmp_path)
    broken(folder, lambda w: w.update({"embedder.layer.weight": torch.ones(2)}))
    assert load_inverter(str(folder), None, False).dimension == 12


def test_a_truncated_file_and_missing_ones(trained: Path, tmp_path: Path) -> None:
    folder = copied(trained, tmp_path)
    path = folder / "inversion" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CodsaError, match="not readable"):
        load_inverter(str(folder), None, False)
    path.unlink()
    with pytest.raises(CodsaError, match=r"no model.safetensors"):
        load_inverter(str(folder), None, False)
    shutil.rmtree(folder / "corrector")
    with pytest.raises(CodsaError, match="has no corrector"):
        load_inverter(str(folder), None, True)
    (folder / "inversion" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CodsaError, match="another kind of model"):
        load_inverter(str(folder), None, False)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", '{"num_repeat_tokens": 4, "t5"', "not readable as JSON"),
        ("config.json", '{"num_repeat_tokens": 4}', "names no T5"),
        ("tokenizer/tokenizer.json", '{"version": "1.0", "mod', "its tokenizer cannot be read"),
    ],
)
def test_broken_files_beside_the_weights(trained: Path, tmp_path: Path, name: str, content: str, said: str) -> None:
    folder = copied(trained, tmp_path)
    (folder / "inversion" / name).write_text(content)
    with pytest.raises(CodsaError, match=said):
        load_inverter(str(folder), None, False)


def test_a_hub_name_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", no_network)
    with pytest.raises(CodsaError, match=r"hf download some/model --local-dir models/model.*config.json"):
        model_folder("some/model", "config.json")
    with pytest.raises(CodsaError, match="no such folder"):
        model_folder("./nowhere/at/all", "config.json")


def test_a_folder_that_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match="not a sentence encoder"):
        _ = SentenceEncoder(str(tmp_path)).model


# In a study


def dataset_of(folder: Path) -> Dataset:
    raw, declared = read_texts(
        Raw(toy_reviews(), {}, []),
        ColumnOptions(target="stars"),
        TextOptions(column="text", encoder="toy"),
        folder / "cache",
    )
    rows, schema = prepare(raw.table, declared, RegionRule(), raw.notes, raw.encoded)
    return Dataset(rows, schema, "")


def fitted(dataset: Dataset, **settings: Any) -> Any:
    generator = make("text-gaussian", {"decoder": "vec2text", **settings})
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]]
    return generator.fit(rows, dataset.regions(), dataset.schema, stream(0, "fit"))


def test_decoding_resumes_and_shards_are_one_call(
    trained: Path, tmp_path: Path, toy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codsa.generators.texts.decoded.SLOW_BLOCK_ROWS", 8)
    dataset = dataset_of(tmp_path)
    generator = fitted(dataset, inverter=str(trained))
    one = Trained(generator, dataset.schema, Training("text-gaussian", {}, 1.0), {"dataset": "", "split": ""})
    seeds = SeedContext(0, "e", 0)
    counts = {0: 20, 1: 20, 2: 20}  # three blocks each
    write_shard(tmp_path / "whole", one, counts, 0, 1, seeds)
    decode, calls = type(generator.decoder).decode, []

    def killed(self: Any, vectors: np.ndarray, region: int) -> list[str]:
        calls.append(region)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return decode(self, vectors, region)

    monkeypatch.setattr(type(generator.decoder), "decode", killed)
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "cut", one, counts, 0, 1, seeds)
    assert not list((tmp_path / "cut").glob("shard-*"))
    calls.extend([9] * 9)
    write_shard(tmp_path / "cut", one, counts, 0, 1, seeds)
    assert len(calls) == 5 + 9 + 9 - 4  # nine blocks in all, of which four were there
    for shard in range(3):
        write_shard(tmp_path / "shards", one, counts, shard, 3, seeds)
    pools = [load_pool(tmp_path / name, dataset.schema) for name in ("whole", "cut", "shards")]
    assert len({pool.digest for pool in pools}) == 1 and not list(tmp_path.rglob("*.checkpoints"))
    assert all(pools[0].rows[0]["text"].str.len() > 0)


def test_models_that_do_not_belong(trained: Path, tmp_path: Path, toy: None) -> None:
    dataset = dataset_of(tmp_path)
    folder = copied(trained, tmp_path)
    config = folder / "inversion" / "config.json"
    config.write_text(config.read_text().replace("digest of toy", "digest of another"))
    with pytest.raises(CodsaError, match="trained for another encoder"):
        fitted(dataset, inverter=str(folder))
    columns = [c if c.name != "embedding" else payload_column(c) for c in dataset.schema.columns]
    wide = Dataset(
        dataset.rows.assign(embedding=array_columns.column("vector", np.eye(90, 20, dtype=np.float32))),
        type(dataset.schema)(columns, "classification", dataset.schema.regions),
        "",
    )
    with pytest.raises(CodsaError, match="embeddings of 12 dimensions, and the data's have 20"):
        fitted(wide, inverter=str(trained))
    with pytest.raises(CodsaError, match="not the encoder that the data's embeddings are of"):
        fitted(dataset, inverter=str(trained), correct_steps=1, encoder="another")
    generator = fitted(dataset, inverter=str(trained))
    (tmp_path / "g").mkdir()
    generator.save(tmp_path / "g")
    settings = {"decoder": "vec2text", "inverter": str(folder)}
    config.write_text(config.read_text().replace("digest of another", "digest of toy").replace("{", "{\n"))
    with pytest.raises(CodsaError, match="not the models that the generator was made with"):
        type(generator).load(tmp_path / "g", dataset.schema, settings)


def payload_column(column: Any) -> Any:
    from dataclasses import replace

    return replace(column, shape=[20])


def test_too_few_texts_and_sizes_that_cannot_be(tmp_path: Path) -> None:
    model = ToyEncoder()
    with pytest.raises(CodsaError, match="3 texts; an inverter needs 50"):
        train_inverter(["a", "b", "c"], model, model.encode(["a", "b", "c"]), tmp_path, stream(0))  # type: ignore[arg-type]
    with pytest.raises(CodsaError, match="multiple of heads"):
        texts = sentences()
        train_inverter(texts, model, model.encode(texts), tmp_path, stream(0), width=30, heads=4)  # type: ignore[arg-type]


def test_the_networks_are_those_of_vec2text(trained: Path) -> None:
    """Where the package is installed: its classes, filled with our weights, compute the same."""
    inversion = pytest.importorskip("vec2text.models.inversion", exc_type=ImportError)
    corrector = pytest.importorskip("vec2text.models.corrector_encoder", exc_type=ImportError)
    models = load_inverter(str(trained), None, True)
    vectors = torch.from_numpy(ToyEncoder().encode(sentences()[:5]))
    theirs = inversion.InversionModel.__new__(inversion.InversionModel)
    torch.nn.Module.__init__(theirs)
    theirs.embedding_transform = models.inverter.embedding_transform
    theirs.embedding_transform_strategy, theirs.num_repeat_tokens = "repeat", models.inverter.repeat
    theirs.config = models.inverter.encoder_decoder.config
    x, _ = inversion.InversionModel.embed_and_project(theirs, None, None, vectors)
    torch.testing.assert_close(x, models.inverter.model_inputs(vectors)[0])
    theirs = corrector.CorrectorEncoderModel.__new__(corrector.CorrectorEncoderModel)
    torch.nn.Module.__init__(theirs)
    own = models.corrector
    assert own is not None
    theirs.encoder_decoder, theirs.layernorm, theirs.use_ln = own.encoder_decoder, own.layernorm, True
    for place in (1, 2, 3):
        theirs.add_module(f"embedding_transform_{place}", getattr(own, f"embedding_transform_{place}"))
    theirs.embedder_dim, theirs.num_repeat_tokens, theirs.encoder_hidden_dim = 12, own.repeat, 32
    theirs.ignore_hypothesis_embedding, theirs.training_embedding_noise_level = False, 0
    theirs.eval()
    tokens = models.words(sentences()[5:10], return_tensors="pt", padding=True)
    told = (vectors, vectors.flip(0), tokens["input_ids"], tokens["attention_mask"])
    expected = theirs.get_encoder_embedding(*told)
    for mine, other in zip(own.model_inputs(*told), expected, strict=True):
        torch.testing.assert_close(mine, other)


def test_a_frame_of_decoded_rows_keeps_its_order(trained: Path, tmp_path: Path, toy: None) -> None:
    dataset = dataset_of(tmp_path)
    made = fitted(dataset, inverter=str(trained)).sample(1, 6, stream(0, "d"))
    models = load_inverter(str(trained), None, False)
    assert made["text"].tolist() == invert(models, array_columns.arrays(made["embedding"]), None)
    assert isinstance(made, pd.DataFrame) and made["stars"].tolist() == [2] * 6
