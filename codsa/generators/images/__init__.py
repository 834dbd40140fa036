"""Generators of images."""
