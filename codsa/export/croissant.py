"""Croissant metadata of an export (mlcommons.org/croissant, version 1.0): JSON-LD that tools for data sets read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codsa.data.schema import Column
from codsa.export.card import NO_LICENCE
from codsa.export.formats import FILE_NAME
from codsa.export.rows import ExportedRows, Provenance
from codsa.io.digests import file_digest

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "samplingRate": "cr:samplingRate",
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
ENCODINGS = {".csv": "text/csv", ".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}
DATA_TYPES = {
    "numeric": "sc:Float",
    "integer": "sc:Integer",
    "boolean": "sc:Boolean",
    "datetime": "sc:DateTime",
    "image": "sc:ImageObject",
    "vector": "sc:Float",
}
TABLE, IMAGES = "table", "images"


def croissant(folder: Path, rows: ExportedRows, origin: Provenance, table: Path, description: str) -> dict[str, Any]:
    """Return the metadata of the files in a folder.

    Parameters
    ----------
    table : Path
        The file of the rows.
    description : str
    """
    name = table.relative_to(folder).as_posix()
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": TABLE,
            "name": table.name,
            "contentUrl": name,
            "encodingFormat": ENCODINGS[table.suffix],
            "sha256": file_digest(table),
        }
    ]
    as_files = table.name == "metadata.csv"
    if as_files:
        images = {"@id": IMAGES, "name": IMAGES, "encodingFormat": "image/png", "includes": "images/**/*.png"}
        distribution.append({"@type": "cr:FileSet", **images})
    columns = [c for c in rows.columns if not as_files or not c.is_array]
    fields = [_field(c.name, _type(c), _about(c), c) for c in columns]
    kinds = {name: rows.frame[name].dtype.kind for name in rows.added}
    added = {"b": "sc:Boolean", "i": "sc:Integer", "f": "sc:Float"}
    fields += [_field(name, added.get(kinds[name], "sc:Text"), says) for name, says in rows.added.items()]
    if as_files:
        fields.insert(0, _field(FILE_NAME, "sc:Text", "the image, under this folder"))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{origin.study}-{origin.method}-{origin.what}",
        "description": description,
        "license": origin.licence or NO_LICENCE,
        "url": origin.url or "https://arxiv.org/abs/2504.07426",
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}],
    }


def _type(column: Column) -> str:
    if column.type == "categorical" and all(isinstance(level, int) for level in column.levels or [""]):
        return "sc:Integer"
    return DATA_TYPES.get(column.type, "sc:Text")


def _about(column: Column) -> str:
    return f"{column.role}, {column.type}" + (
        f"; missing in {column.missing} rows of the study" if column.missing else ""
    )


def _field(name: str, kind: str, about: str, column: Column | None = None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"rows/{name}",
        "name": name,
        "description": about,
        "dataType": kind,
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
    }
    if column is not None and column.type == "vector":
        record["repeated"] = True
    return record
