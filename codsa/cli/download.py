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
        str | None, typer.Option("--base", help="Address of a mirror with the same files.", show_default=False)
    ] = None,
    version: Version = False,
) -> None:
    """Download MNIST or USPS into a folder, as codsa-prepare reads it. Complete files are not downloaded again.

    **Writes** the four idx files of MNIST; for USPS usps.npz, and the two files of LIBSVM from which it is computed.

    **Example**

    codsa download mnist --out data/mnist
    """
    from codsa.readers.download import download as fetch_all

    for path in fetch_all(name, out, base):
        typer.echo(path)


main = runner(app)
