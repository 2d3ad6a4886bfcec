"""Every hostile family, every honest odd file, and what the result says."""

import dataclasses

import make_hostile as make
import numpy as np
import pytest

from models.media.analysis import ANALYSER_VERSION, MediaAnalyser, from_blob, to_blob
from models.media.facts import ARRAYS
from models.media.limits import LIMITS
from schemas.errors import REJECTION_CODES, BadMediaError, BugError


@pytest.mark.parametrize("case", make.HOSTILE, ids=lambda case: case.name)
def test_hostile(analysed, case):
    with pytest.raises(BadMediaError) as caught:
        analysed(case.make(), case.kind)
    assert caught.value.code == case.code
    assert case.code in REJECTION_CODES


@pytest.mark.parametrize("case", make.HONEST, ids=lambda case: case.name)
def test_honest(analysed, case):
    analysis = analysed(case.make(), case.kind)
    facts = analysis.facts
    assert facts.kind == case.kind
    assert list(analysis.arrays) == list(ARRAYS)
    assert facts.bad_packets == 0
    if case.kind == "audio":
        assert facts.has_audio
        assert not facts.has_video
        assert abs(len(analysis.arrays["pcm"]) / 16 - facts.duration_ms) <= 1
        assert len(analysis.arrays["logmel"]) == 1 + len(analysis.arrays["pcm"]) // 256
    else:
        assert len(analysis.arrays["frames"]) >= 1
        assert analysis.arrays["frames"].std() > 0 or case.name in {
            *("bilevel.png", "alpha.png", "grey-alpha.png", "cmyk.jpg", "grey.jpg", "large.jpg")
        }


def test_video_facts(analysed):
    analysis = analysed(make.clip(4.0, tags={"title": "A song", "comment": "by me"}), "video")
    facts, arrays = analysis.facts, analysis.arrays
    assert (facts.container, facts.video_codec, facts.audio_codec) == ("mov", "h264", "aac")
    assert (facts.width, facts.height, facts.frame_count) == (160, 90, 100)
    assert (facts.fps, facts.sampling, facts.sample_rate, facts.channels) == (25.0, "full", 16_000, 1)
    assert facts.duration_ms == pytest.approx(4000, abs=120)
    assert facts.loudness_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.3)
    assert facts.silence_share < 0.05
    assert arrays["stats"].shape == (100, 6)
    assert arrays["stats_times_ms"][:3].tolist() == [0, 40, 80]
    assert arrays["shots"].tolist() == [[0, 4000]]
    assert arrays["frame_times_ms"].tolist() == pytest.approx([1000, 3000], abs=150)
    assert analysis.text.tags["title"] == "A song"
    assert analysis.text.tags["comment"] == "by me"


def test_frames_show_the_video(analysed):
    pictures = [make.noise(9, 640, 360)] * 20
    analysis = analysed(make.video(pictures), "video")
    frame = analysis.arrays["frames"][0]
    assert frame.shape == (234, 416, 3)
    assert abs(frame[117, 208].astype(int) - pictures[0][180, 320]).max() < 16


def test_every_shot_is_shown(analysed):
    pictures = [make.noise(shot) for shot in range(5) for _ in range(20)]
    arrays = analysed(make.video(pictures), "video").arrays
    assert arrays["shots"][:, 0].tolist() == [0, 800, 1600, 2400, 3200]
    assert arrays["frame_shots"].tolist() == [0, 1, 2, 3, 4]
    for shot, frame in enumerate(arrays["frames"]):
        assert abs(frame.astype(int) - make.noise(shot)).mean() < 8


def test_turned_video_is_upright(analysed):
    analysis = analysed(make.turned_clip(), "video")
    assert (analysis.facts.width, analysis.facts.height, analysis.facts.rotation) == (90, 160, 90)
    frame = analysis.arrays["frames"][0]
    assert frame.shape == (160, 90, 3)
    assert frame[20, 45, 0] > 200
    assert frame[140, 45, 2] > 200


@pytest.mark.parametrize("data", [make.turned_jpeg(), make.picture("PNG", make.half_red().rotate(-90, expand=True))])
def test_turned_picture_is_upright(analysed, data):
    frame = analysed(data, "picture").arrays["frames"][0]
    assert frame.shape == (96, 64, 3)
    assert frame[10, 32, 0] > 200
    assert frame[80, 32, 2] > 200


def test_picture_conversions(analysed):
    ramp = analysed(make.sixteen_bit_png(), "picture").arrays["frames"][0]
    assert (ramp[0, 0, 0], ramp[-1, -1, 0]) == (0, 255)
    assert ramp[32, 0, 0] == pytest.approx(128, abs=2)
    cases = {case.name: case for case in make.HONEST}
    white = analysed(cases["alpha.png"].make(), "picture").arrays["frames"][0]
    assert white.min() == 255
    red = analysed(cases["cmyk.jpg"].make(), "picture").arrays["frames"][0]
    assert red[5, 5].tolist() == pytest.approx([254, 0, 0], abs=12)
    heic = analysed(make.heic(), "picture").arrays["frames"][0]
    assert heic[30, 10, 0] > 200
    assert heic[30, 90, 2] > 200


def test_animation_gives_four_frames_in_order(analysed):
    analysis = analysed(make.animation("GIF", 12), "picture")
    assert analysis.facts.animated
    assert (analysis.facts.frame_count, analysis.facts.duration_ms) == (12, 1200)
    times = analysis.arrays["frame_times_ms"].tolist()
    assert (len(times), times[0], times) == (4, 0, sorted(times))
    for time_ms, frame in zip(times, analysis.arrays["frames"], strict=True):
        assert abs(frame.astype(int) - make.noise(time_ms // 100)).mean() < 12


def test_embedded_text_is_clean_and_cut(analysed):
    text = analysed(make.subtitled(), "video").text
    assert text.tags["title"] == "My song"
    assert len(text.tags["comment"]) == LIMITS.tag_max_chars
    assert text.subtitles == "buy followers at example.org"


def test_silence_share(analysed):
    samples = np.concatenate([make.tone(1.0), np.zeros(48_000, np.float32)])
    assert analysed(make.wav(samples), "audio").facts.silence_share == 0.75
    empty = analysed(make.wav(np.zeros(16_000)), "audio").facts
    assert (empty.silence_share, empty.loudness_dbfs, empty.peak) == (1.0, -120.0, 0.0)


def test_resampling_keeps_pitch_and_length(analysed):
    pcm = analysed(make.wav(make.tone(2.0, 44_100), 44_100), "audio").arrays["pcm"]
    assert abs(len(pcm) - 32_000) < 40
    peak = np.argmax(np.abs(np.fft.rfft(pcm[:16_000] * np.hanning(16_000))))
    assert peak == 440


def test_long_video_is_sampled_at_key_frames(tmp_path):
    frames = [make.noise(i // 25) for i in range(200)]
    data = make.video(frames, gop=10)
    path = tmp_path / "long"
    path.write_bytes(data)
    limits = dataclasses.replace(LIMITS, full_decode_pixels=100 * 160 * 90)
    with MediaAnalyser(limits) as analyser:
        analysis = analyser.analyse(path, "video", size=len(data))
    assert analysis.facts.sampling == "keyframes"
    assert 20 <= analysis.facts.frame_count < 60
    assert (analysis.facts.duration_ms, analysis.facts.fps) == (8000, 25.0)
    assert analysis.arrays["shots"][-1, 1] == 8000
    assert len(analysis.arrays["shots"]) >= 5


@pytest.mark.parametrize(
    "change",
    [
        # nothing but key frames: they are taken at a distance
        {"full_decode_pixels": 10 * 160 * 90, "keyframe_decode_pixels": 20 * 160 * 90},
        # a machine that is too busy
        {"full_decode_s": 0.0, "keyframe_decode_pixels": 20 * 160 * 90},
    ],
)
def test_too_many_key_frames_are_thinned(tmp_path, change):
    data = make.video([make.noise(i // 25) for i in range(200)], gop=1)
    path = tmp_path / "intra"
    path.write_bytes(data)
    with MediaAnalyser(dataclasses.replace(LIMITS, **change)) as analyser:
        analysis = analyser.analyse(path, "video", size=len(data))
    assert analysis.facts.sampling == ("keyframes" if "full_decode_pixels" in change else "full-then-keyframes")
    assert 15 <= analysis.facts.frame_count <= 24
    assert analysis.facts.duration_ms == 8000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"video_max_pixels": 100 * 90}, "media-too-large"),
        ({"video_max_frames": 50}, "media-too-many-frames"),
        ({"video_max_ms": 2000}, "media-too-long"),
        ({"max_packets": 60}, "media-limit"),
        ({"max_file_bytes": 1000}, "media-limit"),
    ],
)
def test_limits_of_video(tmp_path, change, code):
    data = make.clip(4.0)
    path = tmp_path / "upload"
    path.write_bytes(data)
    with (
        MediaAnalyser(dataclasses.replace(LIMITS, **change)) as analyser,
        pytest.raises(BadMediaError) as caught,
    ):
        analyser.analyse(path, "video", size=len(data))
    assert caught.value.code == code


def test_blob_is_the_same_for_the_same_file_and_comes_back(analysed):
    data = make.clip(1.0, tags={"title": "t", "artist": "a"})
    one, two = analysed(data, "video"), analysed(data, "video")
    blob = to_blob(one)
    assert blob == to_blob(two)
    back = from_blob(blob)
    assert back.facts == one.facts
    assert back.text == one.text
    for name in ARRAYS:
        assert back.arrays[name].dtype == one.arrays[name].dtype
        np.testing.assert_array_equal(back.arrays[name], one.arrays[name])
    assert to_blob(back) == blob


def test_broken_and_foreign_blobs_are_refused(analysed):
    blob = to_blob(analysed(make.picture("PNG"), "picture"))
    other = blob.replace(f'version\\": \\"{ANALYSER_VERSION}'.encode(), b'version\\": \\"x')
    assert other != blob
    for bad in (b"", b"nonsense", blob[:-5], blob[:100], other, blob.replace(b"logmel", b"logmol")):
        with pytest.raises(BugError) as caught:
            from_blob(bad)
        assert caught.value.code == "analysis-blob"


def test_ffconcat_does_not_open_its_neighbour(tmp_path, media_analyser):
    (tmp_path / "other.mp4").write_bytes(make.clip(1.0))
    script = b"# harmless\nffconcat version 1.0\nfile other.mp4\n"  # not at the begin: no head match
    path = tmp_path / "script.mp4"
    path.write_bytes(script)
    with pytest.raises(BadMediaError) as caught:
        media_analyser.analyse(path, "video", size=len(script))
    assert caught.value.code in ("media-unreadable", "media-type")
