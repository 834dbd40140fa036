"""Triage: whether augmentation is worth trying on a table, before any generator is trained."""
