from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"


# Used with `--sdm apptainer` only, as the Slurm profile does.
container: SETTINGS.container


include: "workflow/rules/prepare.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"


rule all:
    default_target: True
    input:
        [f"{RESULTS}/{label}/report.html" for label in OWN],
        # Replicates and methods that a report lacks.
        [path for label in OWN for path in unreported(STUDIES[label], Path(RESULTS) / label)],
