import gc
import re
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from codsa.errors import CodsaError
from codsa.settings.section import validated
from codsa.settings.types import NAME
from codsa.workflow.code_digests import stage_digest
from codsa.workflow.config import Config, load_experiment
from codsa.workflow.stage_code import StageCode
from codsa.workflow.study import Study, raw_files, settings

# A plan of thousands of jobs is millions of objects that stay; looking for others among them took a tenth of its time.
gc.set_threshold(100_000, 50, 50)


def load_studies():
    """Read config.yaml and the experiments that it names."""
    try:
        configuration = validated(Config, config, "config.yaml")
        found = [
            load_experiment(Path(file), configuration.scale) for file in configuration.experiments
        ]
        studies = {label: Study(label, experiment).checked() for label, experiment in found}
        code = {label: StageCode(study).checked() for label, study in studies.items()}
    except CodsaError as error:
        raise WorkflowError(str(error)) from None
    if len(studies) < len(found):
        raise WorkflowError("config.yaml: two experiments have the same name")
    return configuration, studies, code


SETTINGS, STUDIES, STAGE_CODE = load_studies()
RESULTS = SETTINGS.results
STUDY = f"{RESULTS}/{{study}}"
REPLICATE = f"{STUDY}/rep~{{replicate}}"
GENERATOR = f"{REPLICATE}/gen~{{generator}}/r~{{r}}"
EVALUATION = f"{REPLICATE}/eval~{{method}}"

# The inputs of most rules: the prepared rows, and the role that the split gives each of them.
DATA = {"rows": f"{STUDY}/data/rows.parquet", "schema": f"{STUDY}/data/schema.json"}
SPLIT_DATA = {**DATA, "split": f"{REPLICATE}/split.parquet", "laws": f"{REPLICATE}/split.json"}


wildcard_constraints:
    study="|".join(map(re.escape, STUDIES)),
    replicate=r"\d+",
    generator=rf"_*{NAME}",
    method=NAME,
    kind=r"(encoder|denoiser|rows|fresh|inverter)(-\d+)?",
    auxiliary="source|fresh",
    r=r"[0-9.]+(e-\d+)?(-fold\d+|-cross)?",
    shard=r"\d\d\d\d+",
    shards=r"\d\d\d\d+",


# `logged FILE COMMAND…` runs a command with its output in a log, of which a failure shows the end.
shell.prefix("""
    set -euo pipefail
    logged() {{ local log=$1; shift; "$@" >"$log" 2>&1 || {{ tail -n 5 "$log" >&2; exit 2; }}; }}
    """)


def study_of(wildcards):
    return STUDIES[wildcards.study]


def code_of(wildcards):
    """What each stage of a study runs."""
    return STAGE_CODE[wildcards.study]


def excluded_of(wildcards):
    """What a source set of texts is kept apart from: the study's own rows."""
    texts = study_of(wildcards).auxiliary(wildcards.auxiliary).texts
    return [f"{STUDY}/data/rows.parquet".format(study=wildcards.study)] if texts else []


def cache_of(data):
    """Where computed embeddings are kept, for all studies: an option of codsa-prepare."""
    return ["--embeddings", f"{RESULTS}/embeddings"] if data.texts else []


def pretrained_of(wildcards):
    """What a generator takes from the source set, as a list: empty without transfer."""
    kind = study_of(wildcards).generators[wildcards.generator].transfer
    return [f"{RESULTS}/{wildcards.study}/pretrained~{kind}"] if kind else []


def inverter_of(wildcards):
    """The inverter that a generator decodes by, where it is trained on the source set, as a list."""
    used = study_of(wildcards).inverted(wildcards.generator)
    return [f"{RESULTS}/{wildcards.study}/pretrained~inverter"] if used else []


def auxiliary_of(wildcards):
    """The folder of the set that something is carried over from."""
    name = "fresh" if wildcards.kind.startswith("fresh") else "source"
    return f"{RESULTS}/{wildcards.study}/{name}"


def shards_of(study, replicate, generator, r):
    """The shard manifests of a pool."""
    count = STUDIES[study].experiment.shards
    pool = f"{RESULTS}/{study}/rep~{replicate}/gen~{generator}/r~{r}/pool"
    return [f"{pool}/shard-{i:04d}-of-{count:04d}.json" for i in range(count)]


def fits_of(wildcards, method):
    """The folders of the fits that a method is judged by, one per method and r."""
    study = study_of(wildcards)
    folder = f"{RESULTS}/{wildcards.study}/rep~{wildcards.replicate}"
    return [
        f"{folder}/fit~{name}/r~{label}"
        for name in study.candidates(method)
        for label in study.fits(study.methods[name])
    ]


def pools_at(wildcards, name, labels):
    """The shard manifests of the pools that some of a method's fits draw on."""
    study = study_of(wildcards)
    method = study.methods[name]
    parts = [part for label in labels for part in study.fits(method)[label]]
    return [
        manifest
        for part in parts
        for manifest in shards_of(
            wildcards.study, wildcards.replicate, study.generator_of(method), part
        )
    ]


def pools_of_fit(wildcards):
    """The shard manifests of the pools that one fit draws on: none without a generator."""
    return pools_at(wildcards, wildcards.method, [wildcards.r])


def pools_of(wildcards, method):
    """The shard manifests of all pools behind the fits that a method is judged by."""
    study = study_of(wildcards)
    return [
        manifest
        for name in study.candidates(method)
        for manifest in pools_at(wildcards, name, study.fits(study.methods[name]))
    ]


def of_all_methods(wildcards, files_of):
    """What a function of wildcards and a method gives for all methods, each file once."""
    methods = study_of(wildcards).methods
    return list(dict.fromkeys(file for name in methods for file in files_of(wildcards, name)))


def all_fits_of(wildcards):
    """The folders of all fits of a replicate."""
    return of_all_methods(wildcards, fits_of)


def all_pools_of(wildcards):
    """The shard manifests of all pools of a replicate."""
    return of_all_methods(wildcards, pools_of)


def evaluations_of(wildcards):
    """What codsa-eval is asked for in a replicate, one text per method."""
    return [
        study_of(wildcards).evaluation(
            method,
            fits=fits_of(wildcards, method),
            pool=folders(pools_of(wildcards, method)),
            out=EVALUATION.format(method=method, **wildcards),
        )
        for method in study_of(wildcards).methods
    ]


def folders(manifests):
    """The pool folders of shard manifests, each once, in order."""
    return list(dict.fromkeys(str(Path(manifest).parent) for manifest in manifests))


def repeated(option, values):
    """An option repeated for each value, as words that the rule quotes."""
    return [word for value in values for word in (option, str(value))]


def all_metrics_of(wildcards):
    """The metrics of all methods and replicates of a study."""
    study = study_of(wildcards)
    return expand(
        f"{EVALUATION}/metrics.json",
        study=wildcards.study,
        method=study.methods,
        replicate=range(study.experiment.replicates),
    )
