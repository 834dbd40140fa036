"""Stable Diffusion under low-rank updates, on a tiny pipeline made on the spot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_image_generators import make_images
from toy_pipeline import make_pipeline

from codsa.data.dataset import Dataset
from codsa.data.pool import load_pool
from codsa.errors import CodsaError
from codsa.generators import make
from codsa.generators.images.prompts import Prompts
from codsa.generators.images.stable_diffusion import StableDiffusion
from codsa.io import array_columns
from codsa.io.seeds import SeedContext, stream
from codsa.stages.sample import write_shard
from codsa.stages.train_generator import Trained, Training

SMALL: dict[str, Any] = {
    "prompt": "a {y} of {domain}, {age}",
    "steps": 6,
    "batch": 4,
    "rank": 2,
    "precision": "no",
    "sampler_steps": 2,
    "learning_rate": 2e-2,
    "ema": 0.5,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("pipelines") / "base")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_images(tmp_path_factory.mktemp("images"), side=12)


def fitted(
    data: Dataset, base: Path, pretrained: Path | None = None, checkpoint_dir: Path | None = None, **settings: Any
) -> Any:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # its precision holds for a process, and a command is one
    made = make("stable-diffusion", {**SMALL, "model": str(base), **settings})
    rows = data.part(np.arange(len(data)))
    return made.fit(rows, data.regions(), data.schema, stream(0, "fit"), checkpoint_dir, pretrained)


def drawn(generator: Any, count: int = 6) -> pd.DataFrame:
    return generator.sample(1, count, stream(0, "draw"))


def pixels(rows: pd.DataFrame) -> np.ndarray:
    return array_columns.arrays(rows["image"])


def test_diffusers_reads_the_updates(images: Dataset, base: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    generator = fitted(images, base)
    assert pixels(drawn(generator)).shape == (6, 12, 12, 1)
    generator.save(tmp_path)
    pipe = StableDiffusionPipeline.from_pretrained(base, safety_checker=None, requires_safety_checker=False)
    pipe.load_lora_weights(tmp_path)
    theirs = {k: v for k, v in pipe.unet.state_dict().items() if "lora_B" in k}
    assert theirs and all(v.abs().sum() > 0 for v in theirs.values())
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 100_000  # the base stays where it is


IMAGE_DIFFUSION = {"steps": 6, "batch": 4, "width": [8, 8], "precision": "no"}


@pytest.mark.parametrize("generator", ["stable-diffusion", "image-diffusion"])
def test_two_processes_train_as_one(generator: str, base: Path, tmp_path: Path, run_cli: Any) -> None:
    """Each takes its share of every batch, so that both together have the losses of one process."""
    from accelerate.state import AcceleratorState

    from codsa.cli import split, train_gen
    from codsa.workflow.study import settings

    make_images(tmp_path / "data", side=12)
    roles = tmp_path / "split.parquet"
    assert run_cli(split.main, "--data", tmp_path / "data", "--out", roles).code == 0
    own = {**SMALL, "model": str(base)} if generator == "stable-diffusion" else IMAGE_DIFFUSION
    words = ["--data", tmp_path / "data", "--split", roles, "--generator", generator, *settings(own)]
    AcceleratorState._reset_state()
    assert run_cli(train_gen.main, *words, "--out", tmp_path / "one").code == 0
    command = [sys.executable, "-m", "codsa.cli.train_gen", *map(str, words), "--processes", "2"]
    subprocess.run([*command, "--out", str(tmp_path / "two")], check=True, capture_output=True)
    one, two = (pd.read_csv(tmp_path / name / "losses.csv") for name in ("one", "two"))
    assert len(one) == 6
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-3)


def test_no_more_images_are_drawn_than_go_together(
    images: Dataset, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image may take minutes: a pool of five is two calls of three, not a block of a thousand."""
    generator = fitted(images, base, at_once=3)
    count, draw = [], StableDiffusion.draw
    monkeypatch.setattr(
        StableDiffusion, "draw", lambda self, rows, *rest: count.append(len(rows)) or draw(self, rows, *rest)
    )
    trained = Trained(generator, images.schema, Training("stable-diffusion", {}, 1.0), {"dataset": "", "split": ""})
    seeds = SeedContext(0, "e", 0)
    write_shard(tmp_path / "five", trained, {1: 5}, 0, 1, seeds)
    assert sum(count) == 6
    write_shard(tmp_path / "three", trained, {1: 3}, 0, 1, seeds)
    five, three = (load_pool(tmp_path / name, images.schema).rows[1] for name in ("five", "three"))
    pd.testing.assert_frame_equal(five.iloc[:3], three)


def test_only_updates_are_trained_and_kept(images: Dataset, base: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    generator = fitted(images, base, checkpoint_dir=tmp_path)
    frozen = StableDiffusion(**{**SMALL, "model": str(base)})
    frozen._load(stream(0, "w"))
    before, after = dict(frozen.net.named_parameters()), dict(generator.net.named_parameters())
    for name, parameter in after.items():
        assert ("lora_" in name) or torch.equal(parameter, before[name])
    with safe_open(tmp_path / "updates.safetensors", framework="pt") as file:
        weights = [key for key in file.keys() if key.startswith(("model.", "average."))]  # noqa: SIM118
    assert weights and all("lora_" in key or key.endswith("n_averaged") for key in weights)
    latents = (tmp_path / "latents.safetensors").stat().st_mtime_ns
    fitted(images, base, checkpoint_dir=tmp_path)  # nothing is left to train
    assert (tmp_path / "latents.safetensors").stat().st_mtime_ns == latents


def test_a_killed_training_ends_in_the_same_bytes(
    images: Dataset, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import codsa.generators.images.stable_diffusion as module

    whole = fitted(images, base, steps=20)
    real, calls = module.noise_loss, []

    def dying(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 11:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(module, "noise_loss", dying)
    with pytest.raises(KeyboardInterrupt):
        fitted(images, base, checkpoint_dir=tmp_path, steps=20)
    again = fitted(images, base, checkpoint_dir=tmp_path, steps=20)
    assert len(calls) < 11 + 20
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("prompt", "a {y}"),
        ("words", {"y": {"a": "left", "b": "right"}}),
        ("uniform", ["age"]),
        ("size", 24),
        ("steps", 8),
        ("batch", 5),
        ("learning_rate", 1e-1),
        ("rank", 3),
        ("ema", 0.1),
        ("condition_dropout", 0.9),
        ("guidance", 6.0),
        ("sampler_steps", 3),
        ("precision", "bf16"),
    ],
)
def test_every_setting_changes_the_images(setting: str, value: Any, images: Dataset, base: Path) -> None:
    usual = pixels(drawn(_usual(images, base), 12)).astype(int)
    changed = pixels(drawn(fitted(images, base, **{setting: value}), 12)).astype(int)
    assert (usual != changed).any()


def test_images_are_encoded_and_drawn_in_groups(images: Dataset, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import codsa.generators.images.stable_diffusion as module

    sizes: list[int] = []
    real = module.latents_of
    monkeypatch.setattr(module, "latents_of", lambda p, x, d: sizes.append(len(x)) or real(p, x, d))
    generator = fitted(images, base, at_once=25)
    assert sizes == [25, 25, 10]
    assert [len(images) for images in generator._drawn(["x"] * 30, torch.Generator())] == [25, 5]


USUAL: list[Any] = []


def _usual(images: Dataset, base: Path) -> Any:
    if not USUAL:
        USUAL.append(fitted(images, base))
    return USUAL[0]


def test_checkpointing_computes_the_same(images: Dataset, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils import checkpoint

    called = []
    real = checkpoint.checkpoint
    monkeypatch.setattr(checkpoint, "checkpoint", lambda *a, **k: called.append(1) or real(*a, **k))
    made = fitted(images, base, checkpointing=True)
    assert called
    np.testing.assert_allclose(made.losses["loss"], _usual(images, base).losses["loss"], rtol=1e-4)


def test_velocity_is_learned_where_the_model_predicts_it(tmp_path: Path) -> None:
    """A perfect network of either kind has no loss."""
    from diffusers import DDPMScheduler

    from codsa.nn.stable import noise_loss

    generator = torch.Generator().manual_seed(0)
    x, epsilon = (torch.randn(3, 4, 2, 2, generator=generator) for _ in range(2))
    timesteps, hidden_states = torch.tensor([3, 500, 990]), torch.zeros(3, 1, 1)
    for kind in ("epsilon", "v_prediction"):
        scheduler = DDPMScheduler(prediction_type=kind)
        alphas = scheduler.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
        target = epsilon if kind == "epsilon" else alphas.sqrt() * epsilon - (1 - alphas).sqrt() * x
        net = lambda *inputs, target=target: target  # noqa: E731
        loss = noise_loss(net, scheduler, x, timesteps, epsilon, hidden_states)  # type: ignore[arg-type]
        assert float(loss) < 1e-10


def test_colours_are_drawn_in_colour(base: Path, tmp_path: Path) -> None:
    data = make_images(tmp_path, side=9, channels=3)
    made = pixels(drawn(fitted(data, base), 2))
    assert made.shape == (2, 9, 9, 3) and (made[..., 0] != made[..., 1]).any()
    with pytest.raises(CodsaError, match="has 2 channels; it draws 1 or 3"):
        fitted(make_images(tmp_path / "two", channels=2), base)


def test_training_goes_on_from_a_source_set(images: Dataset, base: Path, tmp_path: Path) -> None:
    source = fitted(images, base, steps=12)
    source.save(tmp_path)
    tuned = fitted(images, base, pretrained=tmp_path, learning_rate=1e-9)
    for name, parameter in source.net.state_dict().items():
        torch.testing.assert_close(tuned.net.state_dict()[name], parameter, rtol=0, atol=1e-6)
    with pytest.raises(CodsaError, match="its updates have rank 2, not 4"):
        fitted(images, base, pretrained=tmp_path, rank=4)
    other = make_pipeline(tmp_path / "other", seed=1)
    with pytest.raises(CodsaError, match=f"its updates are of {base}, not of {other}"):
        fitted(images, other, pretrained=tmp_path)
    with pytest.raises(CodsaError, match="low-rank updates, not a pipeline; give their base"):
        fitted(images, tmp_path)
    (tmp_path / "stable_diffusion.json").unlink()
    with pytest.raises(CodsaError, match="holds no stable-diffusion"):
        fitted(images, base, pretrained=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "a {yy}"}, "no column 'yy' beside the image; did you mean 'y'"),
        ({"prompt": ""}, "give prompt, with columns in braces"),
        ({"prompt": "a {y"}, "write columns in braces"),
        ({"prompt": "a {y:>3}"}, "braces hold a column's name and nothing else"),
        ({"words": {"domian": {"u": "x"}}}, "does not name 'domian'; did you mean 'domain'"),
        ({"words": {"y": {"a": "left"}}}, "column 'y' also holds 'b'; give a word for every value"),
        ({"uniform": ["agee"]}, "did you mean 'age'"),
        ({"size": 20 + 1}, "give a multiple of 4"),
        ({"guidance": 0.5}, "guidance = 0.5: should be a finite number of at least 1"),
        ({"steps": 0}, "steps = 0: should be a whole number of at least 1"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str, images: Dataset, base: Path) -> None:
    with pytest.raises(CodsaError, match=message):
        fitted(images, base, **settings)


def test_what_is_no_pipeline_is_refused(images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CodsaError, match="the folder holds no pipeline"):
        fitted(images, tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CodsaError, match="cannot be loaded as a Stable Diffusion pipeline"):
        fitted(images, Path("no-such-owner/no-such-model"))


def test_prompts_are_put_into_words() -> None:
    rows = pd.DataFrame({"age": [31.0, 4.5], "gender": [0, 1]})
    prompts = Prompts("A {age}-year-old {gender}", {"gender": {0: "man", 1: "woman"}})
    prompts.check(rows)
    assert prompts.of(rows) == ["A 31-year-old man", "A 4.5-year-old woman"]


@pytest.mark.parametrize("prompt", ["{age}-year-old {y}", "a face: {y}", "no", "31", "a {y}"])
def test_a_prompt_goes_through_the_workflow_as_it_is(prompt: str) -> None:
    from codsa.cli.common import parse_settings
    from codsa.workflow.study import settings

    assert parse_settings(settings({"prompt": prompt, "rank": 3})[1::2]) == {"prompt": prompt, "rank": 3}
