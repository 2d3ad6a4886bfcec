"""How aiokafka's clients, Faust's consumer among them, log in; ``kafka.py`` says the same to confluent-kafka's."""

from __future__ import annotations

import ssl
from typing import Any

import faust
from faust.auth import Credentials

from processors.runtime.settings import Kafka


def credentials(kafka: Kafka) -> Credentials | None:
    """Login of the settings for Faust; None for a broker that asks for none.

    Raises:
        OSError: a certificate or key file cannot be read.
    """
    context = _tls(kafka)
    if kafka.security_protocol.startswith("SASL") and kafka.password is not None:
        return faust.SASLCredentials(
            username=kafka.username,
            password=kafka.password.get_secret_value(),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


def aiokafka_config(kafka: Kafka) -> dict[str, Any]:
    """Address and login of the settings, as keyword arguments of aiokafka's clients.

    Raises:
        OSError: a certificate or key file cannot be read.
    """
    config: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap,
        "client_id": "overture",
        "security_protocol": kafka.security_protocol,
        "ssl_context": _tls(kafka),
    }
    if kafka.security_protocol.startswith("SASL") and kafka.password is not None:
        config |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password.get_secret_value(),
        }
    return config


def _tls(kafka: Kafka) -> ssl.SSLContext | None:
    if not kafka.security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.cert_file is not None:
        context.load_cert_chain(kafka.cert_file, kafka.key_file)
    return context
