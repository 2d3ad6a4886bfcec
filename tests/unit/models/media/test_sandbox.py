"""What a child can do, tried from inside a child that wants to do harm."""

import dataclasses
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models.media.analysis import MediaAnalyser
from models.media.limits import Limits
from schemas.errors import BadMediaError, BugError, UnavailableError

LIMITS = Limits(wall_s=20.0, cpu_s=3, extra_memory_bytes=512 * 2**20, max_result_bytes=8 * 2**20)


@pytest.fixture(scope="module")
def analyser():
    folder = Path(__file__).parent
    with MediaAnalyser(LIMITS, entry="misbehaviour:act", search_path=(folder,)) as made:
        yield made


def order(analyser, tmp_path, command):
    path = tmp_path / "order"
    path.write_text(command)
    analyser.analyse(path, "picture", size=len(command))


def said(analyser, tmp_path, command):
    with pytest.raises(BadMediaError) as caught:
        order(analyser, tmp_path, command)
    assert caught.value.code == "media-unreadable"
    return str(caught.value)


def test_report_says_what_the_kernel_took(analyser):
    report = analyser.sandbox_report
    assert report.holes == ()
    # whatever this machine offers, what is missing is named
    assert ("landlock" in report.missing) == (report.landlock_abi == 0)


@pytest.mark.parametrize("command", ["crash", "spin", "eat-all"])
def test_child_that_dies_is_the_inputs_fault_and_the_next_item_works(analyser, tmp_path, command):
    with pytest.raises(BadMediaError) as caught:
        order(analyser, tmp_path, command)
    assert caught.value.code == "media-limit"
    assert said(analyser, tmp_path, "nothing") == "done"


def test_wall_clock_ends_a_child_that_sleeps(tmp_path):
    limits = dataclasses.replace(LIMITS, wall_s=0.5)
    folder = Path(__file__).parent
    with MediaAnalyser(limits, entry="misbehaviour:act", search_path=(folder,)) as analyser:
        with pytest.raises(BadMediaError) as caught:
            order(analyser, tmp_path, "sleep")
        assert caught.value.code == "media-limit"
        assert said(analyser, tmp_path, "nothing") == "done"


def test_memory_is_bounded(analyser, tmp_path):
    peak = int(said(analyser, tmp_path, "eat"))
    assert 256 * 2**20 < peak < LIMITS.extra_memory_bytes + 450 * 2**20


def test_own_mistake_is_a_bug(analyser, tmp_path):
    with pytest.raises(BugError, match="our own mistake"):
        order(analyser, tmp_path, "raise")


@pytest.mark.parametrize("command", ["flood", "lie", "lie \x05\0\0\0\0\0\0\0{}{}{", "lie " + "\x7f" * 64])
def test_lies_about_the_result_are_refused(analyser, tmp_path, command):
    with pytest.raises(BugError) as caught:
        order(analyser, tmp_path, command)
    assert caught.value.code == "decoder-result"


def test_secret_file_cannot_be_read(analyser, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    secret.chmod(0o644)
    assert said(analyser, tmp_path, f"read {secret}") == "PermissionError"
    assert "canary" not in said(analyser, tmp_path, "read /proc/self/environ")


def test_environment_of_the_worker_stays_outside(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERTURE_SECRET", "canary")
    folder = Path(__file__).parent
    with MediaAnalyser(LIMITS, entry="misbehaviour:act", search_path=(folder,)) as analyser:
        environment = Path(f"/proc/{analyser.server_pid}/environ").read_bytes()
    assert b"canary" not in environment


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_no_network(analyser, tmp_path, kind):
    form = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, form) as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "tcp":
            listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        assert said(analyser, tmp_path, f"{kind} {port}") in ("PermissionError", "OSError")
        with pytest.raises(BlockingIOError):
            listener.recv(16) if kind == "udp" else listener.accept()


def test_child_holds_input_and_result_and_nothing_else(analyser, tmp_path):
    assert said(analyser, tmp_path, "descriptors") == "0 1 2 3 4"


def test_writable_descriptor_becomes_read_only_and_keeps_its_offset(analyser, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"write-input")
    fd = os.open(path, os.O_RDWR)
    try:
        os.lseek(fd, 3, os.SEEK_SET)
        with pytest.raises(BadMediaError, match="OSError"):
            analyser.analyse(fd, "picture", size=11)
        assert os.lseek(fd, 0, os.SEEK_CUR) == 3
    finally:
        os.close(fd)
    assert path.read_bytes() == b"write-input"


def test_many_threads(analyser, tmp_path):
    def one(number):
        path = tmp_path / str(number)
        command = f"read /nowhere/{number}" if number % 2 else "crash"
        path.write_text(command)
        with pytest.raises(BadMediaError) as caught:
            analyser.analyse(path, "picture", size=len(command))
        return caught.value.code

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(one, range(12)))
    assert codes == ["media-limit", "media-unreadable"] * 6


def test_dead_server_is_started_again(tmp_path):
    folder = Path(__file__).parent
    with MediaAnalyser(LIMITS, entry="misbehaviour:act", search_path=(folder,)) as analyser:
        first = analyser.server_pid
        os.kill(first, 9)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert said(analyser, tmp_path, "nothing") == "done"
        assert analyser.server_pid != first


def test_server_that_cannot_start_is_unavailable():
    with pytest.raises(UnavailableError):
        MediaAnalyser(entry="no.such.module:run")


def test_file_that_is_not_there_yet(analyser, tmp_path):
    with pytest.raises(UnavailableError):
        analyser.analyse(tmp_path / "nothing", "video", size=5)
    (tmp_path / "part").write_bytes(b"abc")
    with pytest.raises(UnavailableError) as caught:
        analyser.analyse(tmp_path / "part", "video", size=5)
    assert caught.value.code == "media-size-mismatch"
    (tmp_path / "link").symlink_to(tmp_path / "part")
    with pytest.raises(UnavailableError):
        analyser.analyse(tmp_path / "link", "video", size=3)
