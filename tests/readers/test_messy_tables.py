"""Tables as people write them: what is found, said, noted, and read again in the same way."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import call
from own_spreadsheets import write_ods, write_xlsx
from test_bad_input import refused

from codsa.cli.prepare import main as codsa_prepare
from codsa.data.dataset import load_dataset
from codsa.errors import CodsaError
from codsa.io.tables import read_parquet
from codsa.readers.date_formats import DATES, TIMES
from codsa.readers.missing_marks import usual
from codsa.readers.number_formats import PAIRS, NumberFormat, bodies_of
from codsa.readers.tables import read_settled, read_table
from codsa.settings.tables import TableOptions

needs_calamine = pytest.mark.skipif(
    importlib.util.find_spec("python_calamine") is None, reason="the extra 'spreadsheets' is not installed"
)
NOTHING = TableOptions()


def written(folder: Path, text: str, name: str = "t.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def read(path: Path, **said: Any) -> tuple[pd.DataFrame, TableOptions, str]:
    """Read a table, and read it again by what was found: the same."""
    notes: list[str] = []
    table, options = read_settled(path, TableOptions(**said), notes=notes)
    again, same = read_settled(path, options, notes=(silent := []))
    pd.testing.assert_frame_equal(table, again)
    assert same == options and not options.guess and not [note for note in silent if "column '" in note]
    return table, options, "\n".join(notes)


def column(folder: Path, cells: list[str], **said: Any) -> tuple[pd.Series, TableOptions, str]:
    """Read a column `x` of cells, quoted, beside a column of other texts."""
    text = "x;k\n" + "".join(f'"{cell}";{"ab"[i % 2]}\n' for i, cell in enumerate(cells))
    table, options, notes = read(written(folder, text), **said)
    return table["x"], options, notes


# ------------------------------------------------------------------ how a file is written


@pytest.mark.parametrize("sep", [",", ";", "\t", "|", ", ", "; "])
@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.tsv", "t.csv.gz"])
def test_the_separator_is_found(sep: str, name: str, tmp_path: Path) -> None:
    text = f"a{sep}b{sep}c\n" + "".join(f"{i}{sep}{i / 4}{sep}{'uv'[i % 2]} w\n" for i in range(9))
    path = written(tmp_path, text, name)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    table, options, _ = read(path)
    assert options.sep == sep and table.columns.tolist() == ["a", "b", "c"]
    assert table["b"].tolist() == [i / 4 for i in range(9)] and table["c"].tolist()[:2] == ["u w", "v w"]


def test_columns_with_blanks_between_them_are_found(tmp_path: Path) -> None:
    table, options, _ = read(written(tmp_path, "a   b  c\n1 2.5    u\n2   3.5 v\n", "t.dat"))
    assert options.sep == "whitespace" and table["b"].tolist() == [2.5, 3.5]


def test_a_separator_in_texts_is_none(tmp_path: Path) -> None:
    text = "a,b\n" + "".join(f'{i},"x; y{"; z" * (i % 2)}"\n' for i in range(9))
    assert read(written(tmp_path, text))[1].sep == ","


def test_what_the_user_says_of_a_file_counts(tmp_path: Path) -> None:
    table, options, _ = read(written(tmp_path, "a;b\n1.5;2\n2.5;3\n"), sep=",")
    assert table.columns.tolist() == ["a;b"] and options.sep == ","
    path = written(tmp_path, "a;b\n1,5;2\n2,5;3\n")
    assert read(path, decimal=".")[1].numbers == {"a": "1234,5"}
    assert read_table(path, notes=[], options=TableOptions(guess=False, sep=";"))["a"].tolist() == ["1,5", "2,5"]


def test_decimal_commas_are_found_and_thousands_told_from_them(tmp_path: Path) -> None:
    text = "price;people;share\n12,5;1.234;0,125\n7,25;567;0,5\n1,0;12.000;0,75\n"
    table, options, notes = read(written(tmp_path, text))
    assert options.decimal == "," and "--decimal" in notes
    assert table["price"].tolist() == [12.5, 7.25, 1.0] and table["people"].tolist() == [1234, 567, 12000]
    assert options.numbers == {"people": "1.234,5"}


def test_decimal_points_keep_thousands_of_commas(tmp_path: Path) -> None:
    table, options, notes = read(written(tmp_path, 'price,people\n12.5,"1,234"\n7.25,567\n1.0,"12,000"\n'))
    assert options.decimal == "." and table["people"].tolist() == [1234, 567, 12000]
    assert "could be read otherwise" in notes and options.numbers == {"people": "1,234.5"}


def test_amounts_of_money_have_no_three_decimals(tmp_path: Path) -> None:
    table, options, _ = read(written(tmp_path, "a\tb\n32.190 €\t1\n1.250 €\t2\n"))
    assert table["a"].tolist() == [32190, 1250] and options.numbers == {"a": "1.234,5 €"}


def test_numbers_that_may_be_thousands_are_said(tmp_path: Path) -> None:
    text = "people;k\n" + "".join(f"{i}.{i * 37 % 900 + 101};a\n" for i in range(1, 30))
    table, _, notes = read(written(tmp_path, text))
    assert table["people"][0] == 1.138 and "if these are thousands: --decimal ," in notes
    table, _, notes = read(written(tmp_path, text), decimal=",")
    assert table["people"][0] == 1138 and "thousands" not in notes
    assert "thousands" not in read(written(tmp_path, text.replace(";", ",")))[2]


@pytest.mark.parametrize(
    ("encoding", "found"), [("cp1252", "cp1252"), ("latin-1", "cp1252"), ("utf-16", "utf-16"), ("utf-8-sig", "utf-8")]
)
def test_the_encoding_is_found_and_noted(encoding: str, found: str, tmp_path: Path) -> None:
    text = "Größe,Land\n" + "1,Österreich\n2,Köln\n" * 5
    table, options, notes = read(written(tmp_path, text, encoding=encoding))
    assert options.encoding == found and table.columns.tolist() == ["Größe", "Land"]
    assert table["Land"].tolist()[:2] == ["Österreich", "Köln"]
    assert ("--encoding" in notes) == (found != "utf-8")


def test_bytes_that_windows_does_not_have_are_latin_1(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,\x81\xe9\n")
    assert read(tmp_path / "t.csv")[1].encoding == "latin-1"


def test_the_encoding_that_is_said_must_suit(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,é\n", encoding="cp1252")
    with pytest.raises(CodsaError, match="not utf-8 text at byte"):
        read_table(path, options=TableOptions(encoding="utf-8"))
    with pytest.raises(CodsaError, match="encoding 'utf-9' is not known; give utf-8"):
        TableOptions.read({"encoding": "utf-9"}, "data")


def test_titles_and_notes_around_a_table_are_left_out(tmp_path: Path) -> None:
    text = (
        "Population by state\n\nstate;year;people\n"
        + "".join(f"S{i % 3};{2000 + i};{i}\n" for i in range(30))
        + "\nSource: National Office, 2024\n© National Office\n"
    )
    table, options, notes = read(written(tmp_path, text))
    assert (options.skip, options.skip_end) == (2, 2) and "'Source: National Office, 2024' …" in notes
    assert table.columns.tolist() == ["state", "year", "people"] and len(table) == 30
    assert table["year"].dropna().tolist() == list(range(2000, 2030))


@pytest.mark.parametrize(
    "text",
    [
        "5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n",
        "5,1;3,5;setosa\n4,9;3,0;setosa\n7,0;3,2;versicolor\n",
        "1,1,2\n1,2,3\n3,4,5\n",
        "yes,north\n" + "no,north\nyes,south\nyes,north\nno,south\n" * 3,
    ],
)
def test_values_in_place_of_a_header_are_asked_about(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CodsaError, match=r"reads as values, not as names of columns; say --no-header .*or --header"):
        read_table(path)
    assert read_table(path, options=TableOptions(header=False)).columns[0] == "column_1"
    assert len(read_table(path, options=TableOptions(header=False))) == len(text.splitlines())


@pytest.mark.parametrize(
    "header", ["country,2018,2019", "country,0,1", "5,a,b", "a,b,c", "1e5,b,c", "x.1,x.2,x.3", "i,1,2"]
)
def test_names_of_columns_are_not_taken_for_values(header: str, tmp_path: Path) -> None:
    text = header + "\n" + "".join(f"c{i % 5},{i},{i * 2}\n" for i in range(20))
    assert read_table(written(tmp_path, text)).columns.tolist() == header.split(",")


# ------------------------------------------------------------------ numbers

NUMBERS = [12.5, 1234.5, -7.25, 1234567.125, 0.5]


@pytest.mark.parametrize(("thousands", "decimal"), PAIRS)
@pytest.mark.parametrize("around", ["{}", "€{}", "{} €", "CHF {}", "{} %", "{}%", "{} kg", "{} kr", "R$ {}"])
def test_numbers_in_every_format_are_read(thousands: str, decimal: str, around: str, tmp_path: Path) -> None:
    signs = {",": thousands, ".": decimal}
    cells = [around.format("".join(signs.get(c, c) for c in f"{number:,}")) for number in NUMBERS]
    values, options, _ = column(tmp_path, cells)
    assert values.tolist() == NUMBERS
    if "x" in options.numbers:
        assert NumberFormat.read(options.numbers["x"], "x").example == options.numbers["x"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1\u202f234,5", "12\u00a0000,0", "3,5"], [1234.5, 12000.0, 3.5]),
        (["(1,234.50)", "12.00", "(0.50)"], [-1234.5, 12.0, -0.5]),
        (["\u22125.5 %", "+3 %", "2.25 %"], [-5.5, 3.0, 2.25]),
        (["12,34,567.5", "1,234.5", "3.5"], [1234567.5, 1234.5, 3.5]),
        (["<20", "31.5", "44"], [20.0, 31.5, 44.0]),
        ([">= 90", "< 0.5", "44"], [90.0, 0.5, 44.0]),
        (["1.5e3 m", "2e-1 m", "7 m"], [1500.0, 0.2, 7.0]),
        (["$-5.5", "-$6.5", "$7.5"], [-5.5, -6.5, 7.5]),
    ],
)
def test_other_ways_to_write_numbers(cells: list[str], values: list[float], tmp_path: Path) -> None:
    assert column(tmp_path, cells)[0].tolist() == values


def test_limits_are_read_as_the_limit_with_a_note(tmp_path: Path) -> None:
    values, options, notes = column(tmp_path, ["<5", "<5", "12", "80.5"])
    assert values.tolist() == [5, 5, 12, 80.5] and options.numbers == {"x": "<1234.5"}
    assert "2 limits, as '<5', are read as the limit itself" in notes


@pytest.mark.parametrize(
    "cells",
    [
        ["A11", "A12", "A13"],
        ["10-14", "15-19", "20-24"],
        ["$5", "€6", "7"],
        ["5 kg", "6 lb", "7 kg"],
        ["00123", "04 567", "12 345"],
        ["1.2.3", "1.2.4", "2.0.1"],
        ["12:30", "13:45", "09:00"],
        ["+", "-", "+"],
        ["0171 123456", "0151 99887", "+49 171 1"],
        ["3 rooms, 1 bath", "2 rooms", "1 room"],
        ["(5", "6)", "7 "],
    ],
)
def test_codes_ranges_and_mixed_units_stay_texts(cells: list[str], tmp_path: Path) -> None:
    values, options, _ = column(tmp_path, cells)
    assert values.dtype == "str" and not options.numbers and not options.dates


def test_numbers_that_stay_texts_are_said(tmp_path: Path) -> None:
    cells = [f"{i + 0.5}" for i in range(40)] + ["haemolysed"]
    values, options, notes = column(tmp_path, cells)
    assert values.dtype == "str" and not options.numbers
    assert "98% of its cells are numbers, and 'haemolysed' are not; it stays a category of 41 levels" in notes
    assert column(tmp_path, cells, missing=["haemolysed"])[0].tolist()[:40] == [i + 0.5 for i in range(40)]
    mixed = [f"{i + 0.5} kg" for i in range(20)] + [f"{i + 0.5} lb" for i in range(20)]
    assert "look like numbers, but not in one format" in column(tmp_path, mixed)[2]


def test_a_cell_that_its_format_does_not_admit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "x;k\n1,5 €;a\nfree;b\n")
    with pytest.raises(CodsaError, match=r"1 cells are not written as '1234,5 €'; the first is row 1, 'free'"):
        read_table(path, options=TableOptions(numbers={"x": "1234,5 €"}))
    with pytest.raises(CodsaError, match=r"column 'x' = 'euros': write 1,234.5 as it would stand there"):
        read_table(path, options=TableOptions(numbers={"x": "euros"}))
    with pytest.raises(CodsaError, match="no column 'z'"):
        read_table(path, options=TableOptions(numbers={"z": "1234,5"}))


@pytest.mark.parametrize(
    "example", ["1234.5", "1,234.5", "1.234,5 €", "<1234.5", "$1,234.5", "CHF 1'234.5", "1 234,5 %"]
)
def test_a_format_is_written_as_it_is_read(example: str) -> None:
    assert NumberFormat.read(example, "x").example == example


def test_finding_a_format_does_not_hang_on_long_cells() -> None:
    assert bodies_of(["1" * 10_000]) is None and bodies_of(["(" * 60]) is None
    assert NumberFormat(",", ".").admits(["1,234" * 10_000]) is False


# ------------------------------------------------------------------ missing cells


@pytest.mark.parametrize("mark", ["-", ".", "n.a.", "unknown", "k.A.", "–", "#VALUE!", "Unknown", "..", ":"])
def test_marks_beside_numbers_are_missing(mark: str, tmp_path: Path) -> None:
    values, options, notes = column(tmp_path, ["1.5", mark, "3.5", mark])
    assert values.tolist()[::2] == [1.5, 3.5] and values.isna().tolist() == [False, True, False, True]
    assert options.missing == [mark] and f"2 cells are taken as missing: '{mark}'" in notes


def test_marks_in_texts_are_missing_unless_they_are_levels(tmp_path: Path) -> None:
    assert column(tmp_path, ["yes", "no", "unknown", "yes"])[0].isna().sum() == 1
    assert column(tmp_path, ["+", "-", "+", "++"])[0].isna().sum() == 0
    assert column(tmp_path, ["x", "-", "x", "-"])[0].isna().sum() == 0
    assert column(tmp_path, ["a", " ", "b", "  "])[0].isna().sum() == 2
    assert usual(["pos", "neg", "-"], beside_numbers=False) == {"-"}


def test_a_mark_that_is_a_level_elsewhere_is_missing_in_its_own_column(tmp_path: Path) -> None:
    text = "test,n,y\n" + "+,-,a\n-,4,b\n+,5,a\n-,6,b\n"
    table, options, _ = read(written(tmp_path, text))
    assert options.missing == ["n=-"] and table["test"].tolist() == ["+", "-", "+", "-"]
    assert table["n"].isna().tolist() == [True, False, False, False]


def test_minus_999_is_missing_only_when_said(tmp_path: Path) -> None:
    text = "age,w,t,y\n" + "30,-999,-999,a\n-999,2.5,x,b\n41,1.5,u,a\n-999,3.5,u,b\n"
    table, _, notes = read(written(tmp_path, text))
    assert table["age"].tolist() == [30, -999, 41, -999]
    assert "column 'age': -999 in 2 rows, no other is negative; if it means missing: --missing -999" in notes
    table, options, notes = read(written(tmp_path, text), missing=["-999"])
    assert options.missing == ["-999"] and "-999" not in notes
    assert table.isna().sum().to_dict() == {"age": 2, "w": 1, "t": 1, "y": 0}
    table, _, _ = read(written(tmp_path, text), missing=["age=-999"])
    assert table.isna().sum().to_dict() == {"age": 2, "w": 0, "t": 0, "y": 0}


def test_large_whole_numbers_beside_marks_keep_their_digits(tmp_path: Path) -> None:
    text = "n,y\n" + "".join(f"{2**60 + i},a\n-9,b\n" for i in range(5))
    table, _, _ = read(written(tmp_path, text), missing=["-9"])
    assert [None if pd.isna(v) else int(v) for v in table["n"]] == [v for i in range(5) for v in (2**60 + i, None)]


# ------------------------------------------------------------------ dates


DAYS = pd.to_datetime(["2019-12-31", "2020-02-05", "2021-07-14", "1998-10-23"])


@pytest.mark.parametrize("form", [date for date in DATES if "%d" in date])
@pytest.mark.parametrize("time", TIMES)
def test_dates_in_every_order_are_read(form: str, time: str, tmp_path: Path) -> None:
    moments = DAYS + pd.Timedelta(hours=14, minutes=5)
    values, options, notes = column(tmp_path, moments.strftime(form + time).tolist())
    kept = moments if time else DAYS
    assert values.tolist() == kept.tolist() and options.dates["x"] and "dates" in notes


@pytest.mark.parametrize(("sep", "month"), [(",", 3), (";", 4)])
def test_dates_that_could_be_either_are_noted(sep: str, month: int, tmp_path: Path) -> None:
    text = f"d{sep}k\n" + "".join(f"0{3 + i % 2}/04/20{i + 10}{sep}a\n" for i in range(6))
    table, options, notes = read(written(tmp_path, text))
    assert table["d"].dt.month[0] == month and "could also be" in notes and "--date 'd=%" in notes
    other = {"%m/%d/%Y": "%d/%m/%Y", "%d/%m/%Y": "%m/%d/%Y"}[options.dates["d"]]
    assert read(written(tmp_path, text), dates={"d": other})[0]["d"].dt.month[0] == 7 - month


def test_a_day_that_never_changes_is_the_first_of_the_month(tmp_path: Path) -> None:
    values, options, _ = column(tmp_path, [f"{month}/1/2020" for month in range(1, 12)])
    assert options.dates == {"x": "%m/%d/%Y"} and values.dt.month.tolist() == list(range(1, 12))


def test_iso_dates_need_no_format_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    assert not column(tmp_path, ["2020-01-31", "2020-02-01"])[1].dates
    path = written(tmp_path, "d;k\n1.2.2020;a\n31.2.2020;b\n")
    assert not read(path)[1].dates
    with pytest.raises(CodsaError, match=r"1 cells are no dates as '%d.%m.%Y'; the first is row 1, '31.2.2020'"):
        read_table(path, options=TableOptions(dates={"d": "%d.%m.%Y"}))


# ------------------------------------------------------------------ spreadsheets

SHEETS: dict[str, list[list[Any]]] = {
    "empty": [],
    "visits": [
        ["Visits of 2024", None, None, None],
        ["site", "crp", "n", None],
        *[["north" if i % 2 else "south", 2.5 * i, i, None] for i in range(30)],
        ["south", "<5", None, None],
        ["south", "n.a.", 7, None],
        ["Source: the hospital's records", None, None, None],
    ],
    "codes": [["code", "name"], [1, "north"]],
}


@needs_calamine
@pytest.mark.parametrize(("suffix", "write"), [(".xlsx", write_xlsx), (".ods", write_ods)])
def test_a_sheet_is_read(suffix: str, write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / f"t{suffix}", SHEETS)
    table, options, notes = read(path)
    assert (options.sheet, options.skip, options.skip_end) == ("visits", 1, 1) and "others are left: codes" in notes
    assert table["crp"].tolist()[1:30] == [2.5 * i for i in range(1, 30)] and table["crp"][30] == 5
    assert pd.isna(table["crp"][31]) and options.missing == ["n.a."] and options.numbers == {"crp": "<1234.5"}
    assert table["n"].dropna().tolist() == [*range(30), 7]
    assert read(path, sheet="codes")[0].to_dict("list") == {"code": [1], "name": ["north"]}
    with pytest.raises(CodsaError, match="no sheet 'vists'; did you mean 'visits'"):
        read_table(path, options=TableOptions(sheet="vists"))
    with pytest.raises(CodsaError, match="--sep does not suit"):
        read_table(path, options=TableOptions(sep=";"))


@needs_calamine
@pytest.mark.parametrize("suffix", [".xlsx", ".ods", ".xls"])
def test_a_damaged_spreadsheet_is_refused(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"t{suffix}").write_bytes(b"nonsense")
    assert refused(call(codsa_prepare, tmp_path / f"t{suffix}", "--out", tmp_path / "out"), f"not readable as {suffix}")


@needs_calamine
def test_a_sheet_without_names_or_cells_is_refused(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[i, i / 2, "ab"[i % 2]] for i in range(9)]
    path = write_xlsx(tmp_path / "t.xlsx", {"s": rows})
    with pytest.raises(CodsaError, match=r"sheet 's': the first row .* reads as values"):
        read_table(path)
    assert read_table(path, options=TableOptions(header=False))["column_2"].tolist() == [i / 2 for i in range(9)]
    with pytest.raises(CodsaError, match="sheet 's' has no cells"):
        read_table(write_xlsx(path, {"s": []}))


@needs_calamine
def test_a_spreadsheet_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codsa.readers.spreadsheets.MOST_BYTES", 100)
    with pytest.raises(CodsaError, match="MiB unpacked"):
        read_table(write_xlsx(tmp_path / "t.xlsx", SHEETS))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CodsaError, match=r"needs python-calamine; pip install 'codsa\[spreadsheets\]'"):
        read_table(write_xlsx(tmp_path / "t.xlsx", SHEETS))


# ------------------------------------------------------------------ codsa-prepare


def messy(folder: Path, n: int = 60) -> Path:
    random = np.random.default_rng(0)
    lines = [
        f"{'Nord' if i % 3 else 'Süd'};{random.normal(2, 0.5):.2f}".replace(".", ",")
        + f";{random.integers(1000, 99999):,}".replace(",", ".")
        + f" €;{1 + i % 28}.{1 + i % 12}.2020;{'-' if i == 7 else ['krank', 'gesund'][i % 2]}\n"
        for i in range(n)
    ]
    return written(folder, "Ort;Wert;Preis;Tag;Befund\n" + "".join(lines), encoding="cp1252")


def test_prepare_reads_what_people_write_and_says_so(tmp_path: Path) -> None:
    raw = messy(tmp_path)
    ended = call(codsa_prepare, raw, "--target", "Befund", "--out", tmp_path / "a")
    assert ended.code == 0, ended.err
    schema = load_dataset(tmp_path / "a").schema
    assert {c.name: c.type for c in schema.columns} == {
        "Ort": "categorical", "Wert": "numeric", "Preis": "integer", "Tag": "datetime", "Befund": "categorical",
    }  # fmt: skip
    assert any("'1.234,5 €'" in note for note in schema.notes) and any("1 of 60 rows" in note for note in schema.notes)
    assert len(read_parquet(tmp_path / "a/rows.parquet")) == 59


def test_the_options_that_were_found_give_the_same_bytes(tmp_path: Path) -> None:
    raw = messy(tmp_path)
    options = [
        "--no-guess", "--sep", "semicolon", "--decimal", "comma", "--encoding", "cp1252", "--header", "--missing", "-",
        "--number", "Preis=1.234,5 €", "--date", "Tag=%d.%m.%Y",
    ]  # fmt: skip
    for name, said in (("a", []), ("b", options)):
        assert call(codsa_prepare, raw, "--target", "Befund", *said, "--out", tmp_path / name).code == 0
    assert (tmp_path / "a/rows.parquet").read_bytes() == (tmp_path / "b/rows.parquet").read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sep", "x"), ("sep 'x'", "give , ; |")),
        (("--decimal", "';'"), ("decimal", "give . or ,")),
        (("--number", "Preis"), ("--number Preis", "NAME=VALUE")),
        (("--number", "Prais=1.234,5"), ("no column 'Prais'", "did you mean 'Preis'")),
        (("--date", "Tag=%Q"), ("column 'Tag' = '%Q'",)),
        (("--sheet", "one"), ("--sheet does not suit",)),
        (("--skip", "-1"), ()),
    ],
)
def test_wrong_options_of_tables_are_refused(options: tuple[str, ...], words: tuple[str, ...], tmp_path: Path) -> None:
    ended = call(codsa_prepare, messy(tmp_path), "--target", "Befund", *options, "--out", tmp_path / "out")
    assert ended.code == 2 and (not words or refused(ended, *words))


def test_options_of_tables_are_for_tables(tmp_path: Path) -> None:
    given = ("simulation:imbalanced-classification", "--sep", ";", "--out", tmp_path / "out")
    assert refused(call(codsa_prepare, *given), "--sep: is for tables")


def test_parts_are_read_by_the_same_options(tmp_path: Path) -> None:
    frame = "x;y\n" + "".join(f"{i},5;{'ab'[i % 2]}\n" for i in range(40))
    for name in ("a.csv", "b.csv"):
        written(tmp_path, frame, name)
    parts = [f"--part={{path: {tmp_path / name}}}" for name in ("a.csv", "b.csv")]
    assert call(codsa_prepare, *parts, "--decimal", ",", "--out", tmp_path / "out").code == 0
    assert read_parquet(tmp_path / "out/rows.parquet")["x"].tolist() == [i + 0.5 for i in range(40)] * 2


def test_the_help_loses_no_underscores() -> None:
    shown = call(codsa_prepare, "--help").out
    assert "{age}_{gender}_{race}_{_}.jpg" in shown and "{age}_{sex}.jpg" in shown
