"""Stable Diffusion 2 at its real size, with random weights: what a step, a call and the memory for them are."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from shared import Section, Spent, command, peaks, scratch

from codsa.data.dataset import write_dataset
from codsa.data.preparation import prepare
from codsa.io import array_columns
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.workflow.study import settings as words

FACES = 12
PROMPT = "A {age}-year-old of {place}"
MEMORY = (
    "import atexit, pathlib, torch\n"
    "used = lambda: torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0\n"
    "atexit.register(lambda: pathlib.Path({path!r}).write_text(str(used())))\n"
)


@dataclass(frozen=True)
class Taken:
    """What a command took: time, and its peak memory and the GPU's in GB."""

    spent: Spent
    memory: float
    gpu: float


def stable(out: Section) -> None:
    """Train and draw by the commands, with few and with more steps; the difference is what a step takes."""
    folder = scratch()
    base, data = write_pipeline(folder / "base"), write_faces(folder / "data")
    peaks(command("split", ["--data", data, "--out", folder / "split.parquet"]))
    usual: dict[str, Any] = {"model": str(base), "prompt": PROMPT, "size": 512, "at_once": 1}
    rows = []
    for batch, again in ((1, False), (1, True), (4, True)):
        settings = {**usual, "batch": batch, "checkpointing": again}
        few, more = (train(folder, {**settings, "steps": steps}) for steps in (1, 3))
        rows.append([f"a step of {batch}, activations {'computed again' if again else 'kept'}", *unit(few, more)])
    few, more = (draw(folder, {**usual, "batch": 1, "steps": 1, "sampler_steps": calls}) for calls in (1, 3))
    rows.append(["a call for an image, guided (the network twice)", *unit(few, more)])
    updates = next((folder / "generator").glob("pytorch_lora_weights*")).stat().st_size / 1e6
    out.say(
        "U-Net, VAE and text encoder of Stable Diffusion 2's shapes with random weights, images of 512 px; the U-Net\n"
        f"has 865 million weights, its updates of rank 16 are a file of {updates:.0f} MB."
    )
    out.say("")
    out.table(["", "CPU s", "wall s", "peak memory, GB", "of the GPU, GB"], rows)


def train(folder: Path, settings: dict[str, Any]) -> Taken:
    """Train a generator."""
    at = ["--data", folder / "data", "--split", folder / "split.parquet", "--generator", "stable-diffusion"]
    return taken(folder, "train_gen", [*at, *words(settings), "--out", folder / "generator"])


def draw(folder: Path, settings: dict[str, Any]) -> Taken:
    """Draw an image."""
    train(folder, settings)
    shutil.rmtree(folder / "pool", ignore_errors=True)
    drawn = ["--generator", folder / "generator", "--region", "0", "--rows", 1, "--out", folder / "pool"]
    return taken(folder, "sample", drawn)


def taken(folder: Path, stage: str, arguments: list[object]) -> Taken:
    """Run a command, and measure it."""
    path = folder / "gpu.txt"
    spent, resident, _ = peaks(command(stage, arguments, MEMORY.format(path=str(path))))
    return Taken(spent, resident / 1024, int(path.read_text()) / 1e9)


def unit(few: Taken, more: Taken) -> list[str]:
    """Return what one of the two steps took that a run had more than another, and the run's memory."""
    cpu, wall = (more.spent.cpu - few.spent.cpu) / 2, (more.spent.wall - few.spent.wall) / 2
    return [f"{cpu:.1f}", f"{wall:.1f}", f"{more.memory:.1f}", f"{more.gpu:.1f}" if more.gpu else "–"]


def write_faces(folder: Path) -> Path:
    """Write a dataset of noise of 64 px with ages and places."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (FACES, 64, 64, 3)).astype(np.uint8)
    age, place = random.integers(1, 90, FACES), np.arange(FACES) % 2
    raw = pd.DataFrame({"image": array_columns.column("image", pixels), "age": age, "place": place})
    options = ColumnOptions(
        target="age", task="regression", columns={"place": {"type": "categorical", "role": "attribute"}}
    )
    rows, schema = prepare(raw, options, RegionRule(by="column", column="place", min_rows=2))
    write_dataset(folder, rows, schema, {})
    return folder


def write_pipeline(folder: Path) -> Path:
    """Write a pipeline of Stable Diffusion 2's shapes with random weights, in half precision, and a toy's tokenizer."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    folder.mkdir(parents=True)
    letters = [chr(c) for c in range(33, 127)]
    entries = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(entries)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
        hidden_act="gelu", projection_dim=512, bos_token_id=len(entries) - 2, eos_token_id=len(entries) - 1,
        pad_token_id=len(entries) - 1,
    )  # fmt: skip
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        unet = UNet2DConditionModel(
            sample_size=64, block_out_channels=(320, 640, 1280, 1280), attention_head_dim=(5, 10, 20, 20),
            cross_attention_dim=1024, use_linear_projection=True,
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, sample_size=512,
        )  # fmt: skip
        encoder = CLIPTextModel(text)
    finally:
        torch.set_default_dtype(usual)
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77),
        unet=unet,
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, steps_offset=1, prediction_type="v_prediction"
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder
