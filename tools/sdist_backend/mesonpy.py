"""Answers pip's question for a source package's name and version without running the package's build.

Stands in for setuptools.build_meta and mesonpy on PYTHONPATH while tools/setup downloads (third_party/README.md).
"""

import pathlib
import re


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    info = pathlib.Path("PKG-INFO").read_text(encoding="utf-8")
    name, version = (re.search(rf"(?m)^{key}: (.+)$", info).group(1) for key in ("Name", "Version"))
    folder = pathlib.Path(metadata_directory) / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    return folder.name
