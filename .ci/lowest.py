"""Prints the lowest versions that pyproject.toml allows, as constraints for pip."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
extras.pop("torch")  # its lowest version is the one that all tests use
for requirement in sum(extras.values(), start=project["dependencies"]):
    print(requirement.split(",")[0].replace(">=", "=="))
