"""codsa-prepare: from a raw table or a simulation to a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Version, new_app, parse_value, runner
from codsa.cli.sections import with_sections
from codsa.settings.columns import ColumnOptions
from codsa.settings.images import ImageOptions
from codsa.settings.regions import RegionRule
from codsa.settings.sources import Part, SimulationSize
from codsa.settings.tables import TableOptions
from codsa.settings.texts import TextOptions

app = new_app()


@app.command()
@with_sections(
    columns=ColumnOptions,
    regions=RegionRule,
    table=TableOptions,
    images=ImageOptions,
    texts=TextOptions,
    simulation=SimulationSize,
    optional=("texts",),
)
def prepare(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    columns: ColumnOptions,
    regions: RegionRule,
    table: TableOptions,
    images: ImageOptions,
    texts: TextOptions | None,
    simulation: SimulationSize,
    source: Annotated[
        str | None,
        typer.Argument(
            help="A table (.csv, .tsv, .txt, .jsonl, also .gz, .bz2, .xz, .zst, .zip; .parquet, .xlsx, .ods), a URL, images (a folder, "
            "idx, npz, .parquet with encoded images, a Hugging Face data set), or "
            "simulation:NAME (imbalanced-classification, undersampled-regression).",
            show_default=False,
        ),
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum; required for a URL.")] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", help="Only rows for which this expression holds, as 'useful >= 1'.", show_default=False),
    ] = None,
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
        typer.Option("--pattern", help="Images: how file names are written, as `{age}_{sex}.jpg`; `{_}` is left out."),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            "--embeddings", help="Texts: folder of computed embeddings; default: beside OUT.", show_default=False
        ),
    ] = None,
    exclude_near: Annotated[
        Path | None,
        typer.Option("--exclude-near", help="Texts: leave out rows whose text is nearly one of this dataset's."),
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

    **Tables** are read as they are written: separator, decimal sign, encoding, numbers with signs, dates and marks of
    missing cells are found, with a note, unless the options of tables say so or --no-guess leaves them. A first row that
    reads as values is refused until --header or --no-header says what it is.

    **Images** become a column of arrays beside their labels: the names of sub-folders, a table by file name, or parts
    of the file names. Other columns beside them are left out unless declared (--column NAME=attribute: known to
    generators and regions, not to estimators). Byte-identical copies stay on one side of every split.

    **Texts** (--text) are cleaned (Unicode NFC, control characters, white space; the log says how many changed).
    With --encoder their embeddings become the feature, a column `embedding`, computed once and kept. Otherwise the
    words are the feature. --column TEXT=feature, attribute or ignored says otherwise. Nearly equal texts stay on one
    side of every split.

    **Detection** trains on rows whose target is --normal; the other levels only validate and test.

    **Examples**

    codsa-prepare faces --pattern `'{age}_{gender}_{race}_{_}.jpg'` --target age --regions column --region-column race
    --size 64 --on-unreadable skip --out data

    codsa-prepare reviews.csv.gz --target stars --text text --words 1 64 --on-unreadable skip --keep 'useful >= 1'
    --encoder sentence-transformers/all-MiniLM-L6-v2 --out data

    codsa-prepare patients.csv --target outcome --regions column --region-column site --out data

    codsa-prepare houses.parquet --target price --regions range --region-column age --edge 20 --edge 50 --out data

    codsa-prepare simulation:imbalanced-classification --minority 2000 --majority 4400 --out data
    """
    from codsa.data.dataset import dataset_output
    from codsa.readers.datasets import Origin, kept, read_origin
    from codsa.stages.prepare import prepare_to

    dataset_output(out)
    parts = [Part.read(parse_value(text), "part") for text in part or []]
    origin = Origin(source, parts, sha256, labels=labels, pattern=pattern)
    raw = kept(read_origin(origin, images, simulation, out / "raw", table), keep)
    if texts is not None:
        from codsa.readers.texts import read_texts

        raw, columns = read_texts(
            raw, columns, texts, cache=embeddings or out.parent / "embeddings", exclude_near=exclude_near
        )
    prepare_to(out, raw.table, columns, regions, origin=raw.origin, notes=raw.notes, encoded=raw.encoded)


main = runner(app)
