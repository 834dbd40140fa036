"""The experiments that repeat the paper's, and which of them can be run: those whose data are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codsa.io.yamls import read_yaml
from codsa.workflow.config import Experiment, load_experiment
from codsa.workflow.study import raw_files

SIMULATED = "nothing: its data are simulated"
CLASSES = {"majority": "1", "minority": "0"}
HALVES = {"majority": "x1 > 0.5", "minority": "x1 ≤ 0.5"}


@dataclass(frozen=True)
class PaperExperiment:
    """An experiment of the paper.

    Attributes
    ----------
    name, section : str
        Its name here, and the paper's section.
    file : str
        Its experiment file, relative to the working folder.
    needs : str
        What it needs that the package does not ship, and where that comes from.
    regions : mapping
        The paper's names of regions, each with the name in our tables.
    """

    name: str
    section: str
    file: str
    needs: str = SIMULATED
    regions: Mapping[str, str] = field(default_factory=dict)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        PaperExperiment("sim41", "4.1", "workflow/experiments/sim41.yaml", regions=CLASSES),
        PaperExperiment("sim42", "4.2", "workflow/experiments/sim42.yaml", regions=HALVES),
        PaperExperiment(
            "yelp",
            "4.3",
            "workflow/experiments/yelp.yaml",
            "Yelp reviews (the Yelp Open Dataset; the licence lets nobody pass them on) and a sentence encoder: "
            "head of workflow/experiments/yelp.yaml, docs/texts.md",
        ),
        PaperExperiment(
            "utkface",
            "4.4",
            "workflow/experiments/utkface.yaml",
            "the aligned faces of UTKFace in data/utkface (for research; not to be passed on): docs/images.md",
        ),
        PaperExperiment(
            "mnist-usps",
            "4.5",
            "workflow/experiments/mnist_usps.yaml",
            "codsa download mnist --out data/mnist; codsa download usps --out data/usps",
            regions={"mnist": "mnist", "usps": "usps"},
        ),
        PaperExperiment("sim42-d1", "D.1", "workflow/experiments/sim42_d1.yaml", regions=HALVES),
        PaperExperiment("sim42-d2", "D.2", "workflow/experiments/sim42_d2.yaml", regions=HALVES),
    )
}


def runnable(scale: str) -> dict[str, Experiment]:
    """Return the paper's experiments by label that have a scale and whose data are in the working folder."""
    found: dict[str, Experiment] = {}
    for paper_experiment in EXPERIMENTS.values():
        path = Path(paper_experiment.file)
        if path.exists() and scale in (read_yaml(path).get("scales") or {}):
            label, experiment = load_experiment(path, scale)
            if all(Path(file).exists() for file in _files(experiment)):
                found[label] = experiment
    return found


def _files(experiment: Experiment) -> list[str]:
    """Return the local files and folders that an experiment reads."""
    sets = [data for data in (experiment.data, experiment.source, experiment.fresh) if data is not None]
    encoders = [data.texts.encoder for data in sets if data.texts is not None and data.texts.encoder]
    return [*(file for data in sets for file in raw_files(data)), *(name for name in encoders if _is_path(name))]


def _is_path(encoder: str) -> bool:
    """Say whether an encoder is named by a folder rather than by its address on the hub."""
    return encoder.startswith(("models/", "./", "/"))
