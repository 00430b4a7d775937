from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mnistseq_cli.glyphs.catalog import DATASETS, MNIST
from tests.helpers.mirror import serve_well, serving
from tests.helpers.program import PROGRAM, Result, run_program

NOWHERE = "http://127.0.0.1:9"  # a proxy that does not answer


def run(*words: object, data_dir: Path, **environment: str) -> Result:
    settings = {"MNISTSEQ_DATA_DIR": str(data_dir), "COLUMNS": "80"}
    return run_program("download", *words, environment=settings | environment)


def test_list_shows_every_data_set(tmp_path: Path) -> None:
    done = run("--list", data_dir=tmp_path)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    for dataset in DATASETS.values():
        line = next(line for line in lines if line.startswith(f"{dataset.name} "))
        assert f"{dataset.n_glyphs:,}" in line
        assert dataset.licence in line
        assert "no" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on this system")
def test_a_terminal_sees_a_bar_for_each_file(mnist_folder: Path, tmp_path: Path) -> None:
    from tests.helpers.terminal import open_terminal, read_until  # noqa: PLC0415

    settings = {"no_proxy": "127.0.0.1", "https_proxy": NOWHERE, "TERM": "xterm"}
    settings |= {"MNISTSEQ_DATA_DIR": str(tmp_path), "COLUMNS": "300"}
    names = [file.packed_name for file in MNIST.files()]
    bodies = {name: (mnist_folder / name).read_bytes() for name in names}
    with serving(serve_well(bodies)) as mirror:
        words = [*PROGRAM, "download", "--mirror", mirror.url]
        process, terminal = open_terminal(words, columns=300, env=os.environ | settings)
        seen = read_until(terminal, seconds=60).decode(errors="replace")
        assert process.wait(timeout=10) == 0
    os.close(terminal)
    assert f"{tmp_path / 'MNIST/raw'}\r\n" in seen
    assert mirror.asked[:4] == names
    assert all(name in seen for name in names)
    assert "Who wrote the glyphs of mnist stays unknown" in seen  # nobody has that file
    assert seen.index("\x1b[?25l") < seen.rindex("\x1b[?25h")


def test_real_files_are_brought_verified_and_mended(mnist_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    done = run("--from", str(mnist_folder), data_dir=tmp_path, MNISTSEQ_OFFLINE="1")
    assert (done.status, done.out) == (0, f"{raw}\n")
    damaged = raw / MNIST.train.labels.name
    right = damaged.read_bytes()
    damaged.write_bytes(right[:-1] + b"\0")
    for said in (f"{damaged.name} unpacked", "checksums match"):
        done = run("--verify", data_dir=tmp_path, MNISTSEQ_OFFLINE="1")
        assert (done.status, done.out) == (0, f"{raw}\n")
        assert said in done.err
    assert damaged.read_bytes() == right
    listed = run("--list", data_dir=tmp_path).out
    assert "yes" in next(line for line in listed.splitlines() if line.startswith("mnist "))
