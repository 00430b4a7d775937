"""What the command line says: which option is wrong, what mends it, how it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from mnistseq_cli import Recipe
from tests.helpers.program import Result

Run = Callable[..., Result]
BATCH = ["batch", "--digits", "3"]


def assert_refused(result: Result, *words: str, status: int = 2) -> None:
    """Compare the exit status, and see that one or two lines hold some words."""
    assert (result.status, result.out) == (status, "")
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) <= 2
    for word in words:
        assert word in result.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["sequence", "3", "--seed", "abc"], ["--seed", "'abc'"]),
        (["sequence", "3", "--spacing", "a", "b"], ["--spacing", "'a'"]),
        (["sequence", "3", "--spacing", "2"], ["--spacing", "2 arguments"]),
        (["sequence", "3", "--augment-prob", "x"], ["--augment-prob", "'x'"]),
        (["sequence", "3", "--width", "x"], ["--width", "'x'"]),
        (["sequence", "3", "--widht", "9"], ["--widht", "Did you mean --width?"]),
        (["sequence", "3", "--rotate", "9"], ["--rotate", "--augment rotate"]),
        (["sequence", "3", "--height", "64"], ["--height", "28 pixels"]),
        (["sequence", "3", "--format", "jpg"], ["--format", "--image-format", "-o"]),
        (["batch", "--output_dir", "x"], ["--output_dir", "--out"]),
        (["sequence", "3", "--json=1"], ["--json"]),
        (["batch", "-n"], ["-n"]),
        (["batch", "--part-size", "1.5"], ["--part-size", "'1.5'"]),
        (["verify"], ["DIR"]),
        (["sequenc", "3"], ["'sequenc'", "Did you mean 'sequence'?"]),
        (["--foo"], ["--foo"]),
    ],
)
def test_wrong_usage_names_the_option_and_leads_to_the_help(
    words: list[str], named: list[str], run: Run
) -> None:
    command = f"{words[0]} " if words[0] in {"sequence", "batch", "verify"} else ""
    assert_refused(run(*words, glyphs=False), *named, f"See mnistseq {command}--help")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--width", "0"], "--width"),
        (["--spacing", "9", "2"], "--spacing"),
        (["--spacing", "-99", "2"], "--spacing"),
        (["--spacing-mode", "x"], "--spacing-mode"),
        (["--augment", "blur", "--augment-prob", "2"], "--augment-prob"),
        (["--measure", "x"], "--measure"),
        (["--align", "x"], "--align"),
        (["--glyphs", "x"], "--glyphs"),
        (["--count", "0"], "--count"),
        (["--seed", "-1"], "--seed"),
        (["--length", "0", "2"], "--length"),
        (["--to", "x"], "--to"),
        (["--labels", "x"], "--labels"),
        (["--image-format", "x"], "--image-format"),
        (["--part-size", "0"], "--part-size"),
        (["--workers", "-1"], "--workers"),
        (["--digits", ""], "--digits"),
    ],
)
def test_messages_name_options_and_no_fields(words: list[str], option: str, run: Run) -> None:
    length = [] if {"--length", "--digits"} & {*words} else ["--length", "2", "3"]
    result = run("batch", *length, *words)
    assert_refused(result)
    assert re.match(f"Error: {option} (is|goes) ", result.err)


def test_other_commands_name_their_options(run: Run) -> None:
    assert_refused(run("phone", "--pattern", ""), "Error: --pattern is ''")
    run(*BATCH, "-n", 1, "-o", "out")
    assert_refused(run("verify", "out", "--workers", "-1", glyphs=False), "--workers is -1")


@pytest.mark.parametrize("words", [["phone"], BATCH])
def test_a_word_too_many_leads_to_the_help_of_the_command(words: list[str], run: Run) -> None:
    assert_refused(run(words[0], "extra", *words[1:]), f"mnistseq {words[0]} --help")


def test_a_number_after_a_bare_distortion_is_not_written(run: Run, tmp_path: Path) -> None:
    for words in (["sequence", "350"], [*BATCH, "-n", 1], ["phone", "--splits", "a=1", "b=2"]):
        assert_refused(run(*words, "--augment", "rotate", "10"), "--augment rotate=10")
    assert not list(tmp_path.iterdir())
    assert run("sequence", "--augment", "blur", "350").out == "350.png\n"
    assert run("sequence", "36", "--augment", "light", "0").out == "360.png\n"


@pytest.mark.parametrize("words", [["--length", "4"], ["--length=4"], ["--length", "4", "4"]])
def test_one_length_is_both(words: list[str], run: Run) -> None:
    dry = run("batch", *words, "-n", 3, "--dry-run")
    assert (dry.status, "length = [4, 4]" in dry.out) == (0, True)


def test_a_length_that_is_turned_is_mended_as_the_hint_says(run: Run) -> None:
    assert_refused(run("batch", "--length", 5, 3), "Swap them: --length 3 5")


def test_a_default_width_over_the_limit_is_refused_before_the_work(run: Run) -> None:
    words = ["batch", "--length", 200, 200, "--spacing", 1000, 1000, "-o", "out"]
    assert_refused(run(*words), "65,535", "--spacing")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3b5", "'b' is not in the alphabet"),
        ("3'5", '"\'" is not in the alphabet'),
        ("1" * 1001, "the text "),
    ],
)
@pytest.mark.parametrize("dataset", [[], ["--dataset", "strokes"]])
def test_a_line_that_cannot_be_written_is_named(
    line: str, message: str, dataset: list[str], run: Run
) -> None:
    Path("g.txt").write_text(f"12\n\n34\n{line}\n{line}\n")
    result = run("batch", "--texts", "g.txt", *dataset, glyphs=not dataset)
    assert result.status == 2
    assert result.err.startswith(f"Error: g.txt, line 4: {message}")


def test_glyphs_and_splits_are_refused_together(run: Run) -> None:
    words = ["batch", "--length", 3, 3, "-n", 20]
    splits = ["--splits", "train=8", "val=2"]
    assert_refused(run(*words, "-o", "out", "--glyphs", "test", *splits), "--glyphs", "--splits")
    assert not Path("out").exists()
    assert run(*words, "-o", "out", "--glyphs", "all", *splits).status == 0
    recipe = ["batch", "--recipe", "out/recipe.toml", "-o", "again"]
    assert run(*recipe, "--glyphs", "train").status == 2
    assert "all glyphs, seed" in run(*recipe).err


@pytest.mark.parametrize("command", [["batch", "--length", 3, 3], ["phone"]])
def test_glyphs_and_splits_are_refused_before_a_download(
    command: list[object], run: Run, tmp_path: Path
) -> None:
    words = [*command, "--dataset", "mnist", "--splits", "train=8", "val=2"]
    assert_refused(run(*words, "--glyphs", "train", glyphs=False), "--glyphs", "--splits")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read")
@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_folder_that_may_not_be_read_is_named(command: str, run: Run) -> None:
    Path("theirs").mkdir(0o000)
    result = run(command, "theirs", glyphs=False)
    assert result.status in {1, 2}
    assert "theirs" in result.err
    assert "folder:" not in result.err


@pytest.mark.parametrize("option", ["--sheet", "--log-json"])
@pytest.mark.parametrize("folder", ["out", "."])
def test_a_file_inside_the_dataset_is_refused(option: str, folder: str, run: Run) -> None:
    result = run("batch", "--digits", "3", "-o", folder, option, f"{folder}/deep/a.png")
    assert (result.status, list(Path().iterdir())) == (2, [])
    assert "inside the dataset" in result.err
    beside = "a.png" if folder == "out" else "../a.png"
    assert result.err.endswith(f"beside the dataset: {option} {beside}\n")


@pytest.mark.parametrize(
    "words", [["sequence", "3"], ["phone", "-n", "3"], ["batch", "--digits", "3", "--dry-run"]]
)
def test_a_sheet_that_cannot_be_written_is_refused_before_the_work(
    words: list[str], run: Run
) -> None:
    assert_refused(run(*words, "--sheet", "none/sheet.png"), "none/sheet.png", status=1)
    Path("folder.png").mkdir()
    assert_refused(run(*words, "--sheet", "folder.png"), "folder.png", status=1)
    assert [path.name for path in Path().iterdir()] == ["folder.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_sheet_in_a_folder_of_others_is_refused(run: Run) -> None:
    Path("theirs").mkdir(0o500)
    assert_refused(run("phone", "-n", 3, "--sheet", "theirs/sheet.png"), "theirs", status=1)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--to", "npz", "--image-format", "jpg"], "--image-format"),
        (["--to", "idx", "--name", "{index}"], "--name"),
        (["--to", "webdataset", "--name", "{index}"], "--name"),
        (["--resume", "--overwrite"], "--resume"),
    ],
)
def test_options_without_effect_are_refused(words: list[str], option: str, run: Run) -> None:
    assert_refused(run(*BATCH, *words), f"Error: {option} ")


@pytest.mark.parametrize("words", [["sequence", "3"], ["phone"], BATCH])
@pytest.mark.parametrize("probability", ["0.5", "1"])
def test_a_probability_of_nothing_is_refused(
    words: list[str], probability: str, run: Run, tmp_path: Path
) -> None:
    result = run(*words, "--augment-prob", probability, "--dataset", "mnist", glyphs=False)
    assert_refused(result, f"--augment-prob is {probability}", "For example: --augment ")
    assert not list(tmp_path.iterdir())


def test_a_probability_goes_with_the_distortions_of_a_recipe(run: Run, tmp_path: Path) -> None:
    def start_from(recipe: Recipe, *words: object) -> int:
        recipe.save(tmp_path)
        return run("sequence", "--recipe", "recipe.toml", "-o", "a.png", *words).status

    distorting = Recipe(digits="3", augment=("blur",), augment_prob=0.5)
    assert start_from(distorting, "--augment-prob", "0.2") == 0
    plain = Recipe(digits="3", augment_prob=0.5)
    assert start_from(plain) == 0
    assert start_from(plain, "--augment", "rotate") == 0
    assert start_from(plain, "--augment", "rotate", "--augment-prob", "0.2") == 0
    assert start_from(plain, "--augment-prob", "0.2") == 2


@pytest.mark.parametrize(
    ("value", "named"),
    [("light=2", "light"), ("rotate=5..", "rotate"), ("rotat", "Did you mean 'rotate'?")],
)
def test_distortions_are_refused_before_a_download(
    value: str, named: str, run: Run, tmp_path: Path
) -> None:
    words = ["sequence", "3", "--augment", value, "--dataset", "mnist"]
    assert_refused(run(*words, glyphs=False), named)
    assert not list(tmp_path.iterdir())


def test_an_image_format_goes_with_all_that_hold_images(run: Run) -> None:
    assert run("batch", "--digits", "3", "--to", "webdataset", "--image-format", "bmp").status == 0


def test_messages_about_a_recipe_name_its_fields(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('digits = "3"\nwidth_px = 0\n')
    assert_refused(run("sequence", "--recipe", "recipe.toml"), "recipe.toml: width_px is 0")


@pytest.mark.parametrize("command", ["sequence", "batch"])
def test_a_command_with_nothing_to_write_says_what_it_needs(command: str, run: Run) -> None:
    assert_refused(run(command), f"For example: mnistseq {command} ")


def test_phone_refuses_a_recipe_of_other_numbers(run: Run, tmp_path: Path) -> None:
    Recipe(length=(2, 3), count=2).save(tmp_path)
    refused = run("phone", "--recipe", "recipe.toml", "-o", "out")
    assert_refused(refused, "recipe.toml has no pattern", "mnistseq batch --recipe recipe.toml")
    assert run("phone", "--recipe", "recipe.toml", "--pattern", "us", "-o", "out").status == 0


@pytest.mark.parametrize("words", [["-o", "a.xyz"], ["-o", "a"], ["--sheet", "b.docx"]])
def test_an_ending_that_is_none_is_refused_at_once(words: list[str], run: Run) -> None:
    result = run("sequence", "3", *words, "--dataset", "mnist", glyphs=False)
    assert_refused(result, words[1], ".png, .jpg")
    assert_refused(run(*BATCH, "--sheet", "b.docx"), "b.docx")
    assert not Path("sequences").exists()


@pytest.mark.parametrize("dataset", [[], ["--dataset", "mnist"], ["--dataset", "strokes"]])
@pytest.mark.parametrize("words", [["sequence", "3b5a"], ["batch", "--digits", "b"]])
def test_what_cannot_be_written_is_refused_before_a_download(
    words: list[str], dataset: list[str], run: Run, tmp_path: Path
) -> None:
    assert_refused(run(*words, *dataset, glyphs=False), "'b'")
    assert not list(tmp_path.iterdir())


def test_texts_that_cannot_be_read_are_an_error_of_the_file(run: Run, tmp_path: Path) -> None:
    for name in ("none.txt", "."):
        assert_refused(run("batch", "--texts", name), name, status=1)
    (tmp_path / "empty.txt").touch()
    assert run("batch", "--texts", "empty.txt").status == 2


def test_first_use_says_where_glyphs_are_kept(run: Run, tmp_path: Path) -> None:
    words = ["sequence", "3", "--dataset", "strokes", "-o", "a.png"]
    line = f"Glyphs are kept in {tmp_path / 'cache'}; change it with --data-dir."
    first, second = (run(*words, glyphs=False) for _ in range(2))
    assert line in first.err.splitlines()
    assert "kept" not in second.err


@pytest.mark.parametrize("dataset", [[], ["--dataset", "strokes"]])
def test_glyphs_that_cannot_be_kept_are_said_to_be_drawn_anew(
    dataset: list[str], run: Run
) -> None:
    Path("taken").touch()
    words = ["sequence", "3", *dataset, "-o", "a.png"]
    result = run(*words, "--data-dir", "taken/cache", glyphs=False)
    warnings = [line for line in result.err.splitlines() if line.startswith("Warning: ")]
    assert (result.status, len(warnings)) == (0, 1 if dataset else 2)
    assert "taken/cache" in warnings[0]
    assert "--data-dir DIR or MNISTSEQ_DATA_DIR" in result.err
    assert "Glyphs are kept" not in result.err
    kept = run(*words, "--data-dir", "other", glyphs=False)
    assert "cannot be kept" not in kept.err


def test_a_cache_that_cannot_be_written_is_no_lack_of_a_network(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNISTSEQ_OFFLINE")
    Path("taken").touch()
    result = run("sequence", "3", "-o", "a.png", "--data-dir", "taken/cache", glyphs=False)
    assert result.status == 0
    assert [line[:32] for line in result.err.splitlines() if line.startswith("Warning")] == [
        "Warning: Glyphs cannot be kept, "
    ]


def test_what_auto_missed_is_brought_as_the_hint_says(run: Run, mnist_folder: Path) -> None:
    words = ["sequence", "3", "-o", "a.png", "--data-dir", "my glyphs"]
    assert "--dataset strokes" in run(*words, glyphs=False).err
    missed = run(*words, "--dataset", "mnist", glyphs=False)
    hint = next(line for line in missed.err.splitlines() if " --from FOLDER" in line)
    command = shlex.split(hint[hint.index("mnistseq download") :])
    run(*[str(mnist_folder) if word == "FOLDER" else word for word in command[1:]], glyphs=False)
    assert "Warning" not in run(*words, glyphs=False).err


def test_a_picture_that_cannot_be_written_is_named(run: Run) -> None:
    Path("taken").touch()
    assert_refused(run("sequence", "350", "-o", "taken/a.png"), "taken", "--out", status=1)


def test_sizes_of_small_things_are_not_nothing(run: Run) -> None:
    words = ["batch", "--digits", "3", "-n", 1, "-o", "one"]
    dry = run(*words, "--dry-run").err
    assert re.search(r"^size     [\d.]+ (kB|bytes)$", dry, re.MULTILINE)
    assert re.search(r"^on disk  [\d.]+ kB$", dry, re.MULTILINE)
    assert re.search(r"^1 image, .* x 28 px, [\d.]+ (kB|bytes), ", run(*words).err, re.MULTILINE)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes of folders")
@pytest.mark.parametrize("mode", [0o555, 0])
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["sequence", "350", "-o", "theirs/a.png"], "theirs/a.png"),
        (["sequence", "350", "-o", "theirs/new/a.png"], "theirs/new"),
        (["batch", "--digits", "3", "-n", "9", "-o", "theirs/out"], "theirs/out"),
        (["batch", "--digits", "3", "-n", "9", "-o", "theirs/out", "--force"], "theirs/out"),
    ],
)
def test_output_that_cannot_be_written_is_named_with_a_hint(
    words: list[str], name: str, mode: int, tmp_path: Path, glyph_folder: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    powerless: list[str] = []
    if os.geteuid() == 0:
        if which("setpriv") is None:
            pytest.skip("nothing here holds root back")
        powers = "-dac_override,-dac_read_search"
        powerless = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"]
        os.chown(theirs, 65534, 65534)
    theirs.chmod(mode)
    done = subprocess.run(
        [
            *powerless,
            *(sys.executable, "-m", "mnistseq_cli", *words, "--dataset", str(glyph_folder)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    theirs.chmod(0o755)
    first, second = done.stderr.splitlines()
    assert done.returncode == 1
    assert re.fullmatch(f"Error: cannot write (/.*/)?{name}: (that is not p|P)ermi.*", first)
    assert second.startswith("  Choose a folder that can be written")
    assert list(theirs.iterdir()) == []


def test_one_is_one(run: Run) -> None:
    words = [*BATCH, "-n", 1]
    assert " 1 in 1 part\n" in run(*words, "--dry-run").err
    assert run(*words, "-o", "one").err.splitlines()[-1].startswith("1 image, ")
    assert ", 1 sample;" in run("verify", "one", glyphs=False).err
    (Path("one") / "labels.csv").unlink()
    assert ": 1 file\n" in run("verify", "one", glyphs=False).err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["sequence", "3"], ["--help"], ["download", "--list"], []])
def test_a_full_disk_behind_stdout_is_said_in_a_line(
    words: list[str], glyph_folder: Path, tmp_path: Path
) -> None:
    dataset = ["--dataset", str(glyph_folder)] if "sequence" in words else []
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mnistseq_cli", *words, *dataset],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: the output cannot be written: No space left on device\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals and pipes")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_an_interrupted_command_ends_with_its_status(name: str, status: int) -> None:
    code = (
        "import sys, time\n"
        "from mnistseq_cli import Recipe\n"
        "from mnistseq_cli.cli import main\n"
        "Recipe.from_dict = lambda _: print('at work', flush=True) or time.sleep(20)\n"
        "sys.argv = ['mnistseq', 'sequence', '3']\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.Signals[name])
        assert process.wait(timeout=10) == status
        assert process.stderr.read() == ""


def test_results_are_all_that_stdout_gets(run: Run) -> None:
    result = run("sequence", "350", "--json", "--show")
    assert json.loads(result.out)["text"] == "350"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["phone", "--pattern", "jpmobile"], "jp-mobile"),
        (["batch", "--digits", "3", "--image-format", "pgn"], "png"),
        (["sequence", "350", "--width", "naturl"], "natural"),
    ],
)
def test_what_is_spelt_wrong_is_told_the_nearest(words: list[str], name: str, run: Run) -> None:
    result = run(*words)
    assert result.status == 2
    assert f"Did you mean {name!r}?" in result.err


def test_no_fault_ends_in_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, words in (
        (MemoryError(), ["not enough memory"]),
        (RecursionError("maximum recursion depth exceeded"), ["RecursionError", "MNISTSEQ_DEBUG"]),
        (KeyError("x"), ["KeyError", "MNISTSEQ_DEBUG"]),
        (ImportError("x.so: failed to map segment from shared object"), ["not enough memory"]),
    ):
        monkeypatch.setattr(Recipe, "from_dict", _Raises(error))
        assert_refused(run("sequence", "3"), *words, status=1)
    monkeypatch.setenv("MNISTSEQ_DEBUG", "1")
    monkeypatch.setattr(Recipe, "from_dict", _Raises(KeyError("x")))
    with pytest.raises(KeyError):
        run("sequence", "3")


class _Raises:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, *_: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    "words",
    [["--name", "\udcff{index}"], ["--digits", "\udcff"], ["--pattern", "\udcff"]],
)
def test_what_is_no_utf8_is_refused(words: list[str], run: Run) -> None:
    command = ["phone"] if "--pattern" in words else ["batch"]
    digits = ["--digits", "3"] if "--name" in words else []
    result = run(*command, "-n", 1, "--workers", 0, *digits, *words)
    assert_refused(result)
    assert "\udcff" not in result.err


def test_names_of_files_cannot_command_the_terminal(run: Run, tmp_path: Path) -> None:
    run(*BATCH, "-n", 1, "-o", "out")
    evil = "line1\nmissing: fake\x1b]0;OWNED\x07\x9b2J\u202e\u200f\u061c\udcff.png"
    (tmp_path / "out" / evil).touch()
    result = run("verify", "out", glyphs=False)
    (line,) = result.out.splitlines()
    assert (
        line == r"extra: line1\nmissing: fake\x1b]0;OWNED\x07\u009b2J\u202e\u200f\u061c\udcff.png"
    )
    refused = run("inspect", evil, glyphs=False)
    assert_refused(refused, r"\x1b]0;OWNED", status=refused.status)
    assert refused.err.isprintable() or refused.err.replace("\n", "").isprintable()


def test_a_harmless_path_is_printed_as_it_is(run: Run) -> None:
    for name in ("a b.png", "350 三五〇.png", r"back\slash.png"):
        assert run("sequence", "350", "-o", name).out == f"{name}\n"


def test_json_stays_json(run: Run) -> None:
    name = "\x85\x7f\u2028\u202e.png"
    line = run("sequence", "350", "--json", "-o", name).out
    assert json.loads(line)["path"] == name
    assert len(line.splitlines()) == 1
