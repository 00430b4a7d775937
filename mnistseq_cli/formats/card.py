"""What is published with a dataset: its card, its Croissant metadata, licence and attribution.

The card is ``README.md`` as the Hugging Face Hub reads it: YAML, then Markdown. Croissant is the
format of MLCommons, version 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
Both are made from one `Facts`, and that from the manifest alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mnistseq_cli.files import spell_size
from mnistseq_cli.formats.fields import FIELDS
from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from collections.abc import Mapping

CARD_FILE, CROISSANT_FILE = "README.md", "croissant.json"
_FREE, _OTHER = "cc0-1.0", "other"


def _read_own(name: str) -> str:
    """Return a file that lies beside this module."""
    from importlib.resources import files  # noqa: PLC0415 - few need it

    return files(__package__).joinpath(name).read_text("utf-8")


@cache
def _load_licences() -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - few need it

    return tomllib.loads(_read_own("licences.toml"))


@dataclass(frozen=True)
class Licence:
    """Under which terms a dataset may be used.

    Parameters
    ----------
    ids : tuple of str
        Identifiers as the Hub has them, such as "cc-by-sa-3.0"; "other" where it is not known.
    urls : tuple of str
        Of the texts, where there are.
    attribution : str
        Whom to name.
    """

    ids: tuple[str, ...]
    urls: tuple[str, ...]
    attribution: str

    @classmethod
    def of(cls, dataset: str) -> Licence:
        """Return the licence of what is written with a data set, or with a mix of them."""
        tables = _load_licences()
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
    """What a manifest says of a dataset.

    Parameters
    ----------
    recipe, output : dict
        As ``dataset.json`` has them.
    splits : dict of str to int
        Images of each split; one called "" without splits.
    fields : tuple of str
        The names of `FIELDS` that are known.
    n_glyphs, size_bytes : int
    files : tuple of (str, int, str)
        Name, size and SHA-256 of the files that span parts.
    command : str
        What makes the dataset again.
    """

    recipe: dict[str, Any]
    output: dict[str, Any]
    splits: dict[str, int]
    fields: tuple[str, ...]
    n_glyphs: int
    size_bytes: int
    files: tuple[tuple[str, int, str], ...]
    command: str

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
        what = self.recipe.get("pattern") or "texts"
        if self.recipe.get("digits"):
            what = self.recipe["digits"]
        elif self.recipe.get("length"):
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
_LOAD_DATASET = (
    'from datasets import load_dataset\n\ndataset = load_dataset("USER/NAME")  # or its folder'
)
_LOADERS = {
    "lmdb": 'import lmdb\n\ndatabase = lmdb.open("{}lmdb", readonly=True, lock=False)',
    "hdf5": 'import h5py\n\nfile = h5py.File("{}data.h5")',
    "npz": 'import numpy\n\narrays = numpy.load("data.npz")',
    "npy": 'import numpy\n\nimages = numpy.load("{}images.npy", mmap_mode="r")',
    "idx": "from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor as read\n\n"
    'images = read("{}train-images-idx3-ubyte")',
}


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
    folder = f"{next(iter(facts.splits))}/".lstrip("/")
    return _read_own("card.md").format(
        head="".join(lines),
        title=facts.title,
        preview=preview,
        introduction=_introduce(facts),
        load=_LOADERS.get(facts.output["to"], _LOAD_DATASET).format(folder),
        fields=_list_fields(facts),
        statistics=_list_statistics(facts),
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


def _list_fields(facts: Facts) -> str:
    if not facts.holds_records:
        return f"Those of the format `{facts.output['to']}` of mnistseq."
    rows = [f"| `{name}` | {FIELDS[name].about} |" for name in facts.fields]
    return "\n".join(["| field | what |", "|---|---|", "| `image` | the image |", *rows])


def _list_statistics(facts: Facts) -> str:
    rows = [f"| {name or 'all'} | {n:,} |" for name, n in facts.splits.items()]
    end = f"{spell_size(facts.size_bytes)}; {facts.n_glyphs:,} glyphs to choose from."
    return "\n".join(["| split | images |", "|---|---|", *rows, "", end])


# Croissant.

_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "csv": "text/csv",
    "txt": "text/plain",
    "toml": "application/toml",
    "tar": "application/x-tar",
    "parquet": "application/x-parquet",
}


def write_croissant(facts: Facts) -> str:
    """Write the metadata, with records of folders and Parquet."""
    licence = facts.licence
    files = [
        _describe(
            "FileObject",
            name,
            contentUrl=name,
            contentSize=f"{size_bytes} B",
            encodingFormat=_find_media_type(name),
            sha256=sha256,
        )
        for name, size_bytes, sha256 in facts.files
    ]
    values: dict[str, Any] = json.loads(_read_own("croissant.json")) | {
        "description": f"{facts.title}. {_introduce(facts)}",
        "license": [*licence.urls] or _OTHER,
        "citeAs": licence.attribution,
        "distribution": files,
    }
    if facts.output["to"] in ("folder", "parquet") and facts.holds_records:
        described = [_describe_split(facts, split) for split in facts.splits]
        files += [own for own, _ in described]
        values["recordSet"] = [records for _, records in described]
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _find_media_type(name: str) -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def _describe(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"@type": f"cr:{kind}", "@id": name, "name": name} | more


def _describe_split(facts: Facts, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the files of a split and its records.

    In folders these are lines of metadata, joined with images by name.
    """
    name, within = split or "default", f"{split}/" if split else ""
    is_parquet = facts.output["to"] == "parquet"
    pattern = within + ("part-*.parquet" if is_parquet else _find_images(facts.output, "*"))
    files = _describe(
        "FileSet",
        f"{name}-{'files' if is_parquet else 'images'}",
        includes=pattern,
        encodingFormat=_find_media_type(pattern),
    )
    own = {"fileSet": {"@id": files["@id"]}}
    listing = own if is_parquet else {"fileObject": {"@id": f"{within}metadata.jsonl"}}

    def describe(key: str, kind: str, about: str, **source: object) -> dict[str, Any]:
        return _describe(
            "Field", f"{name}/{key}", description=about, dataType=f"sc:{kind}", source=source
        )

    if is_parquet:
        extract = {"extract": {"column": "image"}, "transform": {"jsonPath": "bytes"}}
        fields = [describe("image", "ImageObject", "the image", **own, **extract)]
    else:
        content = {"extract": {"fileProperty": "content"}}
        path = {
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": f"^{within}(.*)$"},  # also makes a string of it
        }
        references = listing | {"extract": {"column": "file_name"}}
        fields = [
            describe("image", "ImageObject", "the image", **own, **content),
            describe("file_name", "Text", "its path", **own, **path) | {"references": references},
        ]
    for key in facts.fields:
        kind, (above, _, inside) = FIELDS[key].kind, key.rpartition(".")
        transform = {"transform": {"jsonPath": inside}} if above else {}
        field = describe(
            key,
            {"boxes": "Integer", "numbers": "Integer"}.get(kind, "Text"),
            FIELDS[key].about,
            **listing,
            extract={"column": above or inside},
            **transform,
        )
        # mlcroissant takes no array of NumPy, in which Parquet comes, for a bounding box.
        is_box = kind == "boxes" and not is_parquet
        field |= {"dataType": "cr:BoundingBox"} if is_box else {}
        fields.append(field | ({"repeated": True} if kind != "text" else {}))
    return files, _describe("RecordSet", name, field=fields)
