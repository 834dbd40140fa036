"""Generators: what draws synthetic rows of a region, from a resampler to a diffusion model."""

from codsa.generators.base import Generator, make

__all__ = ["Generator", "make"]
