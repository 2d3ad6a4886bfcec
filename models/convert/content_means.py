"""Means of the three encoders' vectors and the direction of language, for ``models.content_vector``.

Runs in the project's own environment. The committed file was made from the pictures and film
frames and rendered music that its card names; the texts are those of ``models.text_space``.

    python -m models.convert.content_means OUT.safetensors --pictures PICTURES --sounds SOUNDS

PICTURES: folder of png/jpg files. SOUNDS: folder of 16 kHz mono wav files. What is not given stays as it is in the
weights in use.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from models.audio_embedding import AudioEncoder
from models.content_vector import WEIGHTS
from models.image_embedding import ImageEncoder
from models.media.logmel import logmel
from models.packaged_embedding import PackagedEmbedder
from models.text_embedding import TextEncoder
from models.text_space import measured
from models.weights import load


def image_mean(folder: Path) -> NDArray[np.float32]:
    encoder = ImageEncoder()
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in {".png", ".jpg"}]
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return np.mean([encoder.pool(picture[None]) for picture in pictures], axis=0)


def audio_mean(folder: Path) -> NDArray[np.float32]:
    encoder = AudioEncoder()
    vectors = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            pcm = np.frombuffer(file.readframes(20 * file.getframerate()), dtype=np.int16)
        vectors.append(encoder.encode(logmel(pcm)).embedding)
    return np.mean(vectors, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--sounds", type=Path)
    arguments = parser.parse_args()
    means = load_file(load(WEIGHTS).path)
    text = measured(PackagedEmbedder(TextEncoder()))
    means |= {"text": text.mean, "text_language": text.language}
    if arguments.sounds is not None:
        means["audio"] = audio_mean(arguments.sounds)
    if arguments.pictures is not None:
        means["image"] = image_mean(arguments.pictures)
    save_file({part: mean.astype(np.float32) for part, mean in means.items()}, arguments.out)


if __name__ == "__main__":
    main()
