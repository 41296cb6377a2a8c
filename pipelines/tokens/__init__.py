"""Text to tokens: a tokenizer, a held-out split, encoded documents, shards.

measure    per part   size, cluster and order of every document
split      once       which clusters are held out; how much text the tokenizer may see
sample     per part   the text the tokenizer is trained on          (only with `train:`)
tokenizer  once       tokenizer.json
encode     per part   tokens of every document, sorted as the shards want them
shards     per shard  a .tok file and its table of documents

rows.py       documents of a part, and the files between phases
holdout.py    measure and split; where a document is cut
tokenizer.py  sample and tokenizer
encoder.py    the two engines and the comparison between them
encode.py     encode
shards.py     shards
stage.py      Tokens: the recipe's `tokens:`
"""

from pipelines.tokens.stage import Tokens

__all__ = ["Tokens"]
