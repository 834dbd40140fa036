"""The command line: one thin module per command; `codsa` gathers them."""
