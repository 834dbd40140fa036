"""codsa check: find results that differ from their manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.errors import CodsaError


def check(
    results: Annotated[Path, typer.Argument(help="Folder of results, or of one study.")] = Path("results"),
    aside: Annotated[
        bool, typer.Option("--set-aside", help="Move what is broken aside, and say how it is made again.")
    ] = False,
) -> None:
    """Compare every artefact with the digests in its manifest, and name those that are truncated or edited.

    **Example**

    codsa check results --set-aside
    """
    from codsa.io import verify
    from codsa.io.artifacts import set_aside

    if not results.is_dir():
        raise CodsaError(f"{results}: no such folder")
    found = verify.broken(results)
    for manifest, path in found.items():
        kept = set_aside(manifest) if aside else []
        moved = "".join(f"; kept as {place}" for place in kept)
        typer.echo(f"{path}: differs from {manifest.name}{moved}")
    if found and not aside:
        raise CodsaError(f"{len(found)} artefacts are broken; 'codsa check {results} --set-aside' moves them aside")
    typer.echo(verify.anew(found) if found else f"{results}: whole")
