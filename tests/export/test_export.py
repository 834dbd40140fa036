"""codsa export: the rows of the choice and no others, in every format, with a card and metadata that are true."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Ended, call, made_once, make_mixed_table
from finished_study import make_study
from PIL import Image
from toy_texts import toy_reviews, use_toy_encoder

from codsa.cli.main import main as codsa
from codsa.io.digests import file_digest


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        made_once(tmp_path_factory, "exported", lambda p: make_study(p / "toy", make_mixed_table(160)) and None) / "toy"
    )


def export(study: Path, out: Path, *words: str) -> Ended:
    return call(codsa, "export", study, "--out", out, *words)


def training_rows(study: Path) -> pd.DataFrame:
    rows, roles = pd.read_parquet(study / "data/rows.parquet"), pd.read_parquet(study / "rep~0/split.parquet")
    return rows[(roles["role"] == "train").to_numpy()].drop(columns=["patient_id", "empty"])


def chosen(study: Path, method: str) -> dict[str, object]:
    metrics = json.loads((study / f"rep~0/eval~{method}/metrics.json").read_text())
    return dict(metrics["estimators"]["gradient-boosting"]["recalibrated"]["chosen"])


def plain(frame: pd.DataFrame) -> list[list[str]]:
    return sorted([[str(value) for value in row] for row in frame.itertuples(index=False)])


def test_real_rows_are_the_training_rows_and_synthetic_ones_the_pools(study: Path, tmp_path: Path) -> None:
    ended = export(study, tmp_path / "out", "--method", "added", "--format", "parquet")
    point = chosen(study, "added")
    assert ended.code == 0 and f"{point['m']} synthetic rows" in ended.out
    frame = pd.read_parquet(tmp_path / "out/data.parquet")
    real, synthetic = frame[~frame["synthetic"]], frame[frame["synthetic"]]
    columns = ["income", "score", "visits", "site", "smoker", "seen", "y"]
    assert list(frame) == [*columns, "synthetic", "region"] and len(synthetic) == point["m"]
    rows = training_rows(study)
    assert plain(real[columns]) == plain(rows) and (real[columns].dtypes == rows.dtypes).all()
    assert (frame["region"] == frame["y"]).all()
    assert synthetic["region"].value_counts().reindex(["sick", "well"], fill_value=0).tolist() == point["counts"]
    pool = pd.concat(pd.read_parquet(p) for p in (study / "rep~0/gen~own/r~1.0/pool").rglob("*.parquet"))
    assert set(synthetic["income"]) <= set(pool["income"])
    assert (synthetic["seen"].dropna() == synthetic["seen"].dropna().dt.floor("D")).all()
    assert not (pool["seen"].dropna() == pool["seen"].dropna().dt.floor("D")).all()


def test_the_chosen_fit_is_made_again_from_its_export(study: Path, tmp_path: Path) -> None:
    export(study, tmp_path / "out", "--method", "weighted", "--format", "parquet")
    frame = pd.read_parquet(tmp_path / "out/data.parquet")
    weights = frame.groupby("y")["weight"].sum()
    assert weights["sick"] == pytest.approx(weights["well"]) and not frame["synthetic"].any()
    ended = export(study, tmp_path / "cross", "--method", "cross")
    assert ended.code == 0
    folds = pd.read_csv(tmp_path / "cross/data.csv")
    m = chosen(study, "cross")["m"]
    assert folds[folds["synthetic"]].groupby("fold").size().tolist() == ([m] * 5 if m else [])
    if m:
        real = folds[~folds["synthetic"]]
        assert set(real["fold"]) == set(range(5)) and len(real) == len(training_rows(study))


def test_synthetic_rows_alone_and_a_choice_without_any(study: Path, tmp_path: Path) -> None:
    export(study, tmp_path / "out", "--method", "added", "--what", "synthetic", "--format", "jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out/data.jsonl").read_text().splitlines()]
    assert len(lines) == chosen(study, "added")["m"] and all(line["synthetic"] is True for line in lines)
    assert {type(line["visits"]) for line in lines} == {int} and {type(line["smoker"]) for line in lines} == {bool}
    assert {len(line["seen"]) for line in lines if line["seen"]} == {len("2020-01-01T00:00:00")}
    ended = export(study, tmp_path / "none", "--method", "none", "--what", "synthetic")
    assert ended.code == 2 and "chose none: no synthetic rows; give --what augmented" in ended.err
    assert not (tmp_path / "none").exists()


def test_the_primary_arm_is_the_default_and_the_same_call_gives_the_same_bytes(study: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert "by codsa-auto, replicate 0" in export(study, tmp_path / name).out
    content = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("a", "b")]
    assert content[0] == content[1] and set(content[0]) == {"data.csv", "README.md", "croissant.json", "manifest.json"}
    assert export(study, tmp_path / "a").code == 0  # its own folder is replaced


def test_nothing_of_the_users_is_overwritten(study: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.csv").write_text("mine")
    ended = export(study, tmp_path / "mine")
    assert ended.code == 2 and "not made by this command" in ended.err
    assert (tmp_path / "mine" / "data.csv").read_text() == "mine"


def test_the_card_says_what_how_and_from_which_rows(study: Path, tmp_path: Path) -> None:
    export(study, tmp_path / "out", "--method", "added", "--as-fitted", "--licence", "CC-BY-4.0")
    card = (tmp_path / "out/README.md").read_text()
    frame = pd.read_csv(tmp_path / "out/data.csv")
    synthetic = frame["synthetic"].sum()
    assert f"{len(frame) - synthetic} real and {synthetic} synthetic rows of the study `toy`" in card
    assert "column 'patient_id' of the table is not modelled" in card and "31 test rows" in card
    assert "The generator `smote`" in card and "resamples" in card and "## Licence\n\nCC-BY-4.0\n" in card
    diagnostics = json.loads((study / "rep~0/eval~added/metrics.json").read_text())["diagnostics"]
    sick = next(line for line in card.splitlines() if line.startswith("| sick") and line.count("|") > 5)
    assert f"{diagnostics['sick']['wasserstein']:.3g}" in sick
    assert "No formal guarantee" in card and f"0 of {synthetic} synthetic rows equal a training row" in card


def test_copies_of_training_rows_are_counted(tmp_path: Path) -> None:
    made = make_study(tmp_path / "copies", make_mixed_table(160), methods=["added"], generator="bootstrap")
    ended = export(made, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    m = json.loads((made / "rep~0/eval~added/metrics.json").read_text())["estimators"]["gradient-boosting"]
    m = m["recalibrated"]["chosen"]["m"]
    assert ended.code == 0 and f"{m} of {m} synthetic rows equal a training row" in card


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "huggingface"])
def test_the_metadata_have_what_croissant_asks_for(study: Path, tmp_path: Path, kind: str) -> None:
    export(study, tmp_path / "out", "--method", "added", "--format", kind, "--url", "https://example.org/data")
    metadata = json.loads((tmp_path / "out/croissant.json").read_text())
    assert {"@context", "@type", "conformsTo", "name", "description", "license", "url"} <= set(metadata)
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.0" and metadata["@type"] == "sc:Dataset"
    (file,) = metadata["distribution"]
    path = tmp_path / "out" / file["contentUrl"]
    assert file["sha256"] == file_digest(path) and file["@type"] == "cr:FileObject"
    (records,) = metadata["recordSet"]
    types = {field["name"]: field["dataType"] for field in records["field"]}
    assert types == {
        "income": "sc:Float",
        "score": "sc:Float",
        "visits": "sc:Integer",
        "site": "sc:Text",
        "smoker": "sc:Boolean",
        "seen": "sc:DateTime",
        "y": "sc:Text",
        "synthetic": "sc:Boolean",
        "region": "sc:Text",
    }
    read = {"csv": pd.read_csv, "jsonl": lambda p: pd.read_json(p, lines=True)}.get(kind, pd.read_parquet)
    frame = read(path)
    for field in records["field"]:
        assert field["@id"] == f"rows/{field['name']}" and field["source"]["fileObject"] == {"@id": file["@id"]}
        assert field["source"]["extract"]["column"] in frame


def test_a_hugging_face_folder_has_its_card(study: Path, tmp_path: Path) -> None:
    export(study, tmp_path / "out", "--method", "added", "--format", "huggingface", "--licence", "CC-BY-4.0")
    _, header, card = (tmp_path / "out/README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["license"] == "cc-by-4.0" and facts["size_categories"] == ["n<1K"]
    (config,) = facts["configs"]
    assert (tmp_path / "out" / config["data_files"][0]["path"]).is_file() and card.startswith("\n# toy:")


def test_images_become_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "images"
    for k in range(60):
        place = source / ("cat" if k % 3 else "dog") / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(place)
    tree = ("--estimator", "random-forest", "--preprocess", "none", "--set", "n_estimators=3")
    made = make_study(
        tmp_path / "pets", source, "--target", "label", methods=["added"], generator="bootstrap", estimator=tree
    )
    assert export(made, tmp_path / "out", "--format", "images").code == 0
    table = pd.read_csv(tmp_path / "out/metadata.csv")
    assert list(table) == ["file_name", "label", "synthetic", "region"] and table["file_name"].is_unique
    pixels = {np.asarray(Image.open(tmp_path / "out" / name)).tobytes() for name in table["file_name"]}
    originals = {np.asarray(Image.open(path)).tobytes() for path in source.rglob("*.png")}
    assert pixels <= originals and all(f"/{row.region}/" in row.file_name for row in table.itertuples())
    metadata = json.loads((tmp_path / "out/croissant.json").read_text())
    assert [part["@type"] for part in metadata["distribution"]] == ["cr:FileObject", "cr:FileSet"]
    assert (
        export(made, tmp_path / "hf", "--format", "huggingface").code == 0 and (tmp_path / "hf/metadata.csv").exists()
    )
    refused = export(made, tmp_path / "csv")
    assert refused.code == 2 and "column 'image' holds images" in refused.err and not (tmp_path / "csv").exists()


def test_texts_become_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_toy_encoder(monkeypatch)
    words = (
        "--target",
        "stars",
        "--text",
        "text",
        "--encoder",
        "toy",
        "--column",
        "place=ignored",
        "--task",
        "classification",
    )
    own = ("--estimator", "logistic", "--preprocess", "standard")
    made = make_study(
        tmp_path / "reviews", toy_reviews(90), *words, methods=["added"], generator="bootstrap", estimator=own
    )
    ended = export(made, tmp_path / "out", "--format", "jsonl")
    assert ended.code == 0, ended
    lines = [json.loads(line) for line in (tmp_path / "out/data.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"text", "stars", "synthetic", "region"} and isinstance(lines[0]["text"], str)
    assert "embeddings of a text" in (tmp_path / "out/README.md").read_text()


def test_what_is_not_there_is_said(study: Path, tmp_path: Path) -> None:
    for words, says in (
        (["--method", "codsa-autp"], "did you mean 'codsa-auto'"),
        (["--replicate", "7"], "no replicate 7 of 'codsa-auto'; there are: 0"),
        (["--estimator", "mlp"], "no estimator 'mlp'; known: gradient-boosting"),
        (["--format", "images"], "has 0 columns of images"),
    ):
        ended = export(study, tmp_path / "out", *words)
        assert ended.code == 2 and says in ended.err, ended
    assert "holds no finished study" in export(tmp_path, tmp_path / "out").err
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    shutil.rmtree(copy / "rep~0/gen~own")
    assert "run the study again" in export(copy, tmp_path / "out", "--method", "added").err
    assert not (tmp_path / "out").exists()
