"""A Stable Diffusion pipeline of diffusers: its parts are frozen, low-rank updates (LoRA) of its U-Net are trained."""

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
        SHA-256 of the shape and some elements of each weight of U-Net, VAE and text encoder.
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
        multiple = self.scale * 2 ** (len(self.pipe.unet.config.block_out_channels) - 1)
        if size < multiple or size % multiple:
            raise CodsaError(f"stable-diffusion: size = {size}; for {self.name} give a multiple of {multiple}")


def load_pipeline(name: str) -> Pipeline:
    """Load a pipeline from a folder or from the hub (`owner/name` or `owner/name@revision`), in float32.

    Only a StableDiffusionPipeline of its usual parts is loaded, and no code that comes with it is run.

    Raises
    ------
    CodsaError
        Where there is no pipeline, it is of another class, or the hub cannot be reached.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    folder = Path(name)
    if folder.is_dir() and not (folder / "model_index.json").exists():
        contents = "low-rank updates, not a pipeline; give their base" if (folder / UPDATES).exists() else "no pipeline"
        raise CodsaError(f"model {name}: the folder holds {contents} (model_index.json is lacking)")
    try:
        folder = folder if folder.is_dir() else _download(name)
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


def _download(name: str) -> Path:
    """Return the folder of a pipeline of the hub, downloaded without code and without pickles."""
    from diffusers import StableDiffusionPipeline

    repository, revision = parted(name)
    folder = StableDiffusionPipeline.download(
        repository, revision=revision, use_safetensors=True, trust_remote_code=False
    )
    warn_unless_pinned(name, Path(folder))
    return Path(folder)


def check_index(folder: Path, name: str) -> None:
    """Raise a `CodsaError` unless a pipeline is a StableDiffusionPipeline whose parts are all in `PARTS`."""
    index = read_as(folder / "model_index.json", dict[str, Any])
    class_name = index.get("_class_name")
    if class_name != "StableDiffusionPipeline":
        raise CodsaError(f"model {name}: a {class_name}, not a StableDiffusionPipeline")
    for part, origin in index.items():
        if not isinstance(origin, list) or origin == [None, None]:
            continue
        library, _, class_pattern = PARTS.get(part, "").partition(" ")
        if len(origin) != 2 or origin[0] != library or not re.fullmatch(class_pattern, str(origin[1])):
            raise CodsaError(f"model {name}: its part '{part}' is {origin}, which no StableDiffusionPipeline has")


def _digest(pipe: Any) -> str:
    """Return the SHA-256 of every weight's shape and first 16 elements, and of the prediction type."""
    sha = hashlib.sha256(str(pipe.scheduler.config.prediction_type).encode())
    for part in (pipe.unet, pipe.vae, pipe.text_encoder):
        for key, tensor in sorted(part.state_dict().items()):
            elements = tensor.flatten()[:16].contiguous().numpy()
            sha.update(f"{key} {tuple(tensor.shape)}".encode() + elements.tobytes())
    return sha.hexdigest()


class LoraUNet(nn.Module):
    """A frozen U-Net with low-rank updates (Hu 2021); only the updates are trained, averaged, saved and copied.

    Parameters
    ----------
    unet : UNet2DConditionModel
    rank : int
        Of the updates.
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
        self.register_state_dict_post_hook(_drop_frozen_weights)
        self.register_load_state_dict_post_hook(_ignore_missing_frozen_weights)

    def __deepcopy__(self, memo: dict[int, Any]) -> LoraUNet:
        """Copy the updates and share the frozen weights: the average of the weights needs no second U-Net."""
        memo |= {id(weight): weight for weight in self.parameters() if not weight.requires_grad}
        duplicate = type(self).__new__(type(self))
        memo[id(self)] = duplicate
        duplicate.__dict__ = copy.deepcopy(self.__dict__, memo)
        return duplicate

    def forward(
        self, noisy_latents: torch.Tensor, timesteps: torch.Tensor, encoder_hidden_states: torch.Tensor
    ) -> torch.Tensor:
        """Return the U-Net's output, tensor of the shape of `noisy_latents`.

        Parameters
        ----------
        noisy_latents : tensor of shape (b, latent channels, height, width)
        timesteps : tensor of int64, shape (b,)
            Steps of the noise schedule.
        encoder_hidden_states : tensor of shape (b, tokens, d)
            The encoded prompts.
        """
        output: torch.Tensor = self.unet(noisy_latents, timesteps, encoder_hidden_states=encoder_hidden_states).sample
        return output


def _drop_frozen_weights(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for key in [key for key in state if key.startswith(prefix) and "lora_" not in key]:
        del state[key]


def _ignore_missing_frozen_weights(module: nn.Module, keys: Any) -> None:
    keys.missing_keys[:] = [key for key in keys.missing_keys if "lora_" in key]


def save_updates(net: LoraUNet, folder: Path) -> None:
    """Write the low-rank updates as diffusers reads them (`pipe.load_lora_weights(folder)`)."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
    from peft import get_peft_model_state_dict

    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(net.unet))
    weights = {name: weight.detach().float().cpu().contiguous() for name, weight in state.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)


def load_updates(net: LoraUNet, folder: Path) -> None:
    """Read what `save_updates` wrote.

    Raises
    ------
    CodsaError
        Where the updates do not fit the U-Net.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
    from peft import set_peft_model_state_dict

    state = load_tensors(folder / UPDATES, "torch")
    prefix = f"{StableDiffusionPipeline.unet_name}."
    updates = {name.removeprefix(prefix): weight for name, weight in state.items()}
    try:
        loaded: Any = set_peft_model_state_dict(net.unet, convert_unet_state_dict_to_peft(updates))
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise CodsaError(
            f"{folder}: its updates do not fit this model ({str(error).splitlines()[-1].strip()})"
        ) from None
    if loaded.unexpected_keys:
        raise CodsaError(f"{folder}: its updates do not fit this model (it has no layer {loaded.unexpected_keys[0]})")


@torch.no_grad()
def encode_prompts(pipeline: Pipeline, prompts: Sequence[str], device: torch.device) -> torch.Tensor:
    """Return the text encoder's hidden states of prompts, tensor of shape (n, tokens, d)."""
    pipe = pipeline.pipe
    length = pipe.tokenizer.model_max_length
    tokens = pipe.tokenizer(
        list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    encoder_hidden_states: torch.Tensor = pipe.text_encoder(tokens.to(device))[0]
    return encoder_hidden_states


@torch.no_grad()
def latents_of(pipeline: Pipeline, pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the VAE's latents of images, of about unit scale, tensor of shape (b, channels, ...) on the CPU.

    Parameters
    ----------
    pixels : tensor of shape (b, 3, height, width)
        In [−1, 1].
    """
    vae = pipeline.pipe.vae
    latents: torch.Tensor = vae.encode(pixels.to(device)).latent_dist.mode() * vae.config.scaling_factor
    return latents.cpu()


def noise_loss(
    net: nn.Module,
    noise_scheduler: Any,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    noise: torch.Tensor,
    encoder_hidden_states: torch.Tensor,
) -> torch.Tensor:
    """Return the mean squared error of the predicted noise (Ho 2020), or of the velocity (Salimans 2022).

    Parameters
    ----------
    net : Module
        A `LoraUNet`.
    noise_scheduler : DDPMScheduler
        The pipeline's own noise schedule; its `prediction_type` says what the network predicts.
    latents, noise : tensor of shape (b, latent channels, height, width)
    timesteps : tensor of int64, shape (b,)
    encoder_hidden_states : tensor of shape (b, tokens, d)

    Returns
    -------
    tensor of shape ()
    """
    noisy_latents = noise_scheduler.add_noise(latents, noise, timesteps)
    predicts_velocity = noise_scheduler.config.prediction_type == "v_prediction"
    target = noise_scheduler.get_velocity(latents, noise, timesteps) if predicts_velocity else noise
    return nn.functional.mse_loss(net(noisy_latents, timesteps, encoder_hidden_states).float(), target)
