"""The page as a whole, and the file it is."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from mnistseq_cli.bulk.disk import check_place
from mnistseq_cli.errors import OutputError
from mnistseq_cli.inspection.report.markup import escape, plural
from mnistseq_cli.inspection.report.reading import reader_section
from mnistseq_cli.inspection.report.sections import (
    gallery_section,
    recipe_section,
    summary_section,
)
from mnistseq_cli.inspection.report.spread import heat_section, plots_section

if TYPE_CHECKING:
    from pathlib import Path

    from mnistseq_cli.inspection.figures import Survey
    from mnistseq_cli.inspection.reader import ReaderFigures

_LINKS = {
    "summary": "What is in it",
    "reader": "How the reader reads",
    "plots": "How it is spread",
    "heat": "Where the ink lies",
    "gallery": "Samples",
    "recipe": "The recipe",
}


def write_report(path: Path, survey: Survey, reader: ReaderFigures | None = None) -> None:
    """Write the report of a dataset.

    The file appears complete under its name, or not at all. What `survey` and `reader` say, and
    the ``recipe.toml`` of the dataset, decide every byte.

    Parameters
    ----------
    path : Path
        Of the file; what is there already is replaced.
    survey : Survey
    reader : ReaderFigures, optional
        How well a trained reader reads the dataset.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    OutputError
        The file cannot be written.
    """
    check_place(path)
    page = make_page(survey, reader).encode("utf-8", "xmlcharrefreplace")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(page)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def make_page(survey: Survey, reader: ReaderFigures | None = None) -> str:
    """Make the page as HTML; see `write_report`."""
    sections = {
        "summary": summary_section(survey),
        "reader": reader_section(reader, survey.describe_source("gaps")) if reader else "",
        "plots": plots_section(survey),
        "heat": heat_section(survey),
        "gallery": gallery_section(survey, reader),
        "recipe": recipe_section(survey),
    }
    script = _read("page.js")
    name = survey.folder.absolute().name or str(survey.folder)
    return Template(_read("page.html")).substitute(
        title=escape(f"{name}: {plural(survey.n_samples, 'sample')}"),
        heading=escape(name),
        lead=f"{plural(survey.n_samples, 'image')} with texts, format "
        f"{escape(survey.format_name)}.",
        links="\n".join(
            f'<li><a href="#{key}">{title}</a></li>'
            for key, title in _LINKS.items()
            if sections[key]
        ),
        sections="\n".join(part for part in sections.values() if part),
        style=_read("page.css"),
        script=script,
        script_hash=_hash_script("\n" + script),
    )


def _hash_script(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
