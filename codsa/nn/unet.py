"""The denoising network for images: diffusers' U-Net, told the noise level and a row's other columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn

from codsa.encoders.conditions import Conditions

FREQUENCIES = 16
GROUPS = 8


class NumberEmbedding(nn.Module):
    """A number of about unit scale, as waves of several lengths."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("bands", torch.exp(torch.linspace(math.log(0.5), math.log(16.0), FREQUENCIES)))
        self.linear = nn.Linear(2 * FREQUENCIES, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the embedding, tensor of shape (b, width), of numbers of shape (b,)."""
        angle = x[:, None] * self.bands[None, :]  # type: ignore[index]
        made: torch.Tensor = self.linear(torch.cat([torch.sin(angle), torch.cos(angle)], dim=1))
        return made


class ImageDenoiser(nn.Module):
    """A U-Net whose condition is the sum of the embeddings of the columns told.

    Parameters
    ----------
    channels : int
        Of the images.
    conditions : Conditions
    width : sequence of int
        Channels of the U-Net's levels, multiples of 8; each but the last halves the sides.
    layers : int
        Residual blocks of a level.
    patch : int
        So many pixels of a row and of a column become channels first: patch 2 costs a quarter.
    """

    def __init__(self, channels: int, conditions: Conditions, width: Sequence[int], layers: int, patch: int) -> None:
        super().__init__()
        self.patch, self.multiple = patch, patch * 2 ** (len(width) - 1)
        inner = channels * patch * patch
        self.unet: Any = UNet2DModel(
            in_channels=inner,
            out_channels=inner,
            layers_per_block=layers,
            block_out_channels=tuple(width),
            down_block_types=("DownBlock2D",) * len(width),
            up_block_types=("UpBlock2D",) * len(width),
            norm_num_groups=GROUPS,
            attention_head_dim=8,
            class_embed_type="identity",
            resnet_time_scale_shift="scale_shift",  # what is told must not be normalised away
        )
        size = 4 * width[0]
        self.told = nn.ModuleList(
            NumberEmbedding(size) if told.levels is None else nn.Embedding(len(told.levels), size)
            for told in conditions.columns
        )
        self.untold = nn.Parameter(torch.zeros(size))

    def forward(self, x: torch.Tensor, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the network's output F of Karras 2022, Eq. (7).

        Parameters
        ----------
        x : tensor of shape (b, channels, height, width)
            The noisy images, scaled to unit variance.
        noise : tensor of shape (b,) or (1,)
            ln(sigma)/4.
        condition : tensor of shape (b, 1 + columns)
            1 where the condition is told and 0 where it is not, then the columns as `Conditions` encodes them.
        """
        height, width = x.shape[2:]
        below, right = -height % self.multiple, -width % self.multiple
        padded = nn.functional.pad(x, (0, right, 0, below))
        inner = nn.functional.pixel_unshuffle(padded, self.patch)
        timestep = (noise + 2.0) * 250.0  # about 150 to 700, as diffusers' embedding expects its steps
        made = self.unet(inner, timestep.expand(len(x)), class_labels=self._embedded(condition)).sample
        whole = nn.functional.pixel_shuffle(made, self.patch)
        return whole[..., :height, :width]

    def _embedded(self, condition: torch.Tensor) -> torch.Tensor:
        told = condition[:, :1]
        total = self.untold[None] * (1 - told)
        for j, embed in enumerate(self.told):
            column = condition[:, j + 1]
            total = total + told * embed(column.long() if isinstance(embed, nn.Embedding) else column)
        return total


class Guided(nn.Module):
    """A denoiser under classifier-free guidance (Ho 2022): untold + scale · (told − untold)."""

    def __init__(self, model: nn.Module, scale: float) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, x: torch.Tensor, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the guided output."""
        untold = torch.cat([torch.zeros_like(condition[:, :1]), condition[:, 1:]], dim=1)
        both: torch.Tensor = self.model(torch.cat([x, x]), noise, torch.cat([condition, untold]))
        with_it, without = both.chunk(2)
        return without + self.scale * (with_it - without)


HEAD = ("told.", "condition_dropout", "unet.conv_out.", "unet.conv_norm_out.")
"""What tune 'head' trains: the embeddings of what is told, and the last layer."""
ATTENTION = ".attentions."
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2"]
"""The layers that get low-rank updates: attention's and the residual blocks' convolutions."""


def carried_over(model: ImageDenoiser, source: ImageDenoiser, mine: Conditions, theirs: Conditions) -> ImageDenoiser:
    """Give a denoiser the weights of a source set's; a level that the source lacks starts at the mean of its others.

    Parameters
    ----------
    mine, theirs : Conditions
        As `Conditions.adapt` makes them: their levels come first.
    """
    state = {k: v for k, v in source.state_dict().items() if not k.startswith("told.")}
    places = {told.name: j for j, told in enumerate(theirs.columns)}
    with torch.no_grad():
        for j, told in enumerate(mine.columns):
            here = model.told[j]
            if told.name not in places:  # as if it were not told
                for parameter in here.parameters():
                    parameter.zero_()
                state |= {f"told.{j}.{k}": v for k, v in here.state_dict().items()}
                continue
            known = source.told[places[told.name]].state_dict()
            if told.levels is not None:
                lacking = len(told.levels) - len(known["weight"])
                mean = known["weight"].mean(0, keepdim=True)
                known = {"weight": torch.cat([known["weight"], mean.repeat(lacking, 1)])}
            state |= {f"told.{j}.{k}": v for k, v in known.items()}
    model.load_state_dict(state)
    return model
