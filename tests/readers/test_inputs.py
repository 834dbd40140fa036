"""What is read from a user's files: regular ones of known formats, with the checksum asked for, and no more."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from conftest import call, make_mixed_table, write_prepared
from PIL import Image
from test_bad_input import files, refused

from codsa.cli.prepare import main as codsa_prepare
from codsa.data.dataset import load_dataset
from codsa.errors import CodsaError
from codsa.io import downloads
from codsa.io.downloads import fetch
from codsa.io.image_codec import FORMATS, open_image
from codsa.io.records import read_json, write_json
from codsa.readers.image_tables import read_images
from codsa.readers.images import SUFFIXES, find
from codsa.readers.tables import read_table
from codsa.settings.images import ImageOptions
from codsa.settings.sources import Part


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.csv"
    make_mixed_table().to_csv(path, index=False)
    return path


# ------------------------------------------------------------------ checksums and downloads


@pytest.mark.parametrize("text", ["md5:{md5}", "{md5}", "0" * 63, "g" * 64, " {sha256}"])
@pytest.mark.parametrize("kind", ["file", "url"])
def test_a_checksum_is_a_sha256(text: str, kind: str, raw: Path, tmp_path: Path) -> None:
    content = raw.read_bytes()
    said = text.format(md5=hashlib.md5(content).hexdigest(), sha256=hashlib.sha256(content).hexdigest())
    source = raw if kind == "file" else raw.as_uri()
    ended = call(codsa_prepare, source, "--sha256", said, "--out", tmp_path / "out")
    assert refused(ended, "64 hexadecimal digits") and list(files(tmp_path)) == ["raw.csv"]


CONTENT = bytes(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves 100,000 bytes, with or without saying so, or badly: as the name of the file asks."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".csv")
        self.asked[name] += 1
        if name.startswith("busy") and self.asked[name] <= int(name.removeprefix("busy")):
            self.send_error(503)
            return
        self.send_response(200)
        lengths = {"said": "100000", "nonsense": "many", "long": "200000"}
        if name in lengths:
            self.send_header("Content-Length", lengths[name])
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["said.csv", "unsaid.csv"])
def test_a_download_has_a_limit(name: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "DOWNLOAD_BYTES", 99_999)
    with pytest.raises(CodsaError, match="more than 99,999 bytes"):
        fetch(f"{address}/{name}", SHA256, tmp_path / "raw")
    assert not files(tmp_path)
    monkeypatch.setattr(downloads, "DOWNLOAD_BYTES", 100_000)
    assert fetch(f"{address}/{name}", SHA256, tmp_path / "raw").stat().st_size == 100_000
    assert list(files(tmp_path)) == [f"raw/{name}"]


def test_a_length_that_is_no_number_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match="cannot be fetched"):
        fetch(f"{address}/nonsense.csv", SHA256, tmp_path)
    assert not files(tmp_path)


def test_a_download_that_fails_is_tried_again(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert fetch(f"{address}/busy2.csv", SHA256, tmp_path).read_bytes() == CONTENT
    assert Handler.asked["busy2"] == 3
    with pytest.raises(CodsaError, match=r"busy9.csv: cannot be fetched \(503 "):
        fetch(f"{address}/busy9.csv", SHA256, tmp_path)
    assert Handler.asked["busy9"] == 3 and list(files(tmp_path)) == ["busy2.csv"]


def test_a_download_that_breaks_off(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(CodsaError, match=r"long.csv: cannot be fetched \(.*100000 bytes read, 100000 more expected"):
        fetch(f"{address}/long.csv", SHA256, tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_file_of_other_content_is_replaced_by_the_right_one_alone(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    (tmp_path / "said.csv").write_bytes(b"older")
    with pytest.raises(CodsaError, match=f"said.csv: sha256 checksum {SHA256}, expected {'f' * 64}; the file has"):
        fetch(f"{address}/said.csv", "f" * 64, tmp_path)
    assert (tmp_path / "said.csv").read_bytes() == b"older" and list(files(tmp_path)) == ["said.csv"]
    assert fetch(f"{address}/said.csv", SHA256.upper(), tmp_path).read_bytes() == CONTENT
    before = Handler.asked["said"]
    assert fetch(f"{address}/said.csv", SHA256, tmp_path) == tmp_path / "said.csv" and Handler.asked["said"] == before


@pytest.mark.parametrize(
    "url", ["gopher://localhost/a.csv", "s3://bucket/a.csv", "file:///dev/zero", "file:///none.csv"]
)
def test_what_cannot_be_downloaded_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match=r"is not known; give a URL|regular file|no such file"):
        fetch(url, SHA256, tmp_path)
    assert not any(tmp_path.iterdir())


# ------------------------------------------------------------------ pipes and devices


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.npz", "train-images-idx3-ubyte", "a.csv.gz"])
@pytest.mark.parametrize("option", ["source", "part"])
def test_a_pipe_is_refused_before_it_is_opened(name: str, option: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    given = (tmp_path / name,) if option == "source" else ("--part", f"{{path: {tmp_path / name}}}")
    assert refused(call(codsa_prepare, *given, "--out", tmp_path / "out"), name, "a pipe, a socket or a device")


def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("/dev/zero")
    assert refused(call(codsa_prepare, tmp_path / "a.csv", "--out", tmp_path / "out"), "a pipe, a socket or a device")


@pytest.mark.parametrize("name", ["a.png", "sub/a.JPG", "a.parquet", "a.arrow", "state.json"])
def test_a_pipe_in_a_folder_of_images_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "images/sub").mkdir(parents=True)
    Image.new("L", (4, 4)).save(tmp_path / "images/b.png")
    os.mkfifo(tmp_path / "images" / name)
    with pytest.raises(CodsaError, match="a pipe, a socket or a device"):
        find(Part(path=tmp_path / "images"))


def test_labels_in_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "images/b.png")
    os.mkfifo(tmp_path / "labels.csv")
    given = (tmp_path / "images", "--labels", tmp_path / "labels.csv", "--out", tmp_path / "out")
    assert refused(call(codsa_prepare, *given), "labels.csv", "a pipe, a socket or a device")


# ------------------------------------------------------------------ parts and columns


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("5", "write a mapping"),
        ("null", "write a mapping"),
        ("[path]", "write a mapping"),
        ("path", "write a mapping"),
        ("{}", "path is missing"),
        ("{path: ''}", "write a part as"),
        ("{path: null}", "write a part as"),
        ("{path: 5}", "path = 5: give a path"),
        ("{path: [a]}", "give a path"),
        ("{path: x, columns: 3}", "columns = 3: give a mapping"),
        ("{path: x, columns: [a]}", "give a mapping"),
        ("{path: x, columns: {a: [1]}}", "give text"),
        ("{path: x, columns: {a: {b: 1}}}", "give text"),
        ("{path: x, columns: {a: null}}", "give text"),
        ("{path: x, labels: 3}", "labels = 3: give a path"),
        ("{path: x, column: [a]}", "column = "),
        ("{path: x, split: {a: b}}", "split = "),
        ("{path: x, arrays: a}", "arrays = 'a': give a mapping"),
        ("{path: x, 3: 4}", "unknown key '3'"),
        ("{path: x, colums: {}}", "did you mean 'columns'"),
    ],
)
def test_a_malformed_part_is_refused(part: str, words: str, tmp_path: Path) -> None:
    assert refused(call(codsa_prepare, "--part", part, "--out", tmp_path / "out"), "part", words)


def test_a_part_is_read() -> None:
    record = {"path": "x", "labels": None, "columns": {"cafe\u0301": "e\u0301", "k": 3}, "arrays": {"image": "X"}}
    assert Part.read(record, "part") == Part(
        path=Path("x"), columns={"caf\u00e9": "\u00e9", "k": 3}, arrays={"image": "X"}
    )


@pytest.mark.parametrize("kind", ["vector", "image"])
@pytest.mark.parametrize("column", ["income", "site", "seen", "smoker", "y"])
def test_a_plain_column_is_no_array(kind: str, column: str, raw: Path, tmp_path: Path) -> None:
    ended = call(codsa_prepare, raw, "--column", f"{column}={kind}", "--out", tmp_path / "out")
    assert refused(ended, f"--column {column}={kind}", f"no type or role '{kind}'")


@pytest.mark.parametrize("kind", ["vector", "image"])
@pytest.mark.parametrize("column", ["income", "site", "seen"])
def test_a_schema_cannot_make_a_plain_column_an_array(kind: str, column: str, tmp_path: Path) -> None:
    write_prepared(tmp_path / "data", make_mixed_table())
    record = read_json(tmp_path / "data/schema.json")
    next(c for c in record["columns"] if c["name"] == column)["type"] = kind
    write_json(tmp_path / "data/schema.json", record)
    with pytest.raises(CodsaError, match=f"column '{column}'"):
        load_dataset(tmp_path / "data")


# ------------------------------------------------------------------ images


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("kind", ["ICO", "PCX", "TGA", "SGI", "EPS", "ICNS"])
def test_other_formats_under_a_known_name_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / name, kind)
    with pytest.raises(CodsaError, match=f"{name}: .*not a known format: PNG, JPEG"):
        read_images([Part(path=tmp_path)], ImageOptions())


def test_every_known_format_is_read(tmp_path: Path) -> None:
    Image.init()
    known = {Image.EXTENSION[suffix] for suffix in SUFFIXES}
    assert known == set(FORMATS)
    for suffix in SUFFIXES:
        Image.new("RGB", (8, 8), (255, 0, 0)).convert("L" if suffix == ".pgm" else "RGB").save(tmp_path / f"a{suffix}")
        assert open_image((tmp_path / f"a{suffix}").read_bytes(), suffix).size == (8, 8)


@pytest.mark.parametrize("pattern", ["{1}_{2}.png", "{a b}.png", "{}.png"])
def test_a_pattern_names_parts_by_words(pattern: str, tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "3_4.png")
    with pytest.raises(CodsaError, match="pattern"):
        find(Part(path=tmp_path, pattern=pattern))


@pytest.mark.parametrize(
    "state", ["[]", "3", "{}", '{"_data_files": 3}', '{"_data_files": [3]}', '{"_data_files": [{"filename": "../x"}]}']
)
def test_a_wrong_state_of_a_data_set_is_refused(state: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(CodsaError, match=r"state\.json"):
        find(Part(path=tmp_path))


def test_long_numbers_in_file_names_and_tables_are_kept(tmp_path: Path) -> None:
    names = [f"{2**60 + i}_{i}.png" for i in range(4)] + ["odd.png"]
    for name in names:
        Image.new("L", (4, 4)).save(tmp_path / name)
    part = Part(path=tmp_path, pattern="{id}_{k}.png")
    assert read_images([part], ImageOptions(on_unreadable="skip"))[0]["id"].tolist() == [2**60 + i for i in range(4)]
    (tmp_path / "l.csv").write_text("file,age\n" + "".join(f"{n},{2**60 + i}\n" for i, n in enumerate(names[:4])))
    table = find(Part(path=tmp_path, labels=tmp_path / "l.csv")).table
    assert table["age"].tolist()[:4] == [2**60 + i for i in range(4)] and pd.isna(table["age"][4])


def test_labels_match_names_in_either_spelling(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "cafe\u0301.png")
    (tmp_path / "l.csv").write_text("file,age\ncafe\u0301.png,31\n")
    assert find(Part(path=tmp_path, labels=tmp_path / "l.csv")).table["age"].tolist() == [31]


# ------------------------------------------------------------------ width


def test_a_table_with_many_columns_is_as_before(tmp_path: Path) -> None:
    """Only the columns whose type the task settles are cast again."""
    frame = pd.DataFrame(np.random.default_rng(0).integers(0, 9, (60, 300)), columns=[f"c{i}" for i in range(300)])
    frame["y"] = [0, 1, 2] * 20
    frame.to_csv(tmp_path / "raw.csv", index=False)
    dataset = write_prepared(tmp_path / "data", read_table(tmp_path / "raw.csv"))
    assert dataset.schema.column("y").type == "categorical" and dataset.schema.column("c0").type == "integer"
    assert {str(kind) for kind in dataset.rows.dtypes} == {"Int64"}
