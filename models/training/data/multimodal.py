"""Gives the items of a data set a piece of music and a cover: semi-synthetic, since nobody has listened to them.

Each item gets a rendered piece (``material/sounds.py``) and a drawn cover (``material/drawings.py``). Rule: each tag of
the data set has one style of sound and one of picture (a style is a kind and a range of its parameters: ten of sound,
fourteen of picture), assigned by ``RULE_SEED``. An item follows one of its tags, drawn by lot; sound and picture each,
on their own, show that tag's style with probability ``FOLLOWS`` and any style otherwise. So content tells of the genre,
and not surely: no network can tell more of an item by it than the rule put in.

Pieces and covers go through the encoders of the real uploads, titles with year and what was heard and seen through
their prompt (`models.song_prompt`), and all through the projection of `models.content_vector`. Vectors are kept in a
cache: some minutes on one core the first time, then none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.audio_embedding import DIM as AUDIO_DIM
from models.audio_embedding import MSD_TAGS, MTT_TAGS, AudioEncoder, AudioFeatures
from models.content_vector import ContentVectoriser, split
from models.dataset import Dataset, DatasetError, Items
from models.image_embedding import DIM as IMAGE_DIM
from models.image_embedding import ImageEncoder, ImageFeatures, pooled
from models.media.logmel import logmel
from models.song_prompt import Song, song_prompt
from models.text_embedding import TextEncoder
from models.training.encoding import CACHE, cached, in_blocks
from models.training.material import drawings, sounds
from models.upload_song import with_media

SUFFIX = "music-semi-synthetic"
FOLLOWS = 0.75
RULE_SEED = 7
SECONDS = 3.2
BLOCK = 16
AUDIO_PARTS = (AUDIO_DIM, len(MTT_TAGS), len(MSD_TAGS))
MATERIAL = "pieces-and-covers-1"
"""Raise it when sounds.py or drawings.py change: kept vectors are then made anew."""
RANGES: tuple[sounds.Range, ...] = ("seen", "unseen")
SOUND_STYLES = tuple((kind, where) for where in RANGES for kind in sounds.KINDS)
PICTURE_STYLES = tuple((kind, where) for where in RANGES for kind in drawings.KINDS)
RULE = (
    "; semi-synthetic content: rendered pieces and covers that show the style of one of the item's tags with "
    f"probability {FOLLOWS} each, any style otherwise; as text titles and years with the tags of both"
)

Matrix = NDArray[np.float32]
Watch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Styles:
    """What is made for each item.

    Attributes:
        tag: Tag that the item follows [I]; -1 for one without tags.
        sound: Index into ``SOUND_STYLES`` [I].
        picture: Index into ``PICTURE_STYLES`` [I].
    """

    tag: NDArray[np.int64]
    sound: NDArray[np.int64]
    picture: NDArray[np.int64]


def with_content(dataset: Dataset, seed: int = 1, watch: Watch = lambda *_: None, cache: Path = CACHE) -> Dataset:
    """The data set with the parts ``audio``, ``image`` and ``text``, each float32 [I, 64] of norm 1.

    Its name ends in ``SUFFIX`` and its source says how the content was made.

    Args:
        dataset: Items with tags and titles.
        seed: Of the draws; the same gives the same content.
        watch: Hears how many of how many vectors are made.
        cache: Folder of kept vectors.

    Raises:
        DatasetError: the items have content already.
        WeightsError: an encoder is not built: `make models`.
    """
    items = dataset.items
    if items.parts:
        raise DatasetError(f"{dataset.name}: the items have content already: {', '.join(items.parts)}")
    vectoriser, styles = ContentVectoriser(), styles_of(items, seed)
    joined = np.stack([vectoriser.join(*one) for one in zip(*_encoded(items, styles, seed, watch, cache), strict=True)])
    parts, present = split(joined)
    named = replace(dataset, name=f"{dataset.name}-{SUFFIX}", source=dataset.source + RULE)
    whole = named.with_parts(parts, present)
    return replace(whole, items=replace(whole.items, content_version=vectoriser.version))


def styles_of(items: Items, seed: int) -> Styles:
    """Draws each item's styles by the rule of the module."""
    rule, random = np.random.default_rng(RULE_SEED), np.random.default_rng([seed, 11])
    of_tag = {
        name: np.resize(rule.permutation(len(styles)), max(len(items.tags), 1))
        for name, styles in (("sound", SOUND_STYLES), ("picture", PICTURE_STYLES))
    }
    # the greatest of as many draws as there are tags falls on each of them alike
    draws = np.where(items.tagged, random.random(items.tagged.shape), -1.0)
    tag = np.where(items.tagged.any(axis=1), draws.argmax(axis=1) if len(items.tags) else 0, -1)

    def drawn(name: str, styles: int) -> NDArray[np.int64]:
        follows = (random.random(len(items)) < FOLLOWS) & (tag >= 0)
        return np.where(follows, of_tag[name][tag], random.integers(styles, size=len(items)))

    return Styles(tag, drawn("sound", len(SOUND_STYLES)), drawn("picture", len(PICTURE_STYLES)))


def piece(style: int, seed: Sequence[int]) -> NDArray[np.int16]:
    """A piece of ``SECONDS``, int16 mono at 16 kHz."""
    kind, where = SOUND_STYLES[style]
    return sounds.make(kind, where, SECONDS, np.random.default_rng([*seed, 1]))


def cover(style: int, seed: Sequence[int]) -> NDArray[np.uint8]:
    """A cover, uint8 [256, 256, 3] RGB."""
    kind, where = PICTURE_STYLES[style]
    return drawings.make(kind, where, np.random.default_rng([*seed, 2]))


def _encoded(items: Items, styles: Styles, seed: int, watch: Watch, cache: Path) -> tuple[Matrix, Matrix, Matrix]:
    """Vectors of sound [I, 200], picture [I, 1280] and prompt [I, 384]."""
    count, done = len(items), 0
    audio, image, text = AudioEncoder(), ImageEncoder(), TextEncoder()

    def tell(more: int) -> None:
        nonlocal done
        done += more
        watch(done, 3 * count)

    def kept(key: Sequence[str], one: Callable[[int], Matrix]) -> Matrix:
        def block(first: int, last: int) -> Matrix:
            return np.stack([one(row) for row in range(first, last)])

        before = done
        vectors = cached([MATERIAL, *key], cache, lambda: in_blocks(count, BLOCK, block, tell))
        if done == before:
            tell(count)
        return vectors

    def heard(row: int) -> Matrix:
        features = audio.encode(logmel(piece(int(styles.sound[row]), (seed, row))))
        return np.concatenate([features.embedding, features.mtt, features.msd])

    def seen(row: int) -> Matrix:
        features = image.encode(cover(int(styles.picture[row]), (seed, row))[None])
        return np.concatenate([pooled(features.embedding), features.logits[0]])

    made = (str(seed), str(count))
    of_sound = kept([audio.version, "with tags", *made, *map(str, styles.sound)], heard)
    of_picture = kept([image.version, "with classes", *made, *map(str, styles.picture)], seen)
    prompts = [_prompt(items, row, of_sound[row], of_picture[row]) for row in range(count)]
    read = kept([text.version, "passage", *prompts], lambda row: text.encode([prompts[row]], "passage")[0])
    return of_sound[:, : AUDIO_PARTS[0]], of_picture[:, :IMAGE_DIM], read


def _prompt(items: Items, row: int, sound: Matrix, picture: Matrix) -> str:
    """The prompt that the upload of such an item would have."""
    song = Song(items.titles[row], year=int(items.year[row]) or None)
    heard = AudioFeatures(*np.split(sound, np.cumsum(AUDIO_PARTS)[:-1]))
    return song_prompt(with_media(song, heard, ImageFeatures(picture[None, :IMAGE_DIM], picture[None, IMAGE_DIM:])))
