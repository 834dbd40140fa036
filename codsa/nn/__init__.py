"""Networks: what generators and estimators share."""
