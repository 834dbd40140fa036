"""The generators of images: what they draw, from what, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset, load_dataset, write_dataset
from codsa.data.preparation import prepare
from codsa.errors import CodsaError
from codsa.generators import Generator, make
from codsa.io import array_columns
from codsa.io.seeds import stream
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.pretrain import PRETRAINERS

SMALL: dict[str, dict[str, Any]] = {
    "image-diffusion": {
        "steps": 16,
        "batch": 8,
        "width": [8, 8],
        "sampler_steps": 3,
        "precision": "no",
        "learning_rate": 2e-2,
        "ema": 0.8,
    },
}
SMALL["restyled"] = {"source": "u", "size": 4}


def make_images(folder: Path, n: int = 60, side: int = 8, channels: int = 1, **declared: Any) -> Dataset:
    """Images with a bright left (a) or right (b) half, darker in domain v than in u; the age is in the brightness."""
    random = np.random.default_rng(3)
    kind, domain = np.arange(n) % 2, np.arange(n) % 3 == 0
    age = random.integers(20, 60, n)
    pixels = random.integers(0, 30, (n, side, side, channels))
    for i in range(n):
        half = slice(0, side // 2) if kind[i] == 0 else slice(side // 2, side)
        pixels[i, :, half] += (180 if domain[i] else 90) + age[i] // 4
    raw = pd.DataFrame(
        {
            "image": array_columns.column("image", pixels.astype(np.uint8)),
            "domain": np.where(domain, "u", "v"),
            "age": age,
            "y": np.where(kind == 0, "a", "b"),
        }
    )
    columns = {"age": {"role": "attribute"}}
    rows, schema = prepare(
        raw, ColumnOptions(target="y", columns=columns, **declared), RegionRule(by="column", column="domain")
    )
    write_dataset(folder, rows, schema, {})
    return load_dataset(folder)


@pytest.fixture
def images(tmp_path: Path) -> Dataset:
    return make_images(tmp_path / "images")


def fitted(name: str, data: Dataset, seed: int = 0, pretrained: Path | None = None, **settings: Any) -> Generator:
    generator = make(name, {**SMALL.get(name, {}), **settings})
    rows = data.part(np.arange(len(data)))
    return generator.fit(rows, data.regions(), data.schema, stream(seed, "fit"), pretrained=pretrained)


SETTINGS: list[tuple[str, str, Any]] = [
    ("image-diffusion", "steps", 18),
    ("image-diffusion", "batch", 9),
    ("image-diffusion", "learning_rate", 1e-3),
    ("image-diffusion", "width", [16, 8]),
    ("image-diffusion", "layers", 2),
    ("image-diffusion", "patch", 2),
    ("image-diffusion", "ema", 0.5),
    ("image-diffusion", "flip", True),
    ("image-diffusion", "condition_dropout", 0.5),
    ("image-diffusion", "guidance", 3.0),
    ("image-diffusion", "sampler_steps", 4),
    ("image-diffusion", "stochastic", False),
    ("image-diffusion", "precision", "bf16"),
    ("image-diffusion", "uniform", ["y"]),
    ("image-diffusion", "unseen", ["u"]),
    ("restyled", "source", "v"),
    ("restyled", "size", 2),
    *(
        ("distortions", setting, 0.5)
        for setting in ("rotation", "stretch", "shear", "shift", "elastic", "smooth", "mirror")
    ),
]


@pytest.mark.parametrize(("name", "setting", "value"), SETTINGS)
def test_every_setting_changes_the_images(name: str, setting: str, value: Any, images: Dataset) -> None:
    from accelerate.state import AcceleratorState

    usual = fitted(name, images).sample(1, 12, stream(0, "draw"))
    AcceleratorState._reset_state()  # its precision holds for a process, and a command is one
    changed = fitted(name, images, **{setting: value}).sample(1, 12, stream(0, "draw"))
    AcceleratorState._reset_state()
    assert not np.array_equal(array_columns.arrays(usual["image"]), array_columns.arrays(changed["image"]))


def test_conditions_decide_the_image(tmp_path: Path) -> None:
    """Class b is bright on the right and class a on the left, domain u brighter than v."""
    data = make_images(tmp_path, 400)
    settings = {"steps": 100, "batch": 32, "width": [16], "learning_rate": 1e-2, "ema": 0.9, "precision": "no"}
    generator = fitted("image-diffusion", data, **settings)
    images = {}
    for label in ("a", "b"):
        generator.condition_rows["y"] = label  # type: ignore[attr-defined]
        images |= {(label, k): array_columns.arrays(generator.sample(k, 24, stream(0, k))["image"]) for k in (0, 1)}
    left, right = ({key: images[key][:, :, part].mean() for key in images} for part in (slice(0, 4), slice(4, 8)))
    assert all(right["b", k] > left["b", k] + 30 and left["a", k] > right["a", k] + 30 for k in (0, 1))
    assert right["b", 0] > right["b", 1] + 30 and left["a", 0] > left["a", 1] + 30


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_channels_and_odd_sizes(channels: int, tmp_path: Path) -> None:
    data = make_images(tmp_path, side=9, channels=channels)
    generated = fitted("image-diffusion", data, patch=2).sample(0, 3, stream(0, "d"))
    assert array_columns.arrays(generated["image"]).shape == (3, 9, 9, channels)


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A denoiser of domain u and v without age, and with class a only: the study's other class is new to it."""
    from codsa.io.records import write_json

    data = make_images(tmp_path / "source")
    rows = data.part(np.flatnonzero(data.rows["y"] == "a")).assign(y="c")
    folder = tmp_path / "pretrained"
    folder.mkdir()
    generator = make("image-diffusion", SMALL["image-diffusion"])
    generator.fit(rows, data.schema.regions.assign(rows), data.schema, stream(0, "p"))
    generator.save(folder)
    write_json(folder / "schema.json", data.schema.to_dict())
    return folder


def test_simple_ways_stay_near_real_images(images: Dataset) -> None:
    real = array_columns.arrays(images.rows["image"]).astype(int)
    domain = images.rows["domain"].to_numpy()
    drawn = array_columns.arrays(fitted("bootstrap", images).sample(0, 30, stream(0, "d"))["image"]).astype(int)
    assert all((image == real[domain == "u"]).all(axis=(1, 2, 3)).any() for image in drawn)
    bent = array_columns.arrays(
        fitted("distortions", images, elastic=0.0).sample(0, 30, stream(0, "d"))["image"]
    ).astype(int)
    gap = np.abs(bent - drawn).mean(axis=(1, 2, 3))  # the same rows are drawn, then bent
    assert 1 < gap.mean() < 40 and gap.min() > 0
    still = {"rotation": 0, "stretch": 0, "shear": 0, "shift": 0, "elastic": 0}
    turned = fitted("distortions", images, mirror=1.0, **still).sample(0, 30, stream(0, "d"))["image"]
    np.testing.assert_array_equal(array_columns.arrays(turned), drawn[:, :, ::-1])
    styled = fitted("restyled", images, size=8).sample(1, 30, stream(0, "d"))  # 8 pixels are all there are
    assert all(
        (image == real[domain == "u"]).all(axis=(1, 2, 3)).any() for image in array_columns.arrays(styled["image"])
    )
    assert set(styled["domain"]) == {"v"}


def test_neighbours_refuse_arrays(images: Dataset) -> None:
    with pytest.raises(CodsaError, match="column 'image' holds arrays: use bootstrap, distortions"):
        fitted("smote", images)


def test_source_rows_leave_out_what_is_anomalous(tmp_path: Path) -> None:
    from codsa.io.tables import write_parquet

    study = make_images(tmp_path / "study", task="detection", normal=["a"])
    source = make_images(tmp_path / "fresh", 90)
    write_parquet(tmp_path / "rows.parquet", source.rows[["image", "domain", "age", "y"]])
    drawn = fitted("source-rows", study, pretrained=tmp_path).sample(0, 50, stream(0, "d"))
    assert set(drawn["y"]) == {"a"}
    source_images = {image.tobytes() for image in array_columns.arrays(source.rows["image"])}
    drawn_images = {image.tobytes() for image in array_columns.arrays(drawn["image"])}
    assert drawn_images <= source_images
    mixed = fitted("source-rows", study, pretrained=tmp_path, mixed=True).sample(0, 200, stream(0, "d"))
    assert not {image.tobytes() for image in array_columns.arrays(mixed["image"])} <= source_images


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {k for k in before if not k.startswith("condition_embeddings.") and not np.array_equal(before[k], after[k])}


@pytest.mark.parametrize("tune", ["full", "head", "attention", "lora"])
def test_fine_tuning_changes_what_it_says(tune: str, pretrained: Path, images: Dataset) -> None:
    from safetensors.numpy import load_file

    before = load_file(pretrained / "denoiser.safetensors")
    generator = fitted("image-diffusion", images, pretrained=pretrained, tune=tune)
    after = {k: v.numpy() for k, v in generator.model.state_dict().items()}  # type: ignore[attr-defined]
    names = changed(before, after)
    body = {k for k in names if "conv_out" not in k and "conv_norm_out" not in k and k != "null_condition"}
    assert {"unet.conv_out.weight"} <= names
    if tune == "head":
        assert not body
    elif tune == "attention":
        assert body and all(".attentions." in k for k in body)
    elif tune == "lora":
        assert body and all("conv1" in k or "conv2" in k or ".to_" in k for k in body)
    else:
        assert "unet.conv_in.weight" in body
    assert generator.conditions.columns[2].levels == ["c", "a", "b"]  # type: ignore[attr-defined]
    assert len(generator.sample(0, 4, stream(0, "d"))) == 4


def test_a_killed_training_ends_in_the_same_bytes(images: Dataset, tmp_path: Path) -> None:
    import torch

    whole = fitted("image-diffusion", images, steps=20)
    rows = images.part(np.arange(len(images)))
    cut = make("image-diffusion", {**SMALL["image-diffusion"], "steps": 20})
    real, calls = cut._loss, []  # type: ignore[attr-defined]

    def dying(*arguments: Any) -> Any:
        inner = real(*arguments)

        def loss(net: Any, generator: Any) -> Any:
            calls.append(1)
            if len(calls) == 11:
                raise KeyboardInterrupt
            return inner(net, generator)

        return loss

    cut._loss = dying  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        cut.fit(rows, images.regions(), images.schema, stream(0, "fit"), tmp_path)
    again = make("image-diffusion", {**SMALL["image-diffusion"], "steps": 20})
    again.fit(rows, images.regions(), images.schema, stream(0, "fit"), tmp_path)
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):  # type: ignore[attr-defined]
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": [12]}, "multiples of 8"),
        ({"uniform": ["agee"]}, "did you mean 'age'"),
        ({"unseen": ["w"]}, "no region 'w'"),
        ({"unseen": ["u", "v"]}, "no row of S_g is left"),
        ({"condition_dropout": 0.0, "guidance": 2.0}, "needs images trained on without condition"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str, images: Dataset) -> None:
    with pytest.raises(CodsaError, match=message):
        fitted("image-diffusion", images, **settings)


def test_a_pretrained_model_of_other_channels_is_refused(pretrained: Path, tmp_path: Path) -> None:
    data = make_images(tmp_path / "colour", channels=3)
    with pytest.raises(CodsaError, match=r"pretrained on images of shape \[8, 8, 1\], the data have \[8, 8, 3\]"):
        fitted("image-diffusion", data, pretrained=pretrained)


def test_pretraining_is_by_the_generator_named(tmp_path: Path) -> None:
    data = make_images(tmp_path / "source")
    (tmp_path / "p").mkdir()
    settings = {**SMALL["image-diffusion"], "generator": "image-diffusion"}
    PRETRAINERS["denoiser"](tmp_path / "p", data, settings, stream(0, "p"), tmp_path / "w")
    assert (tmp_path / "p" / "images.json").exists()
