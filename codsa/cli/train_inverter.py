"""codsa-train-inverter: from embeddings back to words, learned from texts."""

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
        Path | None, typer.Option("--data", help="Texts of a dataset's folder, such as a source set.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Argument(help="Or tables of texts, paths or a URL.", show_default=False)
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum; required for a URL.")] = None,
    text: Annotated[str, typer.Option("--text", help="Column that holds the texts.")] = "text",
    words: Annotated[
        int | None,
        typer.Option(
            "--words",
            min=1,
            max=MOST_WORDS,
            help="Cut longer texts into pieces of whole sentences, of at most so many words.",
        ),
    ] = None,
    exclude_near: Annotated[
        Path | None, typer.Option("--exclude-near", help="Leave out texts that are nearly one of this dataset's.")
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", help="Folder of computed embeddings; default: beside OUT.", show_default=False),
    ] = None,
    settings: Settings = None,
    seed: Seed = 0,
    version: Version = False,
) -> None:
    """Train a small inversion model and its corrector (vec2text) for any sentence encoder, on a CPU or a GPU.

    Settings (--set): width, layers, heads, repeat, vocabulary, tokens, steps, corrector_steps, corrector_texts, batch,
    learning_rate, noise, no_repeat, holdout, precision. A killed run resumes from OUT.checkpoints and ends in the same bytes.

    Take texts that no test or validation row is among: a source set, or any texts of the kind with --exclude-near the
    study's dataset. It takes tens of thousands to learn from; --words makes several of a long one.

    **Writes** OUT/inversion/, OUT/corrector/, OUT/measures.json (round trip on held-out texts), OUT/manifest.json.

    **Example**

    codsa-train-inverter --data source --encoder sentence-transformers/all-MiniLM-L6-v2 --out inverter

    codsa-train-inverter reviews.csv.gz --words 64 --exclude-near study/data --encoder
    sentence-transformers/all-MiniLM-L6-v2 --out inverter
    """
    from codsa.generators.texts.inverting import Corpus, read_own, write_inverter

    given = parse_settings(settings)
    corpus = Corpus(source or (), data, text, sha256, words, exclude_near)
    texts, inputs = read_own(corpus, out.parent / "raw")
    seeds = seed_context(seed, "inverter", 0)
    found = write_inverter(out, texts, encoder, embeddings or out.parent / "embeddings", given, seeds, inputs)
    typer.echo("held-out texts: " + ", ".join(f"{name} {value:.3f}" for name, value in sorted(found.items())))


main = runner(app)
