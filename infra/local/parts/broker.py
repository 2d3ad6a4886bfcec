"""Apache Kafka, alone or as a cluster."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local.errors import NotReadyError, StackError
from infra.local.java import JARS, class_path, java
from infra.local.parts.base import PROBE_S, Part
from infra.local.ports import HOST, free_port

_LOG_CONFIG = Path(__file__).with_name("broker-log4j2.yaml")


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
            known = AdminClient(settings, logger=None).list_topics(timeout=PROBE_S)
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
