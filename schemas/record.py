"""Base of every generated record.

The registry below is what lets the codec find the class of a nested type by its Avro name.
"""

from __future__ import annotations

from typing import ClassVar


class Record:
    """A frozen dataclass with an Avro contract.

    Attributes:
        CONTRACT: Full Avro name, for example ``overture.upload.UploadCreated``.
    """

    CONTRACT: ClassVar[str]
    _classes: ClassVar[dict[str, type[Record]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Record._classes[cls.CONTRACT] = cls

    @staticmethod
    def by_contract(name: str) -> type[Record]:
        """The class of a contract.

        Raises:
            KeyError: no imported module defines it.
        """
        return Record._classes[name]
