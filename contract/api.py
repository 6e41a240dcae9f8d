"""The small public API: a fragment, the strategies of its operations, and a judge for responses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import spec as specs
from contract.check import Judge
from contract.errors import ConfigError, SpecError, nearest
from contract.generate import Generator
from contract.model import MISSING, Case, Finding, Interaction, Response, Rule
from contract.send import decode, received

if TYPE_CHECKING:
    import httpx
    from hypothesis.strategies import SearchStrategy

__all__ = ["Operation", "Spec", "load"]


def load(source: str | Path | None = None) -> Spec:
    """The contract in the fragment *source*, or in the bundled one.

    Raises:
        SpecError: the fragment cannot be used; ``pointer`` and ``line`` say where.

    Source:
        OpenAPI 3.1.1; the extensions are described in the README.
    """
    return Spec(specs.load(source))


class Operation:
    """One operation of a contract."""

    def __init__(self, operation: specs.Operation) -> None:
        self._operation = operation

    def __repr__(self) -> str:
        return f"<Operation {self.id}: {self.label}>"

    @property
    def id(self) -> str:
        """Its ``operationId``."""
        return self._operation.id

    @property
    def label(self) -> str:
        """Method and path template, as in ``PUT /things/{id}``."""
        return self._operation.label

    def bodies(self, *, resources: Mapping[str, str] | None = None) -> SearchStrategy[dict[str, Any]]:
        """Bodies that the documents promise to accept.

        Shape:
            A JSON object whose members are request fields; every companion that a selector's value
            requires is there. *resources* maps request fields to ids that exist; a field that needs
            an id which is not given is never there.

        Units:
            Lengths count characters.

        Raises:
            ConfigError: an id is given for what is no request field.
            SpecError: the operation takes no body.

        Source:
            The fragment's request body: ``properties``, ``required`` and ``x-selector``.
        """
        return self._generator(resources).bodies()

    def negative_bodies(
        self, *, resources: Mapping[str, str] | None = None
    ) -> SearchStrategy[tuple[dict[str, Any], str]]:
        """(body, rule id): bodies in which exactly that one rule is broken.

        Shape:
            A body as `bodies` makes it, with one value outside an enum, a format, a length or a bound, or without one
            companion or field that it has to have.

        Raises:
            ConfigError: an id is given for what is no request field.
            SpecError: the operation takes no body, or no body can break a rule of it.

        Source:
            As for `bodies`.
        """
        return self._generator(resources).negative_bodies()

    def _generator(self, resources: Mapping[str, str] | None) -> Generator:
        generator = Generator(self._operation, resources)
        for name in resources or ():
            if name not in generator.request.fields:
                hint = nearest(name, generator.request.fields)
                raise ConfigError(f"resources names {name!r}, which is no request field of {self.id}.{hint}")
        return generator


class Spec:
    """A contract: what a fragment says about an API."""

    def __init__(self, contract: specs.Contract) -> None:
        self.contract = contract
        self._judge = Judge(contract)

    def __repr__(self) -> str:
        return f"<Spec {self.contract.title!r}: {', '.join(self.contract.operations)}>"

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation, in the order of the fragment."""
        return tuple(Operation(operation) for operation in self.contract.operations.values())

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Every rule by id."""
        return self._judge.rules

    def operation(self, name: str) -> Operation:
        """The operation with the ``operationId`` *name*.

        Raises:
            SpecError: there is none; names the nearest.
        """
        return Operation(self.contract.operation(name))

    def check(
        self,
        response: httpx.Response | Any,
        request: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        *,
        operation: str = "",
    ) -> list[Finding]:
        """What *response* breaks; empty when the contract is kept.

        Shape:
            *response* is an ``httpx.Response``, or the decoded body of a success. *request* is the
            body that was sent, *before* the record as it was: with them, echo, handlers and frame
            are judged too. *operation* is needed only where the response does not tell.

        Raises:
            SpecError: no operation of the contract answers at the response's address.

        Source:
            The rules of the fragment; see ``contract rules``.
        """
        found, answer = self._understand(response, operation)
        writes = found is self.contract.update
        if request is None and writes and not isinstance(response, Mapping):
            request = _sent(response)
        body = dict(request) if request is not None else MISSING
        case = Case(label="check", operation=found.id, body=body if writes else MISSING)
        return self._judge.judge(Interaction(case=case, response=answer, before=before, verified=writes)).findings

    def _understand(self, response: Any, name: str) -> tuple[specs.Operation, Response]:
        """The operation that answered, and the answer as this tool sees it."""
        if hasattr(response, "status_code") and hasattr(response, "headers"):
            operation = self.contract.operation(name) if name else self._at(response)
            return operation, received(response.status_code, response.headers, bytes(response.content))
        operation = self.contract.operation(name) if name else self.contract.like(response) or self.contract.update
        headers = {"content-type": operation.media_type}
        return operation, Response(status=operation.success, headers=headers, body=response)

    def _at(self, response: Any) -> specs.Operation:
        """The operation at the address of an ``httpx.Response``."""
        method, path = response.request.method, response.request.url.path
        found = self.match(method, path)
        if found is None:
            raise SpecError(f"no operation of the contract answers {method} {path}", file=self.contract.document.file)
        return found

    def match(self, method: str, path: str) -> specs.Operation | None:
        """The operation for *method* whose template *path* ends with."""
        found = self.contract.match(method, path)
        return found[0] if found is not None else None


def _sent(response: Any) -> Mapping[str, Any] | None:
    """The JSON object that the request of an ``httpx.Response`` carried, if it can still be seen."""
    try:
        value, _ = decode(response.request.content)
    except RuntimeError:  # httpx: the answer has no request, or its body was a stream.
        return None
    return value if isinstance(value, Mapping) else None
