"""Encoders: the ways from typed rows to the arrays that models compute with, and back."""
