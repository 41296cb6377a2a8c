import json
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from toyrun import write_train

from manifests.errors import UsageError
from trainer.export import export_hf, hf_name
from trainer.run import open_run, train

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
import hf_layout


def short_run(toy: Path, tmp_path: Path, **model):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    sizes = {"layers": 2, "width": 32, "heads": 4, "hidden": 48, **model}
    config = write_train(tmp_path, model=sizes, tokens=256 * 6)
    return open_run(train(config, out=tmp_path / "run", say=lambda _: None))


@pytest.mark.parametrize(
    "model",
    [
        {"qk_norm": True, "tied": True, "kv_heads": 2},
        {"qk_norm": True, "tied": False, "head_dim": 16},
        {"qk_norm": False, "tied": True},
        {"qk_norm": False, "tied": False, "kv_heads": 1, "rope_theta": 500_000},
    ],
)
def test_logits_read_off_the_exported_folder_equal_ours(toy, tmp_path, model):
    run = short_run(toy, tmp_path, **model)
    out = export_hf(run, tmp_path / "hf")
    x = torch.randint(0, run.shape.vocab, (2, 24), generator=torch.Generator().manual_seed(0))
    ours = run.model()
    with torch.no_grad():
        expected = ours.hidden(x) @ ours.head.weight.T
    assert float(expected.std()) > 0.05
    torch.testing.assert_close(hf_layout.logits(out, x).float(), expected, atol=2e-5, rtol=1e-4)


def test_the_folder_names_what_readers_get_wrong_unless_told(finished, tmp_path):
    out = export_hf(finished, tmp_path / "hf")
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["head_dim"] == finished.shape.head_dim
    assert config["rope_parameters"] == {"rope_theta": 10_000.0, "rope_type": "default"}
    assert config["rope_theta"] == 10_000.0
    assert config["tie_word_embeddings"] is True
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert config["eos_token_id"] == finished.mix.eot
    assert json.loads((out / "tokenizer_config.json").read_text())["eos_token"] == "<|endoftext|>"
    text = "the crow saw rain"
    theirs = Tokenizer.from_file(str(out / "tokenizer.json"))
    assert theirs.encode(text).ids == finished.tokenizer().encode(text).ids
    assert sorted(p.name for p in out.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_every_parameter_has_one_name_and_no_two_share_it(finished):
    names = [hf_name(n) for n, _ in finished.model().named_parameters()]
    assert len(set(names)) == len(names)
    assert "model.layers.1.self_attn.q_norm.weight" in names


def test_an_export_does_not_mix_its_files_with_others(finished, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        export_hf(finished, tmp_path)


def test_an_export_of_an_older_checkpoint_differs_from_the_newest(finished, tmp_path):
    newest = export_hf(finished, tmp_path / "a") / "model.safetensors"
    older = export_hf(finished, tmp_path / "b", step=20) / "model.safetensors"
    assert newest.read_bytes() != older.read_bytes()
