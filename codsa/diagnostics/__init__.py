"""How near synthetic rows are to real ones, by kind of data."""
