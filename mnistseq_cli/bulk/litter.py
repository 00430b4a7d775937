"""Files that other programs leave in a folder without changing what is in it."""

from __future__ import annotations

from fnmatch import fnmatchcase

# In lower case. File managers, archivers, LMDB's readers, trainers that cache labels.
_ANYWHERE = (
    *(".ds_store", "._*", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized"),
    *("icon\r", ".apdisk", ".nfs*"),
    *("lock.mdb", "data.mdb-lock", "*.cache"),
)
_AT_THE_TOP = ("readme.md", ".gitattributes", ".gitignore")  # of a published dataset
# The second and third line: at the top of a disk that was formatted or mounted elsewhere.
_FOLDERS = (
    *(".cache", ".git", ".ipynb_checkpoints", "__macosx", "@eadir"),
    *("lost+found", "$recycle.bin", "system volume information"),
    *(".spotlight-v100", ".trashes", ".fseventsd"),
)


def is_litter(name: str) -> bool:
    """Whether a file, named relative to its dataset with ``/``, is one that others leave."""
    *folders, last = name.lower().split("/")
    if not folders and last in _AT_THE_TOP:
        return True
    return any(folder in _FOLDERS for folder in folders) or any(
        fnmatchcase(last, pattern) for pattern in _ANYWHERE
    )
