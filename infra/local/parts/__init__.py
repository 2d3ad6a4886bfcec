"""The four real parts: Kafka broker, schema registry, Redis, Milvus Lite.

The stack and the integration tests start them through the same classes. Each keeps everything below
the folder it is given and listens on 127.0.0.1 only.

    with Broker(tmp / "broker") as broker, Registry(tmp / "registry", broker.bootstrap) as registry:
        ...
"""

from infra.local.parts.base import Part
from infra.local.parts.broker import Broker, broker_cluster
from infra.local.parts.milvus_server import MilvusServer
from infra.local.parts.redis_server import RedisServer
from infra.local.parts.registry import Registry

__all__ = ["Broker", "MilvusServer", "Part", "RedisServer", "Registry", "broker_cluster"]
