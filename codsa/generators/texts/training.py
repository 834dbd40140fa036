"""A small inverter and corrector for any encoder, trained on the user's own texts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codsa.encoders.sentences import SentenceEncoder
from codsa.encoders.similarity import paired_cosine_similarity
from codsa.errors import CodsaError
from codsa.generators.texts.inversion import Corrector, Inverter, Models, invert, load_inverter, plain_t5, write_model
from codsa.io.records import write_json
from codsa.io.seeds import child, integer, rng
from codsa.nn.trainer import Trainer, TrainingRecipe
from codsa.settings.types import Batch, Count, Depth, NonNegative, PositiveInt, Precision, Rate, Share, Width

log = logging.getLogger(__name__)

MEASURED = 200
"""So many held-out texts are decoded to measure an inverter."""
IGNORED = -100
"""A label that does not count."""


def train_inverter(
    texts: Sequence[str],
    encoder: SentenceEncoder,
    vectors: np.ndarray,
    folder: Path,
    stream: np.random.SeedSequence,
    checkpoint_dir: Path | None = None,
    *,
    width: Width = 256,
    layers: Depth = 3,
    heads: Depth = 4,
    repeat: Depth = 8,
    vocabulary: PositiveInt = 4000,
    tokens: Width = 96,
    steps: PositiveInt = 4000,
    corrector_steps: Count = 2000,
    corrector_texts: PositiveInt = 4000,
    batch: Batch = 64,
    learning_rate: Rate = 2e-3,
    noise: NonNegative = 0.01,
    no_repeat: Count = 3,
    holdout: Share = 0.05,
    precision: Precision = "auto",
) -> dict[str, float]:
    """Train an inversion model and, on its outputs, a correction model.

    Parameters
    ----------
    texts : sequence of n str
    vectors : ndarray of float32, shape (n, d)
        Their embeddings by `encoder`.
    folder : Path
        Gets `inversion/`, `corrector/` and `measures.json`.
    width, layers, heads : int
        Of T5; the feed-forward layers are four times as wide.
    repeat : int
        Tokens that an embedding becomes.
    vocabulary : int
        Pieces of the tokenizer, which is trained on the texts.
    tokens : int
        Longer texts are cut.
    steps, corrector_steps, batch : int
        Gradient steps, and texts in each; no corrector for 0.
    corrector_texts : int
        The corrector learns from at most this many decoded texts.
    noise : float
        Standard deviation of what is added to embeddings in training, so that generated ones, which are
        near real ones but not among them, are decoded as well.
    no_repeat : int
        A run of this many tokens is written at most once, as a small model may repeat itself without end; 0: no limit.
    holdout : float
        Share of the texts on which training is stopped early and the result measured.

    Returns
    -------
    dict
        On held-out texts: exact (share decoded without a fault) and cosine (of the decoded text's embedding), and
        the same after one correction.
    """
    if len(texts) < 50:
        raise CodsaError(f"{len(texts)} texts; an inverter needs 50 at the least, and thousands to be of use")
    if width % heads:
        raise CodsaError(f"train-inverter: width = {width}; it must be a multiple of heads = {heads}")
    words = make_tokenizer(texts, vocabulary)
    held = np.zeros(len(texts), dtype=bool)
    held[rng(child(stream, "held out")).permutation(len(texts))[: max(1, int(holdout * len(texts)))]] = True
    labels = _labels(words, texts, tokens)
    data = (torch.from_numpy(vectors.astype(np.float32)), labels)
    t5 = _sizes(len(words), width, layers, heads)
    record = {"t5": t5, "num_repeat_tokens": repeat, "encoder_digest": encoder.digest, "no_repeat": no_repeat}
    recipe = TrainingRecipe(steps, learning_rate, precision=precision)
    inverter = _initialised(Inverter, record, vectors.shape[1], width=width, stream=child(stream, "inverter"))
    _run(
        inverter,
        recipe,
        _batches(data, held, batch, noise),
        stream=child(stream, "inverter batches"),
        checkpoint_dir=checkpoint_dir,
        name="inverter",
    )
    write_model(folder / "inversion", inverter, record)
    words.save_pretrained(folder / "inversion" / "tokenizer")
    if corrector_steps:
        chosen = rng(child(stream, "corrected")).permutation(len(texts))[:corrector_texts]
        models = load_inverter(str(folder), None, False)
        parts = (data[0][chosen], labels[chosen], *_hypotheses(models, encoder, vectors[chosen], tokens))
        corrector = _initialised(Corrector, record, vectors.shape[1], width=width, stream=child(stream, "corrector"))
        recipe, loss = replace(recipe, steps=corrector_steps), _batches(parts, held[chosen], batch, noise)
        _run(
            corrector,
            recipe,
            loss,
            stream=child(stream, "corrector batches"),
            checkpoint_dir=checkpoint_dir,
            name="corrector",
        )
        write_model(folder / "corrector", corrector, record)
    measures = measured(
        load_inverter(str(folder), None, corrector_steps > 0), encoder, texts, vectors=vectors, held=held
    )
    write_json(folder / "measures.json", measures)
    return measures


def _sizes(vocabulary: int, width: int, layers: int, heads: int) -> dict[str, Any]:
    """Return what transformers calls the configuration of a T5."""
    return {
        "vocab_size": vocabulary, "d_model": width, "d_kv": width // heads, "d_ff": 4 * width, "num_layers": layers,
        "num_decoder_layers": layers, "num_heads": heads, "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": True, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
    }  # fmt: skip


def make_tokenizer(texts: Sequence[str], vocabulary: int) -> Any:
    """Return a byte-pair tokenizer (Sennrich 2016) of at most `vocabulary` pieces, trained on texts.

    The Unigram trainer of the same library gives another result at every run.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    raw.normalizer = normalizers.NFKC()
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )


def _labels(words: Any, texts: Sequence[str], tokens: int) -> torch.Tensor:
    """Return the texts' tokens, int64 tensor of shape (n, t), -100 beyond their ends."""
    encoded = words(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=tokens)
    labels: torch.Tensor = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, IGNORED)
    return labels


def _initialised(
    kind: type[Any], record: dict[str, Any], dimension: int, width: int, stream: np.random.SeedSequence
) -> Any:
    """Return a network with the weights that transformers draws for T5.

    transformers draws from torch's global stream alone, which is lent this one and put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer(stream))
        return kind(plain_t5(record), dimension, width, record["num_repeat_tokens"])


def _batches(parts: tuple[torch.Tensor, ...], held: np.ndarray, batch: int, noise: float) -> Any:
    """Return the losses on random batches and on held-out texts.

    Parameters
    ----------
    parts : tuple of tensor
        vectors, labels and, for a corrector, reached vectors, tokens and their mask.
    """
    order, check = (torch.from_numpy(np.flatnonzero(m)) for m in (~held, held))

    def called(net: Any, chosen: torch.Tensor, added: torch.Tensor | float) -> torch.Tensor:
        device = next(net.parameters()).device
        vectors, labels, *others = (part[chosen] for part in parts)
        longest = int((labels != IGNORED).sum(dim=1).max())
        corrector_inputs = [tensor.to(device) for tensor in others]
        batch_loss: torch.Tensor = net(
            (vectors + added).to(device), *corrector_inputs, labels[:, :longest].contiguous().to(device)
        )
        return batch_loss

    def loss(net: Any, generator: torch.Generator) -> torch.Tensor:
        chosen = order[torch.randint(len(order), (batch,), generator=generator)]
        return called(net, chosen, noise * torch.randn(batch, parts[0].shape[1], generator=generator))

    @torch.no_grad()
    def held_out(net: Any) -> float:
        cuts = check[:512].split(batch)
        return float(np.average([float(called(net, c, 0.0)) for c in cuts], weights=[len(c) for c in cuts]))

    return loss, held_out if len(check) else None


def _run(
    net: Any,
    recipe: TrainingRecipe,
    losses: Any,
    stream: np.random.SeedSequence,
    checkpoint_dir: Path | None,
    name: str,
) -> None:
    """Train a network in place, to its best weights on held-out texts."""
    checkpoint = None if checkpoint_dir is None else checkpoint_dir / f"{name}.safetensors"
    loss, held_out = losses
    trainer = Trainer(net, recipe, loss, held_out=held_out, seed=integer(stream), checkpoint=checkpoint)
    log.info("training the %s", name)
    trainer.run()
    net.cpu().load_state_dict(trainer.weights())


def _hypotheses(
    models: Models, encoder: SentenceEncoder, vectors: np.ndarray, tokens: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the corrector learns to better: decoded texts' embeddings, tokens and mask."""
    decoded = invert(models, vectors, None)
    tokenized = models.words(decoded, return_tensors="pt", padding=True, truncation=True, max_length=tokens)
    return torch.from_numpy(encoder.encode(decoded)), tokenized["input_ids"], tokenized["attention_mask"]


def measured(
    models: Models, encoder: SentenceEncoder, texts: Sequence[str], vectors: np.ndarray, held: np.ndarray
) -> dict[str, float]:
    """Measure decode–encode on held-out texts, without and, where there is a corrector, with one correction."""
    rows = np.flatnonzero(held)[:MEASURED]
    measures: dict[str, float] = {"texts": float(len(rows))}
    for steps in range(2 if models.corrector is not None else 1):
        decoded = invert(models, vectors[rows], encoder if steps else None, steps)
        after = " corrected" if steps else ""
        measures[f"exact{after}"] = float(np.mean([a == texts[i] for a, i in zip(decoded, rows, strict=True)]))
        measures[f"cosine{after}"] = float(paired_cosine_similarity(encoder.encode(decoded), vectors[rows]).mean())
    return measures
