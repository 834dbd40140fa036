"""Images: how they are read from what users have, and how they are stored."""
