"""What the command line says: errors, first use, numbers of things."""

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
from typing import Annotated

import pytest
import typer

from mnistseq_cli import Recipe
from mnistseq_cli.cli.usage_errors import WrongUsage, explain
from tests.helpers.program import Result

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sequence", "3", "--seed", "abc"], "--seed: 'abc' is not allowed; allowed are whole"),
        (["sequence", "3", "--spacing", "a", "b"], "--spacing: 'a' is not allowed"),
        (["sequence", "3", "--spacing", "2"], "'--spacing' requires 2 arguments"),
        (["sequence", "3", "--augment-prob", "x"], "'x' is not allowed; allowed are numbers"),
        (["sequence", "3", "--width", "x"], "--width: 'x' is not a width; allowed are pixels"),
        (["sequence", "3", "--widht", "9"], "no such option: --widht"),
        (["sequence", "3", "--json=1"], "'--json' does not take a value"),
        (["batch", "-n"], "'-n' requires an argument"),
        (["batch", "--part-size", "1.5"], "--part-size: '1.5' is not allowed"),
        (["verify"], "missing argument 'DIR'"),
        (["sequenc", "3"], "'sequenc'. Did you mean 'sequence'?"),
        (["--foo"], "no such option: --foo"),
        (["--show-completion", "zsh"], "is for the shell it runs in: leave out zsh"),
        (["--install-completion", "foo"], "is for the shell it runs in: leave out foo"),
    ],
)
def test_wrong_usage_is_said_in_two_lines(words: list[str], message: str, run: Run) -> None:
    result = run(*words, glyphs=False)
    assert (result.status, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith("Error: ")
    assert message in first
    command = words[0] if words[0] in {"sequence", "batch", "verify"} else ""
    assert second == f"  See mnistseq {command} --help".replace("  --", " --")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", "0"], "--width is 0"),
        (["--spacing", "9", "2"], "--spacing goes from 9 to 2"),
        (["--spacing", "-99", "2"], "--spacing is -99"),
        (["--spacing-mode", "x"], "--spacing-mode is 'x'"),
        (["--augment", "blur", "--augment-prob", "2"], "--augment-prob is 2.0"),
        (["--measure", "x"], "--measure is 'x'"),
        (["--align", "x"], "--align is 'x'"),
        (["--glyphs", "x"], "--glyphs is 'x'"),
        (["--count", "0"], "--count is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--length", "0", "2"], "--length is 0"),
        (["--to", "x"], "--to is 'x'"),
        (["--labels", "x"], "--labels is 'x'"),
        (["--image-format", "x"], "--image-format is 'x'"),
        (["--part-size", "0"], "--part-size is 0"),
        (["--workers", "-1"], "--workers is -1"),
        (["--digits", ""], "--digits is ''"),
    ],
)
def test_messages_name_options_and_no_fields(words: list[str], message: str, run: Run) -> None:
    length = [] if {"--length", "--digits"} & {*words} else ["--length", "2", "3"]
    result = run("batch", *length, *words)
    assert result.status == 2
    assert result.err.startswith(f"Error: {message};") or f"{message}, " in result.err


def test_phone_names_its_pattern(run: Run) -> None:
    result = run("phone", "--pattern", "")
    assert result.status == 2
    assert result.err.startswith("Error: --pattern is ''; allowed are 1 to")


def test_verify_refuses_workers_as_the_others_do(run: Run) -> None:
    run("batch", "--digits", "3", "-n", 1, "-o", "out")
    result = run("verify", "out", "--workers", "-1", glyphs=False)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Error: --workers is -1; allowed")


@pytest.mark.parametrize("command", ["phone", "batch"])
def test_a_word_too_many_leads_to_the_help_of_the_command(command: str, run: Run) -> None:
    result = run(command, "extra", *(["--digits", "3"] if command == "batch" else []))
    assert result.status == 2
    assert f"mnistseq {command} --help" in result.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3b5", "'b' is not in the alphabet"),
        ("3'5", '"\'" is not in the alphabet'),
        ("1" * 1001, "the text is '111"),
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
    refused = run(*words, "-o", "out", "--glyphs", "test", *splits)
    assert (refused.status, Path("out").exists()) == (2, False)
    assert refused.err.startswith("Error: --glyphs is 'test', which does not go with --splits")
    made = run(*words, "-o", "out", "--glyphs", "all", *splits)
    assert (made.status, " all, seed" in made.err) == (0, True)
    assert " all, seed" in run(*words, "-o", "more", *splits).err
    recipe = ["batch", "--recipe", "out/recipe.toml", "-o", "again"]
    assert run(*recipe, "--glyphs", "train").status == 2
    assert " all, seed" in run(*recipe).err


@pytest.mark.parametrize("command", [["batch", "--length", 3, 3], ["phone"]])
def test_glyphs_and_splits_are_refused_before_a_download(
    command: list[object], run: Run, tmp_path: Path
) -> None:
    words = [*command, "--dataset", "mnist", "--splits", "train=8", "val=2"]
    result = run(*words, "--glyphs", "train", glyphs=False)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Error: --glyphs is 'train', which does not go with --splits")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "DIR: Directory 'none' does not exist"),
        (["--out", "a.txt", "."], "--out: Directory 'a.txt' is a file"),
    ],
)
def test_a_value_is_named_as_the_help_names_it(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = typer.Typer()

    @app.command()
    def look(
        folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
        out: Annotated[Path, typer.Option("-o", "--out", file_okay=False)] = Path(),
    ) -> None:
        raise NotImplementedError(folder, out)

    monkeypatch.chdir(tmp_path)
    Path("a.txt").touch()
    with pytest.raises(WrongUsage) as caught:
        app(words, standalone_mode=False)
    assert explain(caught.value, []).message == message


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


def test_verify_says_what_to_do_with_files_of_others(run: Run) -> None:
    run("batch", "--digits", "3", "-n", 1, "-o", "out")
    Path("out/sheet.png").touch()
    result = run("verify", "out", glyphs=False)
    assert (result.status, result.out) == (1, "extra: sheet.png\n")
    assert "Move away those that are extra" in result.err


@pytest.mark.parametrize(
    "words", [["sequence", "3"], ["phone", "-n", "3"], ["batch", "--digits", "3", "--dry-run"]]
)
def test_a_sheet_that_cannot_be_written_is_refused_before_the_work(
    words: list[str], run: Run
) -> None:
    missing = run(*words, "--sheet", "none/sheet.png")
    assert (missing.status, missing.out) == (1, "")
    assert "Error: cannot write none/sheet.png: there is no folder none" in missing.err
    Path("folder.png").mkdir()
    there = run(*words, "--sheet", "folder.png")
    assert (there.status, there.out) == (1, "")
    assert "it is a folder" in there.err
    assert [path.name for path in Path().iterdir()] == ["folder.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_sheet_in_a_folder_of_others_is_refused(run: Run) -> None:
    Path("theirs").mkdir(0o500)
    result = run("phone", "-n", 3, "--sheet", "theirs/sheet.png")
    assert (result.status, result.out) == (1, "")
    assert "the folder theirs cannot be written to" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "npz", "--image-format", "jpg"], "--image-format goes with --to folder, web"),
        (["--to", "idx", "--name", "{index}"], "--name goes with --to folder; in idx images"),
        (["--to", "webdataset", "--name", "{index}"], "--name goes with --to folder; in webd"),
        (["--resume", "--overwrite"], "--resume finishes what is in the folder and --overwrite"),
    ],
)
def test_options_without_effect_are_refused(words: list[str], message: str, run: Run) -> None:
    result = run("batch", "--digits", "3", *words)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"Error: {message}")


@pytest.mark.parametrize("words", [["sequence", "3"], ["phone"], ["batch", "--digits", "3"]])
@pytest.mark.parametrize("probability", ["0.5", "1"])
def test_a_probability_of_nothing_is_refused(
    words: list[str], probability: str, run: Run, tmp_path: Path
) -> None:
    result = run(*words, "--augment-prob", probability, "--dataset", "mnist", glyphs=False)
    assert (result.status, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith(f"Error: --augment-prob is {probability}, but nothing is distorted; ")
    assert second == "  For example: --augment medium"
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
    ("value", "message"),
    [
        ("light=2", "light is a preset and takes no value; it was given '2'"),
        ("rotate=5..", "rotate is '5..'; allowed are numbers from -180 to 180 (degrees), "),
        ("rotat", "there is no distortion 'rotat'; allowed: "),
    ],
)
def test_distortions_are_refused_before_a_download(
    value: str, message: str, run: Run, tmp_path: Path
) -> None:
    words = ["sequence", "3", "--augment", value, "--dataset", "mnist"]
    result = run(*words, glyphs=False)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"Error: {message}")
    assert not list(tmp_path.iterdir())


def test_an_image_format_goes_with_all_that_hold_images(run: Run) -> None:
    assert run("batch", "--digits", "3", "--to", "webdataset", "--image-format", "bmp").status == 0


def test_messages_about_a_recipe_name_its_fields(run: Run, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('digits = "3"\nwidth_px = 0\n')
    result = run("sequence", "--recipe", "recipe.toml")
    assert result.status == 2
    assert "recipe.toml: width_px is 0" in result.err


@pytest.mark.parametrize("command", ["sequence", "batch"])
def test_a_command_with_nothing_to_write_says_what_it_needs(command: str, run: Run) -> None:
    result = run(command)
    assert result.status == 2
    assert f"For example: mnistseq {command} " in result.err
    assert "recipe" not in result.err


def test_phone_refuses_a_recipe_of_other_numbers(run: Run, tmp_path: Path) -> None:
    Recipe(length=(2, 3), count=2).save(tmp_path)
    result = run("phone", "--recipe", "recipe.toml", "-o", "out")
    assert result.status == 2
    assert "recipe.toml has no pattern" in result.err
    assert "mnistseq batch --recipe recipe.toml" in result.err
    assert run("phone", "--recipe", "recipe.toml", "--pattern", "us", "-o", "out").status == 0


@pytest.mark.parametrize("words", [["-o", "a.xyz"], ["-o", "a"], ["--sheet", "b.docx"]])
def test_an_ending_that_is_none_is_refused_at_once(words: list[str], run: Run) -> None:
    result = run("sequence", "3", *words, "--dataset", "mnist", glyphs=False)
    assert result.status == 2
    assert f"is {words[1]!r}; the ending names the format" in result.err
    assert ".png, .jpg" in result.err
    assert "given uri" not in result.err
    batch = run("batch", "--digits", "3", "--sheet", "b.docx")
    assert batch.status == 2
    assert not Path("sequences").exists()


@pytest.mark.parametrize("dataset", [[], ["--dataset", "mnist"], ["--dataset", "strokes"]])
@pytest.mark.parametrize("words", [["sequence", "3b5a"], ["batch", "--digits", "b"]])
def test_what_cannot_be_written_is_refused_before_a_download(
    words: list[str], dataset: list[str], run: Run, tmp_path: Path
) -> None:
    result = run(*words, *dataset, glyphs=False)
    assert result.status == 2
    assert result.err.startswith("Error: 'b' is not in the alphabet of ")
    assert not list(tmp_path.iterdir())


def test_texts_that_cannot_be_read_are_an_error_of_the_file(run: Run, tmp_path: Path) -> None:
    for name, cause in (("none.txt", "No such file or directory"), (".", "Is a directory")):
        result = run("batch", "--texts", name)
        assert (result.status, result.err) == (1, f"Error: cannot read {name}: {cause}\n")
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
    assert result.status == 0
    assert "Glyphs are kept" not in result.err
    first, second, *others = result.err.splitlines()
    assert first.startswith("Warning: Glyphs cannot be kept, so that the built-in pen draws them")
    assert "cannot write taken/cache/Strokes/raw/" in first
    assert second == (
        "  Choose a folder that can be written, with --data-dir DIR or MNISTSEQ_DATA_DIR."
    )
    if not dataset:  # it forbids the network as well, and files could not be brought there either
        missed = others.pop(0)
        assert missed.startswith("Warning: Digits come from the built-in pen, not from MNIST: ")
        assert missed.endswith("is missing, and MNISTSEQ_OFFLINE forbids to fetch it")
    assert len(others) == 1
    kept = run(*words, "--data-dir", "other", glyphs=False)
    assert "cannot be kept" not in kept.err
    assert "cannot be kept" not in run(*words, "--data-dir", "other", glyphs=False).err


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
    missed = run(*words, glyphs=False)
    assert "MNIST/raw/train-images-idx3-ubyte is missing, and MNISTSEQ_OFFLINE" in missed.err
    hint = next(line for line in missed.err.splitlines() if " --from FOLDER" in line)
    command = shlex.split(hint[hint.index("mnistseq download") :])
    run(*[str(mnist_folder) if word == "FOLDER" else word for word in command[1:]], glyphs=False)
    assert "Warning" not in run(*words, glyphs=False).err


def test_a_picture_that_cannot_be_written_is_named(run: Run) -> None:
    Path("taken").touch()
    result = run("sequence", "350", "-o", "taken/a.png")
    assert result.status == 1
    assert result.err == (
        "Error: cannot write taken: there is something of this name already\n"
        "  Choose another --out.\n"
    )


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
    assert re.fullmatch(f"Error: cannot write {name}: (that is not p|P)ermi.*", first)
    assert second.startswith("  Choose a folder that can be written")
    assert list(theirs.iterdir()) == []


def test_one_is_one(run: Run) -> None:
    words = ["batch", "--digits", "3", "-n", 1]
    assert " 1 in 1 part\n" in run(*words, "--dry-run").err
    assert run(*words, "-o", "one").err.splitlines()[-1].startswith("1 image, ")
    assert ", 1 sample." in run("verify", "one", glyphs=False).err
    (Path("one") / "labels.csv").unlink()
    assert "should be: 1 file\n" in run("verify", "one", glyphs=False).err


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
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_ends_with_its_status(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "texts")
    with subprocess.Popen(
        [sys.executable, "-m", "mnistseq_cli", "batch", "--texts", "texts"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with (tmp_path / "texts").open("w"):  # opens when the program reads, which waits
            process.send_signal(number)
            process.wait(timeout=10)
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == status
    assert "Traceback" not in err


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
