"""Real but tiny processes: sleeps and shells, no server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local.errors import NotReadyError, PortTakenError, ProgramMissingError
from infra.local.java import class_path
from infra.local.ledger import MARKER, Entry, Ledger, start_ticks
from infra.local.plan import parts
from infra.local.ports import free_port, require_free
from infra.local.service import Service, ending
from processors.runtime.settings import Kafka, Settings


class Shell(Service):
    def __init__(self, folder: Path, script: str) -> None:
        super().__init__("shell", folder / "shell.log")
        self.script = script

    def command(self) -> list[str]:
        return ["sh", "-c", self.script]


def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def entry(pid: int, started: int) -> Entry:
    return Entry("x", "ready", pid, started, "", True, 0, "", "")


def test_kill_takes_the_descendants_along(tmp_path: Path) -> None:
    service = Shell(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    service.start()
    eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().endswith("\n"))
    child = int((tmp_path / "child").read_text())
    service.kill()
    assert service.exit_code() == -signal.SIGKILL
    eventually(lambda: start_ticks(child) == 0)


def test_a_crash_takes_the_descendants_along(tmp_path: Path) -> None:
    service = Shell(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; exit 3")
    service.start()
    eventually(lambda: not service.running)
    assert service.exit_code() == 3
    eventually(lambda: start_ticks(int((tmp_path / "child").read_text())) == 0)


def test_stop_kills_what_does_not_listen_and_it_can_start_again(tmp_path: Path) -> None:
    service = Shell(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    service.start()
    eventually(lambda: service.log.read_text() == "up\n")
    service.stop(grace_s=0.1)
    assert service.exit_code() == -signal.SIGKILL
    service.start()
    assert service.running
    service.kill()


def test_a_service_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from infra.local.service import Service\n"
        "class S(Service):\n    def command(self): return ['sleep', '60']\n"
        "s = S('s', Path(sys.argv[1]) / 's.log'); s.start()\n"
        "while open(f'/proc/{s.pid}/comm').read() != 'sleep\\n': time.sleep(0.02)\n"
        "print(s.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    pid = int(done.stdout)
    eventually(lambda: start_ticks(pid) == 0)


def test_wait_ready_shows_the_end_of_the_log(tmp_path: Path) -> None:
    service = Shell(tmp_path, "echo no such disk; exit 7")
    service.start()
    eventually(lambda: not service.running)
    with pytest.raises(NotReadyError, match=r"ended \(exit code 7\)(.|\n)*no such disk"):
        service.wait_ready()


def test_ending_names_the_signal() -> None:
    assert (ending(3), ending(-11)) == ("exit code 3", "killed by SIGSEGV")


def test_a_taken_port_names_holder_and_setting() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))
        server.listen()
        with pytest.raises(PortTakenError, match=rf"redis.*\(pid {os.getpid()}\).*OVERTURE_X"):
            require_free(server.getsockname()[1], "redis", "OVERTURE_X")


def test_free_ports_differ_and_lie_below_the_outgoing_range() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert max(ports) < lowest


def test_missing_jars_are_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissingError, match="make jars"):
        class_path(tmp_path)


def test_only_one_supervisor_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert not ledger.held()
    with ledger.hold():
        assert ledger.held()
    assert not ledger.held()


def test_survivors_are_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    ledger = Ledger(tmp_path)
    ledger.write([entry(sleeper.pid, start_ticks(sleeper.pid))])
    assert ledger.end_survivors(5) == 1
    assert sleeper.wait() == -signal.SIGTERM


def test_a_pid_with_a_new_owner_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    ledger = Ledger(tmp_path)
    ledger.write([entry(sleeper.pid, start_ticks(sleeper.pid) - 1)])
    assert ledger.survivors() == []


@pytest.mark.parametrize("marked", [True, False])
def test_members_of_a_dead_leader_need_our_marker(tmp_path: Path, marked: bool) -> None:
    ledger = Ledger(tmp_path)
    environment = {**os.environ, MARKER: str(tmp_path.resolve())} if marked else dict(os.environ)
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 60 >/dev/null & echo $!"], start_new_session=True, env=environment, stdout=subprocess.PIPE
    )
    output, _ = leader.communicate()
    child = int(output)
    try:
        ledger.write([entry(leader.pid, 12345)])
        assert ledger.survivors() == ([child] if marked else [])
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_record_from_before_a_reboot_means_nothing(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    ledger = Ledger(tmp_path)
    ledger.write([entry(sleeper.pid, start_ticks(sleeper.pid))])
    record = tmp_path / "state.json"
    record.write_text(record.read_text().replace('"boot": "', '"boot": "0'))
    assert ledger.survivors() == []


def test_a_server_elsewhere_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, kafka=Kafka(bootstrap="broker.example:9092"))
    with pytest.raises(Exception, match=r"OVERTURE_KAFKA__BOOTSTRAP names broker\.example"):
        parts(settings)
