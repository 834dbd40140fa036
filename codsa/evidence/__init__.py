"""What the results of a study show: verdicts, paired intervals, and their wording."""
