"""One contract for all that embeds prompts: the packaged encoder, local weights, a server of texts, one of pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from models.local_embedding import LocalEmbedder
from models.packaged_embedding import PackagedEmbedder
from models.remote_embedding import PICTURE_BYTES, EmbeddingRefusedError, Endpoint, RemoteEmbedder, data_url
from models.song_prompt import VERSION, Prompt, PromptEmbedder, Song, song_prompt
from models.text_embedding import TextEncoder
from models.weights import WeightsError
from schemas.errors import UnavailableError
from tests.unit.models.embedding_server import DIM, KEY, Model, serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
TINY = Path(__file__).parent / "weights"
NIGHT, PIANO = (Prompt(song_prompt(Song(title))) for title in ("night train", "piano rain"))


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as served:
        yield served


def remote(model: Model, **changes: object) -> RemoteEmbedder:
    settings = {"api_key": SecretStr(KEY), "timeout_s": 20.0, "wait_s": 0.01, "batch": 2} | changes
    return RemoteEmbedder(Endpoint(url=model.url, model="song-llm", dim=DIM, **settings))


@pytest.fixture(params=["packaged", "local", "remote-text", "remote-picture"])
def embedder(request: pytest.FixtureRequest) -> Iterator[PromptEmbedder]:
    if request.param == "packaged":
        yield PackagedEmbedder(TextEncoder())
    elif request.param == "local":
        yield LocalEmbedder("tiny-text", cards=TINY)
    else:
        with serving() as served, remote(served, pictures=request.param == "remote-picture") as client:
            yield client


class TestContract:
    def test_each_prompt_has_its_unit_vector(self, embedder: PromptEmbedder) -> None:
        prompts = [NIGHT, PIANO, Prompt(""), NIGHT, Prompt("日" * 300)]
        vectors = embedder.embed(prompts)
        assert vectors.shape == (5, embedder.dim)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        alone = np.concatenate([embedder.embed([prompt]) for prompt in prompts])
        assert np.allclose(vectors, alone, atol=1e-3)
        assert not np.allclose(vectors[0], vectors[1], atol=1e-3)

    def test_no_prompts_have_no_vectors(self, embedder: PromptEmbedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dim)

    def test_a_picture_counts_where_it_is_read(self, embedder: PromptEmbedder) -> None:
        without, with_it = embedder.embed([NIGHT, Prompt(NIGHT.text, PNG)])
        assert np.allclose(without, with_it, atol=1e-3) is not embedder.reads_pictures

    def test_the_version_names_the_template(self, embedder: PromptEmbedder) -> None:
        assert embedder.version.endswith(f"+song-prompt@{VERSION}")


def test_texts_go_in_batches_with_key_and_instruction(model: Model) -> None:
    with remote(model, instruction="Represent the song: ") as client:
        client.embed([NIGHT, PIANO, NIGHT])
    assert [len(body["input"]) for body in model.bodies] == [2, 1]
    assert model.bodies[0]["input"][1] == f"Represent the song: {PIANO.text}"
    assert set(model.keys) == {f"Bearer {KEY}"}


def test_a_picture_goes_before_its_text(model: Model) -> None:
    with remote(model, pictures=True) as client:
        client.embed([Prompt(NIGHT.text, PNG), PIANO])
    picture, text = model.bodies[0]["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": NIGHT.text}
    assert [part["type"] for part in model.bodies[1]["messages"][0]["content"]] == ["text"]


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 503])
def test_a_server_that_recovers_is_asked_again(model: Model, status: int) -> None:
    model.answers = [status, status]
    with remote(model) as client:
        assert client.embed([NIGHT]).shape == (1, DIM)
    assert len(model.bodies) == 3


def test_a_server_that_stays_away_is_unavailable(model: Model) -> None:
    model.answers = [503] * 9
    with remote(model) as client, pytest.raises(UnavailableError, match=r"503 for model song-llm") as caught:
        client.embed([NIGHT])
    assert (caught.value.code, caught.value.retryable) == ("embedding-unavailable", True)
    assert len(model.bodies) == 3
    assert KEY not in str(caught.value)


def test_a_server_that_is_too_slow_is_unavailable(model: Model) -> None:
    model.answers = [1.0]
    with remote(model, timeout_s=0.1, attempts=1) as client, pytest.raises(UnavailableError, match="ReadTimeout"):
        client.embed([NIGHT])


def test_nobody_there_is_unavailable() -> None:
    with serving() as gone:
        pass
    with remote(gone) as client, pytest.raises(UnavailableError, match="ConnectError"):
        client.embed([NIGHT])


@pytest.mark.parametrize("status", [302, 400, 410, 422])
def test_a_refusal_is_not_repeated(model: Model, status: int) -> None:
    model.answers = [status]
    with remote(model) as client, pytest.raises(EmbeddingRefusedError, match=str(status)) as caught:
        client.embed([NIGHT])
    assert not caught.value.retryable
    assert len(model.bodies) == 1


NUMBERS = ",".join(["0.5"] * DIM)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"<html>", "no list of embeddings"),
        (b'{"data": [{"index": 0}]}', "no list of embeddings"),
        (b'{"data": []}', "0 vectors for 1 prompts"),
        (f'{{"data": [{{"index": 3, "embedding": [{NUMBERS}]}}]}}'.encode(), "1 vectors for 1 prompts"),
        (b'{"data": [{"index": 0, "embedding": [1.0, 2.0]}]}', "2 numbers, 8 expected"),
        (f'{{"data": [{{"index": 0, "embedding": [NaN,{NUMBERS[4:]}]}}]}}'.encode(), "zero or not finite"),
        (f'{{"data": [{{"index": 0, "embedding": [{NUMBERS.replace("5", "0")}]}}]}}'.encode(), "zero or not finite"),
        (b" " * 80_000, "more than"),
    ],
)
def test_an_answer_that_is_no_embedding(model: Model, answer: bytes, reason: str) -> None:
    model.answers = [answer]
    with remote(model) as client, pytest.raises(EmbeddingRefusedError, match=reason):
        client.embed([NIGHT])
    assert len(model.bodies) == 1


def test_a_key_does_not_travel_in_the_clear() -> None:
    with pytest.raises(ValueError, match="https only"):
        RemoteEmbedder(Endpoint(url="http://llm.example", model="m", dim=DIM, api_key=SecretStr(KEY)))
    with pytest.raises(ValueError, match="no address"):
        RemoteEmbedder(Endpoint(url="llm.example", model="m", dim=DIM))
    with pytest.raises(ValueError, match="no credentials") as caught:
        RemoteEmbedder(Endpoint(url=f"https://user:{KEY}@llm.example", model="m", dim=DIM))
    assert KEY not in str(caught.value)
    assert KEY not in repr(Endpoint(url="https://llm.example", model="m", dim=DIM, api_key=SecretStr(KEY)))


@pytest.mark.parametrize(
    ("picture", "reason"), [(b"GIF89a", "neither"), (b"\xff\xd8\xff" + bytes(PICTURE_BYTES), "at most")]
)
def test_pictures_that_are_not_carried(picture: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        data_url(picture)


def test_local_weights_of_another_form() -> None:
    with pytest.raises(WeightsError, match="does not take strings"):
        LocalEmbedder("text-moderation")
    with pytest.raises(WeightsError, match="no card"):
        LocalEmbedder("tiny-text")


def test_how_a_model_is_asked_is_part_of_its_version() -> None:
    asked = [{}, {"dim": 4}, {"pictures": True}, {"instruction": "Represent this: "}]
    versions = set()
    for more in asked:
        with RemoteEmbedder(Endpoint(**({"url": "http://127.0.0.1:1", "model": "m", "dim": 8} | more))) as client:
            versions.add(client.version)
    assert len(versions) == len(asked)
