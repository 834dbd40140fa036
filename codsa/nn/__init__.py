"""Networks, and their training, shared by generators and estimators."""
