"""The section ``gallery`` of the settings: who gets into the gallery of public figures, and who is taken for one."""

from __future__ import annotations

from pydantic import Field

from processors.runtime.section import Section, Share


class Gallery(Section):
    refresh_s: float = Field(30.0, gt=0, description="Seconds after which workers look for another version in use.")
    false_accepts: float = Field(
        0.001, gt=0, lt=1, description="Share of searches with a stranger's face that may find somebody."
    )
    exemplars: int = Field(5, ge=1, le=50, description="Most pictures kept of a person, beside their mean.")
    duplicate: Share = Field(0.98, description="Likeness from which two pictures of a person count as one.")
    same_person: Share = Field(
        0.92, description="Likeness under which two pictures of one folder are taken for two persons."
    )
    min_side_px: float = Field(64.0, ge=1, description="Least longer side of a face, pixels.")
    min_sharpness: Share = Field(0.45, description="Least sharpness of a face.")
    max_yaw_deg: float = Field(45.0, ge=0, le=90, description="Farthest turn of a face to a side, degrees.")
    max_pitch_deg: float = Field(35.0, ge=0, le=90, description="Farthest turn of a face up or down, degrees.")
    max_occlusion: Share = Field(0.4, description="Largest covered share of a face.")
    other_face: Share = Field(
        0.25, description="Largest area of a second face, as a share of the first one's, that is overlooked."
    )
    long_side: int = Field(1280, ge=256, le=4096, description="Pixels to which the longer side of a picture is shrunk.")
    kept_versions: int = Field(3, ge=1, description="Versions that stay, the one in use included.")
    workers: int = Field(2, ge=1, description="Pictures read at a time.")
