# What a scheduler is asked for: memory and minutes by size and attempt, GPUs, partitions, groups;
# and what is checked before the first job.
from math import ceil

from codsa.workflow import snakemake_internals

from codsa.workflow import preflight

from codsa.io import verify

SLURM = "slurm"
IS_MAIN = snakemake_internals.is_main(workflow)
"""Whether this process plans the run; others are jobs, which ask Slurm nothing."""
FITS, SPLITS = "fit-{replicate}", "split"


# Each member of a group of fits or splits takes a slot. The profile says how many slots
# a job has; so many members run at once, and CPUs and memory are asked for so many, not for all.
resource_scopes:
    group_slots="local",


def megabytes(files):
    """The size of those files that are there already."""
    return sum(Path(f).stat().st_size for f in map(str, files) if Path(f).is_file()) / 1e6


def abreast(group):
    """How many members of a group run at once: all, where the profile does not limit its slots."""
    members = snakemake_internals.group_components(workflow, group)
    slots = snakemake_internals.limit(workflow, "group_slots")
    return members if slots is None else min(slots, members)


def turns(group):
    """How many times the members of a group follow one another."""
    return ceil(snakemake_internals.group_components(workflow, group) / abreast(group))


def memory(base, each=0, factor=lambda w: 1, gpus=lambda w: 0, share=lambda: 1):
    """Megabytes asked for: so many, so many for each of input, and twice as many at each attempt.

    They end at the memory of the partition's largest node, over which a job would wait forever, or at
    its share of it where several rules run at once in a job; but they are never less than the base.
    """

    def asked(wildcards, input, attempt):
        wanted = round((base + each * factor(wildcards) * megabytes(input)) * 2 ** (attempt - 1))
        most = largest(partition(gpus(wildcards)))
        return wanted if most is None else max(base, min(wanted, int(most * share())))

    return asked


def minutes(base, each=0, factor=lambda w: 1, gpus=lambda w: 0, share=lambda: 1):
    """Minutes asked for: so many, so many for each megabyte of input, and as many again at each attempt.

    They end at the limit of the partition, over which a job would wait forever, or at its share of it
    where several rules follow one another in a job.
    """

    def asked(wildcards, input, attempt):
        wanted = round((base + each * factor(wildcards) * megabytes(input)) * attempt)
        limit = longest(partition(gpus(wildcards)))
        return wanted if limit is None else min(wanted, int(limit * share()))

    return asked


@cache
def longest(name):
    """The minutes that a partition allows; None where it has no limit or this is no scheduling process."""
    return preflight.longest_minutes(name) if IS_MAIN else None


@cache
def largest(name):
    """The megabytes of a partition's largest node; None where nobody knows, or in a job."""
    nodes = preflight.nodes_of(name) if IS_MAIN else []
    return max((node.megabytes for node in nodes), default=None)


def partition(gpus):
    """The partition of a job with so many GPUs; None leaves the choice to Slurm."""
    names = ("gpu_partition", "slurm_partition") if gpus else ("slurm_partition",)
    known = (snakemake_internals.default_resource(workflow, name) for name in names)
    return next(filter(None, known), None)


def gpus_of(wildcards):
    return study_of(wildcards).gpus(wildcards.generator)


def pretraining_gpus_of(wildcards):
    return study_of(wildcards).pretraining_gpus(wildcards.kind)


def generation(wildcards):
    """Training and sampling of one (replicate, generator, r) are one job, unless many shards are drawn."""
    alone = study_of(wildcards).experiment.shards == 1
    names = (wildcards.study, wildcards.replicate, wildcards.generator, wildcards.r)
    return "generator-" + "-".join(names) if alone else None


def synthetic(wildcards):
    """The rows of a fit, as a multiple of the real ones."""
    return 1 + study_of(wildcards).most_synthetic


def methods_of(wildcards):
    """How many methods a replicate has: one job evaluates them all."""
    return len(study_of(wildcards).methods)


def most_gpus():
    """The most GPUs that a job of the studies asks for."""
    return max(
        (study.gpus(name) for study in STUDIES.values() for name in study.generators), default=0
    )


def requests():
    """What the jobs will ask for of a node, one of each kind: those of other replicates ask for the same."""
    kinds = {}
    for job, members in snakemake_internals.planned_jobs(workflow):
        kind = sorted(
            (m.rule.name, m.wildcards_dict.get("study", ""), m.wildcards_dict.get("generator", ""))
            for m in members
        )
        kinds.setdefault(tuple(kind), job)
    return [request(job) for job in kinds.values() if not job.is_local]


def request(job):
    """What a job, or a group of jobs, asks for."""
    resources = job.resources
    name = f"the group '{job.groupid}'" if job.is_group() else f"rule {job.rule.name}"
    return preflight.Request(
        name,
        resources.get("slurm_partition"),
        cpus=job.threads,
        megabytes=resources.get("mem_mb", 0),
        gpus=resources.get("gpu", 0),
    )


def containers_asked():
    """Whether commands run in an image."""
    return SETTINGS.container is not None and snakemake_internals.uses_containers(workflow)


def check_start():
    """Raise, before any job, where something that the run needs is missing."""
    try:
        if snakemake_internals.executor_name(workflow) == SLURM:
            preflight.check_slurm()
            for gpus in (0, 1):
                preflight.check_partition(partition(gpus))
            if most_gpus():
                preflight.check_slurm_gpus(most_gpus(), partition(most_gpus()))
            preflight.check_requests(requests())
        elif most_gpus():
            preflight.check_local_gpus(most_gpus())
        if containers_asked():
            preflight.check_image(SETTINGS.container)
        for label in STUDIES:
            verify.refuse_broken(Path(RESULTS) / label)
    except CodsaError as error:
        raise WorkflowError(str(error)) from None


if containers_asked() and IS_MAIN:
    try:
        preflight.check_apptainer()
    except CodsaError as error:
        raise WorkflowError(str(error)) from None


onstart:
    if IS_MAIN:
        check_start()
