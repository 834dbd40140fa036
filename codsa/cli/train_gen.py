"""codsa-train-gen: fit a conditional generator on S_g."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import (
    Data,
    Experiment,
    Fold,
    Ratio,
    Replicate,
    Seed,
    Settings,
    Version,
    new_app,
    parse_settings,
    runner,
    seed_context,
)
from codsa.errors import CodsaError
from codsa.settings.limits import MOST_PROCESSES, MOST_ROWS
from codsa.settings.registry import GENERATORS

app = new_app()


@app.command()
def train_gen(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Generator folder to write.", show_default=False)],
    split: Annotated[
        Path | None, typer.Option("--split", help="split.parquet; not for --pretrain.", show_default=False)
    ] = None,
    generator: Annotated[
        str,
        typer.Option(
            "--generator",
            help=f"{', '.join(GENERATORS)}; or module:Class.",
        ),
    ] = "tabular-diffusion",
    r: Ratio = 1.0,
    fold: Fold = None,
    settings: Settings = None,
    pretrained: Annotated[
        Path | None, typer.Option("--pretrained", help="Folder that --pretrain wrote for a source set.")
    ] = None,
    pretrain: Annotated[
        str | None,
        typer.Option(
            "--pretrain", help="Pretrain on --data, a source set, instead: encoder, denoiser, rows or inverter."
        ),
    ] = None,
    source_rows: Annotated[
        int | None,
        typer.Option(
            "--source-rows", min=1, max=MOST_ROWS, help="With --pretrain: use this many rows, drawn at random."
        ),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus",
            min=1,
            max=MOST_PROCESSES,
            help="Train on this many GPUs of this machine, one process each; fail with fewer.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, max=MOST_PROCESSES, help="Train in this many processes on the CPU instead."),
    ] = None,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Train a generator on S_g, the share r of every region's training rows, and on no other row.

    A killed run resumes from OUT.checkpoints and ends in the same bytes; SIGTERM makes it write a checkpoint first. A loss
    that is not finite is an error.

    **Writes** OUT/manifest.json, OUT/schema.json, and the generator's own files (safetensors, losses.csv).

    **Transfer**: pretrain on a source set with --pretrain, then give --pretrained. encoder: a frozen encoder–decoder,
    in whose codes the generator is trained. denoiser: a whole generator, whose weights are trained further
    (--set tune=full, head or lora). rows: the source rows themselves, for the baseline source-rows.

    **Several GPUs**: with --gpus N each of N processes takes its share of every batch (--set batch must be a multiple
    of N). Processes that torchrun or srun started, on several machines too, join by RANK and WORLD_SIZE.

    **Examples**

    codsa-train-gen --data data --split rep~0/split.parquet --r 0.8 --set steps=3000 --out gen

    codsa-train-gen --data source --pretrain denoiser --out pretrained

    codsa-train-gen --data data --split rep~0/split.parquet --pretrained pretrained --set tune=lora --out gen
    """
    from codsa.data.dataset import load_dataset
    from codsa.data.split import FOLD_RATIO, open_split
    from codsa.io import processes as parallel
    from codsa.io.artifacts import folder_output
    from codsa.io.checkpoints import checkpoint_dir
    from codsa.io.names import PRETRAIN, TRAIN
    from codsa.stages.train_generator import pretrained_digest, train, write_generator

    values, seeds = parse_settings(settings), seed_context(seed, experiment, replicate)
    if not parallel.joined():
        code = parallel.spread("codsa.cli.train_gen", "train-gen", gpus, processes)
        if code is not None:
            raise typer.Exit(code)
    folder_output(out, TRAIN if pretrain is None else PRETRAIN)
    parameters = {"settings": values, "seed": seed, "experiment": experiment}
    parameters |= {"processes": parallel.world()} if parallel.joined() else {}
    if pretrain is not None:
        from codsa.stages.pretrain import write_pretrained

        source = load_dataset(data)
        inputs = {"dataset": source.digest}
        parameters |= {"pretrain": pretrain, "source_rows": source_rows}
        with checkpoint_dir(out, inputs, parameters) as checkpoints:
            folder = out if parallel.is_main() else checkpoints / f"process-{parallel.rank()}"
            write_pretrained(
                folder,
                pretrain,
                source,
                values,
                seeds=seeds,
                checkpoint_dir=checkpoints,
                inputs=inputs,
                parameters=parameters,
                rows=source_rows,
            )
        return
    if split is None:
        raise CodsaError("--split is needed to know S_g; codsa-split writes it")
    dataset, roles = open_split(data, split)
    inputs = {"dataset": dataset.digest, "split": roles.digest}
    inputs |= {"pretrained": pretrained_digest(pretrained)} if pretrained else {}
    r = FOLD_RATIO if fold is not None else r
    parameters |= {"generator": generator, "r": r, "fold": fold, "replicate": replicate}
    with checkpoint_dir(out, inputs, parameters) as checkpoints:
        trained = train(
            dataset,
            roles,
            r,
            generator,
            settings=values,
            seeds=seeds,
            checkpoint_dir=checkpoints,
            pretrained=pretrained,
            fold=fold,
        )
        if parallel.is_main():
            write_generator(out, trained, trained.schema, inputs=inputs, parameters=parameters)


main = runner(app)

if __name__ == "__main__":
    main()
