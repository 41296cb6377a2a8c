"""Dataset folders of the Hugging Face Hub: which files are a configuration's split."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import RecipeError
from pipelines.datasets import dataset_files
from pipelines.recipe import load_recipe
from tests.read.warcs import rows, source

BY_NAME = (
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/test-00000-of-00001.parquet",
    "data/held_out-00000-of-00001-a1b2c3.parquet",
)
BY_FOLDER = ("de/train/0000.parquet", "de/test/0000.parquet", "fr/train/0000.parquet", ".cache/x.parquet")
README = """\
---
license: odc-by
language:
- de
- fr
configs:
- config_name: de
  default: true
  data_files:
  - split: train
    path: web/de_*.jsonl.gz
  - split: test
    path: [web/de_held.jsonl.zst]
- config_name: fr
  data_files: web/fr_*.jsonl.gz
- config_name: books
  data_dir: books
---
# A dataset
"""
NAMED = (
    "web/de_1.jsonl.gz",
    "web/de_2.jsonl.gz",
    "web/de_held.jsonl.zst",
    "web/fr_1.jsonl.gz",
    "books/val.jsonl",
)


def dataset(folder: Path, files: tuple[str, ...], readme: str | None = None) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "README.md").write_text(readme or "# A dataset\n")
    return folder


def split_of(folder: Path, split: str = "train", config: str | None = None) -> list[str]:
    return dataset_files(folder, config=config, split=split)


def test_shards_in_data_name_their_splits(tmp_path: Path) -> None:
    folder = dataset(tmp_path, BY_NAME)
    assert split_of(folder) == list(BY_NAME[:2])
    assert split_of(folder, "test") == [BY_NAME[2]]
    assert split_of(folder, "held_out") == [BY_NAME[3]]
    assert split_of(folder, "all") == sorted(BY_NAME)


def test_folders_are_configurations_and_splits(tmp_path: Path) -> None:
    folder = dataset(tmp_path, BY_FOLDER)
    assert split_of(folder, config="de") == ["de/train/0000.parquet"]
    assert split_of(folder, "test", "de") == ["de/test/0000.parquet"]
    assert split_of(folder) == ["de/train/0000.parquet", "fr/train/0000.parquet"]


def test_files_that_name_no_split_are_train(tmp_path: Path) -> None:
    folder = dataset(tmp_path, ("part1.jsonl", "more/training-part2.jsonl", "trainers.jsonl", "my-dev.jsonl"))
    assert split_of(folder) == ["more/training-part2.jsonl", "part1.jsonl", "trainers.jsonl"]
    assert split_of(folder, "validation") == ["my-dev.jsonl"]


def test_the_readme_s_configurations_count_before_names(tmp_path: Path) -> None:
    folder = dataset(tmp_path, NAMED, README)
    assert split_of(folder, "test") == ["web/de_held.jsonl.zst"]
    assert split_of(folder, config="fr") == ["web/fr_1.jsonl.gz"]
    assert split_of(folder, "validation", "books") == ["books/val.jsonl"]


def test_splits_may_be_written_as_a_mapping(tmp_path: Path) -> None:
    readme = (
        "---\nconfigs:\n- config_name: x\n  data_files:\n    train: [a.jsonl, b.jsonl]\n    test: web\n---\n"
    )
    folder = dataset(tmp_path, ("a.jsonl", "b.jsonl", "web/c.jsonl"), readme)
    assert split_of(folder) == ["a.jsonl", "b.jsonl"]
    assert split_of(folder, "test") == ["web/c.jsonl"]


@pytest.mark.parametrize(
    ("files", "readme", "split", "config", "expected"),
    [
        (BY_NAME, None, "tset", None, r'\(held_out, test, train\), got "tset"; did you mean "test"'),
        (BY_FOLDER, None, "train", "es", r'a folder of the dataset \(de, fr\), got "es"'),
        (NAMED, README, "train", "dee", r'configuration of the dataset \(books, de, fr\), got "dee"'),
        (NAMED, README.replace("  default: true\n", ""), "train", None, "got none: add  config: NAME"),
        (NAMED, README.replace("fr_*", "es_*"), "train", "fr", r'like "web/es_\*.jsonl.gz"'),
        (NAMED, README.replace("web/fr_", "../fr_"), "train", "fr", "inside the dataset's folder"),
        (NAMED, README.replace("web/fr_", "hf://fr_"), "train", "fr", "inside the dataset's folder"),
        (NAMED, README.replace("configs:", "configs: ]"), "train", None, "expected YAML"),
        (("a.parquet", "b.jsonl"), None, "train", None, "found JSON Lines and Parquet"),
        (("readme.txt",), None, "train", None, r"\(none\)"),
        (("readme.txt",), None, "all", None, "found no data files"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    tmp_path: Path, files: tuple[str, ...], readme: str | None, split: str, config: str | None, expected: str
) -> None:
    with pytest.raises(RecipeError, match=expected):
        split_of(dataset(tmp_path, files, readme), split, config)


CHOSEN = "---\nconfigs:\n- config_name: default\n  {}\n---\n"


def test_what_the_hub_writes_beside_the_data_is_no_data_unless_it_is_named(tmp_path: Path) -> None:
    beside = ("dataset_infos.json", "dataset_info.json", "config.json", "dataset_dict.json", "de/state.json")
    folder = dataset(tmp_path, ("a.jsonl", *beside))
    assert split_of(folder) == ["a.jsonl"]
    dataset(tmp_path, (), CHOSEN.format('data_files: "**"'))
    assert split_of(folder) == ["a.jsonl"]
    dataset(tmp_path, (), CHOSEN.format("data_files: [a.jsonl, config.json]"))
    assert split_of(folder) == ["a.jsonl", "config.json"]


@pytest.mark.parametrize("wanted", ["[a.jsonl, web/b.csv]", '"**"', "[a.jsonl, web]"])
def test_a_file_the_readme_names_and_nobody_reads_is_refused(tmp_path: Path, wanted: str) -> None:
    folder = dataset(tmp_path, ("a.jsonl", "web/b.csv"), CHOSEN.format(f"data_files: {wanted}"))
    with pytest.raises(RecipeError, match=r'expected Parquet or JSON Lines, got "web/b\.csv"'):
        split_of(folder)


@pytest.mark.parametrize("outside", ["/etc", "../..", "hf://x"])
@pytest.mark.parametrize("files", ["", '\n  data_files: "*"'])
def test_a_data_dir_outside_the_dataset_is_refused(tmp_path: Path, outside: str, files: str) -> None:
    folder = dataset(tmp_path / "a" / "b", ("a.jsonl",), CHOSEN.format(f"data_dir: {outside}{files}"))
    (tmp_path / "b.jsonl").touch()
    with pytest.raises(RecipeError, match="inside the dataset's folder"):
        split_of(folder)


def test_a_readme_is_read_with_a_byte_order_mark_and_refused_in_latin_1(tmp_path: Path) -> None:
    folder = dataset(tmp_path, ("a.jsonl", "b.jsonl"))
    (folder / "README.md").write_bytes(b"\xef\xbb\xbf" + CHOSEN.format("data_files: a.jsonl").encode())
    assert split_of(folder) == ["a.jsonl"]
    (folder / "README.md").write_bytes("---\nlicense: für alle\n---\n".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"README\.md: expected UTF-8"):
        split_of(folder)


def test_a_recipe_names_a_dataset_and_reads_its_files(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "wiki", BY_NAME)
    for name in BY_NAME:
        pq.write_table(pa.table({"text": [name]}), folder / name)
    recipe = tmp_path / "r.yaml"
    source_text = "read: parquet, paths: [{{dataset: wiki{}}}], steps: []"
    text = "name: x\nsources:\n  - {{name: wiki, {}}}\n"
    recipe.write_text(text.format(source_text.format(", split: test")))
    (file,) = load_recipe(recipe).sources[0].files
    assert file.path == BY_NAME[2]
    found = rows(load_recipe(recipe).sources[0].reader, source(file.full, file.full.read_bytes()))
    assert [row["text"] for row in found] == [BY_NAME[2]]
    recipe.write_text(text.format("root: ., " + source_text.format("")))
    assert [f.path for f in load_recipe(recipe).sources[0].files] == [f"wiki/{name}" for name in BY_NAME[:2]]
    recipe.write_text(text.format(source_text.format(", splt: test")))
    with pytest.raises(RecipeError, match='did you mean "split"'):
        load_recipe(recipe)
