"""How Faust's consumer logs in at the broker; ``kafka.py`` says the same to the confluent-kafka clients."""

from __future__ import annotations

import ssl

import faust
from faust.auth import Credentials

from processors.runtime.settings import Kafka


def credentials(kafka: Kafka) -> Credentials | None:
    """Login of the settings; None for a broker that asks for none.

    Raises:
        OSError: a certificate or key file cannot be read.
    """
    context = _tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    if kafka.security_protocol.startswith("SASL") and kafka.password is not None:
        return faust.SASLCredentials(
            username=kafka.username,
            password=kafka.password.get_secret_value(),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


def _tls(kafka: Kafka) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.cert_file is not None:
        context.load_cert_chain(kafka.cert_file, kafka.key_file)
    return context
