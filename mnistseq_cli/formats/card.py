"""What is published with a dataset: its card, its Croissant metadata, licence and attribution.

The card is ``README.md`` as the Hugging Face Hub reads it: YAML, then Markdown. Croissant is the
format of MLCommons, version 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
Both are made from one `Facts`, and that from the manifest alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mnistseq_cli.files import spell_size
from mnistseq_cli.formats.fields import FIELDS
from mnistseq_cli.glyphs.catalog import DATASETS
from mnistseq_cli.validation import count

if TYPE_CHECKING:
    from collections.abc import Mapping

CARD_FILE, CROISSANT_FILE = "README.md", "croissant.json"
# The identifiers of the Hub for licences as the catalogue writes them, and where their text is.
_CC = "https://creativecommons.org/"
_LICENCES = {
    "none needed": ("cc0-1.0", f"{_CC}publicdomain/zero/1.0/"),
    "CC BY-SA 3.0": ("cc-by-sa-3.0", f"{_CC}licenses/by-sa/3.0/"),
    "CC BY-SA 4.0": ("cc-by-sa-4.0", f"{_CC}licenses/by-sa/4.0/"),
    "MIT": ("mit", "https://opensource.org/license/mit"),
    "BSD 3-Clause": ("bsd-3-clause", "https://opensource.org/license/bsd-3-clause"),
}
_FREE, _OTHER = "cc0-1.0", "other"
# Whom to name, by the data set or the first word of its name, and where it is described.
_ATTRIBUTIONS = {
    "mnist": (
        "MNIST by Yann LeCun, Corinna Cortes and Christopher J. C. Burges",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    "fashion": (
        "Fashion-MNIST by Han Xiao, Kashif Rasul and Roland Vollgraf, Zalando SE",
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
    "kmnist": (
        "KMNIST by CODH, adapted from Kuzushiji Dataset by NIJL and others",
        "https://doi.org/10.20676/00000341",
    ),
    "qmnist": (
        "QMNIST by Chhavi Yadav and Léon Bottou",
        "https://github.com/facebookresearch/qmnist",
    ),
    "emnist": (
        "EMNIST by Gregory Cohen, Saeed Afshar, Jonathan Tapson and André van Schaik",
        "https://www.nist.gov/itl/products-and-services/emnist-dataset",
    ),
    "nist": (
        "NIST Special Database 19, by Chhavi Yadav and Léon Bottou as a part of QMNIST",
        "https://github.com/facebookresearch/qmnist",
    ),
    "strokes": ("digits drawn by the pen of mnistseq, free of rights", ""),
}


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
        found: dict[str, str] = {}
        names = []
        for piece in [dataset] if dataset in DATASETS else dataset.split(","):
            source = piece.partition("=")[0]
            known = DATASETS.get(source)
            licence, url = _LICENCES.get(known.licence if known else "", (_OTHER, ""))
            own = (f"the glyphs of {PurePath(source).name}, by: fill in whom to name", "")
            name, home = _ATTRIBUTIONS.get(source.partition("-")[0] if known else "", own)
            found[licence] = url
            names.append(f"{name} ({home})" if home else name)
        if len(found) > 1:  # what is free adds no terms
            found.pop(_FREE, None)
        return cls(tuple(found), tuple(filter(None, found.values())), "; ".join(names))

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
    size = next((name for n, name in _SIZES if facts.n_samples < n), "n>1M")
    head = {
        "pretty_name": facts.title,
        "license": licence.ids[0] if len(licence.ids) == 1 else [*licence.ids],
        "task_categories": ["image-to-text", "object-detection"],
        "language": ["zxx"],
        "size_categories": [size],
        "tags": ["handwriting", "ocr", "digits", "synthetic", "croissant", "mnistseq"],
        **_configure(facts),
    }
    folder = f"{next(iter(facts.splits))}/".lstrip("/")
    load = _LOADERS.get(facts.output["to"], "").format(folder) or (
        'from datasets import load_dataset\n\ndataset = load_dataset("USER/NAME")  # or its folder'
    )
    unknown = "" if licence.spdx else "\n\nThe licence of the glyphs is not known: fill it in."
    sections = {
        f"# {facts.title}": f"![Some of the images]({preview})\n\n{_introduce(facts)}",
        "## Load": f"```python\n{load}\n```",
        "## Fields": _list_fields(facts),
        "## Statistics": _list_statistics(facts),
        "## How it was made": "By `mnistseq`, from the recipe in `recipe.toml`, which decides "
        "every pixel and every label. The same images again, in the folder of this "
        f"card:\n\n```sh\n{facts.command}\n```",
        "## Limits": "The images are composed, not photographed: paper, pens and mistakes of "
        "writers are only as varied as the recipe makes them. Whoever wrote the glyphs is not "
        "whoever your reader will meet. Test on real images before you rely on a reader that was "
        "trained with these.",
        "## Licence and attribution": f"{licence.spdx or 'Other'}: "
        f"{' and '.join(licence.urls) or 'see the sources'}\n\nMade from {licence.attribution}."
        f"{unknown}",
    }
    body = "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items())
    return f"---\n{_write_yaml(head)}---\n\n{body}\n"


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


def _write_yaml(values: Mapping[str, Any]) -> str:
    """Write a mapping as YAML, of which JSON is a part."""
    return "".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()
    )


# Croissant.

# As the specification gives it.
_WORDS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex "
    "repeated replace samplingRate separator source subField transform"
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{word: f"cr:{word}" for word in _WORDS.split()},
}
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
    files = [_describe_file(*file) for file in facts.files]
    values: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "handwritten-numbers",
        "description": f"{facts.title}. {_introduce(facts)}",
        "creator": {"@type": "sc:Organization", "name": "mnistseq"},
        "license": [*licence.urls] or _OTHER,
        "citeAs": licence.attribution,
        "version": "1.0.0",
        "distribution": files,
    }
    describe = {"folder": _describe_folder, "parquet": _describe_parquet}.get(facts.output["to"])
    if describe and facts.holds_records:
        values["recordSet"] = []
        for split in facts.splits:
            name = split or "default"
            described, fields = describe(facts, split, name)
            files.append(described)
            values["recordSet"].append(
                {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}
            )
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _describe_file(name: str, size_bytes: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size_bytes} B",
        "encodingFormat": _find_media_type(name),
        "sha256": sha256,
    }


def _find_media_type(name: str) -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def _describe_set(name: str, pattern: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "includes": pattern,
        "encodingFormat": _find_media_type(pattern),
    }


def _describe_folder(
    facts: Facts, split: str, name: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the files and fields of a split: lines of metadata, joined with images by name."""
    within = f"{split}/" if split else ""
    images = _describe_set(f"{name}-images", f"{within}{_find_images(facts.output, '*')}")
    listing = {"fileObject": {"@id": f"{within}metadata.jsonl"}}
    pictures = {"fileSet": {"@id": images["@id"]}}
    path = {
        "extract": {"fileProperty": "fullpath"},
        "transform": {"regex": f"^{within}(.*)$"},  # also makes a string of it
    }
    content = {"extract": {"fileProperty": "content"}}
    file_name = _describe_field(name, "file_name", "sc:Text", pictures | path, "its path")
    fields = [
        _describe_field(name, "image", "sc:ImageObject", pictures | content, "the image"),
        file_name | {"references": listing | {"extract": {"column": "file_name"}}},
        *_describe_fields(facts, name, listing),
    ]
    return images, fields


def _describe_parquet(
    facts: Facts, split: str, name: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the files and fields of a split."""
    files = _describe_set(f"{name}-files", f"{split}{'/' if split else ''}part-*.parquet")
    source = {"fileSet": {"@id": files["@id"]}}
    image = source | {"extract": {"column": "image"}, "transform": {"jsonPath": "bytes"}}
    fields = [
        _describe_field(name, "image", "sc:ImageObject", image, "the image"),
        # mlcroissant takes no array of NumPy, in which Parquet comes, for a bounding box.
        *_describe_fields(facts, name, source, boxes="sc:Integer"),
    ]
    return files, fields


def _describe_fields(
    facts: Facts, record_set: str, source: Mapping[str, Any], boxes: str = "cr:BoundingBox"
) -> list[dict[str, Any]]:
    described = []
    for path in facts.fields:
        field = FIELDS[path]
        above, _, key = path.rpartition(".")
        extract: dict[str, Any] = {"extract": {"column": above or key}}
        extract |= {"transform": {"jsonPath": key}} if above else {}
        kind = {"boxes": boxes, "numbers": "sc:Integer"}.get(field.kind, "sc:Text")
        one = _describe_field(record_set, path, kind, {**source, **extract}, field.about)
        described.append(one | ({"repeated": True} if field.kind != "text" else {}))
    return described


def _describe_field(
    record_set: str, name: str, kind: str, source: Mapping[str, Any], about: str = ""
) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": f"{record_set}/{name}",
        "description": about,
        "dataType": kind,
        "source": source,
    }
