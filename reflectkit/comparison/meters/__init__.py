"""What reflection does, in figures: flips, assurance, staged errors, tokens, recovery."""
