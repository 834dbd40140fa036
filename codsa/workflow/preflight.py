"""Checks before a run submits its first job: Slurm, Apptainer, the right image, large enough nodes.

Each check raises a `CodsaError` that says what is missing and what to do.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codsa import __version__
from codsa.errors import CodsaError, suggest
from codsa.workflow.code_digests import package_digest

TIMEOUT_SECONDS = 60
"""Time that a command of the cluster may take to answer."""
GRES_GPUS = re.compile(r"\bgpu:(?:[^:,()\s]+:)?(\d+)")
"""The GPUs of a node as sinfo lists them: 'gpu:2', 'gpu:a100:4(S:0-1)'."""
VERSION_LABEL = "org.opencontainers.image.version"
CODE_LABEL = "codsa.code"
"""The image's label with the digest of the code that it holds (see `containers/codsa.def`)."""


def answer(*command: str) -> str | None:
    """Return what a command prints, or None where it is missing, fails or does not answer."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def check_slurm() -> None:
    """Raise where Slurm's commands are missing or its controller does not answer."""
    for command in ("sbatch", "squeue", "scancel"):
        if shutil.which(command) is None:
            raise CodsaError(
                f"no Slurm here: '{command}' is not on the PATH; run on a login node of the cluster, "
                "or on this machine alone with --profile workflow/profiles/local"
            )
    if answer("sinfo", "--noheader", "--format=%P") is None:
        raise CodsaError("Slurm does not answer (sinfo fails); is its controller up? try again, or ask who runs it")


def check_partition(partition: str | None) -> None:
    """Raise where the cluster has no partition of this name."""
    partitions = [name.rstrip("*") for name in (answer("sinfo", "--noheader", "--format=%P") or "").split()]
    for name in (partition or "").split(","):
        if name and name not in partitions:
            raise CodsaError(
                f"the cluster has no partition '{name}'; {suggest(name, partitions)} (workflow/profiles/slurm)"
            )


def longest_minutes(partition: str | None) -> int | None:
    """Return the time limit of a partition (None: the default one) in minutes, or None where there is none."""
    for line in (answer("sinfo", "--noheader", "--format=%P %l") or "").splitlines():
        name, limit = line.split()
        if name.rstrip("*") == partition or (partition is None and name.endswith("*")):
            days, _, clock = limit.rpartition("-")
            parts = clock.split(":")
            if all(part.isdigit() for part in parts):  # otherwise infinite
                hours, minutes, *_ = ["0", "0", *parts][-3:]
                return int(days or 0) * 1440 + int(hours) * 60 + int(minutes)
    return None


@dataclass(frozen=True)
class Node:
    """The resources of a node.

    Attributes
    ----------
    cpus, gpus : int
    megabytes : int
        Its memory.
    """

    cpus: int
    megabytes: int
    gpus: int


@dataclass(frozen=True)
class Request:
    """The resources that a job requests on one node.

    Attributes
    ----------
    job : str
        The job's name in messages: its rule or group.
    partition : str, optional
        None is the default partition; commas separate several.
    cpus, megabytes, gpus : int
    """

    job: str
    partition: str | None
    cpus: int
    megabytes: int
    gpus: int


def nodes_of(partition: str | None) -> list[Node]:
    """Return the different kinds of node of a partition: none where Slurm does not list them.

    Parameters
    ----------
    partition : str, optional
        None is the default partition, or all where there is no default.
    """
    listed = answer("sinfo", "--noheader", "--exact", "--format=%P|%c|%m|%G") or ""
    lines = [fields for line in listed.splitlines() if len(fields := line.split("|")) == 4]
    names = set((partition or "").split(","))
    if partition is None:
        names = {name.rstrip("*") for name, *_ in lines if name.endswith("*")} or {name for name, *_ in lines}
    return [
        Node(_digits(cpus), _digits(memory), sum(map(int, GRES_GPUS.findall(gres))))
        for name, cpus, memory, gres in dict.fromkeys(map(tuple, lines))
        if name.rstrip("*") in names
    ]


def _digits(count: str) -> int:
    """Return a count of sinfo, which writes '16+' where nodes differ."""
    return int(re.sub(r"\D", "", count) or 0)


def check_slurm_gpus(wanted: int, partition: str | None) -> None:
    """Raise where a job requests more GPUs than any node of the partition has."""
    available = max((node.gpus for node in nodes_of(partition)), default=0)
    if wanted > available:
        raise CodsaError(
            f"gpus: {wanted} was asked for, but no node of {_named(partition)} has more than {available}: set "
            "gpu_partition in workflow/profiles/slurm/config.yaml, or lower gpus in the experiment (0: train without)"
        )


def _named(partition: str | None) -> str:
    return f"partition '{partition}'" if partition else "the default partition"


def check_requests(requests: Iterable[Request]) -> None:
    """Raise where a job requests more than any node of its partition has, since it would wait for ever.

    The job with most CPUs is checked, and named, first.
    """
    nodes = cache(nodes_of)
    for request in sorted(requests, key=lambda r: (-r.cpus, -r.megabytes, r.job)):
        partition_nodes = nodes(request.partition)
        if partition_nodes and not any(_fits(request, node) for node in partition_nodes):
            largest = _written(_largest(partition_nodes))
            raise CodsaError(
                f"{request.job} asks for {_written(request)} of one node, but no node of {_named(request.partition)} "
                f"has that: the largest has {largest}; name a partition with larger nodes in "
                "workflow/profiles/slurm/config.yaml, lower group_slots there, or use --set-resources and --set-threads"
            )


def _fits(request: Request, node: Node) -> bool:
    return request.cpus <= node.cpus and request.megabytes <= node.megabytes and request.gpus <= node.gpus


def _largest(nodes: list[Node]) -> Node:
    return max(nodes, key=lambda node: (node.cpus, node.megabytes, node.gpus))


def _written(amount: Request | Node) -> str:
    """Return CPUs, memory and GPUs in words."""
    gpus = f" and {amount.gpus} GPUs" if amount.gpus else ""
    return f"{amount.cpus} CPUs, {amount.megabytes} MB{gpus}"


def check_local_gpus(wanted: int) -> None:
    """Raise where this machine has fewer GPUs than a job requests."""
    import torch

    available = torch.cuda.device_count()
    if wanted > available:
        raise CodsaError(
            f"gpus: {wanted} was asked for, but torch sees {available} on this machine; "
            "lower gpus in the experiment (0: train on what is there)"
        )


def check_apptainer() -> None:
    """Raise where there is neither Apptainer nor Singularity."""
    if not any(map(shutil.which, ("apptainer", "singularity"))):
        raise CodsaError(
            "no Apptainer here: neither 'apptainer' nor 'singularity' is on the PATH; load its module, "
            "or run without an image: --config container=none"
        )


def check_image(image: str) -> None:
    """Raise where a local image is missing, or holds another version or other code than this folder.

    Parameters
    ----------
    image : str
        A path, which is checked, or an address (docker://, oras://, …), which is left to Apptainer.
    """
    if "://" in image:
        return
    remedy = f"build it with 'make image', or set container in config.yaml (this is codsa {__version__})"
    if not Path(image).exists():
        raise CodsaError(f"{image}: no such image; {remedy}")
    labels = image_labels(image)
    version = labels.get(VERSION_LABEL)
    if version != __version__:
        raise CodsaError(f"{image}: holds codsa {version or 'of no known version'}, not {__version__}; {remedy}")
    if labels.get(CODE_LABEL) not in (None, package_digest()):
        raise CodsaError(f"{image}: holds codsa {version}, but other code than this folder; {remedy}")


def image_labels(image: str) -> dict[str, str]:
    """Return the labels of an image."""
    command = "apptainer" if shutil.which("apptainer") else "singularity"
    inspected = answer(command, "inspect", "--json", "--labels", image)
    try:
        labels: dict[str, str] = json.loads(inspected or "")["data"]["attributes"]["labels"]
    except (ValueError, KeyError, TypeError):
        raise CodsaError(f"{image}: not an image that Apptainer reads; build it with 'make image'") from None
    return labels or {}
