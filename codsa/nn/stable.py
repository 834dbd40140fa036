"""A Stable Diffusion pipeline of diffusers: its parts frozen, low-rank updates of its U-Net trained."""

from __future__ import annotations

import copy
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from codsa.errors import CodsaError
from codsa.io.hub import parted, warn_unless_pinned
from codsa.io.records import read_as
from codsa.io.tensors import load_tensors

log = logging.getLogger(__name__)

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
"""The layers of the U-Net's attention that get low-rank updates."""
UPDATES = "pytorch_lora_weights.safetensors"
"""diffusers' name for a file of low-rank updates."""


PARTS = {
    "feature_extractor": "transformers CLIP(ImageProcessor|FeatureExtractor)(Fast|Pil)?",
    "image_encoder": "transformers CLIPVisionModelWithProjection",
    "safety_checker": "stable_diffusion StableDiffusionSafetyChecker",
    "scheduler": r"diffusers \w+Scheduler",
    "text_encoder": "transformers CLIPTextModel",
    "tokenizer": "transformers CLIPTokenizer(Fast)?",
    "unet": "diffusers UNet2DConditionModel",
    "vae": "diffusers AutoencoderKL",
}
"""The library and the class (a pattern) of each part of a pipeline."""


@dataclass(frozen=True)
class Pipeline:
    """A loaded pipeline.

    Attributes
    ----------
    pipe : StableDiffusionPipeline
    name : str
        The folder or hub name that it was loaded from.
    digest : str
        Of the U-Net's, the VAE's and the text encoder's shapes and of some weights of each layer.
    """

    pipe: Any
    name: str
    digest: str

    @property
    def side(self) -> int:
        """The pixels of a side that the U-Net was trained for."""
        return int(self.pipe.unet.config.sample_size * self.scale)

    @property
    def scale(self) -> int:
        """Pixels of a side for each element of a latent's."""
        return int(self.pipe.vae_scale_factor)

    def check_side(self, size: int) -> None:
        """Raise a `CodsaError` unless images of this size go through VAE and U-Net."""
        step = self.scale * 2 ** (len(self.pipe.unet.config.block_out_channels) - 1)
        if size < step or size % step:
            raise CodsaError(f"stable-diffusion: size = {size}; for {self.name} give a multiple of {step}")


def load_pipeline(name: str) -> Pipeline:
    """Load a pipeline from a folder or from the hub (`owner/name` or `owner/name@revision`), in float32.

    Nothing but a StableDiffusionPipeline of its usual parts is loaded, and no code that comes with it.

    Raises
    ------
    CodsaError
        Where there is none, it is of another kind, or the hub cannot be reached.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    folder = Path(name)
    if folder.is_dir() and not (folder / "model_index.json").exists():
        what = "low-rank updates, not a pipeline; give their base" if (folder / UPDATES).exists() else "no pipeline"
        raise CodsaError(f"model {name}: the folder holds {what} (model_index.json is lacking)")
    try:
        folder = folder if folder.is_dir() else _fetched(name)
        check_index(folder, name)
        pipe: Any = StableDiffusionPipeline.from_pretrained(
            str(folder),
            safety_checker=None,
            requires_safety_checker=False,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (CodsaError, MemoryError):
        raise
    except Exception as error:  # each library below raises its own kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CodsaError(
            f"model {name}: cannot be loaded as a Stable Diffusion pipeline ({reason}); give a diffusers folder, "
            "or a hub name where there is a network"
        ) from None
    pipe.set_progress_bar_config(disable=True)
    for part in (pipe.unet, pipe.vae, pipe.text_encoder):
        part.float().requires_grad_(False).eval()
    return Pipeline(pipe, name, _digest(pipe))


def _fetched(name: str) -> Path:
    """Return the folder of a pipeline of the hub, fetched without code and without pickles."""
    from diffusers import StableDiffusionPipeline

    repository, revision = parted(name)
    folder = StableDiffusionPipeline.download(
        repository, revision=revision, use_safetensors=True, trust_remote_code=False
    )
    warn_unless_pinned(name, Path(folder))
    return Path(folder)


def check_index(folder: Path, name: str) -> None:
    """Raise a `CodsaError` unless a pipeline is a StableDiffusionPipeline of the parts that such a one has."""
    index = read_as(folder / "model_index.json", dict[str, Any])
    kind = index.get("_class_name")
    if kind != "StableDiffusionPipeline":
        raise CodsaError(f"model {name}: a {kind}, not a StableDiffusionPipeline")
    for part, origin in index.items():
        if not isinstance(origin, list) or origin == [None, None]:
            continue
        library, _, known = PARTS.get(part, "").partition(" ")
        if len(origin) != 2 or origin[0] != library or not re.fullmatch(known, str(origin[1])):
            raise CodsaError(f"model {name}: its part '{part}' is {origin}, which no StableDiffusionPipeline has")


def _digest(pipe: Any) -> str:
    """Return a digest of the shape and the first elements of every weight, and of the kind of prediction."""
    made = hashlib.sha256(str(pipe.scheduler.config.prediction_type).encode())
    for part in (pipe.unet, pipe.vae, pipe.text_encoder):
        for key, tensor in sorted(part.state_dict().items()):
            made.update(f"{key} {tuple(tensor.shape)}".encode() + tensor.flatten()[:16].contiguous().numpy().tobytes())
    return made.hexdigest()


class Adapted(nn.Module):
    """A U-Net under low-rank updates, which alone are trained, averaged, kept and copied.

    Parameters
    ----------
    unet : UNet2DConditionModel
    rank : int
    generator : torch.Generator
        Draws the first factor of the updates; the second starts at 0.
    """

    unet: Any

    def __init__(self, unet: nn.Module, rank: int, generator: torch.Generator) -> None:
        from peft import LoraConfig

        super().__init__()
        self.unet = unet
        self.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS))
        for name, parameter in self.unet.named_parameters():
            parameter.requires_grad_("lora_" in name)
            if "lora_A" in name:  # peft draws it from the global stream
                with torch.no_grad():
                    parameter.normal_(std=1.0 / rank, generator=generator)
        self.register_state_dict_post_hook(_only_updates)
        self.register_load_state_dict_post_hook(_rest_is_known)

    def __deepcopy__(self, memo: dict[int, Any]) -> Adapted:
        """Copy the updates, and share what is frozen: an average costs no second U-Net."""
        memo |= {id(p): p for p in self.parameters() if not p.requires_grad}
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made.__dict__ = copy.deepcopy(self.__dict__, memo)
        return made

    def forward(self, noisy: torch.Tensor, timestep: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Return the U-Net's output.

        Parameters
        ----------
        noisy : tensor of shape (b, latent channels, height, width)
        timestep : tensor of int64, shape (b,)
            Steps of the noise schedule.
        told : tensor of shape (b, tokens, d)
            The encoded prompts.
        """
        made: torch.Tensor = self.unet(noisy, timestep, encoder_hidden_states=told).sample
        return made


def _only_updates(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for key in [k for k in state if k.startswith(prefix) and "lora_" not in k]:
        del state[key]


def _rest_is_known(module: nn.Module, keys: Any) -> None:
    keys.missing_keys[:] = [k for k in keys.missing_keys if "lora_" in k]


def save_updates(net: Adapted, folder: Path) -> None:
    """Write the low-rank updates as diffusers reads them (`pipe.load_lora_weights(folder)`)."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
    from peft import get_peft_model_state_dict

    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(net.unet))
    plain = {k: v.detach().float().cpu().contiguous() for k, v in state.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=plain)


def load_updates(net: Adapted, folder: Path) -> None:
    """Read what `save_updates` wrote.

    Raises
    ------
    CodsaError
        Where they do not fit the U-Net.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
    from peft import set_peft_model_state_dict

    state = load_tensors(folder / UPDATES, "torch")
    inner = {k.removeprefix(f"{StableDiffusionPipeline.unet_name}."): v for k, v in state.items()}
    try:
        found: Any = set_peft_model_state_dict(net.unet, convert_unet_state_dict_to_peft(inner))
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise CodsaError(
            f"{folder}: its updates do not fit this model ({str(error).splitlines()[-1].strip()})"
        ) from None
    if found.unexpected_keys:
        raise CodsaError(f"{folder}: its updates do not fit this model (it has no layer {found.unexpected_keys[0]})")


@torch.no_grad()
def encoded(pipeline: Pipeline, prompts: Sequence[str], device: torch.device) -> torch.Tensor:
    """Return prompts as the U-Net is told them, tensor of shape (n, tokens, d)."""
    pipe = pipeline.pipe
    length = pipe.tokenizer.model_max_length
    tokens = pipe.tokenizer(
        list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    made: torch.Tensor = pipe.text_encoder(tokens.to(device))[0]
    return made


@torch.no_grad()
def latents_of(pipeline: Pipeline, pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return images as latents of about unit scale, on the CPU.

    Parameters
    ----------
    pixels : tensor of shape (b, 3, height, width)
        In [−1, 1].
    """
    vae = pipeline.pipe.vae
    made: torch.Tensor = vae.encode(pixels.to(device)).latent_dist.mode() * vae.config.scaling_factor
    return made.cpu()


def noise_loss(
    net: nn.Module, scheduler: Any, x: torch.Tensor, timestep: torch.Tensor, epsilon: torch.Tensor, told: torch.Tensor
) -> torch.Tensor:
    """Return the mean squared error of the predicted noise (Ho 2020), or velocity (Salimans 2022) where the model's is.

    Parameters
    ----------
    scheduler : DDPMScheduler
        The pipeline's own noise schedule.
    x, epsilon : tensor of shape (b, latent channels, height, width)
    timestep : tensor of int64, shape (b,)
    told : tensor of shape (b, tokens, d)
    """
    noisy = scheduler.add_noise(x, epsilon, timestep)
    velocity = scheduler.config.prediction_type == "v_prediction"
    wanted = scheduler.get_velocity(x, epsilon, timestep) if velocity else epsilon
    return nn.functional.mse_loss(net(noisy, timestep, told).float(), wanted)
