"""Turns an upload into vectors: one for each modality, and one of all together.

consumes  media.upload.analysed.v1
produces  content.item.embedded.v1
models    `audio_embedding`, `image_embedding`, `text_embedding`, `song_prompt`, `content_vector`
stores    objects: vectors; `item_indexing` brings those of published items to Feast and Milvus

Words are embedded by the template of `song_prompt`, twice: alone for the vector ``text``, and with the tags of what was
heard and seen for the joint vector. Classes are told from the first, since the second says again what sound and picture
say, which the classifier has not learnt (docs/content.md). Where nothing was heard or seen they are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import safetensors.numpy
import structlog
from numpy.typing import NDArray

from features.ownership import derived_folder, get_object
from features.ports import ObjectStore
from models.audio_embedding import MTT_TAGS, AudioEncoder, AudioFeatures
from models.content_vector import ContentVectoriser
from models.image_embedding import ImageEncoder, pooled
from models.media.analysis import from_blob
from models.media.facts import EmbeddedText
from models.media.thumbnail import thumbnail
from models.parallel_extraction import ParallelExtraction
from models.song_prompt import Prompt, PromptEmbedder, song_prompt, versioned
from models.text_embedding import TextEncoder
from models.upload_song import upload_song, with_media
from processors.runtime.processor import Emit, Offload, capability
from schemas.common import Label
from schemas.content import ContentEmbedded
from schemas.errors import BadEventError, UnavailableError
from schemas.ids import result_id
from schemas.media import MediaAnalysed
from schemas.topics import CONTENT_EMBEDDED, MEDIA_ANALYSED

Vector = NDArray[np.float32]
AUDIO_TAGS = 8
log = structlog.get_logger(__name__)
BESIDE = 2
"""Threads for the second and third part of an item."""


@dataclass(frozen=True)
class Encoders:
    """The models that belong together.

    Attributes:
        audio: Log-mel -> 200 values and music tags.
        image: Frames -> 1280 values and classes.
        text: Text -> 384 values.
        joint: Sound, picture and prompt -> one vector.
        prompts: Prompt -> vector, in the space that ``joint`` was made for.
        parallel: Runs the parts of an item side by side.
    """

    audio: AudioEncoder
    image: ImageEncoder
    text: TextEncoder
    joint: ContentVectoriser
    prompts: PromptEmbedder
    parallel: ParallelExtraction = field(default_factory=lambda: ParallelExtraction(BESIDE))

    @property
    def versions(self) -> dict[str, str]:
        """Version by modality."""
        return {
            "audio": self.audio.version,
            "image": self.image.version,
            "text": versioned(self.text.version),
            "prompt": self.prompts.version,
            "joint": self.joint.version,
        }

    async def warm(self) -> None:
        """Run each network once: its first run is many times slower than those after it.

        A model elsewhere that does not answer now is asked again by the first event.

        Raises:
            AppError: a model elsewhere answers something that is no vector of the width it was set up for.
        """
        await asyncio.to_thread(self._run_once)

    def _run_once(self) -> None:
        self.audio.encode(np.zeros((200, 96), np.float32))
        self.image.encode(np.zeros((1, 224, 224, 3), np.uint8))
        self.text.encode(["warm"], role="passage")
        try:
            self.joint.get_ready()
        except UnavailableError as error:
            log.warning("embedding endpoint away", error=str(error), model=self.prompts.version)


@dataclass(frozen=True)
class Embedding:
    """Vectors of one item; None where the modality is absent.

    Attributes:
        audio: float32 [200], unit length.
        image: float32 [1280], unit length.
        text: float32 [384], unit length.
        joint: float32 [192], unit length.
        tags: Strongest music tags.
    """

    audio: Vector | None
    image: Vector | None
    text: Vector | None
    joint: Vector
    tags: tuple[Label, ...]


@capability(consumes=(MEDIA_ANALYSED,), produces=(CONTENT_EMBEDDED,), weight="thread", concurrency=2)
async def content_embedding(
    event: MediaAnalysed, *, objects: ObjectStore, encoders: Encoders, offload: Offload
) -> list[Emit]:
    """Embeds sound, picture and text."""
    blob = None if event.blob is None else await get_object(objects, event.media_id, event.blob.key)
    found = await offload(embed, event, blob, encoders)
    version = "+".join(encoders.versions.values())
    event_id = result_id(event.source_event_id, "content_embedding", version)
    arrays = {"audio": found.audio, "image": found.image, "text": found.text, "joint": found.joint}
    stored = await objects.put(
        f"{derived_folder(event.media_id)}/embedding-{event_id}.safetensors",
        safetensors.numpy.save({name: a for name, a in arrays.items() if a is not None}),
        "application/vnd.safetensors",
    )
    record = ContentEmbedded(
        event_id=event_id,
        source_event_id=event.source_event_id,
        occurred_at=event.occurred_at,
        produced_at=datetime.now(UTC),
        media_id=event.media_id,
        kind=event.kind,
        has_audio=found.audio is not None,
        has_image=found.image is not None,
        has_text=found.text is not None,
        audio=_values(found.audio),
        image=_values(found.image),
        text=_values(found.text),
        vector=_values(found.joint),
        vector_version=encoders.joint.version,
        encoder_versions=encoders.versions,
        vectors=stored,
        audio_tags=found.tags,
        model_version=version,
    )
    return [Emit(CONTENT_EMBEDDED, event.media_id, record)]


def embed(event: MediaAnalysed, blob: bytes | None, encoders: Encoders) -> Embedding:
    """Vectors of every modality that the item has.

    Raises:
        BadEventError: it has none: no sound, no picture and no text.
        UnavailableError: a model elsewhere does not answer.
    """
    analysis = None if blob is None else from_blob(blob)
    arrays, said = ({}, EmbeddedText()) if analysis is None else (analysis.arrays, analysis.text)
    song = upload_song(event, said)
    words = None if song is None else song_prompt(song)
    parts: dict[str, Callable[[], Any]] = {}
    # the slowest first: it runs here, the others beside it
    if len(arrays.get("logmel", ())):
        parts["audio"] = partial(encoders.audio.encode, arrays["logmel"])
    if words is not None:
        parts["text"] = partial(encoders.text.encode, [words], role="passage")
    if len(arrays.get("frames", ())):
        parts["image"] = partial(encoders.image.encode, arrays["frames"])
    if not parts:
        raise BadEventError("nothing to embed: no sound, no picture, no text", code="nothing-to-embed")
    found = encoders.parallel.run(parts)
    heard, seen = found.get("audio"), found.get("image")
    audio = None if heard is None else heard.embedding
    image = None if seen is None else pooled(seen.embedding)
    text = found["text"][0] if "text" in found else None
    prompt = None
    if song is not None:
        picture = thumbnail(arrays) if "frames" in arrays and encoders.prompts.reads_pictures else None
        shown = Prompt(song_prompt(with_media(song, heard, seen)), picture)
        same = shown == Prompt(words or "") and encoders.prompts.version == encoders.versions["text"]
        prompt = text if same else encoders.prompts.embed([shown])[0]
    joint = encoders.joint.join(audio=audio, image=image, text=prompt)
    return Embedding(audio, image, text, joint, () if heard is None else _strongest(heard))


def _strongest(heard: AudioFeatures) -> tuple[Label, ...]:
    """The music tags that the network is surest of, best first."""
    best = np.argsort(heard.mtt)[::-1][:AUDIO_TAGS]
    return tuple(Label(name=MTT_TAGS[i], score=float(heard.mtt[i])) for i in best)


def _values(vector: Vector | None) -> tuple[float, ...]:
    return () if vector is None else tuple(vector.tolist())
