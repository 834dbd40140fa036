"""Texts: cleaned, kept apart where they are nearly the same, encoded into vectors, and decoded from them."""
