"""vec2text's models (Morris 2023, "Text Embeddings Reveal (Almost) As Much As Text"), loaded with nothing lacking.

The networks have the names and shapes of the package vec2text, so its checkpoints load here. Its own loader leaves
weights out with current versions of transformers, silently or with an error of its inner workings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from codsa.encoders.sentences import SentenceEncoder, model_digest, model_folder
from codsa.encoders.similarity import paired_cosine_similarity
from codsa.errors import CodsaError
from codsa.io.digests import digest
from codsa.io.progress import Progress
from codsa.io.records import read_as
from codsa.io.tensors import load_tensors, readable
from codsa.settings.arguments import admits
from codsa.settings.types import Depth

BATCH = 128
LONGEST = 128
"""Tokens of a decoded text at most, as in vec2text."""
NEEDED = "config.json, model.safetensors"
TIED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")


def transform(dimension: int, inner: int, outer: int) -> nn.Sequential:
    """Return the network that makes tokens of an embedding; the dropout only keeps vec2text's numbering."""
    return nn.Sequential(nn.Linear(dimension, inner), nn.Dropout(0.0), nn.GELU(), nn.Linear(inner, outer))


class Inverter(nn.Module):
    """The inversion model: a first text from an embedding.

    Parameters
    ----------
    t5 : T5ForConditionalGeneration
    dimension, inner, repeat : int
        Of the embedding; hidden units; tokens that it becomes.
    """

    def __init__(self, t5: Any, dimension: int, inner: int, repeat: int) -> None:
        super().__init__()
        self.encoder_decoder, self.repeat = t5, repeat
        self.embedding_transform = transform(dimension, inner, repeat * t5.config.d_model)

    def model_inputs(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the encoder of T5 reads, tensor of shape (b, repeat, width), and its mask."""
        x = self.embedding_transform(vectors).reshape(len(vectors), self.repeat, -1)
        return x, torch.ones(x.shape[:2], dtype=torch.long, device=x.device)

    def forward(self, vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of the texts' tokens, scalar tensor; labels of -100 do not count."""
        x, mask = self.model_inputs(vectors)
        return self.encoder_decoder(inputs_embeds=x, attention_mask=mask, labels=labels).loss


class Corrector(nn.Module):
    """The correction model: a better text from an embedding, a text and that text's embedding."""

    def __init__(self, t5: Any, dimension: int, inner: int, repeat: int) -> None:
        super().__init__()
        self.encoder_decoder, self.repeat = t5, repeat
        width = t5.config.d_model
        for place in (1, 2, 3):
            self.add_module(f"embedding_transform_{place}", transform(dimension, inner, repeat * width))
        self.layernorm = nn.LayerNorm(width)

    def model_inputs(
        self, vectors: torch.Tensor, reached: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the encoder of T5 reads: the embedding, that of the text, their difference, and the text.

        Parameters
        ----------
        vectors, reached : tensor of shape (b, d)
            Wanted, and the text's.
        tokens, mask : int64 tensor of shape (b, t)
        """
        embed = self.encoder_decoder.get_input_embeddings()
        separator = embed(torch.full((len(tokens), 1), self.encoder_decoder.config.eos_token_id, device=tokens.device))
        parts = []
        for place, x in ((1, vectors), (3, reached), (2, vectors - reached)):
            projected = getattr(self, f"embedding_transform_{place}")(x)
            parts += [separator, projected.reshape(len(x), self.repeat, -1)]
        inputs = self.layernorm(torch.cat([*parts, separator, embed(tokens)], dim=1))
        front = torch.ones((len(tokens), 4 + 3 * self.repeat), dtype=mask.dtype, device=mask.device)
        return inputs, torch.cat([front, mask], dim=1)

    def forward(
        self,
        vectors: torch.Tensor,
        reached: torch.Tensor,
        tokens: torch.Tensor,
        mask: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """Return the cross-entropy of the true texts' tokens, scalar tensor."""
        x, attention_mask = self.model_inputs(vectors, reached, tokens, mask)
        return self.encoder_decoder(inputs_embeds=x, attention_mask=attention_mask, labels=labels).loss


@dataclass(frozen=True)
class Models:
    """An inverter with its tokenizer, and a corrector where corrections are asked for.

    Attributes
    ----------
    inverter : Inverter
    corrector : Corrector, optional
    words : tokenizer
    dimension : int
        Of the embeddings that are inverted.
    encoder : str, optional
        The digest of the encoder that they were trained for, where that is known.
    digest : str
    """

    inverter: Inverter
    corrector: Corrector | None
    words: Any
    dimension: int
    encoder: str | None
    digest: str

    @property
    def device(self) -> torch.device:
        """Where the models compute."""
        return next(self.inverter.parameters()).device


def load_inverter(place: str, corrector: str | None, correcting: bool) -> Models:
    """Load an inverter, and a corrector where corrections are asked for.

    Parameters
    ----------
    place : str
        A folder written by `codsa train-inverter`, or the folder or hub name of vec2text's inversion model.
    corrector : str, optional
        The folder or hub name of the correction model; a folder of `codsa train-inverter` holds its own.
    correcting : bool

    Raises
    ------
    CodsaError
        For a checkpoint that lacks or mis-shapes a weight, or holds foreign ones.
    """
    with readable(Path(place)):
        return _loaded(place, corrector, correcting)


def _loaded(place: str, corrector: str | None, correcting: bool) -> Models:
    from transformers import AutoTokenizer

    root = model_folder(place, NEEDED)
    own = (root / "inversion").is_dir()
    folder = root / "inversion" if own else root
    record = _config(folder)
    if not own and correcting and corrector is None:
        raise CodsaError(f"{place}: corrections need the correction model; give its folder or hub name as corrector")
    corrector_folder = model_folder(corrector, NEEDED) if corrector else root / "corrector"
    if correcting and not corrector_folder.is_dir():
        raise CodsaError(f"{place}: has no corrector; train it with corrector_steps above 0, or set correct_steps to 0")
    inverter_model = _load(Inverter, folder, record)
    corrector_model = _load(Corrector, corrector_folder, _config(corrector_folder)) if correcting else None
    base = folder / "tokenizer" if own else model_folder(str(record["model_name_or_path"]), "its tokenizer")
    parts = [folder, corrector_folder] if correcting else [folder]
    dimension = inverter_model.embedding_transform[0].in_features
    if corrector_model is not None and corrector_model.embedding_transform_1[0].in_features != dimension:  # type: ignore[index,union-attr]
        raise CodsaError(
            f"{corrector_folder}: corrects embeddings of another dimension than {place} inverts; they do not belong"
        )
    try:
        words = AutoTokenizer.from_pretrained(str(base), trust_remote_code=False)
    except Exception as error:  # the libraries below raise their own kinds
        raise CodsaError(f"{base}: its tokenizer cannot be read ({type(error).__name__}); fetch it again") from None
    return Models(
        inverter_model,
        corrector_model,
        words,
        dimension=dimension,
        encoder=record.get("encoder_digest"),
        digest=digest([model_digest(p) for p in parts]),
    )


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise CodsaError(f"{folder}: no config.json; it is not a model of vec2text or codsa train-inverter")
    record = read_as(folder / "config.json", dict[str, Any])
    if not admits(Depth, record.get("num_repeat_tokens")):
        raise CodsaError(f"{folder}: its config.json is of another kind of model (no num_repeat_tokens)")
    if "t5" not in record and "model_name_or_path" not in record:
        raise CodsaError(f"{folder}: its config.json names no T5 (model_name_or_path); it is cut off: fetch it again")
    return record


def _load(kind: type[Any], folder: Path, record: dict[str, Any]) -> Any:
    """Build a network of a checkpoint's sizes and fill it, or refuse the checkpoint."""
    weights = {k: v for k, v in _weights(folder).items() if not k.startswith("embedder.")}
    first = "embedding_transform" if kind is Inverter else "embedding_transform_1"
    if f"{first}.0.weight" not in weights:
        raise CodsaError(f"{folder}: holds no '{first}'; it is not vec2text's {kind.__name__.lower()}")
    inner, dimension = weights[f"{first}.0.weight"].shape
    with torch.device("meta"):  # sizes are compared before any memory is taken
        check_weights(kind(plain_t5(record), dimension, inner, record["num_repeat_tokens"]), weights, folder)
    model = kind(plain_t5(record), dimension, inner, record["num_repeat_tokens"])
    model.load_state_dict(weights, strict=False)
    model.eval().requires_grad_(False)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def plain_t5(record: dict[str, Any]) -> Any:
    """Return an unfilled T5 of the sizes that a configuration gives, or names.

    `no_repeat` in the configuration is the length of runs of tokens that it writes once at most; vec2text's have none.
    """
    from transformers import AutoConfig, T5Config, T5ForConditionalGeneration

    if "t5" in record:
        config = T5Config(**record["t5"])
    else:
        base = model_folder(str(record["model_name_or_path"]), "config.json")
        config = AutoConfig.from_pretrained(str(base), trust_remote_code=False)
    model = T5ForConditionalGeneration(config)
    if model.generation_config.length_penalty is None:
        model.generation_config.length_penalty = 1.0
    model.generation_config.no_repeat_ngram_size = int(record.get("no_repeat", 0))
    return model


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    if (folder / "model.safetensors").is_file():
        return load_tensors(folder / "model.safetensors", "torch")
    try:
        if (folder / "pytorch_model.bin").is_file():
            weights: dict[str, torch.Tensor] = torch.load(folder / "pytorch_model.bin", "cpu", weights_only=True)
            return weights
    except Exception as error:  # safetensors and pickle raise their own kinds for a broken file
        reason = (str(error).splitlines() or ["broken"])[0]
        raise CodsaError(f"{folder}: its weights cannot be read ({reason}); fetch them again") from None
    raise CodsaError(f"{folder}: no model.safetensors (nor pytorch_model.bin); fetch it")


def check_weights(model: nn.Module, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Raise a `CodsaError` unless a checkpoint has every weight of a model, in its shape, and no other."""
    expected = model.state_dict()
    tied = model.encoder_decoder.config.tie_word_embeddings  # type: ignore[union-attr]
    optional = tuple(name for name in TIED if tied or name != "lm_head.weight")
    lacking = [k for k in expected if k not in weights and not k.endswith(optional)]
    foreign = [k for k in weights if k not in expected]
    misshapen = [k for k in weights if k in expected and weights[k].shape != expected[k].shape]
    broken = [k for k in weights if weights[k].is_floating_point() and not torch.isfinite(weights[k]).all()]
    faults = {"lacks": lacking, "holds the foreign": foreign, "mis-shapes": misshapen, "breaks": broken}
    for what, names in faults.items():
        if names:
            raise CodsaError(
                f"{folder}: the checkpoint {what} {len(names)} weights, '{names[0]}' first; it is cut off, or of "
                "another model: fetch it again"
            )


@torch.inference_mode()
def invert(
    models: Models, vectors: np.ndarray, round_trip_encoder: SentenceEncoder | None, steps: int = 0, beam: int = 1
) -> list[str]:
    """Return the texts whose embeddings come near to given ones.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, d)
    round_trip_encoder : SentenceEncoder, optional
        Needed for corrections: of all texts seen the one with the nearest embedding is returned.
    steps, beam : int
        Rounds of correction, and texts that are kept in each.
    """
    texts: list[str] = []
    with Progress(len(vectors), "texts decoded") as progress:
        for first in range(0, len(vectors), BATCH):
            wanted = torch.from_numpy(np.ascontiguousarray(vectors[first : first + BATCH])).to(models.device)
            texts += _one_batch(models, wanted, round_trip_encoder, steps=steps, beam=beam)
            progress.update(len(wanted))
    return texts


def _one_batch(
    models: Models, wanted: torch.Tensor, round_trip_encoder: SentenceEncoder | None, steps: int, beam: int
) -> list[str]:
    texts = [[text] for text in _written(models, *models.inverter.model_inputs(wanted), 1)]
    if not steps:
        return [text[0] for text in texts]
    assert round_trip_encoder is not None and models.corrector is not None
    best = _best(texts, wanted, round_trip_encoder, beam)
    for _ in range(steps):
        flat = [(row, text, reached) for row, hypotheses in enumerate(best) for text, reached in hypotheses]
        rows = torch.tensor([row for row, _, _ in flat], device=wanted.device)
        tokens = models.words(
            [text for _, text, _ in flat], return_tensors="pt", padding=True, truncation=True, max_length=LONGEST
        ).to(wanted.device)
        reached = torch.from_numpy(np.stack([r for _, _, r in flat])).to(wanted.device)
        inputs = models.corrector.model_inputs(wanted[rows], reached, tokens["input_ids"], tokens["attention_mask"])
        corrected = _written(models, *inputs, beam, models.corrector)
        texts = [[text for text, _ in hypotheses] for hypotheses in best]
        for place, text in enumerate(corrected):
            texts[int(rows[place // beam])].append(text)
        best = _best(texts, wanted, round_trip_encoder, beam)
    return [hypotheses[0][0] for hypotheses in best]


def _written(
    models: Models, x: torch.Tensor, mask: torch.Tensor, beam: int, model: Inverter | Corrector | None = None
) -> list[str]:
    """Return what T5 writes, `beam` texts for each row."""
    t5 = (model or models.inverter).encoder_decoder
    tokens = t5.generate(
        inputs_embeds=x,
        attention_mask=mask,
        do_sample=False,
        num_beams=beam,
        num_return_sequences=beam,
        min_length=1,
        max_length=LONGEST,
    )
    return [text.strip() for text in models.words.batch_decode(tokens, skip_special_tokens=True)]


def _best(
    texts: Sequence[Sequence[str]], wanted: torch.Tensor, round_trip_encoder: SentenceEncoder, beam: int
) -> list[list[tuple[str, np.ndarray]]]:
    """Return for each row its `beam` best distinct texts, with their embeddings, by cosine; the first of equals."""
    distinct = [list(dict.fromkeys(hypotheses)) for hypotheses in texts]
    vectors = round_trip_encoder.encode([text for hypotheses in distinct for text in hypotheses])
    target = wanted.float().cpu().numpy()
    best, first = [], 0
    for row, hypotheses in enumerate(distinct):
        own = vectors[first : first + len(hypotheses)]
        first += len(hypotheses)
        order = np.argsort(-paired_cosine_similarity(own, target[row : row + 1]), kind="stable")[:beam]
        best.append([(hypotheses[i], own[i]) for i in order])
    return best


def write_model(folder: Path, model: nn.Module, record: dict[str, Any]) -> None:
    """Write a network so that `load_inverter` reads it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    state = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    save_file({k: v for k, v in state.items() if not k.endswith(TIED)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
