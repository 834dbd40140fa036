"""All that the rules read of Snakemake beyond its documented interface.

Snakemake promises neither these attributes nor their types. tests/workflow/test_snakemake_internals.py runs each
function in a workflow and fails where a release of Snakemake has changed what the function reads.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from copy import copy
from typing import Any


def is_main(workflow: Any) -> bool:
    """Say whether this process plans the run; others are jobs."""
    return bool(workflow.is_main_process)


def asked_for() -> list[str]:
    """Return the words of the command line: rules and files to make, and in a job its rule with its wildcards.

    Snakemake knows its targets only once it has read the Snakefile.
    """
    return sys.argv[1:]


def executor_name(workflow: Any) -> str:
    """Return the name of the executor that runs the jobs: 'local', 'dryrun', 'slurm'."""
    return str(workflow.executor_plugin.name)


def uses_containers(workflow: Any) -> bool:
    """Say whether the run was asked to use Apptainer: `--sdm apptainer`."""
    from snakemake.settings.types import DeploymentMethod

    return DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def group_components(workflow: Any, group: str) -> int:
    """Return the number of members in a job of a group: `--group-components`."""
    return int(workflow.group_settings.group_components.get(group, 1))


def limit(workflow: Any, resource: str) -> int | None:
    """Return the limit of a resource for the run, `--resources`; None for no limit."""
    value = workflow.global_resources.get(resource).value
    return None if value is None else int(value)


def default_resource(workflow: Any, resource: str) -> str | None:
    """Return the value of a resource in `--default-resources`, as text; None where it has none."""
    defaults = workflow.resource_settings.default_resources or {}
    return str(defaults[resource].raw).strip("'\"") if resource in defaults else None


def planned_jobs(workflow: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Yield what will be submitted, a single job or a group, each with its jobs.

    A group is a copy, since it caches its resources, and the inputs that these depend on do not exist yet.
    """
    groups = set()
    for job in workflow.dag.needrun_jobs():
        group = workflow.dag.get_job_group(job)
        if group is None:
            yield job, [job]
        elif group not in groups:
            groups.add(group)
            yield copy(group), list(group.jobs)
