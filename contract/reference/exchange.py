"""One request on its way through the stages, and the way to answer no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, QueryParams

from contract.reference.fields import Record, Rules

if TYPE_CHECKING:
    from contract.reference.app import Server
    from contract.reference.stages import Stages

__all__ = ["LIST", "RETRIEVE", "UPDATE", "Exchange", "Refusal"]

UPDATE, RETRIEVE, LIST = "update_phone_number", "retrieve_phone_number", "list_phone_numbers"


class Refusal(Exception):
    """An answer other than 200; *details* are the sentences of a 422."""

    def __init__(self, status: int, details: Sequence[str] = (), **extra: str) -> None:
        super().__init__(status, details)
        self.status, self.details, self.extra = status, list(details), extra


@dataclass(slots=True)
class Exchange:
    """One request on its way through the stages, and what they found out about it."""

    server: Server
    operation: str
    headers: Headers
    query: QueryParams
    raw: bytes
    number_id: str = ""
    client: tuple[str, int] | None = None
    """The address and the port that the request came from."""
    body: Any = None
    """The body as it was sent, once parsed."""
    before: Record | None = None
    after: Record | None = None

    @property
    def rules(self) -> Rules:
        """The tables and switches in force."""
        return self.server.rules

    @property
    def stages(self) -> Stages:
        """The stages in force, hooks included."""
        return self.server.stages

    @property
    def sent(self) -> Record:
        """The body if it is an object, else an empty one."""
        return self.body if isinstance(self.body, dict) else {}
