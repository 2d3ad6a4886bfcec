"""The Java runtime and the jars that the broker and the registry run from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from infra.local.errors import ProgramMissingError
from infra.local.service import REPOSITORY

JARS = REPOSITORY / ".overture" / "jars"
OLDEST = 17


@cache
def java() -> str:
    """Path of a Java runtime, from JAVA_HOME or PATH.

    Raises:
        ProgramMissingError: there is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        where = f"under JAVA_HOME={home}" if home else "on PATH"
        raise ProgramMissingError(
            f"the program java (version {OLDEST} or newer) is not {where}; "
            "`make system` installs openjdk-17-jre-headless"
        )
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    if version is None or int(version[1]) < OLDEST:
        first = (answer.stderr.splitlines() or ["no answer"])[0]
        raise ProgramMissingError(f"{found} must be Java {OLDEST} or newer, but is: {first}")
    return found


def class_path(folder: Path) -> str:
    """Class path of all jars directly in `folder`.

    Raises:
        ProgramMissingError: there are none.
    """
    if not any(folder.glob("*.jar")):
        raise ProgramMissingError(f"there are no jars in {folder}; `make jars` fetches them")
    return f"{folder}/*"
