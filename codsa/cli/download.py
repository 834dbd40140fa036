"""codsa download: fetch public digits, checked against their checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Version, new_app, runner

app = new_app()


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="mnist or usps.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to download into.", show_default=False)],
    base: Annotated[
        str | None, typer.Option("--base", help="Another address of the same files, as a mirror's.", show_default=False)
    ] = None,
    version: Version = False,
) -> None:
    """Download MNIST or USPS into a folder, as codsa-prepare reads it. Files that are there and whole are kept.

    **Writes** the four idx files of MNIST; for USPS usps.npz beside the two files of LIBSVM that it is made from.

    **Example**

    codsa download mnist --out data/mnist
    """
    from codsa.readers.download import download as fetch_all

    for path in fetch_all(name, out, base):
        typer.echo(path)


main = runner(app)
