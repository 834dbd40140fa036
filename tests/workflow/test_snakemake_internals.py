"""Each function that reads what Snakemake does not document, run in a workflow: a changed release fails here.

Jobs of groups are looked at in tests/test_cluster_plan.py: only a scheduler has them.
"""

from __future__ import annotations

import json
from pathlib import Path

from test_workflow import snakemake

SNAKEFILE = """
import json
from codsa.workflow import snakemake_internals as internals

rule all:
    input: expand("{k}.txt", k=range(3)), "alone.txt"

rule member:
    output: "{k}.txt"
    wildcard_constraints: k=r"[0-9]"
    group: "members"
    shell: "touch {output}"

rule alone:
    output: "alone.txt"
    resources: mem_mb=7
    shell: "touch {output}"

onstart:
    jobs = [(sorted(m.rule.name for m in members), job.is_group()) for job, members in internals.planned_jobs(workflow)]
    seen = {
        "asked": "all" in internals.asked_for(),
        "main": internals.is_main(workflow),
        "executor": internals.executor_name(workflow),
        "containers": internals.uses_containers(workflow),
        "components": [internals.group_components(workflow, name) for name in ("members", "others")],
        "limits": [internals.limit(workflow, name) for name in ("slots", "others")],
        "defaults": [internals.default_resource(workflow, name) for name in ("slurm_partition", "others")],
        "jobs": sorted(jobs),
    }
    Path("seen.json").write_text(json.dumps(seen))
"""


def test_snakemake_says_what_the_rules_ask(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text("from pathlib import Path\n" + SNAKEFILE)
    run = snakemake(
        tmp_path,
        "all",
        *(
            "-s",
            str(tmp_path / "Snakefile"),
            "--cores",
            "1",
            "--group-components",
            "members=3",
            "--resources",
            "slots=2",
        ),
        *("--default-resources", "slurm_partition='fast'"),
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert json.loads((tmp_path / "seen.json").read_text()) == {
        "asked": True,
        "main": True,
        "executor": "local",
        "containers": False,
        "components": [3, 1],
        "limits": [2, None],
        "defaults": ["fast", None],
        "jobs": [[["all"], False], [["alone"], False], *[[["member"], False]] * 3],  # on one machine nothing is grouped
    }
