"""Diagnostics of synthetic rows against real ones, by modality."""
