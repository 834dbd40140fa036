"""Run studies as the workflow does, without a process for each stage.

    python benchmarks/in_process.py EXPERIMENT.yaml … [--scale table] [--results results] [--cores 2]

A start of Python and its libraries takes about three CPU-seconds, which is most of the time of a stage
on a small table. Here one process does all stages of a replicate, by the same commands with the same
arguments, into the same folders: the artefacts are the workflow's, byte for byte, and `snakemake` finds
them done. Existing outputs are not computed again. The CPU seconds of each stage go to costs.csv beside
the report.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from codsa.cli import eval as eval_
from codsa.cli import fit, prepare, report, sample, split, train_gen
from codsa.workflow.config import load_experiment
from codsa.workflow.study import Study


def call(stage: Any, out: Path, *arguments: object) -> None:
    """Run a command unless its output is there, and note its CPU seconds in the study's costs.csv."""
    if out.exists():
        return
    begin = time.process_time()
    stage.app([str(word) for word in arguments], standalone_mode=False)
    root = next(folder for folder in out.parents if (folder / "data").is_dir())
    with (root / "costs.csv").open("a", encoding="utf-8") as costs:
        costs.write(f"{stage.__name__.split('.')[-1]},{out.relative_to(root)},{time.process_time() - begin:.2f}\n")


def repeated(option: str, values: Iterable[object]) -> list[object]:
    """Return an option repeated for each value."""
    return [argument for value in values for argument in (option, value)]


def shared(study: Study, root: Path) -> None:
    """Prepare and pretrain what all replicates share: the data and the auxiliary sets."""
    data = root / "data"
    call(prepare, data / "manifest.json", *study.prepare(study.experiment.data), "--out", data)
    kinds = {kind for name in study.generators for kind in [*study.transfers(name), *study.inverters(name)]}
    for kind in sorted(kinds):
        name = "fresh" if kind.startswith("fresh") else "source"
        rows, pretrained = root / name, root / f"pretrained~{kind}"
        call(prepare, rows / "manifest.json", *study.prepare(study.auxiliary(name)), "--out", rows)
        call(train_gen, pretrained, "--data", rows, *study.pretrain(kind), "--out", pretrained)


def replicate(study: Study, root: Path, k: int) -> None:
    """Do all stages of one replicate."""
    folder = root / f"rep~{k}"
    roles = folder / "split.parquet"
    inputs = ["--data", root / "data", "--split", roles]
    call(split, roles, "--data", root / "data", *study.split(k), "--out", roles)
    for method in study.methods.values():
        for label, parts in study.fits(method).items() if not method.choose_from else ():
            pools = [pool_of(study, root, k, study.generator_of(method), part) for part in parts]
            fits = folder / f"fit~{method.name}/r~{label}"
            call(fit, fits, *inputs, *repeated("--pool", pools), *study.fit(k, method.name, label), "--out", fits)
    evaluations = []
    for name in study.methods:
        fits = [folder / f"fit~{m}/r~{label}" for m in study.candidates(name) for label in labels(study, m)]
        pools = list(dict.fromkeys(pool for m in study.candidates(name) for pool in pools_behind(study, root, k, m)))
        paths = {"fits": list(map(str, fits)), "pool": list(map(str, pools)), "out": str(folder / f"eval~{name}")}
        evaluations.append(study.evaluation(name, **paths))
    last = folder / f"eval~{name}/manifest.json"
    call(eval_, last, *inputs, *repeated("--evaluation", evaluations), *study.evaluate(k))


def labels(study: Study, method: str) -> list[str]:
    """Return the labels of a method's fits."""
    return list(study.fits(study.methods[method]))


def pools_behind(study: Study, root: Path, k: int, name: str) -> list[Path]:
    """Return the pools that a method's fits use."""
    method = study.methods[name]
    parts = [part for fit_parts in study.fits(method).values() for part in fit_parts]
    return [root / f"rep~{k}/gen~{study.generator_of(method)}/r~{part}/pool" for part in parts]


def pool_of(study: Study, root: Path, k: int, name: str, part: str) -> Path:
    """Train a generator and draw its pool."""
    folder = root / f"rep~{k}/gen~{name}/r~{part}"
    inputs = ["--data", root / "data", "--split", root / f"rep~{k}/split.parquet"]
    pretrained = repeated("--pretrained", [root / f"pretrained~{kind}" for kind in study.transfers(name)])
    pretrained += study.inverter_options(str(root / f"pretrained~{kind}") for kind in study.inverters(name))
    out = folder / "generator"
    call(train_gen, out, *inputs, *study.train(k, name, part), *pretrained, "--out", out)
    shards = study.experiment.shards
    for i in range(shards):
        manifest = folder / f"pool/shard-{i:04d}-of-{shards:04d}.json"
        chosen = [*study.sample(k, name, part), "--shard", f"{i + 1}/{shards}", "--out", folder / "pool"]
        call(sample, manifest, "--generator", out, *inputs, *chosen)
    return folder / "pool"


def conclude(study: Study, root: Path) -> None:
    """Write the report."""
    evaluations = [root / f"rep~{k}/eval~{name}" for k in range(study.experiment.replicates) for name in study.methods]
    title = study.experiment.title or study.label
    report.app(
        [str(argument) for argument in [*repeated("--eval", evaluations), "--title", title, "--out", root]],
        standalone_mode=False,
    )


def run(
    files: Sequence[str | Path],
    scale: str,
    results: Path,
    cores: int,
    replicates: int | None = None,
    reported: bool = True,
) -> list[str]:
    """Run studies, a process for each replicate; return the studies' labels.

    replicates: the number to run of each; default: the experiment's. reported: whether to write the reports.
    """
    loaded = [load_experiment(Path(file), scale) for file in files]
    if replicates is not None:
        loaded = [(label, experiment.model_copy(update={"replicates": replicates})) for label, experiment in loaded]
    studies = {label: Study(label, experiment).checked() for label, experiment in loaded}
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        for ready in [pool.submit(shared, study, results / label) for label, study in studies.items()]:
            ready.result()
        jobs = {
            pool.submit(replicate, study, results / label, k): (label, k)
            for label, study in studies.items()
            for k in range(study.experiment.replicates)
        }
        for job in as_completed(jobs):
            job.result()
            print("done: {}, replicate {}".format(*jobs[job]), flush=True)
    for label, study in studies.items() if reported else ():
        conclude(study, results / label)
    return list(studies)


def main() -> None:
    """Run the experiments that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="table")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--replicates", type=int, help="the number to run; default: the experiment's")
    options = parser.parse_args()
    run(options.experiments, options.scale, options.results, options.cores, options.replicates)


if __name__ == "__main__":
    main()
