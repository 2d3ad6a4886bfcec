"""Galleries in a Milvus that tests share."""

from __future__ import annotations

from features import face_gallery
from features.milvus_index import MilvusConfig


def drop_galleries(config: MilvusConfig) -> None:
    """Take the one in use from readers, and drop every version."""
    if current := face_gallery.in_use(config):
        face_gallery.use_none(config, current)
    face_gallery.remove(config, [each.version for each in face_gallery.versions(config)])
