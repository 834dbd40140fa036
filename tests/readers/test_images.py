"""Images from every kind of place, and what is said of bad ones; all files are made on the spot."""

from __future__ import annotations

import gzip
import http.server
import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import RunCli
from PIL import Image

from codsa.data.dataset import load_dataset, write_dataset
from codsa.data.preparation import prepare
from codsa.errors import CodsaError
from codsa.io import array_columns
from codsa.io.image_codec import decode, encode, open_image, resized
from codsa.io.seeds import rng, stream
from codsa.readers.image_tables import read_images
from codsa.readers.images import find
from codsa.settings.columns import ColumnOptions
from codsa.settings.images import ImageOptions
from codsa.settings.regions import RegionRule
from codsa.settings.sources import Part
from codsa.stages.split import Size, split, target_law

PLAIN = ImageOptions()
RANDOM = np.random.default_rng(5)


def pixels(count: int, side: int = 8, channels: int = 1) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def save(path: Path, image: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path, **options)
    return path


def write_idx(path: Path, array: np.ndarray) -> Path:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()) if path.suffix == ".gz" else header + array.tobytes())
    return path


def images_of(*parts: Part, options: ImageOptions = PLAIN) -> pd.DataFrame:
    return read_images(parts, options)[0]


def test_a_folder_of_sub_folders(tmp_path: Path) -> None:
    made = pixels(4)
    for i, name in enumerate(["cat", "cat", "dog", "dog"]):
        save(tmp_path / name / f"{i}.png", made[i])
    table = images_of(Part(path=tmp_path))
    assert table["label"].tolist() == ["cat", "cat", "dog", "dog"]
    assert table["file"].tolist() == ["cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png"]
    np.testing.assert_array_equal(array_columns.arrays(table["image"]), made)


def test_labels_from_file_names(tmp_path: Path) -> None:
    for i, name in enumerate(["23_0_1_2017.png", "41_1_4_2018.png"]):
        save(tmp_path / name, pixels(1)[0] + i)
    table = images_of(Part(path=tmp_path, pattern="{age}_{gender}_{ethnicity}_{_}.png"))
    assert table["age"].tolist() == [23, 41] and table["ethnicity"].tolist() == [1, 4]
    assert list(table.columns) == ["image", "file", "age", "gender", "ethnicity"]


@pytest.mark.parametrize("form", ["sub/a.png", "a.png", "a"])
def test_labels_from_a_table_by_name(tmp_path: Path, form: str) -> None:
    save(tmp_path / "images/sub/a.png", pixels(1)[0])
    (tmp_path / "l.csv").write_text(f"file_name,age\n{form},31\nother.png,2\n")
    assert images_of(Part(path=tmp_path / "images", labels=tmp_path / "l.csv"))["age"].tolist() == [31]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_with_its_labels_beside_it(tmp_path: Path, ending: str) -> None:
    made = pixels(5)
    write_idx(tmp_path / f"train-images-idx3-ubyte{ending}", made[..., 0])
    write_idx(tmp_path / f"train-labels-idx1-ubyte{ending}", np.arange(5, dtype=np.uint8))
    table = images_of(Part(path=tmp_path / f"train-images-idx3-ubyte{ending}", columns={"domain": "a"}))
    np.testing.assert_array_equal(array_columns.arrays(table["image"]), made)
    assert table["label"].tolist() == [0, 1, 2, 3, 4] and set(table["domain"]) == {"a"}


def test_npz_by_name_and_by_guess(tmp_path: Path) -> None:
    made = pixels(3, channels=3)
    np.savez(tmp_path / "a.npz", X_train=made, y_train=[1, 2, 3], X_test=made[:2], y_test=[4, 5])
    table = images_of(Part(path=tmp_path / "a.npz", arrays={"image": "X_test", "digit": "y_test"}))
    assert table["digit"].tolist() == [4, 5]
    np.savez(tmp_path / "b.npz", images=made / 255.0, digits=[7, 8, 9])
    table = images_of(Part(path=tmp_path / "b.npz"))
    np.testing.assert_array_equal(array_columns.arrays(table["image"]), made)
    assert table["label"].tolist() == [7, 8, 9]
    with pytest.raises(CodsaError, match="2 arrays may be images"):
        images_of(Part(path=tmp_path / "a.npz"))


@pytest.mark.parametrize("kind", ["bytes", "struct"])
def test_parquet_with_encoded_images(tmp_path: Path, kind: str) -> None:
    made = pixels(3)
    cells: list[Any] = [encode(one) for one in made]
    cells = cells if kind == "bytes" else [{"bytes": cell, "path": f"{i}.png"} for i, cell in enumerate(cells)]
    pd.DataFrame({"photo": cells, "age": [1, 2, 3]}).to_parquet(tmp_path / "a.parquet")
    table = images_of(Part(path=tmp_path / "a.parquet"))
    np.testing.assert_array_equal(array_columns.arrays(table["image"]), made)
    assert table["age"].tolist() == [1, 2, 3]
    assert table["file"][1] == ("a.parquet:1" if kind == "bytes" else "1.png")


def test_a_hugging_face_folder_with_splits(tmp_path: Path) -> None:
    """As `datasets` saves it to disk: a dict of splits, each of Arrow streams."""
    made = pixels(4)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    for name, rows in (("train", [0, 1]), ("test", [2, 3])):
        (tmp_path / name).mkdir()
        cells = [{"bytes": encode(made[i]), "path": None} for i in rows]
        table = pa.table({"image": cells, "label": rows})
        path = tmp_path / name / "data-00000-of-00001.arrow"
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        (tmp_path / name / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    table = images_of(Part(path=tmp_path, split="test"))
    np.testing.assert_array_equal(array_columns.arrays(table["image"]), made[2:])
    assert table["label"].tolist() == [2, 3]
    with pytest.raises(CodsaError, match="it has train, test"):
        images_of(Part(path=tmp_path))


def test_a_hub_folder_of_parquet(tmp_path: Path) -> None:
    for name in ("train", "test"):
        frame = pd.DataFrame({"image": [{"bytes": encode(pixels(1)[0]), "path": None}], "label": [name]})
        (tmp_path / "data").mkdir(exist_ok=True)
        frame.to_parquet(tmp_path / "data" / f"{name}-00000-of-00001.parquet")
    assert images_of(Part(path=tmp_path, split="test"))["label"].tolist() == ["test"]


@pytest.mark.parametrize(("fit", "corner"), [("stretch", 255), ("crop", 255), ("pad", 0)])
def test_other_shapes_meet_the_size(tmp_path: Path, fit: str, corner: int) -> None:
    save(tmp_path / "wide.png", np.full((8, 16, 1), 255, dtype=np.uint8))
    made = array_columns.arrays(
        images_of(Part(path=tmp_path), options=ImageOptions(size=(8, 8), mode=None, fit=fit))["image"]
    )
    assert made.shape == (1, 8, 8, 1) and made[0, 0, 0, 0] == corner and made[0, 4, 4, 0] == 255


def test_gray_beside_colour_becomes_colour_unless_told(tmp_path: Path) -> None:
    save(tmp_path / "a.png", pixels(1)[0])
    save(tmp_path / "b.png", pixels(1, channels=3)[0])
    assert array_columns.arrays(images_of(Part(path=tmp_path))["image"]).shape == (2, 8, 8, 3)
    assert array_columns.arrays(images_of(Part(path=tmp_path), options=ImageOptions(mode="L"))["image"]).shape == (
        2,
        8,
        8,
        1,
    )


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "I;16", "F"])
def test_odd_modes_are_read(mode: str) -> None:
    level = 255 if mode == "1" else 200  # black and white would be dithered
    plain = Image.fromarray(np.full((4, 4), level, dtype=np.uint8))
    odd = Image.fromarray(np.full((4, 4), 200 * 257, dtype=np.uint16)) if mode == "I;16" else plain.convert(mode)
    out = io.BytesIO()
    odd.save(out, "TIFF" if mode in ("CMYK", "F") else "PNG")
    found = np.asarray(open_image(out.getvalue(), "x").convert("L"))
    np.testing.assert_allclose(found, level, atol=1)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_channels_comes_back_from_disk(channels: int) -> None:
    image = pixels(1, channels=channels)[0]
    np.testing.assert_array_equal(decode(encode(image), "x"), image)
    assert resized(image[None], (4, 6)).shape == (1, 4, 6, channels)


def bomb(path: Path) -> None:
    """A small PNG whose header says 9,000 × 9,000 pixels."""
    parts = [
        b"IHDR" + struct.pack(">IIBBBBB", 9000, 9000, 8, 0, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(9000)),
        b"IEND",
    ]
    chunks = [struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def cut(path: Path) -> None:
    path.write_bytes(save(path, pixels(1, 32)[0]).read_bytes()[:300])


BROKEN: list[tuple[Callable[[Path], Any], str]] = [
    (cut, "bad.png: not readable as an image"),
    (lambda p: p.write_bytes(b""), "bad.png: the file is empty"),
    (lambda p: p.write_text("hello"), "not a known format"),
    (bomb, "decompression bomb"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN)
def test_broken_images_are_refused_or_skipped(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    save(tmp_path / "good.png", pixels(1)[0])
    spoil(tmp_path / "bad.png")
    with pytest.raises(CodsaError, match=message):
        images_of(Part(path=tmp_path))
    table, notes = read_images([Part(path=tmp_path)], ImageOptions(on_unreadable="skip"))
    assert table["file"].tolist() == ["good.png"]
    assert len(notes) == 1 and "1 of 2 images left out" in notes[0] and "bad.png" in notes[0]


def test_files_without_a_label_are_refused_or_skipped(tmp_path: Path) -> None:
    for name in ("20_1.png", "31_0.png", "odd.png"):
        save(tmp_path / name, pixels(1)[0])
    part = Part(path=tmp_path, pattern="{age}_{gender}.png")
    with pytest.raises(CodsaError, match=r"1 of 3 .*odd.png: has no value of 'age'"):
        images_of(part)
    assert images_of(part, options=ImageOptions(on_unreadable="skip"))["age"].tolist() == [20, 31]


def test_bad_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_idx(tmp_path / "x-images-idx3-ubyte", pixels(2)[..., 0])
    (tmp_path / "y-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 9, 9, 9))
    np.savez(tmp_path / "a.npz", image=np.ones((3, 4, 4)) * 300)
    cases = [
        (Part(path=tmp_path / "empty"), "no images found"),
        (Part(path=tmp_path / "nowhere"), "no such file or folder"),
        (Part(path=tmp_path / "x-images-idx3-ubyte"), "labels 'x-labels-idx1-ubyte' are not there"),
        (Part(path=tmp_path / "y-images-idx3-ubyte"), "truncated"),
        (Part(path=tmp_path / "a.npz", arrays={"image": "imagf"}), "did you mean 'image'"),
        (Part(path=tmp_path / "a.npz"), r"from 300 to 300; give bytes"),
    ]
    for part, message in cases:
        with pytest.raises(CodsaError, match=message):
            find(part)


def test_mixed_sizes_need_a_rule(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.png", pixels(1, 8 if i else 10)[0])
    with pytest.raises(CodsaError, match=r"2 sizes \(most are 8 × 8, '0.png' is 10 × 10\).*--size 8"):
        images_of(Part(path=tmp_path))


def prepared(folder: Path, labels: list[Any], made: np.ndarray, **said: Any) -> Any:
    raw = pd.DataFrame(
        {"image": array_columns.column("image", made), **{"y": labels, "g": ["a", "b"] * (len(labels) // 2)}}
    )
    rows, schema = prepare(raw, ColumnOptions(target="y", **said), RegionRule(by="column", column="g", min_rows=2))
    write_dataset(folder, rows, schema, {})
    return load_dataset(folder)


def test_copies_stay_on_one_side_whatever_their_labels(tmp_path: Path) -> None:
    made = pixels(100)
    made[1::2] = made[0::2]  # each image twice, under two labels and in two regions
    dataset = prepared(tmp_path, [0, 1] * 50, made)
    assert "50 rows are byte-identical copies of others, and 50 such sets have contradicting" in dataset.schema.notes[0]
    q = target_law("balanced", dataset.schema, dataset.regions())
    frame = split(dataset, q, Size(count=20), Size(count=20), rng(stream(0, "s")))
    roles = frame["role"].to_numpy().reshape(-1, 2)
    assert (roles[:, 0] == roles[:, 1]).all() and set(roles[:, 0]) == {"train", "validation", "test"}
    enters = frame["min_ratio"].to_numpy().reshape(-1, 2)
    np.testing.assert_array_equal(enters[:, 0], enters[:, 1])


def test_arrays_survive_the_disk_and_others_can_read_them(tmp_path: Path) -> None:
    made = pixels(6)
    dataset = prepared(tmp_path, [0, 1] * 3, made)
    np.testing.assert_array_equal(array_columns.arrays(dataset.rows["image"]), made)
    cell = pd.read_parquet(tmp_path / "rows.parquet")["image"][2]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(cell["bytes"]))), made[2, ..., 0])
    assert dataset.schema.column("g").role == "attribute" and dataset.schema.features == ["image"]


def test_detection_trains_on_normal_rows_only(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, [3, 3, 3, 3, 5, 5] * 30, pixels(180), task="detection", normal=["3"])
    q = target_law("balanced", dataset.schema, dataset.regions())
    frame = split(dataset, q, Size(count=16), Size(count=24), rng(stream(0, "s")))
    cells = pd.crosstab([frame["role"], frame["region"]], dataset.rows["y"].to_numpy())
    assert cells.loc[("test", "a")].tolist() == [6, 6] and cells.loc[("validation", "b")].tolist() == [4, 4]
    assert cells.loc["train"][5].tolist() == [0, 0] and cells.loc["unused"][3].tolist() == [0, 0]
    with pytest.raises(CodsaError, match="has no level '4'"):
        prepared(tmp_path, [3, 5] * 30, pixels(60), task="detection", normal=["4"])
    with pytest.raises(CodsaError, match="say which levels of target 'y' are normal"):
        prepared(tmp_path, [3, 5] * 30, pixels(60), task="detection")


def test_the_command_reads_parts_and_keeps_rows(tmp_path: Path, run_cli: RunCli) -> None:
    from codsa.cli.prepare import main

    for name, side in (("a", 8), ("b", 6)):
        np.savez(tmp_path / f"{name}.npz", image=pixels(40, side)[..., 0], digit=np.arange(40) % 4)
    parts = [f"--part={{path: {tmp_path / name}.npz, columns: {{domain: {name}}}}}" for name in "ab"]
    command = [*parts, "--target", "label", "--regions", "column", "--region-column", "domain", "--min-rows", "5"]
    ended = run_cli(main, *command, "--size", "8", "--keep", "label > 1", "--out", tmp_path / "d")
    assert ended.code == 0, ended.err
    rows = load_dataset(tmp_path / "d").rows
    assert len(rows) == 40 and set(rows["label"]) == {2, 3} and rows["image"].dtype.name == "image[8, 8, 1]"
    ended = run_cli(main, *command, "--out", tmp_path / "d")
    assert ended.code == 2 and "2 sizes" in ended.err
    ended = run_cli(main, "--part", "{path: x, colums: {}}", "--out", tmp_path / "d")
    assert ended.code == 2 and "did you mean 'columns'?" in ended.err


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder behind an address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Server(*a, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_downloads_are_checked(tmp_path: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    import bz2
    import hashlib

    from codsa.readers import download as module

    folder, address = mirror
    lines = b"".join(b"%d 1:-1 2:%d 256:1\n" % (digit + 1, digit % 2) for digit in range(10))
    for name in ("usps.bz2", "usps.t.bz2"):
        (folder / name).write_bytes(bz2.compress(lines))
    with pytest.raises(CodsaError, match="the file has changed"):
        module.download("usps", tmp_path / "out", address)
    assert not any((tmp_path / "out").iterdir())
    checksum = "md5:" + hashlib.md5((folder / "usps.bz2").read_bytes()).hexdigest()
    files = {name: checksum for name in ("usps.bz2", "usps.t.bz2")}
    usps = module.Collection("", files, module.usps_npz)
    monkeypatch.setitem(module.COLLECTIONS, "usps", usps)
    (path,) = module.download("usps", tmp_path / "out", address)
    with np.load(path) as made:
        assert made["y_train"].tolist() == list(range(10)) and made["X_test"].shape == (10, 16, 16)
        assert made["X_train"][1, 0, 0] == 0 and made["X_train"][1, 0, 1] == 255 and made["X_train"][0, 0, 1] == 128
    with pytest.raises(CodsaError, match="did you mean 'mnist'"):
        module.download("mnits", tmp_path)
