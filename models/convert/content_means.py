"""Means of the three encoders' vectors and the direction of language, for ``models.content_vector``.

Runs in the project's own environment. The committed file was made from the pictures and film
frames and rendered music that its card names; the texts are the ones below.

    python -m models.convert.content_means PICTURES SOUNDS OUT.safetensors

PICTURES: folder of png/jpg files. SOUNDS: folder of 16 kHz mono wav files.
"""

from __future__ import annotations

import argparse
import itertools
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file

from models.audio_embedding import AudioEncoder
from models.image_embedding import ImageEncoder
from models.media.logmel import logmel
from models.text_embedding import TextEncoder

ENGLISH = (
    ("my new", "an old", "a quiet", "the best", "live:", "cover of a", "tutorial:", "behind the"),
    (
        "love song", "piano piece", "rap battle", "dance routine", "street food tour",
        "cat video", "makeup look", "football highlights", "city walk at night",
        "study playlist", "wedding dance", "drum solo", "mountain hike", "birthday party",
    ),
)  # fmt: skip
CHINESE = (
    ("我的新", "一首老", "安静的", "最好听的", "现场", "翻唱", "教程：", "今天的"),
    (
        "情歌", "钢琴曲", "说唱", "舞蹈", "美食", "猫咪视频", "妆容", "足球集锦", "城市夜景",
        "学习歌单", "婚礼舞曲", "鼓独奏", "登山", "生日派对",
    ),
)  # fmt: skip


def texts() -> list[str]:
    """Titles in the manner of posts: the English ones, then the same in Chinese."""
    english = [" ".join(words) for words in itertools.product(*ENGLISH)]
    return english + ["".join(words) for words in itertools.product(*CHINESE)]


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
    parser.add_argument("pictures", type=Path)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    titles = TextEncoder().encode(texts(), "passage")
    english, chinese = (half.mean(axis=0) for half in np.split(titles, 2))
    means = {
        "audio": audio_mean(arguments.sounds),
        "image": image_mean(arguments.pictures),
        "text": titles.mean(axis=0),
        "text_language": (chinese - english) / np.linalg.norm(chinese - english),
    }
    save_file({part: mean.astype(np.float32) for part, mean in means.items()}, arguments.out)


if __name__ == "__main__":
    main()
