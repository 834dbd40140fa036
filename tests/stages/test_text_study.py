"""A whole study of texts by the commands, on texts and an encoder made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import RunCli
from toy_texts import toy_reviews

import codsa.cli.eval
import codsa.cli.fit
import codsa.cli.prepare
import codsa.cli.report
import codsa.cli.sample
import codsa.cli.split
import codsa.cli.train_gen
import codsa.cli.train_inverter
from codsa.diagnostics.texts import distinct, similarities, text_examples, text_quality
from codsa.errors import CodsaError

TINY = ["steps=30", "batch=32", "width=32", "depth=1", "noise_width=16", "sampler_steps=5"]
INVERTER = [
    "width=32",
    "layers=1",
    "heads=2",
    "repeat=4",
    "vocabulary=80",
    "tokens=48",
    "batch=32",
    "steps=60",
    'precision="no"',
]


def no_network(name: str, **_options: Any) -> str:
    raise OSError("no network")


def setting(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


@pytest.fixture
def study(tmp_path: Path, run_cli: RunCli, toy: None) -> Path:
    """Datasets of words and of embeddings, a source set apart from them, and a split."""
    toy_reviews(240).to_json(tmp_path / "reviews.jsonl", orient="records", lines=True)
    common = [tmp_path / "reviews.jsonl", "--target", "stars", "--text", "text", "--encoder", "toy"]
    common += ["--class", 1, "--class", 2, "--class", 3, "--embeddings", tmp_path / "cache"]
    words = ["--column", "text=feature", "--column", "embedding=attribute"]
    for name, keep, more in (("data", "useful >= 1", words), ("source", "useful == 0", words)):
        apart = ["--exclude-near", tmp_path / "data"] if name == "source" else []
        ended = run_cli(codsa.cli.prepare.main, *common, "--keep", keep, *more, *apart, "--out", tmp_path / name)
        assert ended.code == 0, ended.err
    ended = run_cli(
        codsa.cli.split.main,
        "--data",
        tmp_path / "data",
        "--validation",
        30,
        "--test",
        30,
        "--out",
        tmp_path / "s.parquet",
    )
    assert ended.code == 0, ended.err
    return tmp_path


def pooled(run_cli: RunCli, study: Path, name: str, generator: str, *more: Any) -> Path:
    at = ["--data", study / "data", "--split", study / "s.parquet"]
    ended = run_cli(codsa.cli.train_gen.main, *at, "--generator", generator, *more, "--out", study / name)
    assert ended.code == 0, ended.err
    ended = run_cli(codsa.cli.sample.main, "--generator", study / name, "--rows", 60, "--out", study / f"{name}-pool")
    assert ended.code == 0, ended.err
    return study / f"{name}-pool"


def candidates(run_cli: RunCli, study: Path, method: str, *more: Any) -> dict[str, Any]:
    at = ["--data", study / "data", "--split", study / "s.parquet"]
    judge = ["--estimator", "tfidf-logistic", *setting("min_df=1"), "--metric", "kappa", "--choose-by", "cross-entropy"]
    ended = run_cli(codsa.cli.fit.main, *at, *judge, *more, "--out", study / f"fit-{method}")
    assert ended.code == 0, ended.err
    pool = ["--pool", more[more.index("--pool") + 1]] if "--pool" in more else []
    out = study / f"eval-{method}"
    fits = ["--fits", study / f"fit-{method}", *pool, *(["--encoder", "toy"] if pool else [])]
    ended = run_cli(codsa.cli.eval.main, *at, *fits, "--method", method, "--out", out)
    assert ended.code == 0, ended.err
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return found


def test_a_study_from_raw_texts_to_the_report(study: Path, run_cli: RunCli) -> None:
    source = ["--data", study / "source"]
    pretrain = ["--pretrain", "inverter", *setting("encoder=toy", "corrector_steps=0", *INVERTER)]
    ended = run_cli(codsa.cli.train_gen.main, *source, *pretrain, "--out", study / "inverter")
    assert ended.code == 0, ended.err
    denoiser = ["--pretrain", "denoiser", *setting("generator=text-diffusion", *TINY)]
    ended = run_cli(codsa.cli.train_gen.main, *source, *denoiser, "--out", study / "denoiser")
    assert ended.code == 0, ended.err
    decoded = setting("decoder=vec2text", f"inverter={study / 'inverter'}", *TINY)
    inverted = pooled(run_cli, study, "inv", "text-diffusion", *decoded, "--pretrained", study / "denoiser")
    nearest = pooled(run_cli, study, "near", "text-diffusion", *setting("decoder=nearest", *TINY))
    plain = candidates(run_cli, study, "none", "--reserve", "all")
    scores = plain["estimators"]["tfidf-logistic"]["raw"]["test"]
    assert scores["kappa"]["overall"] > 0.5 and scores["quadratic-kappa"]["overall"] > 0.5
    assert set(scores["kappa"]) == {"1", "2", "3", "overall"}
    assert (plain["metric"], plain["choose_by"]) == ("kappa", "cross-entropy")
    near = candidates(run_cli, study, "codsa-nearest", "--pool", nearest, "--m", 0.3, "--r", 1.0)
    assert 0.5 < near["diagnostics"]["1"]["round_trip"] < 1 - 1e-6
    assert near["diagnostics"]["1"]["copies"] == 1.0 and near["diagnostics"]["1"]["near_copies"] == 1.0
    made = candidates(run_cli, study, "codsa-inverted", "--pool", inverted, "--m", 0.3, "--r", 1.0)
    quality = made["diagnostics"]["2"]
    assert -1 <= quality["round_trip"] < 1
    assert quality["copies"] < 0.5 and 0 < quality["distinct_2"] <= 1 and np.isfinite(quality["wasserstein"])
    assert set(made["examples"]["2"]) == {"real", "generated", "nearest"} and len(made["examples"]["2"]["real"]) == 5
    folders = [word for m in ("none", "codsa-nearest", "codsa-inverted") for word in ("--eval", study / f"eval-{m}")]
    ended = run_cli(codsa.cli.report.main, *folders, "--out", study / "report")
    assert ended.code == 0, ended.err
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    assert "Real and generated texts" in page and "Round trip" in page and made["examples"]["2"]["generated"][0] in page
    figures = pd.read_csv(study / "report" / "metrics.csv")
    assert {"kappa", "quadratic-kappa"} <= set(figures["metric"]) and not figures.astype(str).isin(
        made["examples"]["2"]["real"]
    ).any().any()


def test_the_source_set_shares_no_text_with_the_study(study: Path) -> None:
    own, theirs = (pd.read_parquet(study / name / "rows.parquet") for name in ("data", "source"))
    assert not set(own["text"]) & set(theirs["text"]) and (theirs["useful"] == 0).all()
    assert len(list((study / "cache").iterdir())) == 2


def test_models_that_are_missing_or_foreign_end_in_one_line(
    study: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", no_network)
    (study / "foreign").mkdir()
    (study / "foreign" / "config.json").write_text('{"model_type": "bert"}')
    at = ["--data", study / "data", "--split", study / "s.parquet", "--generator", "text-diffusion"]
    bad = [
        ("ielabgroup/vec2text_gtr-base-st_inversion", "hf download ielabgroup/vec2text_gtr-base-st_inversion"),
        (study / "foreign", "config.json is of another kind of model"),
        (study / "nowhere" / "at" / "all", "no such folder"),
    ]
    for place, said in bad:
        given = setting("decoder=vec2text", f"inverter={place}", *TINY)
        ended = run_cli(codsa.cli.train_gen.main, *at, *given, "--out", study / "bad")
        assert ended.code == 2 and said in ended.err and ended.err.count("error:") == 1
        assert "Traceback" not in ended.err and not (study / "bad").exists()


def test_a_round_trip_by_another_encoder_is_refused(study: Path) -> None:
    from codsa.data.rows import open_dataset
    from codsa.diagnostics.texts import round_trip
    from codsa.encoders.sentences import SentenceEncoder

    dataset = open_dataset(study / "data")
    rows, vector = dataset.rows.iloc[:20], dataset.schema.column("embedding")
    assert round_trip(rows, "text", vector, SentenceEncoder("toy")) == pytest.approx(1)
    with pytest.raises(CodsaError, match="not the encoder that 'embedding' is of"):
        round_trip(rows, "text", vector, SentenceEncoder("another"))


def test_an_inverter_by_its_own_command(study: Path, run_cli: RunCli, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    given = setting("corrector_steps=5", *INVERTER)
    out = study / "own"
    ended = run_cli(codsa.cli.train_inverter.main, study / "reviews.jsonl", "--encoder", "toy", *given, "--out", out)
    assert ended.code == 0, ended.err
    assert "cosine corrected" in ended.out and json.loads((out / "manifest.json").read_text())["stage"] == "inverter"
    other = toy_reviews(30).assign(text=lambda t: "a " + t["text"] + ". " + t["text"].str.upper() + " again.")
    other.to_csv(study / "long.csv", index=False)
    tables, out = [study / "reviews.jsonl", study / "long.csv"], study / "cut"
    more = ["--words", 9, "--exclude-near", study / "data"]
    ended = run_cli(codsa.cli.train_inverter.main, *tables, "--encoder", "toy", *more, *given, "--out", out)
    assert ended.code == 0, ended.err
    theirs = set(pd.read_parquet(study / "data" / "rows.parquet")["text"])
    near = len(theirs) + 2 * toy_reviews(30)["text"].isin(theirs).sum()
    assert f"{near} of 300 texts left out: nearly one of" in caplog.text
    bad = [
        ([*tables, "--encoder", "toy", "--sha256", "0"], "--sha256 is the checksum of one table, and here are 2"),
        ([*tables, "--encoder", "toy", "--words", 0], "greater than or equal to 1"),
        ([*tables, "--encoder", "toy", "--exclude-near", study], "holds no texts 'text' to keep apart from"),
        (["--encoder", "toy"], "give either tables of texts or --data"),
        ([study / "reviews.jsonl", "--encoder", "toy", "--text", "texts"], "did you mean 'text'"),
        ([study / "reviews.jsonl", "--encoder", "toy", "--set", "widths=3"], "did you mean 'width'"),
    ]
    for arguments, said in bad:
        ended = run_cli(codsa.cli.train_inverter.main, *arguments, "--out", study / "bad")
        assert ended.code == 2 and said in ended.err and not (study / "bad").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--text", "texts"], "did you mean 'text'"),
        (["--text", "text", "--words", 1, 3], "longer than 3 words"),
        (["--text", "text", "--class", 1, "--class", 2], "80 rows lie outside the classes 1, 2"),
        (["--text", "text", "--similarity-threshold", 1.5], "--similarity-threshold"),
        (["--text", "text", "--on-unreadable", "drop"], "on_unreadable = 'drop'"),
        (["--text", "text", "--column", "useful=feature"], "'text' and 'useful' are both features"),
    ],
)
def test_bad_texts_end_in_one_line(tmp_path: Path, run_cli: RunCli, more: list[Any], said: str) -> None:
    toy_reviews(240).to_csv(tmp_path / "r.csv", index=False)
    ended = run_cli(codsa.cli.prepare.main, tmp_path / "r.csv", "--target", "stars", *more, "--out", tmp_path / "d")
    assert ended.code == 2 and said in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / "d" / "rows.parquet").exists()


# Diagnostics by hand


def test_distinct_and_overlap_by_hand() -> None:
    assert distinct(["a b a", "A b"], 1) == 2 / 5 and distinct(["a b a", "a b"], 2) == 2 / 3
    assert np.isnan(distinct(["a"], 2))
    texts = ["the cat sat on the mat", "the cat sat on the rug", "nothing like it at all"]
    assert similarities(texts).tolist() == pytest.approx([3 / 5, 3 / 5, 0])
    assert similarities(["the cat sat on the mat"], texts).tolist() == [1]


def test_texts_that_are_not_modelled_have_no_quality(dataset: Any) -> None:
    rows = dataset.rows.iloc[:5]
    assert (
        text_quality(rows, rows, rows, dataset.schema) == {} and text_examples(rows, rows, rows, dataset.schema) == {}
    )
