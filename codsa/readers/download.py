"""Downloads of MNIST and USPS, checked against the checksums of their publishers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codsa.errors import CodsaError, suggest
from codsa.io.downloads import fetch
from codsa.io.files import atomic_write


@dataclass(frozen=True)
class Collection:
    """The files of a data set.

    Attributes
    ----------
    base : str
        The URL that file names are appended to.
    files : dict of str to str
        Name → SHA-256, or 'md5:' and the MD5 where the publisher states no SHA-256.
    finish : callable, optional
        Converts the downloaded files into a file for `codsa-prepare`; takes and returns a path.
    """

    base: str
    files: dict[str, str]
    finish: Callable[[Path], Path] | None = None


def read_libsvm(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read 16 × 16 digits in LIBSVM's format: labels from 1, pixels from -1 to 1.

    Returns
    -------
    images : ndarray of uint8, shape (n, 16, 16)
    digits : ndarray of int64, shape (n,)
    """
    from sklearn.datasets import load_svmlight_file

    try:
        x, y = load_svmlight_file(str(path), n_features=256)
    except (ValueError, OSError, EOFError) as error:
        raise CodsaError(f"{path}: not readable as LIBSVM data ({error})") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = np.round((np.asarray(x.todense()) + 1) / 2 * 255)
    return np.clip(pixels, 0, 255).astype(np.uint8).reshape(-1, 16, 16), y.astype(np.int64) - 1


def usps_npz(folder: Path) -> Path:
    """Write usps.npz with X_train, y_train, X_test and y_test from LIBSVM's two files."""
    train, test = read_libsvm(folder / "usps.bz2"), read_libsvm(folder / "usps.t.bz2")
    path = folder / "usps.npz"
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, X_train=train[0], y_train=train[1], X_test=test[0], y_test=test[1])
    return path


COLLECTIONS = {
    "mnist": Collection(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "usps": Collection(
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
        {"usps.bz2": "md5:ec16c51db3855ca6c91edd34d0e9b197", "usps.t.bz2": "md5:8ea070ee2aca1ac39742fdd1ef5ed118"},
        usps_npz,
    ),
}


def download(name: str, folder: Path, base: str | None = None) -> list[Path]:
    """Download a collection into a folder; files that are already complete are kept.

    Parameters
    ----------
    name : str
        A key of `COLLECTIONS`.
    folder : Path
    base : str, optional
        The URL of a mirror.

    Returns
    -------
    list of Path
        The files to read.
    """
    if name not in COLLECTIONS:
        raise CodsaError(f"no collection '{name}' to download; {suggest(name, COLLECTIONS)}")
    collection = COLLECTIONS[name]
    base_url = collection.base if base is None else base.rstrip("/") + "/"
    files = [_fetched(base_url + file, checksum, folder) for file, checksum in collection.files.items()]
    return [collection.finish(folder)] if collection.finish else files


def _fetched(url: str, checksum: str, folder: Path) -> Path:
    if checksum.startswith("md5:"):
        return fetch(url, None, folder, md5=checksum.removeprefix("md5:"))
    return fetch(url, checksum, folder)
