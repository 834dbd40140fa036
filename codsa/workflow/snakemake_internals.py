"""What the rules ask Snakemake that its documented interface does not say, in one place.

The interface for rules promises neither these attributes nor their types. tests/test_snakemake_internals.py runs each
function in a workflow and fails where a release of Snakemake has changed what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any


def is_main(workflow: Any) -> bool:
    """Say whether this process plans the run; others are jobs."""
    return bool(workflow.is_main_process)


def executor_name(workflow: Any) -> str:
    """Return what runs the jobs: 'local', 'dryrun', 'slurm'."""
    return str(workflow.executor_plugin.name)


def uses_containers(workflow: Any) -> bool:
    """Say whether the run was asked to use Apptainer: `--sdm apptainer`."""
    from snakemake.settings.types import DeploymentMethod

    return DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def group_components(workflow: Any, group: str) -> int:
    """Return how many members a job of a group holds: `--group-components`."""
    return int(workflow.group_settings.group_components.get(group, 1))


def limit(workflow: Any, resource: str) -> int | None:
    """Return how much of a resource there is for the run, `--resources`; None for no limit."""
    value = workflow.global_resources.get(resource).value
    return None if value is None else int(value)


def default_resource(workflow: Any, resource: str) -> str | None:
    """Return what `--default-resources` says of a resource, as text; None where it says nothing."""
    defaults = workflow.resource_settings.default_resources or {}
    return str(defaults[resource].raw).strip("'\"") if resource in defaults else None


def planned_jobs(workflow: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Give what will be submitted, each with the jobs in it: a job by itself, or a group.

    A group is a copy: it keeps what it once computed of its resources, and its inputs are yet to come.
    """
    groups = set()
    for job in workflow.dag.needrun_jobs():
        group = workflow.dag.get_job_group(job)
        if group is None:
            yield job, [job]
        elif group not in groups:
            groups.add(group)
            yield copy(group), list(group.jobs)
