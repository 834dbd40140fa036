"""The tables and figures of arXiv 2504.07426, each beside what the studies of this package measured."""
