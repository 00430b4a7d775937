"""The part of the package's metadata that depends on the project's address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE_LINK = re.compile(r"\]\((?!https?://|#)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Adds the links and the long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dynamic fields of pyproject.toml."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if address := self.config["address"]:
            metadata["urls"] = {
                "Homepage": address,
                "Documentation": f"{address}/blob/main/docs/index.md",
                "Changelog": f"{address}/blob/main/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
            text = make_links_absolute(text, address)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def make_links_absolute(text: str, address: str) -> str:
    """Return Markdown with links to files of the project that work anywhere."""

    def replace(link: re.Match[str]) -> str:
        kind = "raw" if link[1].endswith((".png", ".svg")) else "blob"
        return f"]({address}/{kind}/main/{link[1]})"

    return _RELATIVE_LINK.sub(replace, text)
