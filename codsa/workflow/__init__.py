"""The configuration of a study, and what the workflow asks of it."""
