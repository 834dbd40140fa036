"""The part of `codsa new`'s experiment file that says what is compared: law, methods, grid, estimator, scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from codsa.data.allocation import least_balancing_m
from codsa.io.yamls import parse_yaml
from codsa.settings.section import validated
from codsa.workflow.config import Experiment, merge
from codsa.workflow.minutes import in_words
from codsa.workflow.study import Study

TIME = "TIME"
"""What stands in the text for an estimate of a scale's time until the text is whole."""

LARGEST_M = 5.0
"""The largest m that is offered, as a multiple of n: a pool of more rows takes long to draw."""

METHODS = """\
split:
  law: balanced          # Q, the law under which the model is evaluated: balanced, training, or {{region: weight}}
  validation: 0.2        # a share of every region, or a number of rows drawn under Q
  test: 0.2

methods:                 # what is compared, on the same splits; README explains each
  - none
  - weighted
  - bootstrap
{neighbours}
  - non-adaptive
  - codsa
  - codsa-reuse
  - codsa-auto           # what validation rows choose among all of these and the controls, to add nothing included
primary: codsa-auto      # the method that the verdict is about, named before the run
# Beside them stand the controls that a gain must survive (controls: [] leaves them out), and control-auto, which
# chooses among the controls alone.

grid:                    # the grid of λ = (r, m, α); validation rows alone choose λ
  r: [0.5, 0.8]          # share of the training rows that the generator sees; codsa-reuse shows it all
  m: {m}   # synthetic rows, as a multiple of the training rows; 0 adds nothing
{feasible}
  alpha: [balance, target]   # their regions: Eq. (5), as under Q, or a weight for the region in focus

generators:
  tabular-diffusion: {{steps: 2000, batch: 256}}

estimator:               # or random-forest, logistic, mlp, or any module:Class of scikit-learn's protocol
  name: gradient-boosting
  settings: {{learning_rate: 0.05, l2_regularization: 1.0, min_samples_leaf: {leaf}}}
  search:                # validation rows choose when to stop, and how large the trees are
    - {{max_iter: 10, max_leaf_nodes: 4}}
    - {{max_iter: 50, max_leaf_nodes: 4}}
    - {{max_iter: 150, max_leaf_nodes: 8}}

scales:                  # codsa run {name}.yaml --scale quick (the default), or full
  quick:                 # {time}: whether it is worth going on
    replicates: 3
    methods: [none, weighted, bootstrap, smote, codsa-reuse, codsa-auto]
    controls: [relabelled, label-model, control-auto]
    further_estimators: {{}}
    grid: {{m: {quick_m}, alpha: [balance]}}
    generators:
      tabular-diffusion: {{steps: 500}}
  full:                  # {time}: what to report
    replicates: 10
"""


def offered_m(counts: Sequence[int]) -> tuple[list[float], float]:
    """Return the multiples m of n to offer, 0 first, and the least m at which Eq. (5) is feasible with all real rows.

    Parameters
    ----------
    counts : sequence of int
        Rows of each region. Q is balanced.

    Examples
    --------
    >>> from codsa.workflow.template_methods import offered_m
    >>> m, least = offered_m([50, 285])
    >>> m, round(least, 2)
    ([0.0, 0.8, 1.6], 0.7)
    """
    p = np.array(counts) / sum(counts)
    least = least_balancing_m(1.0, np.full(len(p), 1 / len(p)), p)
    enough = min(LARGEST_M, max(0.5, math.ceil(11 * least) / 10))  # a tenth more: the splits round
    return [0.0, enough, round(min(LARGEST_M, 2 * enough), 1)] if enough < LARGEST_M else [0.0, enough], least


def methods_text(name: str, task: str, counts: Sequence[int]) -> str:
    """Return the text from `split:` down.

    Parameters
    ----------
    name : str
        The study's name.
    task : {'classification', 'regression'}
    counts : sequence of int
        Rows of each region.
    """
    m, least = offered_m(counts)
    note = (
        f"  # Eq. (5) is feasible from {least:.2f} on"
        if least <= max(m)
        else f"  # Eq. (5) would need {least:.1f}; the nearest allocation with less is taken"
    )
    return METHODS.format(
        name=name,
        neighbours="\n".join(f"  - {other}" for other in ("smote", "adasyn" if task == "classification" else "smogn")),
        m=m,
        quick_m=m[:2],
        feasible=note,
        leaf=20 if min(counts) >= 200 else 5,
        time=TIME,
    )


def with_minutes(text: str, rows: int) -> str:
    """Return an experiment file's text with an estimate of the time at every scale, in place of `TIME`."""
    content = parse_yaml(text, "experiment")
    head, scales, tail = text.rpartition("\nscales:")
    for overrides in content["scales"].values():
        experiment = validated(Experiment, merge(content, overrides), "experiment")
        tail = tail.replace(TIME, in_words(Study(experiment.name, experiment), rows), 1)
    return head + scales + tail
