"""Estimators of images."""
