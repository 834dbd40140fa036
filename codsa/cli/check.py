"""codsa check: find results that differ from their manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.errors import CodsaError


def check(
    results: Annotated[Path, typer.Argument(help="Folder of results, or of one study.")] = Path("results"),
    aside: Annotated[
        bool,
        typer.Option("--set-aside", help="Move broken artefacts aside, and print the command that makes them again."),
    ] = False,
) -> None:
    """Compare every artefact with the digests in its manifest, and list the truncated and the edited ones.

    **Example**

    codsa check results --set-aside
    """
    from codsa.io import verify
    from codsa.io.artifacts import set_aside

    if not results.is_dir():
        raise CodsaError(f"{results}: no such folder")
    broken = verify.broken(results)
    for manifest, path in broken.items():
        new_paths = set_aside(manifest) if aside else []
        moved = "".join(f"; kept as {new_path}" for new_path in new_paths)
        typer.echo(f"{path}: differs from {manifest.name}{moved}")
    if broken and not aside:
        raise CodsaError(f"{len(broken)} artefacts are broken; 'codsa check {results} --set-aside' moves them aside")
    typer.echo(verify.anew(broken) if broken else f"{results}: whole")
