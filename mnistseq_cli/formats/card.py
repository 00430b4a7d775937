"""What is published with a dataset: its card, its Croissant metadata, licence and attribution.

The card is ``README.md`` as the Hugging Face Hub reads it: YAML, then Markdown. Croissant is the
format of MLCommons, version 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
Both are made from one `Facts`, and that from the manifest alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from string import Template
from typing import Any

from mnistseq_cli.files import spell_size
from mnistseq_cli.formats.fields import FIELDS
from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.validation import count

CARD_FILE, CROISSANT_FILE = "README.md", "croissant.json"
_FREE, _OTHER = "cc0-1.0", "other"


def _read_own(name: str) -> str:
    """Return a file that lies beside this module."""
    return Path(__file__).with_name(name).read_text("utf-8")


@cache
def _load_tables() -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - few need it

    return tomllib.loads(_read_own("card.toml"))


@dataclass(frozen=True)
class Licence:
    """Under which terms a dataset may be used."""

    ids: tuple[str, ...]  # of the Hub, such as "cc-by-sa-3.0"; "other" where it is not known
    urls: tuple[str, ...]  # of the texts, where there are
    attribution: str  # whom to name

    @classmethod
    def of(cls, dataset: str) -> Licence:
        """Return the licence of what is written with a data set, or with a mix of them."""
        tables = _load_tables()
        found: dict[str, str] = {}
        named = []
        for piece in [dataset] if dataset in DATASETS else dataset.split(","):
            source = piece.partition("=")[0]
            if known := DATASETS.get(source):
                licence, url = tables["licences"].get(known.licence, (_OTHER, ""))
                named.append(tables["attributions"][source.partition("-")[0]])
            else:
                licence, url = _OTHER, ""
                named.append(f"the glyphs of {PurePath(source).name}, by: fill in whom to name")
            found[licence] = url
        if len(found) > 1:  # what is free adds no terms
            found.pop(_FREE, None)
        return cls(tuple(found), tuple(filter(None, found.values())), "; ".join(named))

    @property
    def spdx(self) -> str:
        """The expression of SPDX; "" where the licence is not known."""
        known = [name for name in self.ids if name != _OTHER]
        spelt = [name.upper() if name != "bsd-3-clause" else "BSD-3-Clause" for name in known]
        return " AND ".join(spelt) if len(known) == len(self.ids) else ""

    def to_dict(self) -> dict[str, str]:
        """Return what goes into the files of a dataset; {} where the licence is not known."""
        if not self.spdx:
            return {}
        return {
            "license": self.spdx,
            "license_url": " ".join(self.urls),
            "attribution": self.attribution,
        }


@dataclass(frozen=True)
class Facts:
    """What a manifest says of a dataset."""

    recipe: dict[str, Any]  # as ``dataset.json`` has them
    output: dict[str, Any]
    splits: dict[str, int]  # images of each; one split called "" where there are none
    fields: tuple[str, ...]  # the names of `FIELDS` that are known
    n_glyphs: int
    size_bytes: int
    files: tuple[tuple[str, int, str], ...]  # name, size and SHA-256 of those that span parts
    command: str  # what makes the dataset again

    @property
    def licence(self) -> Licence:
        """Under which terms it may be used."""
        return Licence.of(self.recipe["dataset"])

    @property
    def n_samples(self) -> int:
        """How many images there are."""
        return sum(self.splits.values())

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        what = self.recipe.get("digits") or self.recipe.get("pattern") or "texts"
        if self.recipe.get("length"):
            what = "{} to {} characters".format(*self.recipe["length"])
        return f"{self.n_samples:,} handwritten numbers: {what}"

    @property
    def holds_records(self) -> bool:
        """Whether it holds all of `FIELDS`."""
        has_lines = self.output["to"] == "folder" and "jsonl" in self.output["labels"]
        return has_lines or self.output["to"] in ("parquet", "webdataset")


# The card.

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_LOADED = {"webdataset": "*.tar", "parquet": "*.parquet"}  # by load_dataset


def write_card(facts: Facts, preview: str) -> str:
    """Write the card; `preview` is the name of its picture."""
    licence = facts.licence
    head = {
        "pretty_name": facts.title,
        "license": licence.ids[0] if len(licence.ids) == 1 else [*licence.ids],
        "task_categories": ["image-to-text", "object-detection"],
        "language": ["zxx"],
        "size_categories": [next((it for n, it in _SIZES if facts.n_samples < n), "n>1M")],
        "tags": ["handwriting", "ocr", "digits", "synthetic", "croissant", "mnistseq"],
        **_configure(facts),
    }
    # Of YAML, JSON is a part.
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in head.items())
    terms = [
        f"{licence.spdx or 'Other'}: {' and '.join(licence.urls) or 'see the sources'}",
        f"Made from {licence.attribution}.",
        *([] if licence.spdx else ["The licence of the glyphs is not known: fill it in."]),
    ]
    fields = [f"Those of the format `{facts.output['to']}` of mnistseq."]
    if facts.holds_records:
        fields = ["| field | what |", "|---|---|", "| `image` | the image |"]
        fields += [f"| `{name}` | {_load_tables()['fields'][name]} |" for name in facts.fields]
    folder = f"{next(iter(facts.splits))}/".lstrip("/")
    loaders = _load_tables()["loaders"]
    return _read_own("card.md").format(
        head="".join(lines),
        title=facts.title,
        preview=preview,
        introduction=_introduce(facts),
        load=loaders.get(facts.output["to"], loaders["other"]).format(folder),
        fields="\n".join(fields),
        sizes="\n".join(f"| {name or 'all'} | {n:,} |" for name, n in facts.splits.items()),
        size=spell_size(facts.size_bytes),
        n_glyphs=f"{facts.n_glyphs:,}",
        command=facts.command,
        licence="\n\n".join(terms),
    )


def _introduce(facts: Facts) -> str:
    ink = "white on black" if facts.recipe.get("ink") == "white" else "black on white"
    dataset = PurePath(facts.recipe["dataset"]).name
    return (
        f"{count(facts.n_samples, 'image')} of handwritten numbers, {ink}, composed from single "
        f"characters of {dataset}, with exact labels: the text, and the box of each character."
    )


def _configure(facts: Facts) -> dict[str, Any]:
    """Return what tells `load_dataset` which files are which split."""
    to, output = facts.output["to"], facts.output
    if to not in (*_LOADED, "folder"):
        return {"viewer": False}
    files = []
    for split in facts.splits:
        within = f"{split}/" if split else ""
        paths = [f"{within}{_LOADED.get(to) or _find_images(output)}"]
        if to == "folder" and "jsonl" in output["labels"]:
            paths.append(f"{within}metadata.jsonl")
        files.append({"split": split or "train", "path": paths})
    return {"configs": [{"config_name": "default", "data_files": files}]}


def _find_images(output: Mapping[str, Any], star: str = "**/*") -> str:
    """Return a pattern of the images in the folder of a split."""
    top = output["name"].partition("{")[0].rpartition("/")[0]
    return f"{top}{'/' if top else ''}{star}.{output['image_format']}"


# Croissant.


def write_croissant(facts: Facts) -> str:
    """Write the metadata, with records of folders and Parquet."""
    licence, template = facts.licence, Template(_read_own("croissant.json"))
    images = _find_images(facts.output, "*")
    values = json.loads(template.safe_substitute())["dataset"] | {
        "description": f"{facts.title}. {_introduce(facts)}",
        "license": [*licence.urls] or _OTHER,
        "citeAs": licence.attribution,
        "distribution": [_describe_file(*file) for file in facts.files],
    }
    for split in facts.splits if facts.holds_records else ():
        name, within = split or "default", f"{split}/" if split else ""
        filled = template.substitute(
            split=name, within=within, images=images, type=_find_media_type(images)
        )
        if own := json.loads(filled).get(facts.output["to"]):
            values["distribution"].append(own["files"])
            fields = own["fields"]
            fields += [_describe_field(facts, name, key, own["source"]) for key in facts.fields]
            records = {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}
            values.setdefault("recordSet", []).append(records)
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _find_media_type(name: str) -> str:
    types: dict[str, str] = _load_tables()["media_types"]
    return types.get(name.rpartition(".")[2], "application/octet-stream")


def _describe_file(name: str, size_bytes: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        **dict.fromkeys(("@id", "name", "contentUrl"), name),
        "contentSize": f"{size_bytes} B",
        "encodingFormat": _find_media_type(name),
        "sha256": sha256,
    }


def _describe_field(facts: Facts, split: str, key: str, source: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    kind, (above, _, inside) = FIELDS[key].kind, key.rpartition(".")
    # mlcroissant takes no array of NumPy, in which Parquet comes, for a bounding box.
    box = "sc:Integer" if facts.output["to"] == "parquet" else "cr:BoundingBox"
    return {
        "@type": "cr:Field",
        **dict.fromkeys(("@id", "name"), f"{split}/{key}"),
        "description": _load_tables()["fields"][key],
        "dataType": {"boxes": box, "numbers": "sc:Integer"}.get(kind, "sc:Text"),
        "source": {
            **source,
            "extract": {"column": above or inside},
            **({"transform": {"jsonPath": inside}} if above else {}),
        },
        **({"repeated": True} if kind != "text" else {}),
    }
