"""Files that other programs leave in a folder without changing what is in it."""

from __future__ import annotations

from fnmatch import fnmatchcase

# File managers, archivers, LMDB's readers, trainers that cache labels.
_ANYWHERE = (".DS_Store", "._*", "Thumbs.db", "desktop.ini", ".directory", "lock.mdb", "*.cache")
_AT_THE_TOP = ("README.md", ".gitattributes", ".gitignore")  # of a published dataset
_FOLDERS = (".cache", ".git", ".ipynb_checkpoints", "__MACOSX")


def is_litter(name: str) -> bool:
    """Whether a file, named relative to its dataset with ``/``, is one that others leave."""
    *folders, last = name.split("/")
    if not folders and last in _AT_THE_TOP:
        return True
    return any(folder in _FOLDERS for folder in folders) or any(
        fnmatchcase(last, pattern) for pattern in _ANYWHERE
    )
