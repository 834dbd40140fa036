"""What it costs, as ratios in one run.

    python benchmarks/cost [study] [sampling] [grid] [streaming] [training] [forests] [prefix] [stable]
    python benchmarks/cost workflow [--against FOLDER] [--config KEY=VALUE …]

Without names all parts but the last two run. workflow runs the studies of config.yaml, and with --against those of
another checkout, too, whose figures should be the same. CPU time is what counts, wall time stands beside it. The
results are printed and written to benchmarks/results/cost.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from grids import forests, grid
from memory import streaming, training
from networks import sampling, study
from prefix import prefix
from shared import Section, Spent, timed
from stable import stable
from studies import workflow

from codsa.io.devices import mixed_precision

RESULTS = Path(__file__).parent.parent / "results/cost.md"
PARTS: dict[str, tuple[str, Callable[[Section], None]]] = {
    "study": ("Training and 16,000 rows", study),
    "sampling": ("Quality against calls of the network", sampling),
    "grid": ("The grid of perceptrons", grid),
    "streaming": ("Memory of a large pool", streaming),
    "training": ("Memory of a large table", training),
    "forests": ("Forests in parallel", forests),
    "prefix": ("Few rows of a slow generator", prefix),
    "stable": ("Stable Diffusion at its size", stable),
    "workflow": ("The default studies", workflow),
}
LARGE = ("stable", "workflow")
"""Run only where they are named."""


def machine() -> str:
    """Describe the machine in plain words."""
    half = "with" if mixed_precision("auto") == "bf16" else "without"
    gpu = "a GPU" if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} cores ({platform.machine()}, {half} bfloat16 arithmetic), {gpu}, shared with other jobs"


def write(sections: dict[str, Section], spent: Spent) -> None:
    """Write the sections that were run over those of the file, keeping the others."""
    kept = {}
    if RESULTS.exists():
        parts = re.split(r"^## (.+)\n", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        kept = dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
    kept |= {made.title: "\n".join(made.lines) for made in sections.values()}
    head = (
        "# What it costs\n\n`make bench`, or `python benchmarks/cost "
        + " ".join(name for name in PARTS if name not in LARGE)
        + "`, one thread each; "
        f"{machine()}. CPU seconds, so that the other jobs count little.\nThe last run ({', '.join(sections)}) took "
        f"{spent.cpu / 60:.0f} CPU-minutes.\n"
    )
    ordered = [f"## {title}\n\n{kept[title]}\n" for title, _ in PARTS.values() if title in kept]
    RESULTS.write_text("\n".join([head, *ordered]), encoding="utf-8")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="workflow: another checkout, to compare with")
    parser.add_argument("--config", nargs="+", metavar="KEY=VALUE", help="workflow: as Snakemake's option")
    given = parser.parse_args()
    chosen = given.parts or [name for name in PARTS if name not in LARGE]
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        parser.error(f"no part '{unknown[0]}'; the parts are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    sections = {}
    with timed() as spent:
        for name in chosen:
            title, part = PARTS[name]
            part = partial(workflow, against=given.against, settings=given.config) if name == "workflow" else part
            print(f"\n## {title}\n", flush=True)
            sections[name] = Section(title)
            part(sections[name])
    write(sections, spent)


if __name__ == "__main__":
    main()
