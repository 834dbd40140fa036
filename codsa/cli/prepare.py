"""codsa-prepare: from a raw table or a simulation to a dataset."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Version, new_app, parse_value, runner
from codsa.data.limits import MOST_DRAWN, MOST_PIXELS, MOST_ROWS, MOST_SEED, MOST_WORDS
from codsa.errors import CodsaError, shortened
from codsa.io.yamls import parse_decimal

app = new_app()


@app.command()
def prepare(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Argument(
            help="A table (.csv, .tsv, .jsonl, .parquet; also .gz, .bz2, .xz, .zst, .zip), a URL, images (a folder, "
            "idx, npz, .parquet with encoded images, a Hugging Face data set), or "
            "simulation:NAME (imbalanced-classification, undersampled-regression).",
            show_default=False,
        ),
    ] = None,
    target: Annotated[str, typer.Option("--target", help="Column to be predicted.")] = "y",
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum; required for a URL.")] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="classification, regression or detection; the first two are inferred."),
    ] = None,
    normal: Annotated[
        list[str] | None,
        typer.Option("--normal", help="Detection: a level of the target that is normal; repeatable."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", help="Only rows for which this expression holds, as 'useful >= 1'.", show_default=False),
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Column whose values may not straddle roles.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=TYPE|ROLE", help="Correct an inferred type or role; repeatable."),
    ] = None,
    regions: Annotated[
        str | None, typer.Option("--regions", help="By what: class, column, quantile, range or expression.")
    ] = None,
    region_column: Annotated[
        str | None, typer.Option("--region-column", help="Column that parts the rows; default: the target.")
    ] = None,
    quantiles: Annotated[int, typer.Option("--quantiles", min=2, max=1000, help="Number of ranges by quantile.")] = 3,
    edge: Annotated[list[str] | None, typer.Option("--edge", help="Inner edge of a range; repeatable.")] = None,
    expression: Annotated[
        list[str] | None,
        typer.Option(
            "--expression", metavar="NAME=EXPRESSION", help="Region by an expression, as 'old=age > 65'; repeatable."
        ),
    ] = None,
    pool: Annotated[
        bool | None,
        typer.Option(
            "--pool/--no-pool", help="Join small regions; default: unless they are explicit.", show_default=False
        ),
    ] = None,
    min_rows: Annotated[
        int, typer.Option("--min-rows", min=1, max=MOST_ROWS, help="Regions under so many rows are pooled.")
    ] = 20,
    rows: Annotated[
        tuple[int, int], typer.Option("--rows", min=1, max=MOST_DRAWN, help="Simulation: minority and majority rows.")
    ] = (
        2000,
        4400,
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, max=MOST_SEED, help="Simulation: its seed.")] = 0,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="A table, or images of one place, instead of SOURCE: '{path: …, columns: {domain: usps}, labels: …, "
            "pattern: …, column: …, arrays: {image: X, label: y}, split: …}'; repeatable.",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Images: a table with a row per file, or an idx file of labels.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", help="Images: how file names are written, as '{age}_{gender}_{race}_{_}.jpg'."),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Images: bring all to so many pixels, N or HEIGHTxWIDTH.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="Images: L (grayscale) or RGB; default: as they are.")
    ] = None,
    fit: Annotated[
        str, typer.Option("--fit", help="Images: how others meet --size: stretch, crop or pad.")
    ] = "stretch",
    broken: Annotated[
        str,
        typer.Option(
            "--broken", help="Images that are unreadable or lack a label, texts beyond limits: refuse or skip."
        ),
    ] = "refuse",
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="A level that the target may have; repeatable; default: any.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="Texts: the column that holds them.")] = None,
    words: Annotated[
        tuple[int, int],
        typer.Option("--words", min=0, max=MOST_WORDS, help="Texts: the least and the most words; 0: no most."),
    ] = (1, 0),
    near: Annotated[
        float, typer.Option("--near", help="Texts: so similar ones (0 to 1) stay on one side of a split.")
    ] = 0.8,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder", help="Texts: sentence-transformers model, a folder or a name on the Hugging Face hub."
        ),
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="Texts: of the encoder: auto, no or bf16.")] = "auto",
    embeddings: Annotated[
        Path | None,
        typer.Option(
            "--embeddings", help="Texts: folder of computed embeddings; default: beside OUT.", show_default=False
        ),
    ] = None,
    apart_from: Annotated[
        Path | None,
        typer.Option("--apart-from", help="Texts: leave out rows whose text is nearly one of this dataset's."),
    ] = None,
    version: Version = False,
) -> None:
    """Read a raw table or draw a simulation; infer its schema; part it into regions.

    Column types (numeric, integer, categorical, boolean, datetime) and roles (feature, target, group, ignored)
    are inferred and written to OUT/schema.json. Correct them with --column, or in that file.

    **Writes** OUT/rows.parquet, OUT/schema.json, OUT/manifest.json.

    **Regions** are by class for a classification and by thirds of the target for a regression, unless
    --regions says otherwise. A region under --min-rows rows joins its neighbour in order, or the smallest other
    one, unless the regions are explicit; the log and the report say so.

    **Images** become a column of arrays beside their labels: the names of sub-folders, a table by file name, or parts
    of the file names. Other columns beside them are left out unless declared (--column NAME=attribute: known to
    generators and regions, not to estimators). Byte-identical copies stay on one side of every split.

    **Texts** (--text) are cleaned (Unicode NFC, control characters, white space; the log says how many changed).
    With --encoder their embeddings become the feature, a column `embedding`, computed once and kept. Otherwise the
    words are the feature. --column TEXT=feature, attribute or ignored says otherwise. Nearly equal texts stay on one
    side of every split.

    **Detection** trains on rows whose target is --normal; the other levels only validate and test.

    **Examples**

    codsa-prepare faces --pattern '{age}_{gender}_{race}_{_}.jpg' --target age --regions column --region-column race
    --size 64 --broken skip --out data

    codsa-prepare reviews.csv.gz --target stars --text text --words 1 64 --broken skip --keep 'useful >= 1'
    --encoder sentence-transformers/all-MiniLM-L6-v2 --out data

    codsa-prepare patients.csv --target outcome --regions column --region-column site --out data

    codsa-prepare houses.parquet --target price --regions range --region-column age --edge 20 --edge 50 --out data

    codsa-prepare simulation:imbalanced-classification --rows 2000 4400 --out data
    """
    from codsa.data.columns import Declared
    from codsa.data.dataset import dataset_output
    from codsa.data.region_rules import RegionRule
    from codsa.data.unicode import composed
    from codsa.io.image_codec import Format
    from codsa.readers.clean_texts import Limits
    from codsa.readers.datasets import kept, part_from, read_parts, read_simulation, read_source
    from codsa.readers.images import Part
    from codsa.readers.intake import prepare_to
    from codsa.readers.texts import TextRule, read_texts

    dataset_output(out)
    parts = [part_from(parse_value(text)) for text in part or []]
    if (source is None) == (not parts):
        raise CodsaError("give either a source, or parts with --part")
    found = None
    if source is not None and source.startswith("simulation:"):
        found = read_simulation(source.removeprefix("simulation:"), rows, seed)
    elif source is not None:
        one = read_source(source, sha256, out / "raw")
        parts, found = ([replace(one, labels=labels, pattern=pattern)], None) if isinstance(one, Part) else ([], one)
    raw = kept(found or read_parts(parts, Format(_size(size), mode, fit), broken), keep)
    rule = RegionRule(
        regions,
        region_column,
        quantiles,
        [_edge(text) for text in edge] if edge else None,
        _pairs(expression or [], "--expression") or None,
        pool,
        min_rows,
    )
    declared = Declared(target, task, group, _columns(column or []), normal or [], classes or [])
    if text is not None:
        reading = TextRule(composed(text), Limits(words[0], words[1] or None, broken), near, encoder, precision)
        raw, declared = read_texts(raw, declared, reading, embeddings or out.parent / "embeddings", apart_from)
    prepare_to(out, raw.table, declared, rule, raw.origin, raw.notes)


def _size(text: str | None) -> tuple[int, int] | None:
    """Read 'N' or 'HEIGHTxWIDTH'."""
    if text is None:
        return None
    written = re.fullmatch(r"([0-9]{1,9})(?:[xX]([0-9]{1,9}))?", text)
    if not written:
        raise CodsaError(f"--size {shortened(text)}: write N or HEIGHTxWIDTH, in pixels")
    height, width = int(written[1]), int(written[2] or written[1])
    if not (1 <= height <= MOST_PIXELS and 1 <= width <= MOST_PIXELS):
        raise CodsaError(f"--size {text}: a side has from 1 to {MOST_PIXELS} pixels")
    return height, width


def _edge(text: str) -> float | str:
    """Read an edge: a number, or else a date as text."""
    number = parse_decimal(text)
    return text if number is None else number


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CodsaError(f"{option} {text}: write it as NAME=VALUE")
        if name in found:
            raise CodsaError(f"{option} {text}: '{name}' is given twice; give one another name")
        found[name] = value
    return found


def _columns(texts: list[str]) -> dict[str, dict[str, str]]:
    """Read NAME=TYPE and NAME=ROLE, told apart by the known roles."""
    from codsa.data.schema import ROLES

    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if not name:
            raise CodsaError(f"--column {text}: write it as NAME=TYPE or NAME=ROLE")
        found.setdefault(name, {})["role" if value in ROLES else "type"] = value
    return found


main = runner(app)
