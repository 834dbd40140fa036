"""codsa-train-inverter: train a model that turns embeddings back into texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Seed, Settings, Version, new_app, parse_settings, runner, seed_context
from codsa.settings.limits import MOST_WORDS

app = new_app()


@app.command("train-inverter")
def train_inverter(
    encoder: Annotated[
        str, typer.Option("--encoder", help="sentence-transformers model: a folder or a hub name.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option("--data", help="Dataset folder whose texts to train on, such as a source set's.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Argument(help="Instead of --data: tables of texts, paths or a URL.", show_default=False)
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum; required for a URL.")] = None,
    text: Annotated[str, typer.Option("--text", help="Column that holds the texts.")] = "text",
    words: Annotated[
        int | None,
        typer.Option(
            "--words",
            min=1,
            max=MOST_WORDS,
            help="Cut longer texts into pieces of complete sentences, of at most this many words.",
        ),
    ] = None,
    exclude_near: Annotated[
        Path | None,
        typer.Option(
            "--exclude-near", help="Leave out texts that are similar to one of this dataset's (near duplicates)."
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", help="Folder that caches embeddings; default: beside OUT.", show_default=False),
    ] = None,
    settings: Settings = None,
    seed: Seed = 0,
    version: Version = False,
) -> None:
    """Train a small inversion model and its corrector (vec2text) for any sentence encoder, on a CPU or a GPU.

    Settings (--set): width, layers, heads, repeat, vocabulary, tokens, steps, corrector_steps, corrector_texts, batch,
    learning_rate, noise, no_repeat, holdout, precision. A killed run resumes from OUT.checkpoints and ends in the same bytes.

    The texts must include no test or validation row: take a source set, or other texts with the study's dataset as
    --exclude-near. Training needs tens of thousands of texts; --words makes several of a long one.

    **Writes** OUT/inversion/, OUT/corrector/, OUT/measures.json (round trip on held-out texts), OUT/manifest.json.

    **Example**

    codsa-train-inverter --data source --encoder sentence-transformers/all-MiniLM-L6-v2 --out inverter

    codsa-train-inverter reviews.csv.gz --words 64 --exclude-near study/data --encoder
    sentence-transformers/all-MiniLM-L6-v2 --out inverter
    """
    from codsa.generators.texts.inverting import Corpus, read_own, write_inverter

    values = parse_settings(settings)
    corpus = Corpus(source or (), data, text, sha256=sha256, words=words, exclude_near=exclude_near)
    texts, inputs = read_own(corpus, out.parent / "raw")
    seeds = seed_context(seed, "inverter", 0)
    cache = embeddings or out.parent / "embeddings"
    scores = write_inverter(out, texts, encoder, cache=cache, settings=values, seeds=seeds, inputs=inputs)
    typer.echo("held-out texts: " + ", ".join(f"{name} {value:.3f}" for name, value in sorted(scores.items())))


main = runner(app)
