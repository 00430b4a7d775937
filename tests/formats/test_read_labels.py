"""Label files as people have them: read as they are meant, or refused with file and line."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistseq_cli.errors import OutputError
from mnistseq_cli.formats import read_labels, tables
from mnistseq_cli.formats.base import ChosenPlaces
from tests.helpers.shelf import read_dataset as read
from tests.helpers.shelf import refuse, write_image

NAMES, TEXTS = ["a.png", "b.png"], ["350", "07"]
LISTED = "a.png,350\nb.png,07\n"
RECORDS = '{"file_name": "a.png", "caption": 1, "text": "350"}\n{"name": "b.png", "label": "07"}\n'
LISTINGS = {
    "labels.csv": "file_name,label\r\na.png,350\r\nb.png,07\r\n",
    "train.csv": "id,Words,FileName\n0,350,a.png\n1,07,b.png\n",
    "gt.csv": '"a.png","350"\nb.png,07\n',
    "GT.TXT": LISTED.replace(",", "; "),
    "gt.txt": LISTED.replace(",", " "),
    "labels.txt": LISTED,
    "rec_gt_train.txt": LISTED.replace(",", "\t"),
    "x.tsv": "Label\tid\tFileName\n350\t1\ta.png\n07\t2\tb.png\n",
    "y.tsv": LISTED.replace(",", "\t"),
    "metadata.jsonl": RECORDS,
    "gt.json": '{"a.png": "350", "b.png": "07"}',
    "labels.json": '{"a.png": {"text": "350"}, "b.png": {"text": "07"}}',
}


@pytest.mark.parametrize("images", ["", "images"])
@pytest.mark.parametrize("name", LISTINGS)
def test_label_files_of_others_are_read(name: str, images: str, tmp_path: Path) -> None:
    for image in NAMES:
        write_image(tmp_path / images / image)
    path = tmp_path / name
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        path.write_bytes(LISTINGS[name].encode(encoding))
        found = read(tmp_path)
        assert [(seen.name, seen.text, seen.split) for seen in found] == [
            (name, text, "") for name, text in zip(NAMES, TEXTS, strict=True)
        ]
        assert found[0].boxes is found[0].gaps is found[0].glyphs is None
    path.write_bytes("\n\n\xe9.png,350\n".encode("latin-1"))
    assert refuse(tmp_path).message.startswith(f"{path}, line 3: the byte 0xe9 is not UTF-8")


LINES = {  # a header, the form that may be passed over, others
    "labels.csv": [
        *("name,text\n", "{}.png,1\n", "{}.png,\n", "{}.png,2\r\n", "\n"),
        '"{}","' + "2,3\n" * 20 + '"\n',
    ],
    "gt.txt": ["name text\n", "{}.png 1\n", "{}.png 2 3\n", '{}.png\t"\n', "\n", " {}.png  4\n"],
    "metadata.jsonl": [
        *("", '{{"file_name": "{}", "text": "1"}}\n', '{{"name": "{}", "text": "\u2028"}}\n'),
        *('{{"file_name": "\\n{}", "text": "1"}}\r\n', " \n"),
    ],
}


@pytest.mark.parametrize("name", LINES)
@given(data=st.data())
def test_lines_chosen_by_their_places_are_those_of_all(name: str, data: st.DataObject) -> None:
    head, plain, *others = LINES[name]
    forms = data.draw(st.lists(st.sampled_from([*[plain] * 9, *others]), min_size=1, max_size=60))
    places = data.draw(st.sets(st.integers(0, 60), max_size=3))
    lines = [head, *(form.format(at) for at, form in enumerate(forms))]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / name
        path.write_text("".join(lines), "utf-8", newline="")
        everything = [*read_labels.read_labels(path)]
        patch.setattr(tables, "_BLOCK", 30)
        chosen = ChosenPlaces(sorted(places))
        found = [*read_labels.read_labels(path, chosen)]
    assert found == [row for at, row in enumerate(everything) if at in places]
    assert chosen.n_seen == len(everything)


@pytest.mark.parametrize("row", ["path,350", "images/path,word", '"path","3;5"'])
def test_a_first_line_that_names_an_image_is_no_header(row: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "images" / "path")
    (tmp_path / "labels.csv").write_text(f"{row}\n")
    (seen,) = read(tmp_path)
    assert f"{seen.name},{seen.text}" == row.replace('"', "")


PATHS = r"""{} ./images/{} images\{} .\images\{} //server/share/{} C:\data\images\{}
/home/somebody/data/images/{}"""


@pytest.mark.parametrize("pattern", PATHS.split())
def test_images_are_found_by_paths_of_another_machine(pattern: str, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    (tmp_path / "labels.csv").write_text(f"{pattern.format('a.png')},350\n")
    assert [seen.text for seen in read(tmp_path)] == ["350"]


def test_splits_of_others_come_in_the_order_of_use(tmp_path: Path) -> None:
    for split in ("b", "test", "train", "a", "valid", ".hidden"):
        write_image(tmp_path / split / "a.png")
        (tmp_path / split / "labels.csv").write_text("a.png,7\n")
    assert [seen.split for seen in read(tmp_path)] == ["train", "valid", "test", "a", "b"]


def make_coco(text: str, name: str = "a.png") -> dict[str, Any]:
    return {
        "categories": [{"id": 40 + int(one), "name": one} for one in {*text}],
        "images": [{"id": 9, "file_name": "b.png"}, {"id": 7, "file_name": name}],
        "annotations": [
            {"image_id": 7, "category_id": 40 + int(one), "bbox": [10.5 - x * 5, 2, 4, 5.6]}
            for x, one in enumerate(text)
        ],
    }


def test_a_file_for_each_split_is_read_as_that_split(tmp_path: Path) -> None:
    for number, split in enumerate(("test", "train")):
        write_image(tmp_path / "images" / split / "c.png")
        write_image(tmp_path / "images" / split / "b.png")
        path = tmp_path / "annotations" / f"instances_{split}2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(make_coco(str(number), "c.png")))
        (tmp_path / f"rec_gt_{split}.txt").write_text(f"{split}/c.png\t5\n")
    found = [(seen.split, seen.text) for seen in read(tmp_path)]
    assert found == [("train", ""), ("train", "1"), ("test", ""), ("test", "0")]
    shutil.rmtree(tmp_path / "annotations")
    assert [seen.split for seen in read(tmp_path)] == ["train", "test"]


def test_boxes_are_read_from_left_to_right_and_rounded(tmp_path: Path) -> None:
    for name in NAMES:
        write_image(tmp_path / "images" / name)
    (tmp_path / "_annotations.coco.json").write_text(json.dumps(make_coco("053")))
    blank, number = read(tmp_path)
    assert (blank.name, blank.text, number.text) == ("b.png", "", "350")
    assert blank.boxes is not None
    assert blank.boxes.shape == (0, 4)
    assert number.boxes is not None
    assert number.boxes.tolist() == [[0, 2, 4, 6], [6, 2, 4, 6], [10, 2, 4, 6]]


def write_yolo(folder: Path, lines: str) -> Path:
    write_image(folder / "images" / "a.png")
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(lines, encoding="utf-8")
    return folder / "labels" / "a.txt"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("names:\n  0: 'a'\n  1: b\n", "ab"),
        ("names: ['a', \"b\"]\nnc: 2\n", "ab"),
        ("path: .\nnames:\n- a\n- b\nnc: 2\n", "ab"),
        ("names: {0: a, 1: b}\n", "ab"),
        ("nc: 2\n", "01"),
    ],
)
def test_yolo_of_others_with_names_of_classes(names: str, text: str, tmp_path: Path) -> None:
    path = write_yolo(tmp_path, "\ufeff1 0.5 0.5 0.2 0.5\n0 0.2 0.5 0.2 0.5\n\n")
    (tmp_path / "data.yaml").write_text(names)
    (seen,) = read(tmp_path)
    assert seen.text == text
    assert seen.boxes is not None
    assert seen.boxes.tolist() == [[3, 5, 6, 10], [12, 5, 6, 10]]
    wrong = [f"1 {x} 0.5 0.2 0.5" for x in ("nan", "3")] + ["1"]
    wrong += ["2 0.5 0.5 0.2 0.5"] if "a" in names[4:] else []
    for line in wrong:
        path.write_text(line)
        assert str(path) in refuse(tmp_path).message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no links for all")
def test_a_folder_that_leads_back_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, "")
    (tmp_path / "images" / "b").symlink_to(tmp_path / "images")
    assert "leads back to" in refuse(tmp_path).message


@given(
    chunk=st.sampled_from([1, 2, 7, 1000]),
    values=st.dictionaries(
        st.text(), st.lists(st.integers() | st.floats(allow_nan=False) | st.text()) | st.none()
    ),
    indent=st.none() | st.integers(0, 2),
)
def test_json_is_read_item_by_item(chunk: int, values: dict[str, Any], indent: int | None) -> None:
    expected = [
        (key, item)
        for key, value in values.items()
        for item in ([None] if value is None else value)
    ]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_labels, "_CHUNK", chunk)
        path = Path(folder) / "x.json"
        path.write_text(json.dumps(values, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert list(read_labels.iterate_json(path)) == expected


DEEP = "[" * 200_000
BOX = "box 1 is "
WRONG: list[tuple[str, str, str]] = [
    ("x.json", text, "") for text in ("", "{", "[1]", '{"a" 1}', '{"a": [1', '{"a": [1}')
]
WRONG += [
    ("labels.csv", text, f", line {message}")
    for text, message in {
        "file_name|text\na.png|1\n": "1: 'file_name|text' is one",
        "": "1: it is empty",
        "file_name,text\na.png,1\na.png\n": "3: the row has 1 of",
        "name,foo\na.png,1\n": "1: the header 'name,foo' has no",
        "foo,label\na.png,1\n": "1: the header 'foo,label' has no",
        "foo,bar\na.png,1\n": "1: 'foo,bar' is no header that is known, and there is no image",
        'file_name,text\na.png,"1\n': "2: unexpected end of data",
        f"{'a' * 3000},1\n": "1: ",
    }.items()
]
WRONG.append(("rec_gt.txt", "a.png\t350\na.pn", ", line 2: the row has 1 of"))
WRONG += [
    ("metadata.jsonl", f"\n{record}\n", f", line 2: {message}")
    for record, message in {
        "3": "it is 3; expected an object",
        '{"file_name": "a.png", "text": "1"': "",
        '{"file_name": "a.png"}': "it has none of",
        '{"text": "1"}': "it has none of",
        '{"file_name": 3, "text": "1"}': "file_name is 3; expected a string",
        '{"file_name": "a.png", "text": null}': "text is None; expected a string",
        '{"file_name": "a.png", "text": [3]}': "text is [3]; expected a string",
        '{"file_name": "a.png", "text": 3.5}': "text is 3.5; expected a string",
        '{"file_name": "a.png", "text": "\\ud800"}': "it is no UTF-8 text: surrogates not",
        f'{{"file_name": "a.png", "text": "{"9" * 2000}"}}': "a text has 2,000 characters",
        f'{{"file_name": "{"a" * 5000}", "text": ""}}': "a name has 5,000 characters",
        '{"file_name": "a.png", "text": "1", "objects": 3}': "objects is 3; expected",
        DEEP: "it is nested too deep",
    }.items()
]
WRONG += [
    (
        "metadata.jsonl",
        f'{{"file_name": "a.png", "text": "1", "objects": {{"bbox": {boxes}}}}}',
        f", line 1: {message}",
    )
    for boxes, message in {
        "[[1, 2, 3]]": "box 1 is [1, 2, 3]; expected x, y, width and height",
        '[["1", "2", "3", "4"]]': BOX,
        "[[NaN, 1, 2, 3]]": BOX,
        "[[1, 1, Infinity, 3]]": BOX,
        f"[[{10**30}, 1, 2, 3]]": BOX,
        "[null]": BOX,
        '[{"x": 1, "y": 2, "w": 3, "h": 4}]': BOX,
        "[[1, 2, 3, 4, 5]]": BOX,
        "[[[1], [2], [3], [4]]]": BOX,
        "7": "bbox is 7; expected a list",
    }.items()
]
WRONG += [
    (
        "metadata.jsonl",
        f'{{"file_name": "a.png", "text": "12", "gaps": {gaps}}}',
        ", line 1: gaps is ",
    )
    for gaps in ('"12"', "[[1]]", "[1.5]", "[true]", "{}", f"[{10**30}]")
]


@pytest.mark.parametrize(("name", "text", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_line_is_explained(name: str, text: str, message: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / name).write_text(text, encoding="utf-8")
    error = refuse(tmp_path)
    assert error.message.startswith(f"{tmp_path / name}{message}")
    assert len(error.message) < len(str(tmp_path)) + 450
    if message:
        assert error.hint.startswith("Expected")
        assert "file_name" in error.hint
        assert "text" in error.hint
        (tmp_path / "dataset.json").touch()
        assert refuse(tmp_path).hint.startswith("mnistseq verify names every file")


@pytest.mark.parametrize("box", [[3, 3, -2, 2], [31, 3, 2, 2], [3, -9, 2, 2]])
def test_a_box_outside_its_image_is_refused(box: list[int], tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    record = {"file_name": "a.png", "text": "1", "objects": {"bbox": [box]}}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(record))
    start = f"a.png in {tmp_path / 'metadata.jsonl'} is damaged: the box"
    assert refuse(tmp_path).message.startswith(start)


@pytest.mark.parametrize("row", ["x.png,1\n", f"file_name,text\n{'a' * 3000},1\n"])
def test_a_missing_image_is_named(row: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(row if "text" in row else f"file_name,label\n{row}")
    error = refuse(tmp_path)
    assert str(tmp_path / row.splitlines()[-1][:5]) in error.message
    assert len(error.message) < len(str(tmp_path)) + 600
    assert "verify" not in error.hint


@pytest.mark.parametrize(
    "name", ["../secret.png", "images/../../secret.png", "{}", "..\\secret.png"]
)
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "secret.png")
    write_image(tmp_path / "set" / "a.png")
    rows = [("a.png", "7"), (name.format(tmp_path / "secret.png"), "8")]
    lines = [json.dumps({"file_name": path, "text": text}) for path, text in rows]
    (tmp_path / "set" / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(OutputError, match=r"secret\.png' is not in"):
        read(tmp_path / "set")


JUNK: list[Any] = [None, True, 3, -1.5, float("nan"), 10**30, "x", [], {}, [[]], [{}], {"a": [1]}]
RECORD = {"file_name": "a.png", "text": "7", "objects": {"bbox": [[1, 2, 3, 4]]}, "gaps": [1]}
VALUES: dict[str, Any] = {
    "instances.json": make_coco("7"),
    "textrecog.json": {"data_list": [{"img_path": "a.png", "instances": [{"text": "7"}]}]},
    "labels.json": {"a.png": {"text": "7"}},
    "metadata.jsonl": RECORD,
}


def spoil(value: Any) -> Iterator[Any]:
    """Give copies of a JSON value, each with something of another type in one place."""
    yield from JUNK
    for key in value if isinstance(value, dict) else ():
        yield {name: value[name] for name in value if name != key}
        yield from (value | {key: spoilt} for spoilt in spoil(value[key]))
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from ([*value[:place], spoilt, *value[place + 1 :]] for spoilt in spoil(item))


@pytest.mark.parametrize("name", VALUES)
def test_json_of_another_type_in_any_place_is_no_crash(name: str, tmp_path: Path) -> None:
    for image in NAMES:
        write_image(tmp_path / image)
    refused = []
    for values in spoil(VALUES[name]):
        (tmp_path / name).write_text(json.dumps(values))
        try:
            found = read(tmp_path)
        except OutputError as error:
            refused.append(error.message)
        else:
            assert all(isinstance(seen.text, str) for seen in found)
    assert len(refused) > len(JUNK)
    assert all(str(tmp_path) in message for message in refused)
