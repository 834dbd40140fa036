"""Files that are fetched from a URL: by pooch, checked against their checksum, and complete or absent."""

from __future__ import annotations

import ftplib
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from codsa.errors import CodsaError
from codsa.io.digests import check_sha256
from codsa.io.files import atomic_write, refuse_irregular, staging

DOWNLOAD_BYTES = 20 * 2**30
"""The longest download."""
RETRIES = 2
"""A failed download is repeated at most this many times, after one second, then two."""
TIMEOUT_SECONDS = 60
"""A server that is silent for so long has failed."""
CHUNK_BYTES = 1 << 20


def fetch(url: str, sha256: str | None, folder: Path, *, md5: str | None = None) -> Path:
    """Download a file once, checked against its SHA-256.

    Parameters
    ----------
    url : str
        http, https, ftp or file.
    sha256 : str, optional
        Required unless `md5` is given, so that a changed file is noticed.
    folder : Path
        Where the download is kept; a file there with the right digest is used as it is.
    md5 : str, optional
        Compared instead, for files named by this package whose publisher states no SHA-256.

    Returns
    -------
    Path
        The local file.

    Raises
    ------
    CodsaError
        Without a checksum, for another one, for a file of more than `DOWNLOAD_BYTES`, without an answer.
    """
    if sha256 is None and md5 is None:
        raise CodsaError(f"{url}: a URL needs its checksum; give sha256 (sha256sum prints it)")
    checksum = ("md5", md5.lower()) if md5 is not None else ("sha256", check_sha256(str(sha256)))
    path = folder / Path(url2pathname(url.split("?")[0])).name
    if path.is_file() and _checksum(path, checksum[0]) == checksum[1]:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with staging(path.with_name(f"{path.name}.download")) as download_folder:
        downloaded = _download(url, download_folder, path.name, checksum)
        with atomic_write(path) as part:
            os.replace(downloaded, part)
    return path


def _download(url: str, folder: Path, name: str, checksum: tuple[str, str]) -> Path:
    """Download a file into a folder of its own by pooch, which compares checksums and tries again."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    source = _Source(url, checksum[0])
    downloads = pooch.create(
        path=folder,
        base_url="",
        registry={name: ":".join(checksum)},
        urls={name: url},
        retry_if_failed=0 if source.scheme == "file" else RETRIES,
    )
    with _failures(url):
        try:
            return Path(downloads.fetch(name, downloader=source))
        except ValueError:
            if source.digest in (None, checksum[1]):
                raise
            raise CodsaError(
                f"{url}: {checksum[0]} checksum {source.digest}, expected {checksum[1]}; the file has changed"
            ) from None


class _Source:
    """Downloads a URL for pooch, up to the limit.

    Attributes
    ----------
    digest : str, optional
        The checksum of the last download; None where it was interrupted.
    """

    def __init__(self, url: str, kind: str) -> None:
        self.scheme, self.kind = urlsplit(url).scheme.lower(), kind
        self.digest: str | None = None

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Write the content of a URL into a file, as pooch's downloaders do."""
        self.digest = None
        with open(output_file, "wb") as file:
            limited = _LimitedFile(file, url, self.kind)
            self._downloader(url)(url, limited, pooch)
        self.digest = limited.hash.hexdigest()

    def _downloader(self, url: str) -> Callable[..., Any]:
        import pooch

        if self.scheme in ("http", "https"):
            headers = {"Accept-Encoding": "identity"}  # the checksum is that of the file as it is stored
            hooks = {"response": partial(_check_length, url)}
            return pooch.HTTPDownloader(chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS, headers=headers, hooks=hooks)
        if self.scheme == "ftp":
            return pooch.FTPDownloader(timeout=TIMEOUT_SECONDS)
        if self.scheme == "file":
            return _copy
        raise CodsaError(f"{url}: '{self.scheme}' is not known; give a URL of http, https, ftp or file")


class _LimitedFile:
    """A file being written that takes no more than `DOWNLOAD_BYTES`, and knows its checksum."""

    def __init__(self, file: IO[bytes], url: str, kind: str) -> None:
        self.file, self.url, self.size, self.hash = file, url, 0, hashlib.new(kind)

    def write(self, data: bytes) -> None:
        """Write bytes, or raise a `CodsaError` beyond the limit."""
        self.size += len(data)
        _refuse_size(self.size, self.url)
        self.hash.update(data)
        self.file.write(data)

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""


def _copy(url: str, output: _LimitedFile, pooch: Any) -> None:
    """Copy the file behind a URL of this machine."""
    path = Path(url2pathname(urlsplit(url).path))
    refuse_irregular(path)
    if not path.is_file():
        raise CodsaError(f"{url}: cannot be fetched (no such file); download it and give the path")
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            output.write(chunk)


def _check_length(url: str, response: Any, **_: Any) -> None:
    """Raise a `CodsaError` for a response with a Content-Length beyond the limit, or none that is a number."""
    length = response.headers.get("Content-Length") or "0"
    if not length.isdecimal():
        raise CodsaError(f"{url}: cannot be fetched (its Content-Length is no number); download it and give the path")
    _refuse_size(int(length), url)


def _refuse_size(size: int, url: str) -> None:
    if size > DOWNLOAD_BYTES:
        raise CodsaError(
            f"{url}: more than {DOWNLOAD_BYTES:,} bytes, which is the most that is downloaded; fetch it by hand and "
            "give the path"
        )


@contextmanager
def _failures(url: str) -> Iterator[None]:
    """Turn an error of the network, the server or the address into a `CodsaError`; errors of the disk pass."""
    from requests.exceptions import RequestException

    network = (RequestException, ftplib.Error, EOFError, ConnectionError, TimeoutError, socket.gaierror)
    try:
        yield
    except (*network, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CodsaError(f"{url}: cannot be fetched ({reason}); download it and give the path") from None


def _checksum(path: Path, kind: str) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, kind).hexdigest()
