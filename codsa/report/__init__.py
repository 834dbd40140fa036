"""What a report shows: the page, its tables and its figures (`codsa.stages.report` writes them)."""
