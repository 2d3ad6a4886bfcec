"""Every limit that untrusted media meets, in one place (OWASP ASVS 5.0, V5.1.1 and V5.2).

A file over a limit is rejected with the code named beside it; a limit is never widened silently.
The limits are sent to the sandboxed child with each item, so a caller may use its own.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Numbers with their unit in the name or the comment above them."""

    # -- file ----------------------------------------------------------------------------------
    # bytes; media-limit
    max_file_bytes: int = 2_000_000_000

    # -- process -------------------------------------------------------------------------------
    # seconds from the request to the result, then the child is killed, so that it never lives
    # longer than 20; media-limit
    wall_s: float = 19.5
    # processor seconds of the child (RLIMIT_CPU); media-limit
    cpu_s: int = 20
    # bytes of address space on top of what the warm child has (RLIMIT_AS); with the warm base of
    # about 0.4 GiB, of which most is never touched, an item stays under 1.5 GiB; media-limit
    extra_memory_bytes: int = 1024 * MIB
    # open descriptors in the child (RLIMIT_NOFILE)
    max_descriptors: int = 16
    # bytes of one result; a child that sends more is ours to repair (BugError)
    max_result_bytes: int = 160 * MIB

    # -- pictures ------------------------------------------------------------------------------
    # pixels, side in pixels, long side over short side; media-too-large
    picture_max_pixels: int = 40_000_000
    picture_max_side: int = 16_384
    picture_max_aspect: float = 60.0
    # frames of an animation; media-too-many-frames
    picture_max_frames: int = 600
    # pixels of all frames of an animation, each counted as large as the canvas: 600 frames of
    # 1920 x 1080 fit; media-limit
    picture_animation_pixels: int = 1_300_000_000

    # -- video ---------------------------------------------------------------------------------
    # pixels of one frame (4096 x 2304 and everything usual below it), aspect; media-too-large
    video_max_pixels: int = 9_437_184
    video_max_aspect: float = 60.0
    # ms, declared or measured; media-too-long
    video_max_ms: int = 15 * 60 * 1000
    # frames, declared or counted; media-too-many-frames
    video_max_frames: int = 60_000
    # pixels of all frames of a video; one that declares more is sampled at its key frames instead
    # of being rejected. 720p was analysed at 180..400 megapixels a second on one busy core
    full_decode_pixels: int = 2_000_000_000
    # seconds of wall clock after which the rest is sampled too: a busy machine must not turn an
    # honest video into a rejected one
    full_decode_s: float = 12.0
    # pixels of the key frames that are decoded; with more of them (some formats have nothing
    # else) they are taken at a distance
    keyframe_decode_pixels: int = 500_000_000

    # -- sound ---------------------------------------------------------------------------------
    # Hz; media-bad-audio
    audio_min_rate: int = 8_000
    audio_max_rate: int = 192_000
    # media-bad-audio
    audio_max_channels: int = 8
    # ms, declared or measured; media-too-long
    audio_max_ms: int = 20 * 60 * 1000
    # ms, measured, for items of kind "audio"; media-too-short
    audio_min_ms: int = 100

    # -- containers ----------------------------------------------------------------------------
    # streams of any kind; media-too-many-streams
    max_streams: int = 16
    # packets read from one container; media-limit
    max_packets: int = 400_000
    # bytes FFmpeg may read to find out what the file is
    probe_bytes: int = 4 * MIB
    # share of the declared duration that must really be there; media-truncated
    min_complete_share: float = 0.95
    # ... but never complain about less than this many ms (rounding, priming, edit lists)
    truncation_slack_ms: int = 500
    # share of packets that may fail to decode (and always up to 3); media-unreadable
    max_bad_packet_share: float = 0.02

    # -- embedded text -------------------------------------------------------------------------
    # characters of one tag, number of tags, characters of all subtitles: cut, not rejected
    tag_max_chars: int = 500
    max_tags: int = 32
    subtitle_max_chars: int = 8_000

    # -- what is kept --------------------------------------------------------------------------
    # sampled frames: pixels of the long side, at most so many of a video / an animation
    frame_long_side: int = 416
    video_max_samples: int = 16
    picture_max_samples: int = 4
    # a JPEG is decoded at a half, a quarter or an eighth where that leaves this many times the pixels of the sampled
    # sides; None: where it leaves a square of twice the long side
    jpeg_margin: float | None = None
    # frames held while the pass runs, before the samples are chosen from them
    max_candidates: int = 192
    # ms between candidates while there is room for them
    candidate_step_ms: int = 250


LIMITS = Limits()
