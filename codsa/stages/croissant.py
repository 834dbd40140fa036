"""Croissant metadata of an export: JSON-LD by which tools find and read the rows (mlcommons.org/croissant)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codsa import __version__
from codsa.io.digests import file_digest
from codsa.settings.export import ExportOptions
from codsa.stages.chosen import ChosenFit
from codsa.stages.chosen_rows import ExportedRows
from codsa.stages.export_card import PAPER
from codsa.stages.export_files import FILE_NAME, IMAGES

SPECIFICATION = "http://mlcommons.org/croissant/1.0"
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
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
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
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that version 1.0 of the specification prescribes."""
ENCODINGS = {
    "csv": "text/csv",
    "images": "text/csv",
    "parquet": "application/x-parquet",
    "huggingface": "application/x-parquet",
    "jsonl": "application/jsonlines",
}
TYPES = {
    "numeric": "sc:Float",
    "integer": "sc:Integer",
    "boolean": "sc:Boolean",
    "datetime": "sc:DateTime",
    "image": "sc:ImageObject",
    "vector": "sc:Float",
}
"""Types of fields by those of a schema; others are texts."""


def croissant(
    folder: Path, fit: ChosenFit, rows: ExportedRows, files: Sequence[str], options: ExportOptions
) -> dict[str, Any]:
    """Return the metadata of an export.

    What the study does not know (licence, url, creator, date of publication) is there where the user says it.

    Parameters
    ----------
    folder : Path
        With the files of the rows.
    files : sequence of str
        As `write_rows` returns them.
    """
    real, synthetic = sum(rows.real.values()), sum(rows.synthetic.values())
    said = {"license": options.license, "url": options.url, "datePublished": options.date}
    content: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": SPECIFICATION,
        "name": f"{fit.evaluation.experiment}-{options.what}",
        "description": f"{real} real training rows and {synthetic} synthetic rows of the study "
        f"{fit.evaluation.experiment}, by CoDSA {__version__}; {fit.words}. See README.md.",
        "citeAs": PAPER,
        "version": "1.0.0",
        "distribution": _distribution(folder, files, options.format),
        "recordSet": _record_sets(rows, options.format),
        **{key: text for key, text in said.items() if text is not None},
    }
    if options.creator is not None:
        content["creator"] = {"@type": "sc:Organization", "name": options.creator}
    return content


def _distribution(folder: Path, files: Sequence[str], name: str) -> list[dict[str, Any]]:
    table = {
        "@type": "cr:FileObject",
        "@id": "table",
        "name": "table",
        "contentUrl": files[0],
        "encodingFormat": ENCODINGS[name],
        "contentSize": f"{(folder / files[0]).stat().st_size} B",
        "sha256": file_digest(folder / files[0]),
    }
    images = {
        "@type": "cr:FileSet",
        "@id": "image-files",
        "name": "image-files",
        "encodingFormat": "image/png",
        "includes": f"{IMAGES}/*.png",
    }
    return [table, images] if name == "images" else [table]


def _record_sets(rows: ExportedRows, name: str) -> list[dict[str, Any]]:
    columns = {c.name: c for c in rows.columns}
    fields = []
    for key in map(str, rows.frame):
        kind = columns[key].type if key in columns else _added_type(rows, key)
        if kind == "categorical":
            kind = "integer" if str(rows.frame[key].dtype) == "Int64" else "text"
        if name == "images" and kind == "image":
            fields.append(_image_field(key))
            continue
        listed = kind == "vector" and name not in ("csv", "images")
        source: dict[str, Any] = {"fileObject": {"@id": "table"}, "extract": {"column": key}}
        if kind == "image":
            source["transform"] = {"jsonPath": "bytes"}
        field = {
            "@type": "cr:Field",
            "@id": f"rows/{key}",
            "name": key,
            "description": rows.added.get(key, columns[key].role if key in columns else key),
            "dataType": TYPES.get(kind, "sc:Text") if listed or kind != "vector" else "sc:Text",
            "source": source,
        }
        fields.append({**field, "repeated": True} if listed else field)
    record = {
        "@type": "cr:RecordSet",
        "@id": "rows",
        "name": "rows",
        "description": "One record per row.",
        "field": fields,
    }
    return [record, _image_files()] if name == "images" else [record]


def _added_type(rows: ExportedRows, name: str) -> str:
    return {"b": "boolean", "i": "integer"}.get(rows.frame[name].dtype.kind, "numeric")


def _image_field(name: str) -> dict[str, Any]:
    """Return the field of the table that names each row's image."""
    return {
        "@type": "cr:Field",
        "@id": f"rows/{FILE_NAME}",
        "name": FILE_NAME,
        "description": f"the file of the row's {name}",
        "dataType": "sc:Text",
        "source": {"fileObject": {"@id": "table"}, "extract": {"column": FILE_NAME}},
        "references": {"field": {"@id": "files/path"}},
    }


def _image_files() -> dict[str, Any]:
    """Return the record set of the images themselves."""

    def field(name: str, kind: str, file_property: str) -> dict[str, Any]:
        source = {"fileSet": {"@id": "image-files"}, "extract": {"fileProperty": file_property}}
        return {
            "@type": "cr:Field",
            "@id": f"files/{name}",
            "name": name,
            "description": f"the {name} of an image",
            "dataType": kind,
            "source": source,
        }

    fields = [field("path", "sc:Text", "fullpath"), field("image", "sc:ImageObject", "content")]
    return {"@type": "cr:RecordSet", "@id": "files", "name": "files", "description": "The images.", "field": fields}
