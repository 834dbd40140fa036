"""The denoising network for images: diffusers' U-Net, conditioned on the noise level and a row's other columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import nn

from codsa.encoders.conditions import Conditions

FREQUENCIES = 16
"""Pairs of sine and cosine that embed a number."""
GROUPS = 8
"""Groups of each group normalisation."""


class NumberEmbedding(nn.Module):
    """The embedding of a number of about unit scale: Fourier features of several frequencies, and a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("bands", torch.exp(torch.linspace(math.log(0.5), math.log(16.0), FREQUENCIES)))
        self.linear = nn.Linear(2 * FREQUENCIES, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the embedding, tensor of shape (b, width), of numbers of shape (b,)."""
        angle = x[:, None] * self.bands[None, :]  # type: ignore[index]
        embedding: torch.Tensor = self.linear(torch.cat([torch.sin(angle), torch.cos(angle)], dim=1))
        return embedding


class ImageDenoiser(nn.Module):
    """A U-Net whose condition is the sum of the embeddings of the condition columns.

    Parameters
    ----------
    channels : int
        Channels of the images.
    conditions : Conditions
        The condition columns: one embedding each.
    width : sequence of int
        Channels of the U-Net's levels, multiples of 8; each but the last halves the sides.
    layers : int
        Residual blocks of a level.
    patch : int
        Side in pixels of the squares that become channels before the U-Net: patch 2 costs a quarter.

    Attributes
    ----------
    condition_embeddings : ModuleList
        The embedding of each condition column, in order.
    null_condition : Parameter of shape (4 * width[0],)
        Takes the place of the sum of embeddings where the condition is dropped.
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
            resnet_time_scale_shift="scale_shift",  # normalisation must not remove the condition
        )
        embedding_width = 4 * width[0]
        self.condition_embeddings = nn.ModuleList(
            NumberEmbedding(embedding_width)
            if column.levels is None
            else nn.Embedding(len(column.levels), embedding_width)
            for column in conditions.columns
        )
        self.null_condition = nn.Parameter(torch.zeros(embedding_width))

    def forward(self, x: torch.Tensor, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the network's output F of Karras 2022, Eq. (7).

        Parameters
        ----------
        x : tensor of shape (b, channels, height, width)
            The noisy images, scaled to unit variance.
        noise : tensor of shape (b,) or (1,)
            ln(sigma)/4.
        condition : tensor of shape (b, 1 + columns)
            The condition mask (1 where the condition is given, 0 where it is dropped), then the columns as `Conditions`
            encodes them.
        """
        height, width = x.shape[2:]
        bottom, right = -height % self.multiple, -width % self.multiple
        padded = nn.functional.pad(x, (0, right, 0, bottom))
        patches = nn.functional.pixel_unshuffle(padded, self.patch)
        timestep = (noise + 2.0) * 250.0  # about 150 to 700, as diffusers' embedding expects its steps
        output = self.unet(patches, timestep.expand(len(x)), class_labels=self._embed(condition)).sample
        image = nn.functional.pixel_shuffle(output, self.patch)
        return image[..., :height, :width]

    def _embed(self, condition: torch.Tensor) -> torch.Tensor:
        """Return the sum of the columns' embeddings, or the null condition, tensor of shape (b, 4 * width[0])."""
        condition_mask = condition[:, :1]
        total = self.null_condition[None] * (1 - condition_mask)
        for j, embedding in enumerate(self.condition_embeddings):
            column = condition[:, j + 1]
            codes = column.long() if isinstance(embedding, nn.Embedding) else column
            total = total + condition_mask * embedding(codes)
        return total


class Guided(nn.Module):
    """A denoiser under classifier-free guidance (Ho 2022).

    Its output is unconditional + scale · (conditional − unconditional).

    Parameters
    ----------
    model : Module
        An `ImageDenoiser` trained with condition dropout.
    scale : float
        Guidance scale; 1 is none.
    """

    def __init__(self, model: nn.Module, scale: float) -> None:
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, x: torch.Tensor, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the guided output, tensor of the shape of x (see `ImageDenoiser.forward`)."""
        dropped = torch.cat([torch.zeros_like(condition[:, :1]), condition[:, 1:]], dim=1)
        outputs: torch.Tensor = self.model(torch.cat([x, x]), noise, torch.cat([condition, dropped]))
        conditional, unconditional = outputs.chunk(2)
        return unconditional + self.scale * (conditional - unconditional)


HEAD = ("condition_embeddings.", "null_condition", "unet.conv_out.", "unet.conv_norm_out.")
"""How the names of the weights begin that tune 'head' trains: condition embeddings and the last layer."""
ATTENTION = ".attentions."
"""What the names of the attention layers' weights contain."""
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2"]
"""The layers that get low-rank updates: projections of attention, convolutions of the residual blocks."""


def transfer_weights(
    model: ImageDenoiser, source: ImageDenoiser, conditions: Conditions, source_conditions: Conditions
) -> ImageDenoiser:
    """Copy the weights of a denoiser that was trained on a source set.

    The embedding of a level that the source lacks starts at the mean of the column's other levels; that of a column
    which the source lacks starts at 0.

    Parameters
    ----------
    model : ImageDenoiser
        Receives the weights; changed in place and returned.
    source : ImageDenoiser
    conditions, source_conditions : Conditions
        Of `model` and of `source`, as `Conditions.adapt` makes them: the source's levels come first.
    """
    prefix = "condition_embeddings"
    state = {name: weight for name, weight in source.state_dict().items() if not name.startswith(f"{prefix}.")}
    source_index = {column.name: j for j, column in enumerate(source_conditions.columns)}
    with torch.no_grad():
        for j, column in enumerate(conditions.columns):
            embedding = model.condition_embeddings[j]
            if column.name not in source_index:
                for parameter in embedding.parameters():
                    parameter.zero_()
                state |= {f"{prefix}.{j}.{name}": weight for name, weight in embedding.state_dict().items()}
                continue
            weights = source.condition_embeddings[source_index[column.name]].state_dict()
            if column.levels is not None:
                new_levels = len(column.levels) - len(weights["weight"])
                mean = weights["weight"].mean(0, keepdim=True)
                weights = {"weight": torch.cat([weights["weight"], mean.repeat(new_levels, 1)])}
            state |= {f"{prefix}.{j}.{name}": weight for name, weight in weights.items()}
    model.load_state_dict(state)
    return model
