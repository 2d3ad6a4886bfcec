"""The four real parts: Kafka broker, schema registry, Redis, Milvus Lite.

The stack and the integration tests start them through the same classes. Each keeps everything below
the folder it is given and listens on 127.0.0.1 only.

    with Broker(tmp / "broker") as broker, Registry(tmp / "registry", broker.bootstrap) as registry:
        ...
"""

from __future__ import annotations

import base64
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import httpx
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local.errors import NotReadyError, ProgramMissingError, StackError
from infra.local.java import JARS, class_path, java
from infra.local.ports import HOST, free_port, require_free
from infra.local.service import Service

_LOG_CONFIG = Path(__file__).with_name("broker-log4j2.yaml")
_PROBE_S = 1.0
_REGISTRY_LOG = (
    ("io.apicurio", "WARN"),
    ("io.quarkus.vertx.http", "WARN"),
    # one line for each client and second while the broker is away
    ("org.apache.kafka.clients", "ERROR"),
)


class Part(Service):
    """A server with a folder and a port.

    Attributes:
        folder: Configuration and data; kept over `kill` and `stop`, so a restart finds its data.
        port: Where it listens on 127.0.0.1.
        setting: Environment variable that moves the port of the stack's own part.
    """

    setting: ClassVar[str]

    def __init__(self, name: str, folder: Path, port: int = 0, log: Path | None = None) -> None:
        """Choose a free port if `port` is 0, and `<folder>/<name>.log` if `log` is None."""
        self.folder = folder.resolve()
        self.port = port or free_port()
        super().__init__(name, log or self.folder / f"{name}.log")

    def ports(self) -> tuple[int, ...]:
        """All ports it listens on."""
        return (self.port,)

    def working_folder(self) -> Path:
        return self.folder

    def require(self) -> None:
        super().require()
        for port in self.ports():
            require_free(port, self.name, self.setting)

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _require_listening(self) -> None:
        try:
            socket.create_connection((HOST, self.port), timeout=_PROBE_S).close()
        except OSError as error:
            raise NotReadyError(f"nothing answers on port {self.port}") from error

    def _scratch(self) -> Path:
        # native libraries are unpacked there at each start and stay behind after a SIGKILL
        scratch = self.folder / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        return scratch


@dataclass(frozen=True)
class Cluster:
    """What the nodes of a cluster share.

    Attributes:
        id: Cluster id.
        controllers: Node id -> port of its part of the quorum.
    """

    id: str
    controllers: Mapping[int, int]


def cluster_id() -> str:
    """A new cluster id."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def broker_cluster(folder: Path, nodes: int = 3, heap_mib: int = 384) -> list[Broker]:
    """Nodes of one cluster, each broker and controller; internal topics lie on three nodes, or on all of fewer.

    Start all of them before waiting for any: a quorum needs its majority.
    """
    cluster = Cluster(cluster_id(), {number: free_port() for number in range(1, nodes + 1)})
    return [
        Broker(folder / f"broker-{number}", controller_port=port, node_id=number, heap_mib=heap_mib, cluster=cluster)
        for number, port in cluster.controllers.items()
    ]


class Broker(Part):
    """Apache Kafka as one KRaft node that is broker and controller. Topics are never auto-created.

    Attributes:
        bootstrap: Address for clients, `127.0.0.1:port`.
    """

    setting = "OVERTURE_KAFKA__BOOTSTRAP"

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        controller_port: int = 0,
        node_id: int = 1,
        heap_mib: int = 512,
        cluster: Cluster | None = None,
        jars: Path = JARS,
        log: Path | None = None,
    ) -> None:
        """Prepare a node; see `Part` for `folder`, `port` and `log`.

        Args:
            controller_port: Port of the quorum; 0 for a free one.
            node_id: Number of the node in its cluster.
            heap_mib: Most heap of the JVM, MiB.
            cluster: What it shares with the other nodes; None: it is the only one.
            jars: Folder that `make jars` fills.
        """
        super().__init__("broker", folder, port, log)
        self._cluster = cluster
        self.controller_port = controller_port or free_port()
        self.node_id = node_id
        self._heap_mib = heap_mib
        self._jars = jars / "kafka"

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def address(self) -> str:
        return self.bootstrap

    def ports(self) -> tuple[int, ...]:
        return (self.port, self.controller_port)

    def command(self) -> list[str]:
        return [
            *self._java(f"-Xmx{self._heap_mib}m", f"-Xms{min(self._heap_mib, 256)}m"),
            "kafka.Kafka",
            str(self._config),
        ]

    def prepare(self) -> None:
        super().prepare()
        self._scratch()
        lines = (f"{key}={value}\n" for key, value in self._properties().items())
        self._config.write_text("".join(lines))
        if not (self._data / "meta.properties").exists():
            self._format()

    def probe(self) -> None:
        self._require_listening()
        settings: dict[str, str | int | float | bool] = {"bootstrap.servers": self.bootstrap, "log_level": 0}
        try:
            known = AdminClient(settings, logger=None).list_topics(timeout=_PROBE_S)
        except KafkaException as error:
            raise NotReadyError(f"no metadata yet: {error}") from error
        if self.node_id not in known.brokers:
            raise NotReadyError("the node is not in its cluster yet")

    @property
    def _config(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _java(self, *options: str) -> list[str]:
        return [
            java(),
            *options,
            "-XX:+ExitOnOutOfMemoryError",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            f"-Dlog4j2.configurationFile={_LOG_CONFIG}",
            "-cp",
            class_path(self._jars),
        ]

    def _properties(self) -> dict[str, str | int]:
        clients, quorum = self.bootstrap, f"{HOST}:{self.controller_port}"
        listeners = f"PLAINTEXT://{clients},CONTROLLER://{quorum}"
        return {
            "node.id": self.node_id,
            "process.roles": "broker,controller",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            **self._quorum(),
            "log.dirs": str(self._data),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": self._copies,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": self._copies,
            "transaction.state.log.min.isr": self._least_copies,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": self._copies,
            "share.coordinator.state.topic.min.isr": self._least_copies,
            # how long a broker that was killed is refused when it comes back; the default is 9 s
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            # nobody else is about to join: the first consumer need not wait for others
            "group.initial.rebalance.delay.ms": 0,
            # the default takes 128 MiB of heap for compaction alone
            "log.cleaner.dedupe.buffer.size": 16 * 1024**2,
        }

    @property
    def _copies(self) -> int:
        return 1 if self._cluster is None else min(3, len(self._cluster.controllers))

    @property
    def _least_copies(self) -> int:
        return max(1, self._copies - 1)

    def _quorum(self) -> dict[str, str]:
        if self._cluster is None:
            return {"controller.quorum.bootstrap.servers": f"{HOST}:{self.controller_port}"}
        voters = (f"{number}@{HOST}:{port}" for number, port in self._cluster.controllers.items())
        return {"controller.quorum.voters": ",".join(voters)}

    def _format(self) -> None:
        cluster = cluster_id() if self._cluster is None else self._cluster.id
        answer = subprocess.run(  # noqa: S603
            [
                *self._java("-Xmx128m"),
                "kafka.tools.StorageTool",
                "format",
                # voters that stand in the configuration are not formatted in
                *(["--standalone"] if self._cluster is None else []),
                "--ignore-formatted",
                f"--cluster-id={cluster}",
                f"--config={self._config}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise StackError(f"the broker's folder {self._data} cannot be formatted:\n{answer.stdout}{answer.stderr}")


class Registry(Part):
    """Apicurio Registry, which keeps its schemas in topics of the broker and speaks Confluent's API.

    Attributes:
        url: Base of the Confluent-compatible API.
    """

    setting = "OVERTURE_REGISTRY__URL"

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        port: int = 0,
        *,
        heap_mib: int = 384,
        jars: Path = JARS,
        log: Path | None = None,
    ) -> None:
        """Prepare a registry on the broker at `bootstrap`; the rest as for `Broker`."""
        super().__init__("registry", folder, port, log)
        self._bootstrap = bootstrap
        self._heap_mib = heap_mib
        self._jars = jars / "registry"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/apis/ccompat/v7"

    def address(self) -> str:
        return self.url

    def command(self) -> list[str]:
        class_path(self._jars)
        options = [
            f"-Xmx{self._heap_mib}m",
            "-XX:+ExitOnOutOfMemoryError",
            # it starts a third faster, and is never busy here
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            *(f'-Dquarkus.log.category."{name}".level={least}' for name, least in _REGISTRY_LOG),
        ]
        return [java(), *options, "-jar", str(next(self._jars.glob("*-runner.jar")))]

    def environment(self) -> Mapping[str, str]:
        return {
            "APICURIO_STORAGE_KIND": "kafkasql",
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": self._bootstrap,
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(self.port),
        }

    def prepare(self) -> None:
        super().prepare()
        self._scratch()

    def probe(self) -> None:
        try:
            answer = httpx.get(f"http://{HOST}:{self.port}/health/ready", timeout=_PROBE_S)
        except httpx.HTTPError as error:
            raise NotReadyError(f"no answer yet: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise NotReadyError(f"it answers {answer.status_code}")


class RedisServer(Part):
    """Redis with an append-only file, synced to disk once a second.

    Attributes:
        url: `redis://` URL of database 0, with the password if there is one.
    """

    setting = "OVERTURE_REDIS__URL"

    def __init__(self, folder: Path, port: int = 0, *, password: str = "", log: Path | None = None) -> None:
        """Prepare a server; see `Part`. An empty `password` asks for none."""
        super().__init__("redis", folder, port, log)
        self._password = password

    @property
    def url(self) -> str:
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}{HOST}:{self.port}/0"

    def address(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def command(self) -> list[str]:
        found = shutil.which("redis-server")
        if found is None:
            raise ProgramMissingError("the program redis-server is not on PATH; `make system` installs it")
        return [found, str(self.folder / "redis.conf")]

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "data").mkdir(exist_ok=True)
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f'dir "{self.folder / "data"}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            # the append-only file is the one copy; a second one would only cost writes
            'save ""',
            "maxmemory-policy noeviction",
        ]
        if self._password:
            lines.append(f'requirepass "{self._password}"')
        config.write_text("\n".join(lines) + "\n")

    def probe(self) -> None:
        client = redis.Redis.from_url(self.url, socket_timeout=_PROBE_S, socket_connect_timeout=_PROBE_S)
        try:
            client.ping()
        except redis.RedisError as error:
            raise NotReadyError(f"no answer yet: {error}") from error
        finally:
            client.close()


class MilvusServer(Part):
    """Milvus Lite as a server, so that several processes can use it. For small data.

    Attributes:
        uri: What pymilvus connects to.
    """

    setting = "OVERTURE_MILVUS__URI"
    # the only signal at which it closes its database
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path, port: int = 0, *, log: Path | None = None) -> None:
        """Prepare a server; see `Part`."""
        super().__init__("milvus", folder, port, log)

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.port}"

    def address(self) -> str:
        return self.uri

    def command(self) -> list[str]:
        program = [sys.executable, "-u", "-m", "milvus_lite", "server"]
        # without --host it listens on every interface, and it knows no passwords
        return [*program, f"--data-dir={self.folder / 'data'}", f"--host={HOST}", f"--port={self.port}"]

    def probe(self) -> None:
        # it listens only after its data is open
        self._require_listening()
