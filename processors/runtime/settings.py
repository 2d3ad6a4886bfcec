"""Every setting, read once.

Each field can be set in the environment: prefix ``OVERTURE_``, sections joined by ``__``
(``OVERTURE_KAFKA__BOOTSTRAP=broker:9092``). Unknown names are refused at start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from processors.runtime.avatar_settings import Avatar
from processors.runtime.experiment_settings import Experiments
from processors.runtime.fraud_settings import Fraud
from processors.runtime.gallery_settings import Gallery
from processors.runtime.review_settings import Review
from processors.runtime.section import Section, Share


class Kafka(Section):
    bootstrap: str = Field("127.0.0.1:19092", description="Brokers, comma separated host:port.")
    replication: int = Field(1, ge=1, description="Replication factor of created topics.")
    min_insync: int = Field(1, ge=1, description="min.insync.replicas of created topics.")
    session_timeout_s: float = Field(
        10.0, ge=6, le=60, description="Seconds after which a dead worker's partitions move on."
    )
    heartbeat_s: float = Field(
        2.0, gt=0, description="Seconds between heartbeats; at most a third of the session timeout."
    )
    commit_interval_s: float = Field(1.0, gt=0, description="Seconds between offset commits.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How a SASL user logs in."
    )
    username: str = Field("", description="SASL user.")
    password: SecretStr | None = Field(None, description="Password of the SASL user.")
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the brokers' certificates.")
    cert_file: Path | None = Field(None, description="PEM certificate of this client, for brokers that ask for one.")
    key_file: Path | None = Field(None, description="PEM key of that certificate.")

    @property
    def lease_s(self) -> float:
        """How long after a heartbeat a worker writes state: a late heartbeat may take as long again."""
        return 2 * self.heartbeat_s

    @property
    def delivery_s(self) -> float:
        """A message not acknowledged within this is dropped and reported, seconds.

        So that one sent at the end of a lease arrives before anybody else can own the partition, or never.
        """
        return self.session_timeout_s - self.lease_s

    @model_validator(mode="after")
    def _heartbeats_in_a_session(self) -> Self:
        if self.session_timeout_s < 3 * self.heartbeat_s:
            raise ValueError(f"heartbeat_s {self.heartbeat_s:g} is over a third of session_timeout_s")
        return self

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError(f"security_protocol {self.security_protocol} needs username and password")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together")
        return self


class Registry(Section):
    url: str = Field("http://127.0.0.1:18081/apis/ccompat/v7", description="Confluent-compatible registry API.")


class Redis(Section):
    url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:16379/0"),
        description="redis:// or rediss:// URL; with cluster=true any node of the cluster.",
    )
    cluster: bool = Field(False, description="Whether the URL names a Redis Cluster.")


class Milvus(Section):
    uri: str = Field("http://127.0.0.1:19530", description="Milvus or Milvus Lite server.")
    token: SecretStr | None = Field(None, description="user:password or API key of Milvus.")


class Objects(Section):
    url: str = Field("", description="file:///folder or s3://bucket/prefix; empty: <data_dir>/objects.")


class Feast(Section):
    registry: str = Field("", description="SQL URL of the registry; empty: a file under <data_dir>/feast.")
    project: str = Field("overture", description="Feast project name.")


class Http(Section):
    host: str = Field("127.0.0.1", description="Address the service binds.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the service.")
    processes: int = Field(1, ge=1, description="Processes of the service; each keeps the catalogue in memory.")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="First of as many ports as processes, one each, for Prometheus; 0: only /metrics of the service.",
    )


class Auth(Section):
    keys_file: str = Field("", description="File of the API keys' hashes; empty: <data_dir>/keys.json.")
    off_for_development: bool = Field(
        False, description="Whether everybody who reaches the service may do everything, without a key."
    )
    client_key: SecretStr | None = Field(None, description="API key that `overture status` and the demo send.")


class Models(Section):
    folder: str = Field("", description="Built weights; empty: <data_dir>/models.")
    providers: tuple[str, ...] = Field(
        ("CPUExecutionProvider",), description="ONNX Runtime providers, in order of preference."
    )
    threads: int = Field(1, ge=1, description="Intra-op threads of each session.")


class Embedding(Section):
    url: str = Field(
        "",
        description="Server of POST /v1/embeddings that embeds the prompts of uploads, up to and without /v1; https, "
        "or http where no key is sent or on this machine. Empty: the packaged encoder.",
    )
    model: str = Field("", max_length=100, description="Name of the model at that server.")
    dim: int = Field(0, ge=0, le=65536, description="Width of its vectors.")
    api_key: SecretStr | None = Field(None, description="Bearer token of that server.")
    pictures: bool = Field(
        False, description="Whether it is a vision-language model, which is shown a small picture of the upload too."
    )
    instruction: str = Field("", description="What the model was trained to be told before a text.")
    timeout_s: float = Field(30.0, gt=0, description="Longest wait for an answer, seconds.")
    attempts: int = Field(3, ge=1, description="Tries of a request, after which the event is tried again later.")
    weights: str = Field("", description="Name on the card of local weights that embed prompts, in place of a server.")
    cards: Path | None = Field(None, description="Folder of that card; unset: the cards that come with the source.")

    @model_validator(mode="after")
    def _whole_model(self) -> Self:
        if self.url and not (self.model and self.dim):
            raise ValueError("url needs model and dim")
        if self.url and self.weights:
            raise ValueError("url and weights exclude each other")
        return self


class UploadLimits(Section):
    video_bytes: int = Field(2_000_000_000, ge=1, le=2_000_000_000, description="Largest video upload, bytes.")
    audio_bytes: int = Field(300 * 1024**2, ge=1, description="Largest audio upload, bytes.")
    image_bytes: int = Field(40 * 1024**2, ge=1, description="Largest picture upload, bytes.")
    text_chars: int = Field(5_000, ge=1, le=20_000, description="Longest text of a post, characters.")
    title_chars: int = Field(300, ge=1, description="Longest title, characters.")
    tags: int = Field(30, ge=0, description="Most tags of an upload.")
    json_bytes: int = Field(1024**2, ge=1, description="Largest JSON body, bytes.")
    batch_records: int = Field(1000, ge=1, description="Most plays or interactions in one request.")


class Moderation(Section):
    nsfw_reject: Share = Field(0.8, description="Picture score from which an item is rejected.")
    nsfw_review: Share = Field(0.5, description="Picture score from which a person looks.")
    nsfw_certain: Share = Field(0.95, description="Score from which one frame of a long video is enough to reject.")
    text_reject: Share = Field(0.9, description="Text score from which an item is rejected.")
    text_review: Share = Field(0.6, description="Text score from which a person looks.")
    silence_reject: Share = Field(0.98, description="Silent share that rejects an audio upload.")
    audio_min_ms: int = Field(1000, ge=0, description="Shortest audio upload, milliseconds.")
    video_min_ms: int = Field(500, ge=0, description="Shortest video upload, milliseconds.")
    public_figure: Literal["off", "review", "reject"] = Field(
        "off", description="What becomes of uploads in which a person of the gallery appears; off: it is only told."
    )


class Surface(Section):
    kinds: tuple[Literal["video", "audio", "post", "score", "screenshot"], ...] = Field(
        (), description="Only these kinds of items; empty: any."
    )
    cold_share: Share | None = Field(None, description="In place of recommend.cold_share.")
    mmr_lambda: Share | None = Field(None, description="In place of recommend.mmr_lambda.")


SURFACES = {
    "daily-list": Surface(kinds=("audio", "video"), mmr_lambda=0.8),
    "personal-stream": Surface(kinds=("audio",), mmr_lambda=0.9),
    "playlist-continuation": Surface(kinds=("audio",), cold_share=0.1),
    "community-feed": Surface(kinds=("post",), cold_share=0.4),
}


class Worth(Section):
    played: float = Field(0.2, ge=0, description="Worth of a click alone.")
    like: float = Field(1.0, ge=0, description="Worth of a like.")
    finish: float = Field(0.5, ge=0, description="Worth of a play to the end.")
    time: float = Field(0.5, ge=0, description="Worth of the whole length played; a half counts half.")


class Recommend(Section):
    worth: Worth = Worth()
    recaller: Literal["content", "learned"] = Field(
        "learned", description="Who finds candidates; learned stands for content until a recommender is published."
    )
    ranker: Literal["baseline", "learned"] = Field(
        "learned", description="Who orders them; learned stands for baseline until a recommender is published."
    )
    ranked: int = Field(
        150, ge=1, description="Candidates that the learned ranker scores, the best of a cheaper order."
    )
    mmr_lambda: Share = Field(
        1.0, description="Weight of the score against the likeness to what stands above; 1: by score alone."
    )
    diversify: int = Field(100, ge=1, description="Best candidates among which diversity chooses.")
    surfaces: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")], Surface] = Field(
        SURFACES, description="Places in the app that ask for lists, with what they do differently."
    )
    candidates: int = Field(500, ge=1, description="Items that recall hands to ranking.")
    cold_share: Share = Field(0.25, description="Share of an answer kept for unplayed items.")
    cold_plays: int = Field(10, ge=0, description="Plays from which an item is no longer cold.")
    cold_exposures: int = Field(
        100, ge=0, description="Exposures from which an item is no longer cold, however few its plays."
    )
    taste_half_life_h: float = Field(72.0, gt=0, description="Hours after which a play counts half.")


class Erasure(Section):
    settle_s: float = Field(
        60.0, ge=0, description="Seconds after which a request that was being accepted at an erasure has ended."
    )


class Worker(Section):
    stop_grace_s: float = Field(25.0, description="Seconds to finish work in hand on SIGTERM.")
    metrics_host: str = Field("127.0.0.1", description="Address of the worker's Prometheus metrics.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the worker's Prometheus metrics; 0: none.")
    stall_s: float = Field(
        300.0,
        ge=1,
        description="Seconds without a sign of life, with work due, after which a worker ends itself to be started "
        "anew; one event may take so long.",
    )
    max_deliveries: int = Field(
        2, ge=1, description="Starts of the same event without an end, after which it is a dead letter."
    )
    log_format: Literal["console", "json"] = Field("console", description="Log line format.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level.")


class Tracing(Section):
    endpoint: str = Field(
        "",
        description="OTLP/HTTP URL for spans, as http://collector:4318/v1/traces; empty: trace ids in headers and "
        "logs only.",
    )


class Settings(BaseSettings):
    """The whole tree. Build it once, hand down its sections."""

    model_config = SettingsConfigDict(env_prefix="OVERTURE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _refuse_unknown_variables(self) -> Self:
        prefix = "OVERTURE_"
        for name in os.environ:
            first = name.upper().removeprefix(prefix).split("__")[0].lower()
            if name.upper().startswith(prefix) and first not in type(self).model_fields:
                raise ValueError(f"there is no setting {name}; `overture settings` lists them")
        return self

    data_dir: Path = Field(Path(".overture"), description="Folder for everything local.")
    kafka: Kafka = Kafka()
    registry: Registry = Registry()
    redis: Redis = Redis()
    milvus: Milvus = Milvus()
    objects: Objects = Objects()
    feast: Feast = Feast()
    http: Http = Http()
    auth: Auth = Auth()
    models: Models = Models()
    embedding: Embedding = Embedding()
    limits: UploadLimits = UploadLimits()
    moderation: Moderation = Moderation()
    avatar: Avatar = Avatar()
    gallery: Gallery = Gallery()
    fraud: Fraud = Fraud()
    recommend: Recommend = Recommend()
    experiments: Experiments = Experiments()
    review: Review = Review()
    erasure: Erasure = Erasure()
    worker: Worker = Worker()
    tracing: Tracing = Tracing()

    @property
    def objects_url(self) -> str:
        """URL of the object store with the default filled in."""
        return self.objects.url or (self.data_dir.resolve() / "objects").as_uri()

    @property
    def keys_path(self) -> Path:
        """File of the API keys with the default filled in."""
        return Path(self.auth.keys_file) if self.auth.keys_file else self.data_dir / "keys.json"

    @property
    def models_folder(self) -> Path:
        """Folder of the built weights with the default filled in."""
        return Path(self.models.folder) if self.models.folder else self.data_dir / "models"

    @property
    def bundles_folder(self) -> Path:
        """Folder of fetched versions of the recommender; may be removed at any time."""
        return self.models_folder / "bundles"

    @property
    def feast_folder(self) -> Path:
        """Folder of Feast's local registry and offline files."""
        return self.data_dir / "feast"
