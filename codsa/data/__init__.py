"""Datasets: schema, regions, split, pool, grid, allocation and metrics."""
