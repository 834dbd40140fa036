import gc
import re
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from codsa.cli.table_check import check_table
from codsa.errors import CodsaError
from codsa.paper.experiments import runnable
from codsa.settings.section import validated
from codsa.settings.types import NAME
from codsa.workflow.code_digests import stage_digest
from codsa.workflow.config import Config, load_experiment
from codsa.workflow import modalities, snakemake_internals
from codsa.workflow.reported import unreported
from codsa.workflow.stage_code import StageCode
from codsa.workflow.study import Study, raw_files

# The objects of a plan of thousands of jobs all stay alive. Searching them for garbage took a tenth of the planning time.
gc.set_threshold(100_000, 50, 50)


def asks_for_paper(results, own):
    """Whether the run, or the job, is asked for `paper`, or for a file of a study that config.yaml does not name."""
    others = [
        word
        for word in snakemake_internals.asked_for()
        if not any(label in word for label in own)
        and (word.startswith(f"{results}/") or "study=" in word)
    ]
    return bool(others) or "paper" in snakemake_internals.asked_for()


def load_studies():
    """Read config.yaml, the experiments that it names, and where they are asked for those of the paper."""
    try:
        configuration = validated(Config, config, "config.yaml")
        experiments = [
            load_experiment(Path(file), configuration.scale) for file in configuration.experiments
        ]
        asked = asks_for_paper(configuration.results, [label for label, _ in experiments])
        paper = runnable(configuration.scale) if asked else {}
        loaded = {**paper, **dict(experiments)}
        studies = {
            label: Study(label, experiment).checked() for label, experiment in loaded.items()
        }
        code = {label: StageCode(study).checked() for label, study in studies.items()}
        if snakemake_internals.is_main(workflow):
            for label, study in studies.items():
                check_table(study, Path(configuration.results) / label)
    except CodsaError as error:
        raise WorkflowError(str(error)) from None
    own = list(dict.fromkeys(label for label, _ in experiments))
    if len(own) < len(experiments):
        raise WorkflowError("config.yaml: two experiments have the same name")
    return configuration, studies, code, own, list(paper)


# OWN are the labels of config.yaml's experiments, PAPER those of the paper's that have this scale and whose data are there, where they are asked for.
SETTINGS, STUDIES, STAGE_CODE, OWN, PAPER = load_studies()
RESULTS = SETTINGS.results
STUDY = f"{RESULTS}/{{study}}"
REPLICATE = f"{STUDY}/rep~{{replicate}}"
GENERATOR = f"{REPLICATE}/gen~{{generator}}/r~{{r}}"
EVALUATION = f"{REPLICATE}/eval~{{method}}"

# The inputs of most rules: the prepared rows, and the split that gives each row its role.
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


# `logged FILE COMMAND…` runs a command and writes its output to a log; after a failure it prints the log's last lines.
# `staged COMMAND…` lets the stage server run it, where there is one and the command is a stage of its installation.
shell.prefix("""
    set -euo pipefail
    staged() {{
        if [ -S "${{CODSA_STAGES:-}}" ] && [ "${{1#codsa-}}" != "$1" ]; then
            case "$(command -v "$1" || true)" in
                ""|"${{CODSA_PYTHON%/*}}/$1") set -- "$CODSA_PYTHON" -I -S "$CODSA_CLIENT" "$@" ;;
            esac
        fi
        "$@"
    }}
    logged() {{ local log=$1; shift; staged "$@" >"$log" 2>&1 || {{ tail -n 5 "$log" >&2; exit 2; }}; }}
    """)


def study_of(wildcards):
    """The study that a job belongs to."""
    return STUDIES[wildcards.study]


def code_of(wildcards):
    """The modules that each stage of a study runs."""
    return STAGE_CODE[wildcards.study]


def data_of(wildcards):
    """The rows that a job prepares: the study's own, or an auxiliary set."""
    study = study_of(wildcards)
    name = wildcards.get("auxiliary")
    return study.auxiliary(name) if name else study.experiment.data


def prepare_options_of(wildcards):
    """The options of codsa-prepare that depend on the modality of the rows."""
    return modalities.prepare_options(data_of(wildcards), RESULTS)


def excluded_of(wildcards):
    """The rows that an auxiliary set must not resemble, as a list."""
    study_rows = f"{RESULTS}/{wildcards.study}/data/rows.parquet"
    return modalities.excluded_rows(data_of(wildcards), study_rows)


def pretrained_of(wildcards):
    """The pretrained folder that a generator starts from, as a list: empty without transfer."""
    kinds = study_of(wildcards).transfers(wildcards.generator)
    return [f"{RESULTS}/{wildcards.study}/pretrained~{kind}" for kind in kinds]


def inverter_of(wildcards):
    """The inverter that a generator decodes by, where it is trained on the source set, as a list."""
    kinds = study_of(wildcards).inverters(wildcards.generator)
    return [f"{RESULTS}/{wildcards.study}/pretrained~{kind}" for kind in kinds]


def auxiliary_of(wildcards):
    """The folder of the auxiliary set that is pretrained on."""
    name = "fresh" if wildcards.kind.startswith("fresh") else "source"
    return f"{RESULTS}/{wildcards.study}/{name}"


def shards_of(study, replicate, generator, r):
    """The shard manifests of a pool."""
    count = STUDIES[study].experiment.shards
    pool = f"{RESULTS}/{study}/rep~{replicate}/gen~{generator}/r~{r}/pool"
    return [f"{pool}/shard-{i:04d}-of-{count:04d}.json" for i in range(count)]


def fits_of(wildcards, method):
    """The folders of the fits from which a method's λ̂ is chosen, one per method and r."""
    study = study_of(wildcards)
    folder = f"{RESULTS}/{wildcards.study}/rep~{wildcards.replicate}"
    return [
        f"{folder}/fit~{name}/r~{label}"
        for name in study.candidates(method)
        for label in study.fits(study.methods[name])
    ]


def pools_at(wildcards, name, labels):
    """The shard manifests of the pools that some of a method's fits use."""
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
    """The shard manifests of the pools that one fit uses: none without a generator."""
    return pools_at(wildcards, wildcards.method, [wildcards.r])


def pools_of(wildcards, method):
    """The shard manifests of all pools that the fits of `fits_of` use."""
    study = study_of(wildcards)
    return [
        manifest
        for name in study.candidates(method)
        for manifest in pools_at(wildcards, name, study.fits(study.methods[name]))
    ]


def of_all_methods(wildcards, files_of):
    """The files that a function of wildcards and a method returns for all methods, each file once."""
    methods = study_of(wildcards).methods
    return list(dict.fromkeys(file for name in methods for file in files_of(wildcards, name)))


def all_fits_of(wildcards):
    """The folders of all fits of a replicate."""
    return of_all_methods(wildcards, fits_of)


def all_pools_of(wildcards):
    """The shard manifests of all pools of a replicate."""
    return of_all_methods(wildcards, pools_of)


def evaluations_of(wildcards):
    """The values of codsa-eval's --evaluation in a replicate, one per method."""
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
    """An option repeated for each value, as arguments that the rule quotes."""
    return [argument for value in values for argument in (option, str(value))]


def all_metrics_of(wildcards):
    """The metrics of all methods and replicates of a study."""
    study = study_of(wildcards)
    return expand(
        f"{EVALUATION}/metrics.json",
        study=wildcards.study,
        method=study.methods,
        replicate=range(study.experiment.replicates),
    )
