"""Vectors of the prompts that items without content would have as uploads: title and year."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset
from models.song_prompt import Song, song_prompt
from models.text_embedding import TextEncoder
from models.training.encoding import CACHE, cached


def encoded_prompts(dataset: Dataset, folder: Path = CACHE) -> NDArray[np.float32]:
    """Prompts by the text encoder, float32 [I, 384], kept in ``folder`` by prompts and the encoder's version.

    Raises:
        WeightsError: the encoder's weights are unusable.
    """
    encoder, items = TextEncoder(), dataset.items
    songs = zip(items.titles, items.year.tolist(), strict=True)
    prompts = [song_prompt(Song(title, year=year or None)) for title, year in songs]
    return cached([encoder.version, "passage", *prompts], folder, lambda: encoder.encode(prompts, "passage"))
