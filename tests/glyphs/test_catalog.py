from __future__ import annotations

import re

import pytest

from mnistseq_cli.glyphs.catalog import DATASETS, Dataset
from mnistseq_cli.glyphs.download import check_mirrors


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_a_record_is_whole_and_its_files_go_together(dataset: Dataset) -> None:
    assert DATASETS[dataset.name] is dataset
    assert re.fullmatch(r"[a-z-]+", dataset.name)
    assert re.fullmatch(r"\w+", dataset.folder)
    assert dataset.licence
    assert all(mirror.endswith("/") for mirror in dataset.mirrors)
    check_mirrors(dataset.mirrors)
    assert dataset.writers_from in {"", *DATASETS}
    files = dataset.files()
    n_files = 2 if dataset.test_writers else 4
    assert len({file.name for file in files}) == len(files) == n_files
    assert len({file.sha256 or file.unpacked_sha256 or file.name for file in files}) == n_files
    for file in files:
        assert not dataset.mirrors or file.sha256
        for sha256 in (file.sha256, file.unpacked_sha256):
            assert re.fullmatch(r"([0-9a-f]{64})?", sha256)
        assert file.size_bytes < file.unpacked_size_bytes
    for split in (dataset.train, dataset.test):
        assert split.images.shape == (split.n_glyphs, 28, 28)
        assert split.labels.shape[0] == split.n_glyphs
        assert not dataset.glyphs_per_writer or split.n_glyphs % dataset.glyphs_per_writer == 0


def test_data_sets_do_not_share_a_file() -> None:
    places = [(dataset.folder, file) for dataset in DATASETS.values() for file in dataset.files()]
    assert len({(folder, file.name) for folder, file in places}) == len(places)
