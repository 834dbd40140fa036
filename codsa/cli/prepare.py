"""codsa-prepare: from a raw table or a simulation to a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from codsa.cli.common import Version, new_app, runner
from codsa.errors import CodsaError

app = new_app()


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A table (.csv, .tsv, .parquet; also .gz, .bz2, .xz, .zst, .zip), a URL, or "
            "simulation:NAME (imbalanced-classification, undersampled-regression).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    target: Annotated[str, typer.Option("--target", help="Column to be predicted.")] = "y",
    sha256: Annotated[str | None, typer.Option("--sha256", help="Checksum; required for a URL.")] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="classification or regression; inferred if not given.")
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
    quantiles: Annotated[int, typer.Option("--quantiles", help="Number of ranges by quantile.")] = 3,
    edge: Annotated[list[str] | None, typer.Option("--edge", help="Inner edge of a range; repeatable.")] = None,
    expression: Annotated[
        list[str] | None,
        typer.Option("--expression", metavar="NAME=EXPRESSION", help="Region by a pandas query; repeatable."),
    ] = None,
    pool: Annotated[
        bool | None,
        typer.Option(
            "--pool/--no-pool", help="Join small regions; default: unless they are explicit.", show_default=False
        ),
    ] = None,
    min_rows: Annotated[int, typer.Option("--min-rows", help="Regions under so many rows are pooled.")] = 20,
    rows: Annotated[tuple[int, int], typer.Option("--rows", help="Simulation: minority and majority rows.")] = (
        2000,
        4400,
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Simulation: its seed.")] = 0,
    version: Version = False,
) -> None:
    """Read a raw table or draw a simulation; infer its schema; part it into regions.

    Column types (numeric, integer, categorical, boolean, datetime) and roles (feature, target, group, ignored)
    are inferred and written to OUT/schema.json. Correct them with --column, or in that file.

    **Writes** OUT/rows.parquet, OUT/schema.json, OUT/manifest.json.

    **Regions** are by class for a classification and by thirds of the target for a regression, unless
    --regions says otherwise. A region under --min-rows rows joins its neighbour in order, or the smallest other
    one, unless the regions are explicit; the log and the report say so.

    **Examples**

    codsa-prepare patients.csv --target outcome --regions column --region-column site --out data

    codsa-prepare houses.parquet --target price --regions range --region-column age --edge 20 --edge 50 --out data

    codsa-prepare simulation:imbalanced-classification --rows 2000 4400 --out data
    """
    from codsa.intake import prepare_to
    from codsa.prepare import Declared, RegionRule

    raw, origin = _read(source, sha256, out, rows, seed)
    said = _columns(column or [])
    rule = RegionRule(
        regions,
        region_column,
        quantiles,
        [_edge(text) for text in edge] if edge else None,
        _pairs(expression or [], "--expression") or None,
        pool,
        min_rows,
    )
    prepare_to(out, raw, Declared(target, task, group, said), rule, origin)


def _read(source: str, sha256: str | None, out: Path, rows: tuple[int, int], seed: int) -> tuple[Any, dict[str, Any]]:
    from codsa.artefacts import file_digest
    from codsa.intake import read_raw
    from codsa.simulations import simulate
    from codsa.sources import fetch

    if source.startswith("simulation:"):
        name = source.removeprefix("simulation:")
        return simulate(name, *rows, seed), {"simulation": name, "rows": list(rows), "seed": seed}
    path = fetch(source, sha256, out / "raw") if "://" in source else Path(source)
    return read_raw(path, sha256), {"file": path.name, "sha256": file_digest(path)}


def _edge(text: str) -> float | str:
    """Read an edge: a number, or else a date as text."""
    try:
        return float(text)
    except ValueError:
        return text


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CodsaError(f"{option} {text}: write it as NAME=VALUE")
        found[name] = value
    return found


def _columns(texts: list[str]) -> dict[str, dict[str, str]]:
    """Read NAME=TYPE and NAME=ROLE, told apart by the known roles."""
    from codsa.schema import ROLES

    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if not name:
            raise CodsaError(f"--column {text}: write it as NAME=TYPE or NAME=ROLE")
        found.setdefault(name, {})["role" if value in ROLES else "type"] = value
    return found


main = runner(app)
