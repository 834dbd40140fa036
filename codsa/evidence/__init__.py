"""What the figures of a study say: verdicts, intervals, and the words for them."""
