from pathlib import Path

import pytest
import torch
from toyrun import small_corpus, write_train

from trainer.run import open_run, train

torch.set_num_threads(1)  # floats are promised for one number of threads, and the tests share two processors


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A folder with a small corpus, a mix.yaml and a train.yaml; tests copy what they change."""
    folder = tmp_path_factory.mktemp("toy")
    small_corpus(folder / "corpus")
    write_train(folder)
    return folder


@pytest.fixture(scope="session")
def finished(toy):
    """The toy run, trained to its end."""
    return open_run(train(toy / "train.yaml", out=toy / "runs" / "finished", say=lambda _: None))
