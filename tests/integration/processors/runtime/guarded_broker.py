"""A broker that asks for a login: SASL over TLS for clients, access rules, and a plain port that only the test uses."""

from __future__ import annotations

from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from infra.local.parts import Broker
from infra.local.ports import HOST, free_port


class GuardedBroker(Broker):
    """Attributes:
    guarded: Address that wants SCRAM-SHA-512 over TLS.
    ca_file: Authority of its certificate, PEM.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._guarded_port = free_port()
        self.guarded = f"{HOST}:{self._guarded_port}"
        self.ca_file = self.folder / "ca.pem"

    def ports(self) -> tuple[int, ...]:
        return (*super().ports(), self._guarded_port)

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        issued = authority.issue_cert(HOST)
        # Java reads no other form of a PEM key
        key = load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        (self.folder / "broker.pem").write_bytes(key + chain)
        super().prepare()

    def set_password(self, user: str, password: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        change = UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
        )
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(20)

    def _properties(self) -> dict[str, str | int]:
        plain = super()._properties()
        listener = f"GUARDED://{self.guarded}"
        return plain | {
            "listeners": f"{plain['listeners']},{listener}",
            "advertised.listeners": f"{plain['advertised.listeners']},{listener}",
            "listener.security.protocol.map": f"{plain['listener.security.protocol.map']},GUARDED:SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.guarded.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.guarded.ssl.keystore.type": "PEM",
            "listener.name.guarded.ssl.keystore.location": str(self.folder / "broker.pem"),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            # the plain ports are for the broker itself and for the test that sets it up
            "super.users": "User:ANONYMOUS",
        }
