"""What a scheduler would be asked for: jobs, groups, GPUs, memory and minutes; and what is refused before any job."""

from __future__ import annotations

import re
import shutil
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from stub_stage import write_stubs
from test_workflow import ROOT, snakemake, write_study

from codsa import __version__
from codsa.errors import CodsaError
from codsa.workflow import preflight
from codsa.workflow.code_digests import package_digest
from codsa.workflow.config import Experiment, load_experiment
from codsa.workflow.study import Study

PLUGIN = pytest.importorskip("snakemake_executor_plugin_slurm", reason="the Slurm plugin (codsa[cluster]) is missing")


def submitted(text: str) -> Counter[str]:
    """The jobs that a dry run would submit, by rule or group: `rule all` is no job."""
    found = re.findall(r"^rule (\w+):|Group job ([a-z]+)", text, flags=re.MULTILINE)
    return Counter(rule or "group " + group for rule, group in found if rule != "all")


def without_messages(folder: Path) -> Path:
    """A copy of the workflow whose rules have no message: Snakemake prints one in place of what a job asks for."""
    shutil.copytree(ROOT / "workflow", folder / "workflow", dirs_exist_ok=True)
    for path in (folder / "workflow/rules").glob("*.smk"):
        path.write_text(re.sub(r'^ +message:\n(?: +"[^\n]*"\n)+', "", path.read_text(), flags=re.MULTILINE))
    return Path(shutil.copy(ROOT / "Snakefile", folder))


def dry(folder: Path, *arguments: str) -> str:
    """Plan a run by the Slurm profile, where no Slurm tells of its partitions."""
    (silent := folder / "silent").mkdir(exist_ok=True)
    command(silent, "sinfo", "exit 1")
    plain = ("-s", str(without_messages(folder / "plain")), "--profile", str(ROOT / "slurm"))
    options = (*plain, "-n", *arguments, "--config", "container=none")
    run = snakemake(folder, *options, before=str(silent))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout


def of_rule(text: str, rule: str) -> str:
    """The resources of the first job of a rule."""
    return re.search(rf"rule {rule}:.*?resources: ([^\n]*)", text, flags=re.DOTALL)[1]  # type: ignore[index]


def test_the_papers_grid_takes_at_most_450_jobs(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "workflow/experiments/sim41.yaml").read_text())
    content.pop("scales")
    content |= {
        "name": "toy",
        "controls": [],
        "further_estimators": {},
        "methods": ["codsa", "codsa-transfer"],
        "gpus": 1,
    }
    content["pretrain"].pop("denoiser")
    grid = content["grid"]
    assert (content["replicates"], len(grid["r"]), len(grid["m"]) * len(grid["alpha"])) == (10, 10, 189)
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"experiments": ["toy.yaml"]}))
    jobs = submitted(dry(tmp_path))
    assert jobs["group generator"] == 200 and jobs["group fit"] == 40 and jobs["evaluate_toy"] == 10
    assert jobs.total() == 255
    apart = submitted(dry(tmp_path, "--group-components", "split=1"))
    assert apart.total() <= 450 and apart["group fit"] == 200


def test_a_generator_asks_for_gpus_and_a_fit_for_none(tmp_path: Path) -> None:
    write_study(tmp_path, gpus=2, methods=["smote", "codsa"])
    text = dry(tmp_path, "--default-resources", "slurm_partition=cpu", "gpu_partition=accelerated")
    chosen = re.findall(r"rule train_generator:.*?wildcards: ([^\n]*)\n\s*resources: ([^\n]*)", text, flags=re.DOTALL)
    for wildcards, resources in chosen:
        diffusion = "tabular-diffusion" in wildcards
        assert ("gpu=2" in resources) == diffusion and "nodes=1" in resources
        assert ("slurm_partition=accelerated" in resources) == diffusion
    assert "gpu=" not in of_rule(text, "fit") and "slurm_partition=cpu" in of_rule(text, "fit")
    groups = re.findall(r"Group job generator-\S+ .*?(?=\n\[|\Z)", text, flags=re.DOTALL)
    assert groups and all("rule sample" in one and "rule train_generator" in one for one in groups)


def test_shards_of_a_pool_leave_the_group(tmp_path: Path) -> None:
    write_study(tmp_path, shards=4, methods=["codsa"])
    jobs = submitted(dry(tmp_path))
    assert jobs["sample"] == 8 and jobs["train_generator"] == 2 and not jobs["group generator"]


def test_memory_and_minutes_grow_with_the_input(tmp_path: Path) -> None:
    write_study(tmp_path)
    small = of_rule(dry(tmp_path), "fit")
    data = tmp_path / "results/toy/data"
    data.mkdir(parents=True)
    (data / "rows.parquet").write_bytes(b"0" * 40_000_000)
    large = of_rule(dry(tmp_path, "--ignore-incomplete"), "fit")
    for name in ("mem_mb", "runtime"):
        asked = [int(re.search(rf"{name}=(\d+)", text)[1]) for text in (small, large)]  # type: ignore[index]
        assert asked[1] > asked[0], name


def test_gpus_are_an_option_of_training_alone() -> None:
    given: dict[str, Any] = {
        "name": "toy",
        "controls": [],
        "further_estimators": {},
        "data": {"simulation": {"name": "imbalanced-classification"}},
        "source": {"simulation": {"name": "imbalanced-classification", "seed": 1}},
        "methods": ["smote", "codsa", "codsa-finetune", "source-rows"],
        "gpus": 2,
    }
    study = Study("toy", Experiment.model_validate(given))
    assert "--gpus" in study.train(0, "tabular-diffusion", "0.5")
    assert "--gpus" not in study.train(0, "smote", "1.0")
    assert "--gpus" in study.pretrain("denoiser") and "--gpus" not in study.pretrain("rows")
    assert "--gpus" not in study.sample(0, "tabular-diffusion", "0.5")


def command(folder: Path, name: str, script: str) -> None:
    """Put a stand-in for a command of the system into a folder."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_machine_without_slurm_is_named(bare: Path) -> None:
    with pytest.raises(CodsaError, match=r"no Slurm here: 'sbatch' is not on the PATH.*profiles/local"):
        preflight.check_slurm()
    for name in ("sbatch", "squeue", "scancel"):
        command(bare, name, "exit 0")
    command(bare, "sinfo", "exit 1")
    with pytest.raises(CodsaError, match="Slurm does not answer"):
        preflight.check_slurm()


SINFO = """\
case "$*" in
*%G*) printf '%s\\n' "cpu*|2|7000|(null)" "gpu|64|500000+|gpu:a100:4(S:0-1)" "gpu|32|250000|gpu:2,gpu:v100:1" ;;
*%l*) echo "cpu* 1-02:30:00" ;;
*) echo "cpu*"; echo gpu ;;
esac"""
"""A cluster of small nodes without GPUs, by default, and of large ones with some."""


def test_wrong_partitions_and_missing_gpus_are_named(bare: Path) -> None:
    command(bare, "sinfo", SINFO)
    preflight.check_partition("cpu,gpu")
    with pytest.raises(CodsaError, match="no partition 'gpus'; did you mean 'gpu'"):
        preflight.check_partition("gpus")
    preflight.check_slurm_gpus(4, "gpu")
    with pytest.raises(CodsaError, match=r"gpus: 5 was asked for, but no node of partition 'gpu' has more than 4"):
        preflight.check_slurm_gpus(5, "gpu")
    assert preflight.longest_minutes("cpu") == preflight.longest_minutes(None) == 26 * 60 + 30
    assert preflight.longest_minutes("gpu") is None


def test_nodes_are_what_sinfo_lists(bare: Path) -> None:
    assert preflight.nodes_of("cpu") == []  # no sinfo
    command(bare, "sinfo", SINFO)
    small, large, other = preflight.Node(2, 7000, 0), preflight.Node(64, 500_000, 4), preflight.Node(32, 250_000, 3)
    assert preflight.nodes_of("cpu") == preflight.nodes_of(None) == [small]
    assert preflight.nodes_of("gpu") == [large, other]
    assert preflight.nodes_of("cpu,gpu") == [small, large, other]


@pytest.mark.parametrize(
    ("partition", "cpus", "megabytes", "gpus", "fault"),
    [
        (None, 2, 7000, 0, None),
        ("cpu,gpu", 64, 500_000, 4, None),
        (None, 3, 1500, 0, "asks for 3 CPUs, 1500 MB of one node, but no node of the default partition has that: "
                           "the largest has 2 CPUs, 7000 MB; "),
        ("cpu", 1, 7001, 0, "asks for 1 CPUs, 7001 MB of one node, but no node of partition 'cpu'"),
        ("cpu", 1, 1500, 1, "and 1 GPUs of one node"),
        ("gpu", 40, 250_000, 5, "the largest has 64 CPUs, 500000 MB and 4 GPUs"),
    ],
)  # fmt: skip
def test_a_job_that_fits_no_node_is_named(
    bare: Path, partition: str | None, cpus: int, megabytes: int, gpus: int, fault: str | None
) -> None:
    request = preflight.Request("the group 'split'", partition, cpus, megabytes, gpus)
    preflight.check_requests([request])  # nobody knows
    command(bare, "sinfo", SINFO)
    if fault is None:
        return preflight.check_requests([request])
    with pytest.raises(CodsaError, match=r"the group 'split' .*group_slots") as refused:
        preflight.check_requests([request])
    assert fault in str(refused.value)


@pytest.fixture
def fake_slurm(tmp_path: Path) -> Path:
    """A folder with commands of a Slurm of small nodes, whose sbatch writes down what it is asked for, and fails."""
    write_stubs(folder := tmp_path / "bin")
    command(folder, "sinfo", SINFO)
    command(folder, "sbatch", f"printf '%s ' \"$@\" | sed 's/--wrap=.*//' >>'{tmp_path}/asked'; exit 1")
    for name in ("squeue", "scancel", "sacct", "sacctmgr", "scontrol"):
        command(folder, name, "exit 0")
    return folder


def asked(folder: Path, bin: Path, *arguments: str) -> tuple[str, str]:
    """What sbatch was asked for, and what Snakemake said."""
    profile = ("--profile", str(ROOT / "slurm"), "--retries", "0", "--config", "container=none")
    run = snakemake(folder, *profile, *arguments, before=str(bin), CALLS=str(folder / "calls"))
    assert run.returncode != 0
    record = folder / "asked"
    return record.read_text() if record.exists() else "", run.stdout + run.stderr


def test_a_group_asks_for_what_its_members_use_at_once(tmp_path: Path, fake_slurm: Path) -> None:
    write_study(tmp_path, methods=["none", "codsa"], replicates=3)
    data = snakemake(tmp_path, "--cores", "1", "results/toy/data/rows.parquet", before=str(fake_slurm), CALLS="calls")
    assert data.returncode == 0, data.stderr[-3000:]
    words, said = asked(tmp_path, fake_slurm)
    assert words.count("--ntasks") == 1 and "group_split" in words, said[-3000:]
    assert "--cpus-per-task=1 " in words and "--mem 1500 " in words and "-t 60 " in words, words
    (tmp_path / "asked").unlink()
    wide, said = asked(tmp_path, fake_slurm, "--resources", "group_slots=2")
    assert "--cpus-per-task=2 " in wide and "--mem 3000 " in wide and "-t 40 " in wide, wide
    (tmp_path / "asked").unlink()
    none, said = asked(tmp_path, fake_slurm, "--resources", "group_slots=3")
    assert not none and re.search(r"the group 'fit-\d' asks for 3 CPUs, 6000 MB of one node", said), said[-3000:]


def test_a_machine_with_too_few_gpus_is_named() -> None:
    with pytest.raises(CodsaError, match="gpus: 99 was asked for, but torch sees"):
        preflight.check_local_gpus(99)


def test_images_that_are_missing_or_others_are_named(bare: Path) -> None:
    image = bare / "codsa.sif"
    with pytest.raises(CodsaError, match="no Apptainer here"):
        preflight.check_apptainer()
    with pytest.raises(CodsaError, match=r"codsa\.sif: no such image; build it with 'make image'"):
        preflight.check_image(str(image))
    preflight.check_image("docker://example.org/codsa")
    image.touch()
    labels = '{"data": {"attributes": {"labels": {"org.opencontainers.image.version": "%s", "codsa.code": "%s"}}}}'
    for version, code, fault in (
        ("0.0.1", "", "holds codsa 0.0.1, not"),
        (__version__, "0" * 16, "other code than this folder"),
    ):
        command(bare, "apptainer", f"echo '{labels % (version, code)}'")
        with pytest.raises(CodsaError, match=fault):
            preflight.check_image(str(image))
    command(bare, "apptainer", f"echo '{labels % (__version__, package_digest())}'")
    preflight.check_apptainer()
    preflight.check_image(str(image))
    command(bare, "apptainer", "exit 255")
    with pytest.raises(CodsaError, match="not an image that Apptainer reads"):
        preflight.check_image(str(image))


def test_every_experiment_of_the_repository_is_planned_at_full_scale() -> None:
    for path in sorted((ROOT / "workflow/experiments").glob("*.yaml")):
        Study(*load_experiment(path, "full")).checked()


def test_nothing_is_submitted_where_something_is_missing(tmp_path: Path) -> None:
    write_study(tmp_path, methods=["none", "codsa"], gpus=99)
    run = snakemake(tmp_path, "--cores", "1")
    assert run.returncode != 0
    assert "gpus: 99 was asked for" in run.stdout + run.stderr and "Training" not in run.stdout + run.stderr
