"""Whatever a user brings, read as a table."""
