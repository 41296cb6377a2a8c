"""Rules that measure a document and then decide on it, one rule set a file."""
