"""codsa: all commands as subcommands of one."""

from __future__ import annotations

from collections.abc import Callable

from codsa.cli import (
    check,
    download,
    export,
    fit,
    new,
    paper,
    predict,
    prepare,
    report,
    run,
    sample,
    split,
    summary,
    train_gen,
    train_inverter,
)
from codsa.cli import eval as evaluating
from codsa.cli.common import Version, new_app, runner

app = new_app()


@app.callback()
def codsa(version: Version = False) -> None:
    """Put synthetic data where real data is thin, and measure whether it helped.

    The stages, in order: prepare, split, train-gen, sample, fit, eval, report. Each is also a
    separate command: `codsa split` is `codsa-split`. `codsa run` does all of them for a table of yours, or for an
    experiment file, which `codsa new` writes.
    """


COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "new": new.new,
    "download": download.download,
    "prepare": prepare.prepare,
    "split": split.split,
    "train-gen": train_gen.train_gen,
    "train-inverter": train_inverter.train_inverter,
    "sample": sample.sample,
    "fit": fit.fit,
    "eval": evaluating.evaluate,
    "report": report.report,
    "summary": summary.summary,
    "predict": predict.predict,
    "export": export.export,
    "paper": paper.paper,
    "check": check.check,
}
for _name, _command in COMMANDS.items():
    app.command(_name, no_args_is_help=_name not in ("summary", "check"))(_command)

main = runner(app)
