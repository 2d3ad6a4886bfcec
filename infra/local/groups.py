"""`python -m infra.local.groups BOOTSTRAP GROUP...`: exit code 0 if every consumer group is stable.

A process of its own, because librdkafka's admin client has aborted the process it ran in (an assertion in
rd_kafka_enq_once_del_source_return) when the broker went away during the question.
"""

from __future__ import annotations

import sys

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 3.0


def main() -> None:
    """Say the first group that is not stable, and exit 1."""
    bootstrap, *groups = sys.argv[1:]
    # held in a name: the answers of a client that is gone never come
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}, logger=None)
    for group, answer in admin.describe_consumer_groups(groups, request_timeout=_TIMEOUT_S).items():
        try:
            state = answer.result(timeout=2 * _TIMEOUT_S).state
        except (KafkaException, TimeoutError) as error:
            sys.exit(f"consumer group {group}: {error}")
        if state is not ConsumerGroupState.STABLE:
            sys.exit(f"consumer group {group} is {state.name.lower()}")


if __name__ == "__main__":
    main()
