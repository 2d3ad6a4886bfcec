"""What every section of the settings is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Values that cannot be changed; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
