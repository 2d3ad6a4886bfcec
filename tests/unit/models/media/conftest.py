"""The script that makes media files, and one analyser for all modules."""

import importlib.util
import sys
from pathlib import Path

import pytest

from models.media.analysis import MediaAnalyser


def _load_maker():
    path = Path(__file__).parents[3] / "media" / "make_hostile.py"
    specification = importlib.util.spec_from_file_location("make_hostile", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_hostile"] = module
    specification.loader.exec_module(module)
    return module


_load_maker()


@pytest.fixture(scope="session")
def media_analyser():
    with MediaAnalyser() as made:
        yield made


@pytest.fixture
def analysed(media_analyser, tmp_path):
    """Analyse bytes."""

    def analyse(data, kind, analyser=media_analyser):
        path = tmp_path / "upload"
        path.write_bytes(data)
        return analyser.analyse(path, kind, size=len(data))

    return analyse
