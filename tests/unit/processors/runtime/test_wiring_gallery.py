"""With matching turned off nobody's face is compared, and no gallery is asked for."""

from __future__ import annotations

from contextlib import closing

from infra.local.ports import free_port
from models.face_gallery import EMPTY
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring


def test_without_matching_there_is_nobody_to_compare_with_and_milvus_is_not_needed() -> None:
    nobody_listens = {"uri": f"http://127.0.0.1:{free_port()}"}
    settings = Settings.model_validate({"milvus": nobody_listens, "avatar": {"face_matching": False}})
    with closing(Wiring(settings)) as wiring:
        assert wiring.gallery.snapshot() is EMPTY
