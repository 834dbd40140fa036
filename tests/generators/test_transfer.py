"""What is carried over from a source set: an encoder–decoder, a denoiser, or the rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.errors import CodsaError
from codsa.generators import Generator, make
from codsa.generators.tables.oracle import Oracle
from codsa.io.seeds import SeedContext, stream
from codsa.nn.denoisers import Denoiser
from codsa.nn.tuning import MODES, plain_weights, tunable
from codsa.readers.simulations import simulate
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.pretrain import write_pretrained

TINY = {"steps": 20, "batch": 64, "width": 16, "depth": 2, "sampler_steps": 3, "labels": "denoiser"}


def simulated(rows: int, seed: int, name: str = "imbalanced-classification") -> Dataset:
    rule = RegionRule() if "class" in name else RegionRule(by="range", column="x1", edges=[0.5])
    table, schema = prepare(simulate(name, rows, rows, seed), ColumnOptions(target="y"), rule)
    return Dataset(table, schema, f"{name} {seed}")


def pretrained(folder: Path, kind: str, source: Dataset, rows: int | None = None, **settings: object) -> Path:
    write_pretrained(
        folder,
        kind,
        source,
        settings,
        SeedContext(0, "t", 0),
        folder.with_name(f"{folder.name}-checkpoints"),
        {},
        {},
        rows,
    )
    return folder


def tuned(source: Path, data: Dataset, name: str = "tabular-diffusion", **settings: object) -> Generator:
    columns = [c.name for c in data.schema.modelled]
    given = {**TINY, **settings} if name == "tabular-diffusion" else settings
    made = make(name, given)
    return made.fit(data.rows[columns], data.regions(), data.schema, stream(0, "fit"), None, source)


@pytest.mark.parametrize("mode", MODES)
def test_only_the_weights_of_a_mode_change(mode: str) -> None:
    net = Denoiser(5, 2, 16, 2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    made = tunable(net, mode, torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        made(torch.ones(4, 5), torch.zeros(4), torch.tensor([0, 1, 0, 1])).square().sum().backward()
        optimizer.step()
    after = plain_weights(made, made.state_dict())
    assert set(after) == set(before)
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    blocks = {f"blocks.{i}.{name}.weight" for i in (0, 1) for name in ("inner", "outer")}
    head = {"leave.weight", "leave.bias", "norm.weight", "norm.bias", "region.weight"}
    expected = {"full": set(before), "head": head, "lora": head | blocks}[mode]
    assert changed == expected


def test_low_rank_updates_come_from_the_stream_alone() -> None:
    def weights() -> dict[str, torch.Tensor]:
        net = Denoiser(3, 2, 16, 1)
        net.load_state_dict({k: torch.zeros_like(v) for k, v in net.state_dict().items()})
        return tunable(net, "lora", torch.Generator().manual_seed(4)).state_dict()

    first = weights()
    torch.rand(1)
    second = weights()
    assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("mode", MODES)
def test_a_pretrained_denoiser_is_tuned(mode: str, tmp_path: Path) -> None:
    source, data = simulated(200, 1), simulated(100, 0)
    folder = pretrained(tmp_path / "source", "denoiser", source, **TINY)
    generator = tuned(folder, data, tune=mode)
    made = generator.sample(0, 50, stream(0, "s"))
    assert len(made) == 50 and not made.isna().any().any()
    saved = tmp_path / "made"
    saved.mkdir()
    generator.save(saved)
    again = type(generator).load(saved, data.schema, TINY)
    pd.testing.assert_frame_equal(made, again.sample(0, 50, stream(0, "s")))


def test_tuning_starts_from_the_sources_weights(tmp_path: Path) -> None:
    source, data = simulated(300, 1), simulated(60, 0)
    folder = pretrained(tmp_path / "source", "denoiser", source, **{**TINY, "steps": 300})
    kept = tuned(folder, data, steps=1)
    fresh = make("tabular-diffusion", {**TINY, "steps": 1})
    columns = [c.name for c in data.schema.modelled]
    fresh.fit(data.rows[columns], data.regions(), data.schema, stream(0, "fit"))
    first = [float(one.losses["loss"].iloc[0]) for one in (kept, fresh)]  # type: ignore[attr-defined]
    assert first[0] < 0.9 * first[1]


def test_the_papers_own_generator_can_start_from_a_source_set(tmp_path: Path) -> None:
    small = {key: value for key, value in TINY.items() if key not in ("labels", "sampler_steps")}
    folder = pretrained(tmp_path / "source", "denoiser", simulated(200, 1), generator="vp-diffusion", **small)
    assert len(tuned(folder, simulated(100, 0), "vp-diffusion", **small).sample(0, 5, stream(0, "s"))) == 5


def test_the_source_must_have_the_datas_columns(tmp_path: Path) -> None:
    folder = pretrained(tmp_path / "source", "denoiser", simulated(100, 1, "undersampled-regression"), **TINY)
    with pytest.raises(CodsaError, match="models columns"):
        tuned(folder, simulated(100, 0))


def test_source_rows_are_drawn_region_by_region(tmp_path: Path) -> None:
    source, data = simulated(200, 1), simulated(100, 0)
    folder = pretrained(tmp_path / "rows", "rows", source)
    made = tuned(folder, data, "source-rows").sample(0, 80, stream(0, "s"))
    known = set(source.rows.loc[source.regions() == 0, "x1"])
    assert set(made["x1"]) <= known and not set(made["x1"]) & set(data.rows["x1"])


def test_fewer_source_rows_are_a_part_of_more(tmp_path: Path) -> None:
    source = simulated(200, 1)
    few, more = (
        set(pd.read_parquet(pretrained(tmp_path / str(n), "rows", source, n) / "rows.parquet")["x1"]) for n in (50, 150)
    )
    assert len(few) == 50 and few < more
    with pytest.raises(CodsaError, match="--source-rows 401: the source set has 400 rows"):
        pretrained(tmp_path / "too many", "rows", source, 401)


def test_the_oracle_draws_fresh_rows_of_the_region() -> None:
    data = simulated(300, 0, "undersampled-regression")
    oracle = Oracle(simulation="undersampled-regression", rows=200)
    oracle.fit(data.rows, data.regions(), data.schema, stream(0, "f"))
    made = oracle.sample(0, 500, stream(0, "s"))
    assert len(made) == 500 and (made["x1"] <= 0.5).all()
    assert not set(made["y"]) & set(data.rows["y"])
    pd.testing.assert_frame_equal(made, oracle.sample(0, 500, stream(0, "s")))


def test_an_oracle_of_another_table_is_refused(dataset: Dataset) -> None:
    with pytest.raises(CodsaError, match="has no column 'income'"):
        Oracle().fit(dataset.rows, dataset.regions(), dataset.schema, stream(0, "f"))
