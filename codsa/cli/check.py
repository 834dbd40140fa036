"""codsa check: find results that differ from their manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.errors import CodsaError


def check(
    results: Annotated[Path, typer.Argument(help="Folder of results, or of one study.")] = Path("results"),
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what is broken, and say how it is made again.")
    ] = False,
) -> None:
    """Compare every artefact with the digests in its manifest, and name those that are truncated or edited.

    **Example**

    codsa check results --remove
    """
    from codsa import verify

    if not results.is_dir():
        raise CodsaError(f"{results}: no such folder")
    found = verify.broken(results)
    for manifest, path in found.items():
        typer.echo(f"{path}: differs from {manifest.name}" + (", removed" if remove else ""))
        if remove:
            verify.remove(manifest)
    if found and not remove:
        raise CodsaError(f"{len(found)} artefacts are broken; 'codsa check {results} --remove' removes them")
    typer.echo(verify.anew(found) if found else f"{results}: whole")
