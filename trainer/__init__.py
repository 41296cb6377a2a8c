"""Trains language models on a mix: one loop, exact resume, and a run folder that says everything.

    config   train.yaml, frozen            data      batches from the order      checkpoint  no pickle, digests
    shape    sizes, presets, FLOPs         loop      the training loop           evaluate    bits per byte
    model    Llama's layout                recorder  what a step leaves behind   references  lines to beat
    optim    AdamW, Muon                   run       begin, go on                sample export report

Imports manifests, torch, safetensors, tokenizers, numpy and pydantic; never pipelines: they meet in a mix
manifest and a folder of shards.
"""

__all__: list[str] = []
