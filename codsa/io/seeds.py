"""Random streams: derived from names, passed as arguments, never global.

A stream is a `numpy.random.SeedSequence` that depends on the root seed and on the names of its
use (stage, experiment, replicate, r, region, block), so the order of jobs, the bounds of
shards and the number of threads cannot change a result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


def stream(root: int, *names: object) -> np.random.SeedSequence:
    """Derive the stream that belongs to a list of names.

    Parameters
    ----------
    root : int
        The study's root seed, at least 0.
    *names : object
        The use of the stream; each name counts by its `str`.

    Returns
    -------
    numpy.random.SeedSequence
        The same for the same root and names, on every machine.

    Examples
    --------
    >>> from codsa.io.seeds import rng, stream
    >>> rng(stream(0, "split", 1)).integers(100) == rng(stream(0, "split", 1)).integers(100)
    np.True_
    """
    text = "\x1f".join(str(name) for name in names)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4")
    return np.random.SeedSequence([int(root), *(int(word) for word in words)])


def child(parent: np.random.SeedSequence, *names: object) -> np.random.SeedSequence:
    """Derive a stream from another one and more names; `parent` is left as it was."""
    return stream(integer(parent), *names)


def integer(sequence: np.random.SeedSequence) -> int:
    """Return the 32-bit seed of a stream, for libraries that take an integer."""
    return int(sequence.generate_state(1, np.uint32)[0])


def rng(sequence: np.random.SeedSequence) -> np.random.Generator:
    """Return a new numpy generator at the start of a stream."""
    return np.random.default_rng(sequence)


@dataclass(frozen=True)
class SeedContext:
    """The root seed, experiment and replicate that the streams of a stage derive from.

    Attributes
    ----------
    seed : int
    experiment : str
    replicate : int
    """

    seed: int
    experiment: str
    replicate: int

    def stream(self, stage: str, *names: object) -> np.random.SeedSequence:
        """Return the stream of a stage."""
        return stream(self.seed, stage, self.experiment, self.replicate, *names)
