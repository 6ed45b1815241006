"""Compare ways of answering: paired, with intervals, and with meters for what reflection does."""
