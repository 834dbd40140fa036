# The resources of jobs: memory and minutes by input size and attempt, GPUs, partitions, groups;
# and the checks before the first job.
from math import ceil

from codsa.workflow import snakemake_internals

from codsa.workflow import preflight

from codsa.workflow import stage_processes

from codsa.io import verify

SLURM = "slurm"
IS_MAIN = snakemake_internals.is_main(workflow)
"""Whether this process plans the run. Other processes are jobs, which do not ask Slurm."""
FITS, SPLITS = "fit-{replicate}", "split"


# Each member of a group of fits or splits takes one slot, and the profile sets the slots of a job. The members that
# fit into the slots run at once, and the job requests CPUs and memory for these members only.
resource_scopes:
    group_slots="local",


def megabytes(files):
    """The size of those files that exist already."""
    return sum(Path(f).stat().st_size for f in map(str, files) if Path(f).is_file()) / 1e6


def concurrent_members(group):
    """The number of a group's members that run at once: all, where the profile sets no `group_slots`."""
    members = snakemake_internals.group_components(workflow, group)
    slots = snakemake_internals.limit(workflow, "group_slots")
    return members if slots is None else min(slots, members)


def rounds_of(group):
    """The number of rounds in which a group's members run, one after the other in each slot."""
    return ceil(snakemake_internals.group_components(workflow, group) / concurrent_members(group))


def memory(base, each=0, factor=lambda w: 1, gpus=lambda w: 0, share=lambda: 1):
    """Requested megabytes: `base`, plus `each` per megabyte of input; doubled at each further attempt.

    The memory of the partition's largest node is the upper limit, since a larger job would wait forever. Where several
    rules run at once in a job, the limit is their `share` of it. The request is never below `base`.
    """

    def requested(wildcards, input, attempt):
        amount = round((base + each * factor(wildcards) * megabytes(input)) * 2 ** (attempt - 1))
        limit = largest_node_memory(partition(gpus(wildcards)))
        return amount if limit is None else max(base, min(amount, int(limit * share())))

    return requested


def minutes(base, each=0, factor=lambda w: 1, gpus=lambda w: 0, share=lambda: 1):
    """Requested minutes: `base`, plus `each` per megabyte of input; multiplied by the attempt.

    The time limit of the partition is the upper limit, since a longer job would wait forever. Where several rules run
    one after the other in a job, the limit is their `share` of it.
    """

    def requested(wildcards, input, attempt):
        amount = round((base + each * factor(wildcards) * megabytes(input)) * attempt)
        limit = time_limit(partition(gpus(wildcards)))
        return amount if limit is None else min(amount, int(limit * share()))

    return requested


@cache
def time_limit(name):
    """The time limit of a partition in minutes; None where it has none, or in a job."""
    return preflight.longest_minutes(name) if IS_MAIN else None


@cache
def largest_node_memory(name):
    """The megabytes of a partition's largest node; None where Slurm does not say, or in a job."""
    nodes = preflight.nodes_of(name) if IS_MAIN else []
    return max((node.megabytes for node in nodes), default=None)


def partition(gpus):
    """The partition of a job with this number of GPUs; None leaves the choice to Slurm."""
    names = ("gpu_partition", "slurm_partition") if gpus else ("slurm_partition",)
    partitions = (snakemake_internals.default_resource(workflow, name) for name in names)
    return next(filter(None, partitions), None)


def gpus_of(wildcards):
    """The GPUs of a generator's training."""
    return study_of(wildcards).gpus(wildcards.generator)


def pretraining_gpus_of(wildcards):
    """The GPUs of a pretraining."""
    return study_of(wildcards).pretraining_gpus(wildcards.kind)


def generation(wildcards):
    """The group of training and sampling, one job per (replicate, generator, r); None where a pool has several shards."""
    one_shard = study_of(wildcards).experiment.shards == 1
    names = (wildcards.study, wildcards.replicate, wildcards.generator, wildcards.r)
    return "generator-" + "-".join(names) if one_shard else None


def synthetic(wildcards):
    """The rows of the largest fit, as a multiple of n."""
    return 1 + study_of(wildcards).most_synthetic


def methods_of(wildcards):
    """The number of methods, which one job evaluates."""
    return len(study_of(wildcards).methods)


def most_gpus():
    """The largest number of GPUs that a training of the studies at hand requests."""
    studies = [STUDIES[label] for label in studies_at_hand()]
    return max((study.gpus(name) for study in studies for name in study.generators), default=0)


def studies_at_hand():
    """The labels of the studies that have a job to do, and of those that config.yaml names."""
    jobs = snakemake_internals.planned_jobs(workflow)
    planned = {
        member.wildcards_dict.get("study", member.rule.name.removeprefix("evaluate_"))
        for _, members in jobs
        for member in members
    }
    return [label for label in STUDIES if label in planned or label in OWN]


def requests():
    """What the jobs will request of a node, one job of each kind: jobs of other replicates request the same."""
    kinds = {}
    for job, members in snakemake_internals.planned_jobs(workflow):
        kind = sorted(
            (
                member.rule.name,
                member.wildcards_dict.get("study", ""),
                member.wildcards_dict.get("generator", ""),
            )
            for member in members
        )
        kinds.setdefault(tuple(kind), job)
    return [request(job) for job in kinds.values() if not job.is_local]


def request(job):
    """What a job, or a group of jobs, requests."""
    resources = job.resources
    name = f"the group '{job.groupid}'" if job.is_group() else f"rule {job.rule.name}"
    return preflight.Request(
        name,
        resources.get("slurm_partition"),
        cpus=job.threads,
        megabytes=resources.get("mem_mb", 0),
        gpus=resources.get("gpu", 0),
    )


def uses_image():
    """Whether commands run in an image."""
    return SETTINGS.container is not None and snakemake_internals.uses_containers(workflow)


def check_start():
    """Raise, before any job, where something is missing that the run needs."""
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
        if uses_image():
            preflight.check_image(SETTINGS.container)
        for label in studies_at_hand():
            verify.refuse_broken(Path(RESULTS) / label)
    except CodsaError as error:
        raise WorkflowError(str(error)) from None


if uses_image() and IS_MAIN:
    try:
        preflight.check_apptainer()
    except CodsaError as error:
        raise WorkflowError(str(error)) from None


def start_stages():
    """Start the stage server, where all stages run on this machine and outside images."""
    local = snakemake_internals.executor_name(workflow) == "local" and not uses_image()
    if not local or not SETTINGS.forks:
        return
    count = sum(len(members) for _, members in snakemake_internals.planned_jobs(workflow))
    names = [name for label in studies_at_hand() for name in STAGE_CODE[label].all_stages()]
    stage_processes.fork_stages(names, count)


onstart:
    if IS_MAIN:
        check_start()
        start_stages()
