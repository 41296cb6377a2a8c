"""The contract on disk: what every other package reads and writes, and nothing else.

    errors    the exception tree              corpus    CorpusManifest: a corpus, to the digest of every file
    digest    canonical JSON, digests, keys   shards    token shards: header, tokens, block digests
    commit    the one way a file appears      mix       MixManifest: which tokens, in which shares
    receipt   what one task did               order     (mix, seed, row) -> (source, epoch, window)

Imports the standard library, numpy, xxhash and pydantic; `yamlfile` alone PyYAML. Formats: docs/formats.md.
"""

__all__: list[str] = []
