"""The stages of the pipeline, from raw data to the report: each reads, computes and writes."""
