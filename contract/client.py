"""A client for a user's own tests: it has the base URL and the credentials, and every answer is judged.

What matches no operation of the contract is let through; a refusal is judged by its body alone, because
only the test knows whether it asked for one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final

import httpx

from contract.answer import Judgement
from contract.api import Spec
from contract.config import Settings
from contract.ledger import Ledger
from contract.mask import Mask, mask_of
from contract.model import MISSING, Case, Interaction, Response
from contract.prepare import account, need_credentials, trust, usable_proxy
from contract.report import finding_lines
from contract.send import GONE, Credentials, decode, proxy_for

__all__ = ["client", "transport"]

FEW: Final = 3
"""Rules that one failure tells."""


class _Auth(httpx.Auth):
    """Sends the credentials to the API alone, whatever else the client is used for."""

    def __init__(self, headers: Mapping[str, str], base: httpx.URL) -> None:
        self.headers = headers
        self.base = base

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if _below(self.base, request.url):
            request.headers.update(self.headers)
        yield request


def _below(base: httpx.URL, url: httpx.URL) -> bool:
    same = (base.scheme, base.host, base.port) == (url.scheme, url.host, url.port)
    return same and f"{url.path}/".startswith(f"{base.path.rstrip('/')}/")


def transport(settings: Settings) -> httpx.BaseTransport:
    """What carries the requests, as the settings say: TLS, client certificate and proxy.

    Raises:
        ConfigError: it cannot be set up like that.
    """
    with usable_proxy(settings):
        # To load the certificates takes longer than most tests, and is of use only for TLS.
        verify = trust(settings) if settings.base_url.lower().startswith("https:") else False
        return httpx.HTTPTransport(verify=verify, proxy=settings.proxy or proxy_for(settings.base_url))


def client(
    settings: Settings,
    spec: Spec,
    credentials: Mapping[str, str],
    carrier: httpx.BaseTransport,
    fail: Callable[[str], Any],
) -> httpx.Client:
    """A client for the API at ``base_url``; *fail* is called with the lines about an answer that breaks the contract.

    Raises:
        ConfigError: there is no base URL, there are no credentials for a real API, or the known failures cannot be used.
    """
    settings.need("base_url", option="--contract-")
    base = httpx.URL(settings.base_url)
    given = Credentials(**credentials)
    # A transport that is made up asks nobody, and a certificate may be all that an API wants.
    if isinstance(carrier, httpx.HTTPTransport) and not settings.client_cert:
        need_credentials(spec.contract, given)
    mask = mask_of(settings)
    known = account(settings, spec.rules).known

    def judge(response: httpx.Response) -> None:
        if not _below(base, response.request.url) or response.status_code in GONE or response.is_redirect:
            return
        response.read()
        lines = list(_lines(Ledger(spec.rules, settings.strict, known=known), spec, response, mask, base))
        if lines:
            fail("\n".join(lines))

    return httpx.Client(
        base_url=base,
        auth=_Auth(given.auth("right"), base) if given.secrets else None,
        timeout=settings.timeout,
        transport=carrier,
        event_hooks={"response": [judge]},
    )


def _lines(ledger: Ledger, spec: Spec, response: httpx.Response, mask: Mask, base: httpx.URL) -> Iterator[str]:
    """What a person reads about an answer that breaks the contract; nothing where it is kept."""
    request = response.request
    operation = spec.match(request.method, request.url.path[len(base.path.rstrip("/")) :])
    if operation is None:
        return
    found = Judgement()
    refusals = {f"{operation.id}.accept", f"{operation.id}.shape.status"} if response.is_client_error else set()
    found.findings = [f for f in spec.check(response, operation=operation.id) if f.rule not in refusals]
    body = _body(request)
    case = Case(label=f"{request.method} {request.url}", operation=operation.id, body=body)
    answer = Response(status=response.status_code, headers={}, content=response.content)
    ledger.add(Interaction(case=case, response=answer), found, 0)
    ledger.fold()
    causes = ledger.causes()
    broken = [n for n, failures in causes.items() if not ledger.weak(n) and ledger.accepted(failures[0]) is None]
    place = f"  request   {mask.line(case.label)}"
    for name in broken[:FEW]:
        yield from finding_lines(spec.contract, spec.rules[name], causes[name][0].finding, place, body, mask)
    if len(broken) > FEW:
        yield f"… and {len(broken) - FEW} more: {', '.join(broken[FEW:][:FEW])}{', …' if len(broken) > 2 * FEW else ''}"


def _body(request: httpx.Request) -> Any:
    """The JSON that a request carries, if it carries any and it can still be seen."""
    try:
        content = request.content
    except httpx.RequestNotRead:
        return MISSING
    return decode(content)[0]
