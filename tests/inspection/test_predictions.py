import os
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.errors import UsageError
from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.inspection.predictions import (
    N_WORST,
    ReaderFigures,
    ReaderTally,
    Share,
    align,
    read_predictions,
)
from mnistseq_cli.inspection.wording import merge_neighbours, merge_shares

TEXTS = st.text("0123é\0", max_size=8)


def count_edits(text: str, read: str) -> int:
    @cache
    def count(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        change = count(i - 1, j - 1) + (text[i - 1] != read[j - 1])
        return min(change, count(i - 1, j) + 1, count(i, j - 1) + 1)

    return count(len(text), len(read))


@given(TEXTS, TEXTS)
def test_an_alignment_spells_both_texts_with_the_fewest_edits(text: str, read: str) -> None:
    pairs = align(text, read)
    assert "".join(old for old, _ in pairs) == text
    assert "".join(new for _, new in pairs) == read
    assert sum(old != new for old, new in pairs) == count_edits(text, read)


@pytest.mark.parametrize(
    ("text", "read", "pairs"),
    [
        ("350", "850", ["38", "55", "00"]),
        ("3550", "350", ["33", "5", "55", "00"]),  # the first of equals is left out
        ("12", "21", ["12", "21"]),  # two changes, not one left out and one inserted
        ("12", "3", ["1", "23"]),  # a pair as far to the right as can be
        ("", "7", ["7"]),
    ],
)
def test_of_equal_alignments_one_is_taken(text: str, read: str, pairs: list[str]) -> None:
    assert ["".join(pair) for pair in align(text, read)] == pairs


def write(folder: Path, text: str) -> Path:
    path = folder / "read.csv"
    path.write_bytes(text.encode())
    return path


def seen(name: str, text: str, *, split: str = "", gaps: list[int] | None = None) -> LoadedSample:
    image = np.zeros((28, 40), np.uint8)
    return LoadedSample(name, split, image, text, gaps=None if gaps is None else np.array(gaps))


def score(path: Path, samples: list[LoadedSample]) -> ReaderFigures:
    tally = ReaderTally(read_predictions(path))
    for index, sample in enumerate(samples):
        tally.add(sample, index)
    return tally.figures()


@pytest.mark.parametrize(
    "text",
    [
        "file_name,text\na.png,012\nb.png,\n",
        "file_name,label\na.png,012\nb.png,\n",
        "file_name,prediction\r\na.png,012\r\nb.png,\r\n",
        "\ufefffile_name,text\na.png,012\n\nb.png,\n",
        "label,score,prediction,file_name\n999,0.5,012,a.png\n,0.1,,b.png\n",
        'file_name, text\n"a.png","012"\nb.png,""',
        "file_name, text\na.png, 012\n b.png , \n",
        'file_name, text\na.png, "012"\nb.png, ""\n',
        "a.png,012\nb.png,\n",
        "image\tpred\na.png\t012\nb.png\t\n",
        "a.png 012\nb.png \n",
        "Filename;Text;Score\na.png;012;0,9\nb.png;;0,1\n",
        "./a.png,012\n.\\b.png,\n",
        "/home/me/data/a.png\t012\n/home/me/data/b.png\t\n",
        "C:\\data\\a.png,012\nC:\\data\\b.png,\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_predictions_are_read(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "reads of my model.txt"
    path.write_bytes(text.removeprefix("\ufeff" * (encoding == "utf-16")).encode(encoding))
    predictions = read_predictions(path)
    assert predictions.find(seen("a.png", "350")) == "012"
    assert predictions.find(seen("b.png", "350")) == ""
    assert predictions.find(seen("c.png", "350")) is None


def test_the_last_steps_of_a_name_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path, "a.png,1\n/data/train/b.png,2\n/data/test/b.png,3\n")
    predictions = read_predictions(path)
    assert predictions.find(seen("images/00000/a.png", "1")) == "1"
    assert predictions.find(seen("b.png", "1", split="test")) == "3"
    assert predictions.find(seen("b.png", "1")) is None  # which of two is not known


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: it is empty"),
        (b"name,score\na.png,1\n", "line 1: the header 'name,score' has no column .* the text"),
        (b"id,text\na.png,1\n", "line 1: the header 'id,text' has no column .* the image"),
        (b"file_name,text\n", "holds no predictions"),
        (b"file_name,text\na.png,1\nb.png\n", "line 3: the row has 1 of the 2 values"),
        (b"file_name,text\na.png,1\nb.png,1\na.png,2\n", "line 4: 'a.png' .* second time"),
        (b"a.png,1\n./a.png,2\n", "line 2: './a.png' .* second time"),
        (b'file_name,text\na.png,"1\n', "line 2: unexpected end of data"),
        (b"file_name,text\na.png,\xff\n", "line 2.*UTF-8"),
        (b"file_name,text\na.png," + b"1" * 1001, "line 2: a prediction has 1,001 characters"),
        (b"a.png,1\n" + b"1" * 100_000, "line 1: it has more than 65,536 characters"),
    ],
)
def test_wrong_predictions_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "read.csv").write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("read.csv", message),
        ("nowhere.csv", r"nowhere\.csv is missing"),
        ("pipe", "a pipe or a device"),
    ):
        with pytest.raises(UsageError, match=words):
            read_predictions(tmp_path / name)


def test_names_are_those_of_samples_once_each(tmp_path: Path) -> None:
    path = write(tmp_path, 'file_name,text\na.png,1\n\n"b\nc.png",1\nd.png,1\n')
    with pytest.raises(UsageError, match=r"'b\\nc.png' is not .* 2 of 3 names are not"):
        score(path, [seen("a.png", "1")])
    samples = [seen("0.png", "1", split="train"), seen("0.png", "2", split="test")]
    path = write(tmp_path, "file_name,text\ntrain/0.png,1\ntest/0.png,2\n")
    assert score(path, samples).all == Share(2, 2)
    path = write(tmp_path, "file_name,text\n0.png,1\n")
    with pytest.raises(UsageError, match=r"(?s)two samples .* '0.png'.*test/0.png"):
        score(path, samples)


def test_predictions_saved_as_numbers_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "a,6405\nb,12.0\nc,12\nd,7\n")
    texts = {"a": "06405", "b": "0012", "c": "12", "d": "8"}
    figures = score(path, [seen(name, text) for name, text in texts.items()])
    assert (figures.n_as_numbers, figures.all) == (2, Share(4, 1))


def test_the_figures_of_a_reader(tmp_path: Path) -> None:
    rows = ["a,350", "b,35", "c,3850", "d,12", "e,", "f,777"]
    path = write(tmp_path, "\n".join(["file_name,text", *rows]))
    # With edges, 9 and 0 are margins.
    gaps = {"a": [3, 2], "b": [2, 5], "none": [1], "c": [9, 4, 5, 0], "d": [4], "e": []}
    texts = {"a": "350", "b": "350", "none": "99", "c": "350", "d": "13", "e": "1", "f": "777"}
    samples = [seen(name, text, gaps=gaps.get(name)) for name, text in texts.items()]
    figures = score(path, samples)
    assert figures.n_missing == 1
    assert figures.all == Share(6, 2)
    assert figures.all.accuracy == pytest.approx(1 / 3)
    assert (figures.n_edits, figures.n_characters) == (4, 15)
    assert figures.character_error_rate == 4 / 15
    assert figures.by_length == {1: Share(1, 0), 2: Share(1, 0), 3: Share(4, 2)}
    assert figures.by_gap == {2: Share(2, 1), 4: Share(2, 0)}
    assert list(figures.confusion) == sorted(figures.confusion)
    worst = [(one.index, one.sample.name, one.read, one.n_edits) for one in figures.worst]
    assert worst == [(1, "b", "35", 1), (3, "c", "3850", 1), (4, "d", "12", 1), (5, "e", "", 1)]


def test_many_samples_give_what_each_would_give(tmp_path: Path) -> None:
    texts = [f"{number * 7919 % 1000:03d}" for number in range(3000)]
    reads = [
        text[: number % 4] if number % 3 == 0 else text.replace("7", "1")
        for number, text in enumerate(texts)
    ]
    rows = "".join(f"{number},{read}\n" for number, read in enumerate(reads))
    path = write(tmp_path, "file_name,text\n" + rows)
    image = np.zeros((28, 40), np.uint8)
    figures = score(path, [LoadedSample(str(n), "", image, text) for n, text in enumerate(texts)])
    edits = [count_edits(text, read) for text, read in zip(texts, reads, strict=True)]
    assert figures.n_edits == sum(edits)
    assert figures.all == Share(3000, edits.count(0))
    order = sorted(range(3000), key=lambda number: -edits[number])[:N_WORST]
    assert [(one.index, one.n_edits) for one in figures.worst] == [(n, edits[n]) for n in order]
    counted = Counter(pair for pairs in map(align, texts, reads) for pair in pairs)
    assert figures.confusion == counted


def test_neighbours_are_merged_when_there_are_many() -> None:
    assert merge_neighbours([], 20) == []
    assert merge_neighbours({5, 3}, 20) == [range(3, 4), range(4, 5), range(5, 6)]
    ranges = merge_neighbours(range(-5, 295), 60)
    assert (len(ranges), ranges[0], ranges[-1]) == (60, range(-5, 0), range(290, 295))
    merged = merge_shares({gap: Share(4, gap % 5) for gap in (*range(0, 20, 2), 99)}, 20)
    assert merged[0] == ("0 to 4", Share(12, 6))  # gaps 0, 2 and 4
    assert [name for name, _ in merged] == ["0 to 4", "5 to 9", "10 to 14", "15 to 19", "95 to 99"]


def test_whose_characters_are_read_worst(tmp_path: Path) -> None:
    path = write(tmp_path, "a,12\nb,x2\n")
    samples = [
        replace(seen(name, "12"), writers=writers)
        for name, writers in (("a", ("anna", "anna")), ("b", ("bob", "anna")))
    ]
    assert score(path, samples).by_writer == {"anna": Share(3, 3), "bob": Share(1, 0)}
