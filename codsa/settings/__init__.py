"""What a user may set: bounds and types, the sections of an experiment, the names of generators and estimators."""
