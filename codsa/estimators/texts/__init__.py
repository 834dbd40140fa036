"""Estimators of texts."""
