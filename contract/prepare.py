"""What a run needs before it sends anything: the contract and its plan, the ledger, the credentials, and what
carries the requests.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx

from contract import known
from contract import spec as specs
from contract.budget import Budget, shortest
from contract.config import Settings
from contract.errors import ConfigError, nearest
from contract.formats import matches
from contract.ledger import LACKING, Ledger
from contract.model import Rule
from contract.plan import Plan, needed, plan
from contract.send import Credentials, Sender
from contract.spec import Contract

__all__ = ["account", "affordable", "need_credentials", "prepare", "sender", "trust", "usable_proxy"]


def prepare(
    settings: Settings, contract: Contract | None = None, only: frozenset[str] | None = None
) -> tuple[Contract, Plan]:
    """The contract and the plan for *settings*, without what none of the rules *only* needs; sends nothing.

    Raises:
        SpecError: the fragment cannot be used.
        ConfigError: a resource is given for a field that can name none.
    """
    contract = contract or specs.load(settings.spec or None)
    contract.need_sendable()
    naming = [name for name, item in contract.request.fields.items() if item.may_name]
    for name in settings.resources:
        if name not in naming:
            problem = f"[resources] names {name!r}, which is no field that can name something.{nearest(name, naming)}"
            raise ConfigError(problem, layer=settings.layers.get("resources", ""))
        item = contract.request.fields[name]
        sure = item.format and "format" in item.excludes
        if sure and not matches(item.format, settings.resources[name]):
            problem = f"[resources] {name} = {settings.resources[name]!r} is no {item.format}, which the contract wants"
            raise ConfigError(problem, layer=settings.layers.get("resources", ""))
    bodies = [body.schema for op in contract.operations.values() for body in (op.request, op.response) if body]
    bodies += [schema for op in contract.operations.values() for schema in op.errors.values()]
    shown = {name for schema in bodies for name in _names(schema)}
    for pointer in settings.mask:
        # An API may show what no document names; what is nearly a field was meant to be that.
        if (name := pointer.rpartition("/")[2]) not in shown and (hint := nearest(name, sorted(shown))):
            problem = f"mask names {pointer!r}, and there is no such field.{hint}"
            raise ConfigError(problem, layer=settings.layers.get("mask", ""))
    made = plan(
        contract,
        profile=settings.profile,
        seed=settings.seed,
        resources=settings.resources,
        foreign_ids=settings.foreign_ids,
    )
    return contract, made if only is None else needed(made, contract, only)


def affordable(settings: Settings, made: Plan) -> None:
    """Makes sure that the rate that is set allows for the plan.

    Raises:
        ConfigError: it would take longer than the run may.
    """
    count = sum(not case.unless for case in made.cases)
    if (least := shortest(count, settings.rate)) > settings.max_seconds:
        problem = (
            f"{count} requests take {least:,} seconds at {settings.rate}, and a run may take "
            f"{settings.max_seconds:g}; set a higher rate, or max_seconds"
        )
        raise ConfigError(problem, layer=settings.layers.get("rate", ""))


def account(settings: Settings, rules: Mapping[str, Rule], only: frozenset[str] | None = None) -> Ledger:
    """The empty ledger of a run.

    Raises:
        ConfigError: the file of known failures cannot be used.
    """
    ledger = Ledger(rules=rules, strict=settings.strict, known=known.load(settings.known_failures, rules))
    for rule in rules.values():
        if lacking := [one for one in rule.needs.split(", ") if one and not _given(settings, one)]:
            ledger.reasons[rule.id] = LACKING + ", ".join(lacking)
    if only is not None:
        ledger.reasons.update(dict.fromkeys(rules.keys() - only, "it was not selected"))
    return ledger


def _given(settings: Settings, need: str) -> bool:
    """True where *settings* hold one of the things that a rule needs; see `Rule.needs`."""
    key, _, rest = need.partition(" ")
    return rest in settings.resources if key == "[resources]" else bool(getattr(settings, key))


def _names(schema: Any) -> Iterator[str]:
    """The names of all properties in a schema, at any depth."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, Mapping) else ()
        for part in schema.values():
            yield from _names(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _names(part)


def need_credentials(contract: Contract, given: Credentials) -> Credentials:
    """Those of *given* that *contract* asks for.

    Raises:
        ConfigError: they are not there, or cannot be sent; nothing was sent.
    """
    schemes = {contract.schemes[name].get("scheme", "") for name in contract.update.security}
    if "bearer" in schemes and not given.token:
        raise ConfigError("credentials are missing: set CONTRACT_TOKEN in the environment")
    if "basic" in schemes and not (given.username and given.password):
        raise ConfigError("credentials are missing: set CONTRACT_USERNAME and CONTRACT_PASSWORD in the environment")
    for name in ("username", "password", "token"):
        value = getattr(given, name)
        if not value.isprintable() or value != value.strip() or (name == "token" and not value.isascii()):
            raise ConfigError(
                f"CONTRACT_{name.upper()} begins or ends with a blank or holds a character that no header can carry"
            )
    if ":" in given.username:
        raise ConfigError("CONTRACT_USERNAME holds a ':', which HTTP Basic does not allow")
    if "bearer" in schemes:
        return Credentials(token=given.token)
    return replace(given, token="") if "basic" in schemes else given


def sender(
    settings: Settings,
    contract: Contract,
    given: Credentials,
    budget: Budget,
    transport: httpx.BaseTransport | None,
    sleep: Callable[[float], None],
) -> Sender:
    """What sends the requests for one record.

    Raises:
        ConfigError: a certificate or the proxy cannot be used.
    """
    with usable_proxy(settings):
        return Sender(
            contract,
            base_url=settings.base_url,
            credentials=given,
            budget=budget,
            timeout=settings.timeout,
            verify=trust(settings),
            proxy=settings.proxy or None,
            foreign_id=settings.foreign_ids[0] if settings.foreign_ids else "",
            transport=transport,
            sleep=sleep,
        )


@contextmanager
def usable_proxy(settings: Settings) -> Iterator[None]:
    """What httpx raises meanwhile is said in words of this tool.

    Raises:
        ConfigError: the proxy cannot be used.
    """
    try:
        yield
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        layer = settings.layers.get("proxy", "the environment")
        raise ConfigError(f"the proxy cannot be used: {error}", layer=layer) from error


def trust(settings: Settings) -> Any:
    """Whom to trust, and what to show to whom; the usual, where nothing is configured.

    Raises:
        ConfigError: a certificate cannot be used.
    """
    name = "ca_file"
    if settings.client_key and not settings.client_cert:
        raise ConfigError("client_key is given without client_cert", layer=settings.layers.get("client_key", ""))
    if not settings.ca_file and not settings.client_cert:
        return True
    try:
        authorities = settings.ca_file
        trust = ssl.create_default_context(cafile=authorities) if authorities else httpx.create_ssl_context()
        if settings.client_cert:
            name = "client_cert"
            # An encrypted key is refused: nobody is there to type its password.
            trust.load_cert_chain(settings.client_cert, settings.client_key or None, password="")
    except OSError as error:
        problem = f"{name} {getattr(settings, name)} cannot be used: {error.strerror or error}"
        raise ConfigError(problem, layer=settings.layers.get(name, "")) from error
    return trust
