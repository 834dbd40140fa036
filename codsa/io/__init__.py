"""Files: written whole or not at all, digested, described by manifests."""
