"""Random settings and experiments, good and spoilt: read as they were written, or refused in one line."""

from __future__ import annotations

import json
import math
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from codsa.cli.common import parse_settings
from codsa.errors import CodsaError
from codsa.io.yamls import parse_decimal, parse_value, parse_yaml
from codsa.stages.split import parse_size
from codsa.workflow.commands import section_options
from codsa.workflow.config import Experiment, validated
from codsa.workflow.methods import PRESETS
from codsa.workflow.study import Study
from codsa.workflow.study import settings as written

MANY = settings(max_examples=10 * settings().max_examples)
WORDS = [
    "no",
    "on",
    "~",
    "null",
    "007",
    "1e3",
    "12:30",
    "2020-01-01",
    "0x1f",
    "<<",
    "=",
    ".inf",
    "NaN",
    "a: b",
    "- a",
    "#",
    "*a",
    "[",
    "{",
    "'",
    "!!x",
    "true",
    "@",
]
texts = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.sampled_from(WORDS))
numbers = st.one_of(
    st.integers(-(10**30), 10**30), st.floats(allow_nan=False), st.sampled_from([0, -0.0, 1e-300, 1e300, 2**64])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


def same(a: Any, b: Any) -> bool:
    """Say whether two values are equal in value and type, at every depth."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b and (not isinstance(a, float) or math.copysign(1, a) == math.copysign(1, b))


@MANY
@given(st.dictionaries(names, values, max_size=4))
def test_settings_come_back_as_they_were(given: dict[str, Any]) -> None:
    words = written(given)
    assert words[::2] == ["--set"] * len(given)
    assert same(parse_settings(words[1::2]), given)


@MANY
@given(values)
def test_a_value_written_as_json_is_read_back(value: Any) -> None:
    assert same(parse_value(json.dumps(value)), value)
    assert same(parse_value(json.dumps(value, ensure_ascii=False)), value)


@MANY
@given(st.one_of(st.text(max_size=60), st.text("{}[]&*!:-?|>'\"#%@`, \n\tab01.e<=~", max_size=60)))
def test_any_text_is_a_value_or_is_refused(text: str) -> None:
    for read in (parse_value, lambda text: parse_yaml(text, "x.yaml")):
        try:
            value = read(text)
        except CodsaError as error:
            assert str(error)
        else:
            json.dumps(value, allow_nan=True).encode()


@MANY
@given(st.one_of(st.text(max_size=20), st.text("0123456789.eE+-_ ０²", max_size=12), numbers.map(str)))
def test_any_text_is_a_size_or_is_refused(text: str) -> None:
    number = parse_decimal(text)
    try:
        size = parse_size(text)
    except CodsaError:
        assert number is None or number <= 0 or number > 10**9 or not float(number).is_integer()
    else:
        assert number == (size.fraction if size.count is None else size.count)


levels = st.text(st.characters(categories=["L", "N", "Zs", "P"]), min_size=1, max_size=8)
equal = st.lists(levels, min_size=1, max_size=3, unique=True)
weights = equal.map(lambda names: dict.fromkeys(names, 1 / len(names)))
alphas = st.one_of(st.floats(0, 1), st.sampled_from(["balance", "training", "target"]), weights)
plain = [name for name in PRESETS if "transfer" not in PRESETS[name]]
experiments = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True),
        "data": st.builds(dict, path=st.just("x.csv")),
    },
    optional={
        "seed": st.integers(0, 2**64 - 1),
        "replicates": st.integers(1, 50),
        "methods": st.lists(st.sampled_from(plain), min_size=1, max_size=4, unique=True),
        "split": st.fixed_dictionaries({"law": st.one_of(weights, st.sampled_from(["balanced", "training"]))}),
        "grid": st.fixed_dictionaries(
            {"r": st.lists(st.floats(0.1, 0.9), min_size=1, max_size=3)},
            optional={"m": st.lists(st.floats(0.1, 8), min_size=1), "alpha": st.lists(alphas, min_size=1, max_size=3)},
        ),
        "estimator": st.fixed_dictionaries({"settings": st.dictionaries(names, values, max_size=3)}),
    },
)


@MANY
@given(experiments)
def test_an_experiment_is_read_as_it_was_written(content: dict[str, Any]) -> None:
    """By YAML, and its parts once more from the command lines of its stages."""
    text = yaml.safe_dump(content, allow_unicode=True)
    experiment: Experiment = validated(Experiment, parse_yaml(text, "x.yaml"), "x.yaml")
    for key in ("name", "seed", "replicates"):
        assert getattr(experiment, key) == content.get(key, getattr(experiment, key))
    study = Study("x", experiment)
    law = content.get("split", {}).get("law", "balanced")
    options = study.split(0)
    read = parse_value(options[options.index("--law") + 1]) if "--law" in options else "balanced"
    assert read == law and (isinstance(law, str) or list(read) == sorted(law))
    first = experiment.methods[0]
    own = first.estimator or experiment.estimator
    options = study.fit(0, first.name, "1.0") if first.choose_from is None else section_options(own)
    pairs = [options[k + 1] for k, word in enumerate(options) if word == "--set"]
    assert same(parse_settings(pairs), dict(sorted(own.settings.items())))


@st.composite
def spoilt(draw: Any) -> str:
    """The text of an experiment with a value, a key or some characters changed."""
    content = draw(experiments)
    place: Any = content
    while True:
        key = draw(st.sampled_from(sorted(place, key=str)))
        if not isinstance(place[key], dict) or not place[key] or draw(st.booleans()):
            break
        place = place[key]
    kind = draw(st.sampled_from(["value", "key", "text", "twice"]))
    if kind == "value":
        place[key] = draw(values)
    elif kind == "key":
        place[draw(texts)] = place.pop(key)
    text = yaml.safe_dump(content, allow_unicode=True)
    if kind == "text":
        start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 6))
        text = text[:start] + draw(st.text(max_size=6)) + text[start + length :]
    return text + text if kind == "twice" else text


@MANY
@given(spoilt())
def test_a_spoilt_experiment_is_read_or_refused(text: str) -> None:
    try:
        content = parse_yaml(text, "x.yaml")
        Study("x", validated(Experiment, content, "x.yaml")).checked()
    except CodsaError as error:
        assert "x.yaml" in str(error) or "no " in str(error)
