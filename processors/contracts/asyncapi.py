"""The AsyncAPI 3 document, made from the topic catalogue and the declarations."""

from __future__ import annotations

import json
from typing import Any

from processors.catalogue import CAPABILITIES
from processors.runtime.processor import Capability
from schemas import contracts, topics

AVRO = "application/vnd.apache.avro;version=1.9.0"


def document() -> str:
    """The document as JSON text."""
    spec = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Overture",
            "version": "1.0.0",
            "description": "Events of uploads, plays and the catalogue. Values are Avro in the Confluent wire format.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/vnd.confluent.avro",
        "servers": {
            "local": {"host": "127.0.0.1:19092", "protocol": "kafka", "description": "Broker of the local stack."}
        },
        "channels": {topic.name: _channel(topic) for topic in topics.ALL},
        "operations": dict(operation for c in CAPABILITIES for operation in _operations(c)),
        "components": {"messages": {name: _message(name) for name in sorted({t.record.CONTRACT for t in topics.ALL})}},
    }
    return json.dumps(spec, indent=2, ensure_ascii=False) + "\n"


def _channel(topic: topics.Topic) -> dict[str, Any]:
    name = topic.record.CONTRACT
    retention = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
    return {
        "address": topic.name,
        "description": f"{topic.doc} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.compacted else "delete"],
                    "retention.ms": retention,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(contract: str) -> dict[str, Any]:
    schema = contracts.resolve(contract)
    return {
        "name": contract,
        "title": schema["name"],
        "summary": schema["doc"],
        "contentType": "application/vnd.confluent.avro",
        "payload": {"schemaFormat": AVRO, "schema": schema},
    }


def _operations(capability: Capability) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for action, channels in (("receive", capability.consumes), ("send", capability.produces)):
        for topic in channels:
            key = f"{capability.name}.{action}.{topic.name}"
            found.append(
                (
                    key,
                    {
                        "action": action,
                        "channel": {"$ref": f"#/channels/{topic.name}"},
                        "summary": capability.doc,
                        "bindings": {"kafka": {"groupId": {"type": "string", "enum": [capability.group]}}}
                        if action == "receive"
                        else {},
                    },
                )
            )
    return found
