"""Sets of rows written for others: data files, a data card, Croissant metadata."""
