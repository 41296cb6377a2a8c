"""Builds corpora: recipe -> plan -> tasks -> parts, verdicts, tokens, shards, one manifest."""

__all__: list[str] = []
