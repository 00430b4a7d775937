"""What the command line says: which option is wrong, what mends it, how it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from mnistseq_cli import Recipe
from tests.helpers.program import PROGRAM, Result, Run, run_program

needs_rights = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root"
)


def assert_refused(result: Result, *words: str, status: int = 2) -> None:
    """Compare the exit status, and see that one or two lines hold some words."""
    assert (result.status, result.out) == (status, ""), result
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) <= 2
    for word in words:
        assert word in result.err


# A command and what its message says; * where it fails rather than that its use is wrong.
REFUSED = [
    ("sequence ３", "'３' cannot be written"),
    ("sequence ,", "DIGITS is ','"),
    ("sequence", "there are no digits to write|For example: mnistseq sequence "),
    ("sequence 350 --width 20 --seed 1", "the width is 20"),
    ("sequence 350 --width -4", "--width is -4"),
    ("sequence 350 --spacing 9 2", "--spacing goes from 9 to 2"),
    ("sequence 350 --spacing-mode fix", "--spacing-mode is|variable, fixed"),
    ("sequence 350 --measure inc", "--measure is 'inc'|Did you mean 'ink'?"),
    ("sequence 350 --recipe none.toml", "*cannot read the recipe"),
    ("sequence 350 --recipe cheqe", "*cannot read the recipe|Did you mean 'cheque'?"),
    ("sequence 350 -o /dev/null/x.png", "*/dev/null|--out"),
    ("sequence 3 -o a", "--out is 'a'|.png, .jpg"),
    ("sequence 3 --out ''", "For example: --out out.png"),
    ("sequence 3 --sheet b.docx", "b.docx|.png, .jpg"),
    ("sequence 3 --sheet a.png -o b.png", "--out does not go with --sheet"),
    ("sequence 3 --sheet a.png --json", "--json does not go with --sheet"),
    ("sequence 3 --sheet none/a.png", "*none/a.png"),
    ("phone --sheet .", "For example: --sheet sheet.png"),
    ("batch", "batch needs one of --digits|For example: mnistseq batch "),
    ("batch --digits 3 --length=5 --augment-prob 1", "it has --digits and --length"),
    ("batch --digits ''", "--digits is ''"),
    ("batch --digits 3 -n 1000000000000", "--count is 1000000000000"),
    ("batch --length 5 3", "--length goes from 5 to 3|Swap them: --length 3 5"),
    ("batch --length 9 9 -w 60", "needs at least"),
    ("batch --length 200 200 --spacing 1000 1000", "65,535|--spacing"),
    ("batch --texts none.txt", "*none.txt is missing"),
    ("batch --texts .", "*."),
    ("batch --digits 3 --log-json none/log", "*cannot write the log"),
    ("batch --digits 3 --labels cvs", "--labels is 'cvs'|Did you mean 'csv'?"),
    ("batch --digits 3 --to idx --labels csv", "--labels goes with --to folder"),
    ("batch --digits 3 --to npz --image-format jpg", "--image-format goes with"),
    ("batch --digits 3 --to idx --name {index}", "--name goes with"),
    ("batch --digits 3 --to npz -w natural", "width"),
    ("batch --digits 3 --name ../{index}", "inside the dataset"),
    ("batch --digits 3 --resume --overwrite", "--resume does not go with --overwrite"),
    ("batch --digits 3 --workers -1", "--workers is -1"),
    ("batch --digits 3 --part-size 0", "--part-size is 0"),
    ("batch --digits 3 --part-size 100001", "--part-size is 100001"),
    ("batch --digits 3 --splits train=x", "a split is 'train=x'"),
    ("batch --digits 3 train=80", "'train=80'"),
    ("batch --digits 3 -o /dev/null/out", "*/dev/null"),
    ("batch -n 1000000000 --length 5 5", "*are free"),
    ("phone -n 21 --pattern [24]#", "only 20 numbers"),
    ("phone --pattern é81", "'é' cannot be written"),
    ("phone --pattern jpmobile", "Did you mean 'jp-mobile'?"),
    ("phone --measure cell --spacing-mode fixed -w 330", "equal gaps"),
    ("batch --length 2 --share 1/2", "--share needs a seed"),
    ("batch --length 2 --share 3/2 --seed 1", "expected 1/N to N/N"),
    ("batch --length 2 --share 1/2 --seed 1 --overwrite", "--share does not go with --overwrite"),
    ("batch --length 2 --share 1/2 --seed 1 --dask local", "--share does not go with --dask"),
    ("batch --length 2 -o -", "-o - writes one tar"),
    ("batch --length 2 -o - --to webdataset --splits a=1 b=1", "-o - does not go with --splits"),
    ("batch --length 2 --start 5 --splits a=1 b=1", "--start is 5"),
    ("batch --length 2 --start -1", "--start is -1"),
    # A number after a bare distortion is not written.
    ("sequence 350 --augment rotate 10", "--augment rotate=10"),
    ("phone --splits a=1 b=2 --augment rotate 10", "--augment rotate=10"),
    # Nothing is distorted.
    ("sequence 3 --augment-prob 0.5", "--augment-prob is 0.5|For example: --augment "),
]
# Refused before glyphs are looked for.
REFUSED_EARLY = [
    ("sequence 3 --seed abc", "--seed: 'abc' is not a whole number|mnistseq sequence --help"),
    ("sequence 3 --spacing a b", "--spacing|'a'"),
    ("sequence 3 --spacing 2", "--spacing|2 arguments"),
    ("sequence 3 --augment-prob x", "--augment-prob|'x'"),
    ("sequence 3 --width naturl", "--width is 'naturl'|Did you mean 'natural'?"),
    ("sequence 3 --margin 1..x", "--margin is '1..x'"),
    ("sequence 3 --margin 3..1", "--margin goes from 3 to 1"),
    ("sequence 3 --margin 12", "--margin is 12"),
    ("sequence 3 --height 300", "--height is 300; expected a whole number from 16 to 256"),
    ("sequence 3 --widht 9", "--widht|Did you mean --width?|See mnistseq sequence --help"),
    ("sequence 3 --rotate 9", "--rotate|--augment rotate"),
    ("sequence 3 --format jpg", "--format|--image-format|-o"),
    ("batch --output_dir x", "--output_dir|--out"),
    ("sequence 3 --json=1", "--json"),
    ("batch -n", "-n|See mnistseq batch --help"),
    ("batch --part-size 1.5", "--part-size|'1.5'"),
    ("verify", "DIR|See mnistseq verify --help"),
    ("sequenc 3", "'sequenc'|Did you mean 'sequence'?|See mnistseq --help"),
    ("--foo", "--foo|See mnistseq --help"),
    ("--install-completion ksh", "--install-completion is 'ksh'"),
    ("--install-completion zsh batch", "takes one shell: leave out batch"),
    ("phone extra", "mnistseq phone --help"),
    ("sequence 3b5a --dataset mnist", "'b'"),
    ("batch --digits b --dataset strokes", "'b'"),
    ("sequence 3 --augment rotate=5.. --dataset mnist", "rotate"),
    ("sequence 3 --augment rotat --dataset mnist", "Did you mean 'rotate'?"),
    ("phone --splits a=8 b=2 --glyphs train --dataset mnist", "--glyphs|--splits"),
    ("sequence 350 --out s3://bucket/x.png", "object stores are not supported"),
    ("sequence 350 --dataset mnits", "Did you mean 'mnist'?"),
    ("inspect none --samples 0", "--samples is 0"),
    ("inspect none --predictions nothing.csv", "nothing.csv"),
    ("inspect none --sheet ..", "For example: --sheet ../sheet.png"),
    ("inspect none --report page.pdf", "For example: --report page.html"),
    ("inspect none --report /", "For example: --report /report.html"),
    ("inspect none --sheet none/a.png", "*there is no folder|Make it: mkdir -p none"),
    ("inspect /dev/null", "*is a file; expected the folder of a dataset"),
    ("verify none --deep 0", "--deep is '0'"),
    ("verify none all", "all"),
    ("verify none --deep x", "--deep is 'x'"),
    ("verify /dev/null", "*is a file; expected the folder of a dataset"),
    ("download mnist kmnits", "Did you mean 'kmnist'?"),
    ("download --mirror example.org", "'example.org'|is not a mirror|https://"),
    ("download --from no/such/folder", "*no/such/folder"),
    ("download --from . --force", "--from|--force"),
    ("download --from . strokes", "strokes|draws it|mnistseq download strokes"),
    ("download", "*MNISTSEQ_OFFLINE|mnistseq download mnist|--from"),
    ("hand draw", "is 'draw'; expected one of: sheet, read"),
    ("hand sheet photo.png", "takes no photo and no --writer"),
    ("hand sheet --characters 00", "--characters has '0'"),
    ("hand sheet --fields 183", "--fields is 183"),
    ("hand sheet -o s3://bucket/sheet.pdf", "object stores are not supported"),
    ("hand sheet -o no/sheet.pdf", "*no/sheet.pdf"),
    ("hand read", "takes photos"),
    ("hand read photo.png --fields 3", "no --characters or --fields"),
    ("hand read photo.png --writer a_b", "--writer is 'a_b'"),
    ("hand read photo.png --writer ../x", "--writer is '../x'"),
    ("hand read missing.jpg", "*missing.jpg"),
]


@pytest.mark.parametrize(
    ("command", "words", "has_glyphs"),
    [(*row, True) for row in REFUSED] + [(*row, False) for row in REFUSED_EARLY],
)
def test_what_is_wrong_is_said_in_a_line_or_two_before_anything_is_written(
    command: str, words: str, has_glyphs: bool, run: Run, tmp_path: Path
) -> None:
    result = run(*shlex.split(command), glyphs=has_glyphs)
    assert_refused(result, *words.strip("*").split("|"), status=1 if words[0] == "*" else 2)
    assert not list(tmp_path.iterdir())


def test_a_bare_distortion_takes_no_digits(run: Run) -> None:
    assert run("sequence", "--augment", "blur", "350").out == "350.png\n"
    assert run("sequence", "36", "--augment", "light", "0").out == "360.png\n"


@pytest.mark.parametrize("words", [["--length", "4"], ["--length=4"], ["--length", "4", "4"]])
def test_one_length_is_both(words: list[str], run: Run) -> None:
    dry = run("batch", *words, "-n", 3, "--dry-run")
    assert (dry.status, "length = [4, 4]" in dry.out) == (0, True)


@pytest.mark.parametrize(
    ("line", "message"),
    [("3b5", "'b' cannot be written"), ("3é5", "'é' cannot"), ("1" * 1001, "the text ")],
)
@pytest.mark.parametrize("dataset", [[], ["--dataset", "strokes"]])
def test_an_odd_line_is_named(line: str, message: str, dataset: list[str], run: Run) -> None:
    Path("g.txt").write_text(f"12\n\n34\n{line}\n{line}\n")
    result = run("batch", "--texts", "g.txt", *dataset, glyphs=not dataset)
    assert_refused(result, f"Error: g.txt, line 4: {message}")


@needs_rights
@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_folder_that_may_not_be_read_is_named(command: str, run: Run) -> None:
    Path("theirs").mkdir(0o000)
    assert_refused(run(command, "theirs", glyphs=False), "theirs: permission denied", status=1)


@pytest.mark.parametrize("option", ["--sheet", "--log-json"])
@pytest.mark.parametrize("folder", ["out", "."])
def test_a_file_inside_the_dataset_is_refused(option: str, folder: str, run: Run) -> None:
    result = run("batch", "--digits", "3", "-o", folder, option, f"{folder}/deep/a.png")
    beside = "a.png" if folder == "out" else "../a.png"
    assert_refused(result, "inside the dataset", f"beside the dataset: {option} {beside}\n")
    assert not list(Path().iterdir())


def test_a_folder_in_the_place_of_a_sheet_is_refused_before_the_work(run: Run) -> None:
    Path("folder.png").mkdir()
    for command in ("sequence 3", "phone -n 3", "batch --digits 3 --dry-run", "inspect none"):
        refused = run(*command.split(), "--sheet", "folder.png", glyphs=command[0] != "i")
        assert_refused(refused, "folder.png: it is a folder", status=1)
    assert [path.name for path in Path().iterdir()] == ["folder.png"]


def test_phone_refuses_a_recipe_of_other_numbers(run: Run, tmp_path: Path) -> None:
    Recipe(length=(2, 3), count=2).save(tmp_path)
    refused = run("phone", "--recipe", "recipe.toml", "-o", "out")
    assert_refused(refused, "recipe.toml has no pattern", "mnistseq batch --recipe recipe.toml")
    assert run("phone", "--recipe", "recipe.toml", "--pattern", "us", "-o", "out").status == 0


def test_first_use_says_where_glyphs_are_kept(run: Run, tmp_path: Path) -> None:
    words = ["sequence", "3", "--dataset", "strokes", "--glyphs", "test", "-o", "a.png"]
    line = f"Glyphs are kept in {tmp_path / 'cache'}; change it with --data-dir."
    first, second = (run(*words, glyphs=False) for _ in range(2))
    assert line in first.err.splitlines()
    assert "kept" not in second.err


@pytest.mark.parametrize(
    ("dataset", "is_offline"), [([], True), ([], False), (["--dataset", "strokes"], True)]
)
def test_glyphs_that_cannot_be_kept_are_said_to_be_drawn_anew(
    dataset: list[str], is_offline: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_offline:  # a cache that cannot be written is no lack of a network
        monkeypatch.delenv("MNISTSEQ_OFFLINE")
    Path("taken").touch()
    words = ["sequence", "3", *dataset, "--glyphs", "test", "-o", "a.png"]
    result = run(*words, "--data-dir", "taken/cache", glyphs=False)
    warnings = [line for line in result.err.splitlines() if line.startswith("Warning: ")]
    assert (result.status, len(warnings)) == (0, 2 if is_offline and not dataset else 1)
    assert "taken/cache" in warnings[0]
    assert "--data-dir DIR or MNISTSEQ_DATA_DIR" in result.err
    assert "Glyphs are kept" not in result.err


def test_what_auto_missed_is_brought_as_the_hint_says(run: Run, mnist_folder: Path) -> None:
    words = ["sequence", "3", "--glyphs", "test", "-o", "a.png", "--data-dir", "my glyphs"]
    assert "--dataset strokes" in run(*words, glyphs=False).err
    missed = run(*words, "--dataset", "mnist", glyphs=False)
    hint = next(line for line in missed.err.splitlines() if " --from FOLDER" in line)
    command = shlex.split(hint[hint.index("mnistseq download") :])
    run(*[str(mnist_folder) if word == "FOLDER" else word for word in command[1:]], glyphs=False)
    assert "Warning" not in run(*words, glyphs=False).err


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes of folders")
@pytest.mark.parametrize(
    ("command", "name", "mode"),
    [
        ("sequence 350 -o theirs/a.png", "theirs/a.png", 0o555),
        ("sequence 350 -o theirs/new/a.png", "theirs/new", 0),
        ("batch --digits 3 -n 9 -o theirs/out", "theirs/out", 0o555),
        ("batch --digits 3 -n 9 -o theirs/out --force", "theirs/out", 0o555),
        ("batch --digits 3 -n 9 -o theirs/out --force", "theirs/out", 0),
    ],
)
def test_output_that_cannot_be_written_is_named_with_a_hint(
    command: str, name: str, mode: int, tmp_path: Path, glyph_folder: Path
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
    words = [*powerless, *PROGRAM, *command.split(), "--dataset", str(glyph_folder)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    theirs.chmod(0o755)
    first, second = done.stderr.splitlines()
    assert done.returncode == 1
    assert re.fullmatch(f"Error: cannot write (/.*/)?{name}: (that is not p|P)ermi.*", first)
    assert second.startswith("  Choose a folder that can be written")
    assert list(theirs.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_leaves_no_traceback_while_the_program_is_loaded(tmp_path: Path) -> None:
    # The first module of the command line waits to be interrupted.
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    (tmp_path / "typer.py").write_text(code)
    words = ["-c", "from mnistseq_cli.__main__ import main; main()", "--help"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_summary_says_how_to_read_labels_with_their_zeros(run: Run) -> None:
    said = run("phone -n 30").err
    command = said[said.index("pd.read_csv(") : said.index(", dtype=str)") + 12]
    pandas = pytest.importorskip("pandas")
    labels = eval(command, {"pd": pandas})  # noqa: S307 - our own line
    assert labels["text"].str.fullmatch("0[0-9]{10}").all()
    assert "inspect phone-numbers" in said
    assert "read_csv" not in run("phone -n 3 --to npz -o arrays").err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", ["sequence 3 --dataset {}", "--help", "download --list", ""])
def test_a_full_disk_behind_stdout_is_said(words: str, glyph_folder: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run_program(*words.format(glyph_folder).split(), folder=tmp_path, stdout=full)
    assert done.status == 1
    assert done.err == "Error: the output cannot be written: No space left on device\n"


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


def test_no_fault_ends_in_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception) -> None:
        def raise_it(*_: object) -> None:
            raise error

        monkeypatch.setattr(Recipe, "from_dict", raise_it)

    for error, words in (
        (MemoryError(), ["not enough memory"]),
        (RecursionError("maximum recursion depth exceeded"), ["RecursionError", "MNISTSEQ_DEBUG"]),
        (KeyError("x"), ["KeyError", "MNISTSEQ_DEBUG"]),
        (ImportError("x.so: failed to map segment from shared object"), ["not enough memory"]),
    ):
        fail(error)
        assert_refused(run("sequence", "3"), *words, status=1)
    monkeypatch.setenv("MNISTSEQ_DEBUG", "1")
    fail(KeyError("x"))
    with pytest.raises(KeyError):
        run("sequence", "3")


@pytest.mark.parametrize(
    "words",
    ["batch --digits 3 --name \udcff{index}", "batch --digits \udcff", "phone --pattern \udcff"],
)
def test_what_is_no_utf8_is_refused(words: str, run: Run) -> None:
    result = run(*words.split(), "-n", 1, "--workers", 0)
    assert_refused(result)
    assert "\udcff" not in result.err


def test_names_of_files_cannot_command_the_terminal(run: Run, tmp_path: Path) -> None:
    run("batch --digits 3 -n 1 -o out")
    evil = "line1\nmissing: fake\x1b]0;OWNED\x07\x9b2J\u202e\u200f\u061c\udcff.png"
    (tmp_path / "out" / evil).touch()
    result = run("verify", "out", glyphs=False)
    (line,) = result.out.splitlines()
    assert (
        line == r"extra: line1\nmissing: fake\x1b]0;OWNED\x07\u009b2J\u202e\u200f\u061c\udcff.png"
    )
    refused = run("inspect", evil, glyphs=False)
    assert_refused(refused, r"\x1b]0;OWNED", status=refused.status)
    assert refused.err.replace("\n", "").isprintable()


def test_a_harmless_path_is_printed_as_it_is_and_json_stays_json(run: Run) -> None:
    for name in ("a b.png", "350 三五〇.png", r"back\slash.png"):
        assert run("sequence", "350", "-o", name).out == f"{name}\n"
    name = "\x85\x7f\u2028\u202e.png"
    line = run("sequence", "350", "--json", "-o", name).out
    assert json.loads(line)["path"] == name
    assert len(line.splitlines()) == 1
