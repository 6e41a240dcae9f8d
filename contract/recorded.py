"""Judges recorded responses against the contract, offline: JSON (a body, or a list of them), NDJSON, HAR.

Everything is read as a stream, entry by entry, so that the size of a recording does not matter, and
failures are folded: for each rule how often it is broken, and where for the first time. A body alone
says nothing of its status and headers, so the rules about these are not exercised by it; a HAR pairs
requests with their answers, and what an earlier answer showed of a record, so that echo, handlers,
frame and read-back are judged too.

Sources: RFC 8259; RFC 6901; HTTP Archive 1.2, http://www.softwareishard.com/blog/har-12-spec/.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import sys
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.parse import urlsplit

from contract.answer import Judgement
from contract.check import Judge
from contract.errors import ConfigError
from contract.formats import instant
from contract.ledger import rank
from contract.mask import Mask, plain
from contract.model import MISSING, Case, Finding, Interaction, JSONObject, Response
from contract.report import Style, expected, expected_lines, tally, unstyled
from contract.send import Strict, decode, received
from contract.spec import Contract, Field, Operation

__all__ = ["Account", "Fold", "check", "data", "lines"]

CHUNK: Final = 1 << 18
"""Characters that are read at once."""
LONGEST: Final = 1 << 25
"""Characters that one line or one entry may have."""
REMEMBERED: Final = 10_000
"""Records whose last known state is kept while a HAR is read."""
SPACE: Final = " \t\r\n"


@dataclass(slots=True)
class Fold:
    """One broken rule: how often, and where for the first time."""

    finding: Finding
    place: str
    count: int = 1


@dataclass(slots=True)
class Account:
    """What a check found."""

    judge: Judge
    strict: str = "documented"
    responses: int = 0
    """Responses that were judged."""
    skipped: int = 0
    """Records that resemble no answer of the contract."""
    taken: str = ""
    """The operation for whose answers bodies were taken, although they could be those of another one."""
    folds: dict[str, Fold] = field(default_factory=dict)
    """Broken rules."""
    problems: list[str] = field(default_factory=list)
    """What could not be read."""
    evidence: Counter[str] = field(default_factory=Counter)
    """How many responses bear each rule out."""

    def add(self, result: Judgement, place: str, unseen: frozenset[str] = frozenset()) -> None:
        """Adds what one response said; the rules *unseen* were only assumed."""
        self.responses += 1
        self.evidence.update(rule for rule in result.evidence if rule not in unseen)
        for finding in result.findings:
            self.folds.setdefault(finding.rule, Fold(finding, place, 0)).count += 1

    def weak(self, rule: str) -> bool:
        """True where a failure of *rule* only warns, because its basis is weaker than asked for."""
        known = self.judge.rules.get(rule)
        return known is not None and known.weaker(self.strict)

    @property
    def broken(self) -> list[str]:
        """The rules that fail the check, the nearest to a cause first."""
        return sorted((rule for rule in self.folds if not self.weak(rule)), key=lambda rule: (rank(rule), rule))

    @property
    def status(self) -> int:
        """The exit status: 0 kept, 1 broken, 2 where nothing could be judged."""
        if self.broken:
            return 1
        return 2 if self.problems or not self.responses else 0


# ------------------------------------------------------------------------------ reading


class _Text:
    """A stream of text, of which only the part at hand is in memory."""

    def __init__(self, file: io.BufferedReader, name: str) -> None:
        self.name = name
        self.file = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self.buffer = ""
        self.at = 0
        self.ended = False
        self.decoder = json.JSONDecoder()

    def error(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.name} {problem}")

    def more(self, size: int = CHUNK) -> bool:
        """Reads on; False at the end."""
        try:
            chunk = self.file.read(size)
        except UnicodeDecodeError as error:
            raise self.error(f"is not UTF-8 ({error.reason})") from error
        except (OSError, EOFError, zlib.error) as error:
            raise self.error(f"cannot be read: {error}") from error
        if not chunk:
            self.ended = True
            return False
        self.buffer = self.buffer[self.at :] + chunk
        self.at = 0
        return True

    def peek(self) -> str:
        """The next character that is no blank, or nothing at the end."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in SPACE:
                    return self.buffer[self.at]
                self.at += 1
            if self.ended or not self.more():
                return ""

    def take(self, wanted: str) -> None:
        """Takes one character."""
        found = self.peek()
        if found != wanted:
            raise self.error(f"is no JSON: {wanted!r} is wanted, and {found or 'the end'!r} found")
        self.at += 1

    def value(self, decoder: json.JSONDecoder | None = None) -> Any:
        """The next JSON value, however many pieces it comes in."""
        self.peek()
        size = CHUNK
        while True:
            try:
                found, end = (decoder or self.decoder).raw_decode(self.buffer, self.at)
            except RecursionError as error:
                raise self.error("is nested too deep") from error
            except ValueError as error:
                if self.ended or len(self.buffer) - self.at > LONGEST or not self.more(size):
                    raise self.error(f"is no JSON: {error}"[:200]) from error
                size *= 2
                continue
            if end == len(self.buffer) and not self.ended and self.more():
                continue  # A number may go on.
            self.at = end
            return found

    def _parts(self, opens: str, closes: str) -> Iterator[None]:
        """Stops before each thing between two brackets; whoever asks takes it before going on."""
        self.take(opens)
        if self.peek() != closes:
            yield
        while self.peek() != closes:
            self.take(",")
            yield
        self.at += 1

    def items(self, decoder: json.JSONDecoder | None = None) -> Iterator[Any]:
        """The items of an array, one after another."""
        for _ in self._parts("[", "]"):
            yield self.value(decoder)

    def members(self) -> Iterator[str]:
        """The names of an object's members; whoever asks takes the value before going on."""
        for _ in self._parts("{", "}"):
            name = self.value()
            if not isinstance(name, str):
                raise self.error("is no JSON: a member has no name")
            self.take(":")
            yield name


@contextmanager
def _opened(path: str) -> Iterator[tuple[io.BufferedReader, str]]:
    """The bytes of a file, or of standard input, decompressed where they are gzip; and what to call it."""
    with ExitStack() as stack:
        if path == "-":
            raw: IO[bytes] = sys.stdin.buffer
        else:
            try:
                raw = stack.enter_context(Path(path).open("rb"))
            except OSError as error:
                raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
        file = io.BufferedReader(cast("io.RawIOBase", raw), CHUNK)
        stack.callback(file.detach)
        try:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
        if packed:
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=file))
            file = stack.enter_context(io.BufferedReader(cast("io.RawIOBase", unpacked), CHUNK))
        yield cast("io.BufferedReader", file), "standard input" if path == "-" else path


def check(
    paths: Iterable[str],
    contract: Contract,
    *,
    operation: str = "",
    strict: str = "documented",
    secrets: Iterable[str] = (),
) -> Account:
    """Judges every response in the files *paths*; ``-`` is standard input.

    *operation* says what the bodies are answers of, where they do not tell.

    A file that cannot be read is a problem of the account, and the others are judged all the same.

    Raises:
        SpecError: there is no such operation.
    """
    wanted = contract.operation(operation) if operation else None
    account = Account(Judge(contract, secrets), strict=strict)
    for path in paths:
        try:
            with _opened(path) as (file, name):
                _File(account, contract, wanted, name).read(file)
        except ConfigError as error:
            account.problems.append(str(error))
    return account


class _File:
    """Judges one file."""

    def __init__(self, account: Account, contract: Contract, operation: Operation | None, name: str) -> None:
        self.account = account
        self.judge = account.judge
        self.contract = contract
        self.operation = operation
        self.name = name
        self.cases = {op.id: Case(label="recorded", operation=op.id) for op in contract.operations.values()}
        self.headers = {op.id: {"content-type": op.media_type} for op in contract.operations.values()}
        # A body alone does not say with which status and headers it came.
        self.unseen = frozenset(
            f"{op.id}.{rule}"
            for op in contract.operations.values()
            for rule in ("shape.status", "shape.media_type", "rejection.no_server_error")
        )
        self.garbled: list[tuple[Any, str, str, bytes]] = []
        """What is no object, until it is known whether the file holds answers at all."""
        self.matched = operation is not None

    def read(self, file: io.BufferedReader) -> None:
        """Finds out what kind of file it is, and judges what is in it."""
        try:
            head = file.peek(CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"{self.name} cannot be read: {error}") from error
        text = head.lstrip(b"\xef\xbb\xbf" + SPACE.encode())
        if not text:
            raise ConfigError(f"{self.name} is empty")
        if self.name.removesuffix(".gz").endswith((".ndjson", ".jsonl")) or _by_lines(text):
            self.lines(file)
        else:
            stream = _Text(file, self.name)
            try:
                self.array(stream) if text[:1] == b"[" else self.objects(stream)
            finally:
                stream.file.detach()  # Whoever opened the file closes it.
        if self.garbled:
            _, problem, place, _ = self.garbled[0]
            raise ConfigError(f"{place} {problem or 'is no object'}; nothing in the file resembles an answer")

    # ------------------------------------------------------------------ bodies

    def lines(self, file: io.BufferedReader) -> None:
        """NDJSON: one body on each line."""
        number = 0
        name = self.name
        while True:
            try:
                line = file.readline(LONGEST)
            except (OSError, EOFError, zlib.error) as error:
                raise ConfigError(f"{name}, after line {number}, cannot be read: {error}") from error
            if not line:
                return
            number += 1
            whole = line.endswith(b"\n")
            if len(line) >= LONGEST:
                raise ConfigError(f"{name}, line {number}, is longer than {LONGEST:,} bytes")
            if number == 1 and line.startswith(b"\xef\xbb\xbf"):
                line = line[3:]
            line = line.strip()
            if line:
                value, problem = decode(line)
                judged = self.account.responses
                if problem and not whole and judged:
                    raise ConfigError(f"{name}, line {number}, ends in the middle: it was not recorded whole")
                self.body(value, problem, f"{name}:{number}", line)

    def array(self, stream: _Text) -> None:
        """A list of bodies."""
        strict = Strict()
        for number, value in enumerate(stream.items(strict.decoder), 1):
            self.body(value, strict.problem, f"{self.name}, entry {number}")
            strict.problem = ""
        if stream.peek():
            raise stream.error("goes on after the end of its list")

    def objects(self, stream: _Text) -> None:
        """A HAR, one body, or several one after another."""
        number = 0
        strict = Strict()
        while stream.peek():
            number += 1
            if stream.peek() != "{":
                raise stream.error(f"is none of JSON, NDJSON and HAR: it begins with {stream.peek()!r}")
            found: dict[str, Any] = {}
            for name in stream.members():
                if name == "log" and stream.peek() == "{" and not found.keys() & self.contract.record.keys():
                    self.archive(stream)
                    continue
                if name in found:
                    strict.problem = f"the key {name!r} stands twice"
                found[name] = stream.value(strict.decoder)
            if found:
                place = self.name if number == 1 else f"{self.name}, entry {number}"
                self.body(found, strict.problem, place)
                strict.problem = ""

    def body(self, value: Any, problem: str, place: str, content: bytes = b"") -> None:
        """Judges one body, which is taken for that of a success."""
        operation = self.operation or self.contract.like(value)
        if operation is None:
            if isinstance(value, dict):
                self.account.skipped += 1
                return
            # Whether it was meant for one is seen when another one is.
            operation = self.contract.update
            if not self.matched:
                if len(self.garbled) < 1000:
                    self.garbled.append((value, problem, place, content))
                return
        elif not self.matched:
            self.matched = True
            waiting, self.garbled = self.garbled, []
            for value_, problem_, place_, content_ in waiting:
                self.judged(operation, value_, problem_, place_, content_)
        if self.operation is None and operation is self.contract.update:
            self.account.taken = operation.id
        self.judged(operation, value, problem, place, content)

    def judged(self, operation: Operation, value: Any, problem: str, place: str, content: bytes) -> None:
        name = operation.id
        response = Response(
            status=operation.success, headers=self.headers[name], content=content, body=value, problem=problem
        )
        result = self.judge.judge(Interaction(case=self.cases[name], response=response))
        self.account.add(result, place, self.unseen)

    # --------------------------------------------------------------------- HAR

    def archive(self, stream: _Text) -> None:
        """The log of a HAR."""
        har = _Archive(self)
        for name in stream.members():
            if name != "entries":
                stream.value()
                continue
            for number, entry in enumerate(stream.items(), 1):
                har.entry(entry, f"{self.name}, entry {number}")


def _by_lines(text: bytes) -> bool:
    """True where the first line is a whole JSON value and more follow, or where it is no JSON at all."""
    line, gap, rest = text.partition(b"\n")
    line = line.strip()
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        opens = line[:1] in (b"{", b"[") and (not gap or line[-1:] in (b"{", b"[", b","))
        return not opens
    if isinstance(value, dict) and isinstance(value.get("log"), dict) and "entries" in value["log"]:
        return False
    return isinstance(value, dict) or bool(rest.strip())


class _Archive:
    """Judges the entries of one HAR, and remembers what they show of each record."""

    def __init__(self, file: _File) -> None:
        self.file = file
        self.account = file.account
        self.judge = file.judge
        self.contract = file.contract
        self.known: OrderedDict[str, tuple[JSONObject, bool]] = OrderedDict()
        """Record -> (how it was last shown, whether by a read)."""
        self.last: dict[str, Any] = {}
        """Record -> the body of the update that was the last thing to happen to it."""
        self.began: datetime | None = None
        """When the last exchange began."""

    def entry(self, entry: Any, place: str) -> None:
        """Judges one entry."""
        pair = _pair(entry)
        if pair is None:
            self.account.skipped += 1
            return
        method, path, sent, response = pair
        began = instant(entry.get("startedDateTime"))
        if began is not None and self.began is not None and began < self.began:
            # Out of order: what was shown before says nothing about this one.
            self.known.clear()
            self.last.clear()
        self.began = began or self.began
        found = self.contract.match(method, path)
        if found is None or self.file.operation not in {None, found[0]}:
            self.account.skipped += 1
            return
        operation, id = found
        unsaid = operation.request is not None and _unsaid(entry["request"])
        if response.status in {0, 304} or unsaid or _left_out(entry["response"].get("content"), response):
            self.account.skipped += 1
            if operation.request is not None:
                # It changed nobody knows what.
                self.known.pop(id, None)
                self.last.pop(id, None)
            return
        before, verified = self.known.get(id, (None, True))
        case = self.case(operation, sent, id, accepted=response.ok)
        interaction = Interaction(case=case, response=response, before=before, verified=verified, id=id)
        result = self.judge.judge(interaction)
        self.note(operation, interaction, result)
        self.account.add(result, f"{place} ({method} {plain(path)[:80]})")

    def case(self, operation: Operation, sent: Any, id: str, *, accepted: bool) -> Case:
        """What was asked. Nobody knows which answer was expected, unless the documents exclude the body."""
        request = operation.request
        if request is None or not isinstance(sent, dict):
            return Case(label="recorded", operation=operation.id, expect="unspecified", body=sent)
        fields = request.fields
        facets = {name: _excluded(fields[name], value) for name, value in sent.items() if name in fields}
        excluded = [f"{operation.id}.rejection.{name}.{facet}" for name, facet in facets.items() if facet]
        rule = excluded[0] if len(excluded) == 1 else ""
        base = Case(label="recorded", operation=operation.id, expect="unspecified", body=sent)
        if rule in self.judge.rules:
            return replace(base, expect="reject", rule=rule)
        loose = _loose(fields, sent)
        if accepted and not loose and sent.keys() <= fields.keys():
            base = replace(base, expect="accept")
        return replace(base, open=loose, repeat=int(id in self.last and self.last[id] == sent))

    def note(self, operation: Operation, interaction: Interaction, result: Judgement) -> None:
        """Remembers how the record stands now."""
        id, response = interaction.id, interaction.response
        if operation is self.contract.update and id:
            if result.record is not None:
                self.keep(id, result.record, verified=False)
            elif response.ok or response.status >= 500:
                self.known.pop(id, None)
            if response.ok and isinstance(interaction.case.body, dict):
                self.last[id] = interaction.case.body
                if len(self.last) > REMEMBERED:
                    self.last.clear()
            else:
                self.last.pop(id, None)
        elif operation is self.contract.retrieve and result.record is not None and id:
            self.keep(id, result.record, verified=True)
        elif self.contract.list_in(operation):
            self.listed(interaction.response, result)

    def listed(self, response: Response, result: Judgement) -> None:
        """Compares the entries of a list with what was read of these records."""
        for entry in self.judge.items(response)[:100]:
            id = entry.get(self.judge.key) if isinstance(entry, dict) and self.judge.key else None
            known = self.known.get(id) if isinstance(id, str) else None
            if isinstance(id, str) and known is not None and known[1]:
                compared = self.judge.in_list(response, id, known[0])
                result.findings += compared.findings
                result.evidence += compared.evidence

    def keep(self, id: str, record: JSONObject, *, verified: bool) -> None:
        self.known[id] = (record, verified)
        self.known.move_to_end(id)
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)


def _excluded(item: Field, value: Any) -> str:
    """The facet by which the documents exclude *value* for certain: they are silent about capital letters."""
    known = {str(one).casefold() for one in (*item.enum, *item.open_values)}
    if item.enum and isinstance(value, str) and value.casefold() not in known:
        return "enum"
    return item.beyond(value)


def _loose(fields: Mapping[str, Field], sent: JSONObject) -> dict[str, str]:
    """The fields of a body for which the documents are silent; see `check.settled`."""
    found: dict[str, str] = {}
    for name, value in sent.items():
        item = fields.get(name)
        if item is None:
            continue
        kinds = item.types
        if value is None and "null" not in kinds:
            found[name] = "null"
        elif isinstance(value, str) and not value.strip():
            found[name] = "blank"
        elif (item.enum and value not in item.enum) or (kinds and not _typed(value, kinds)):
            found[name] = "any"
        elif isinstance(value, str) and len(value) > item.schema.get("maxLength", len(value)):
            found[name] = "exact"
    return found


def _typed(value: Any, kinds: tuple[str, ...]) -> bool:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    name = names.get(type(value), "null")
    return name in kinds or (name == "integer" and "number" in kinds)


def _pair(entry: Any) -> tuple[str, str, Any, Response] | None:
    """(method, path, body that was sent, answer) of one entry of a HAR, or nothing where it is damaged."""
    if not isinstance(entry, dict):
        return None
    request, response = entry.get("request"), entry.get("response")
    if not isinstance(request, dict) or not isinstance(response, dict):
        return None
    status, url, method = response.get("status"), request.get("url"), request.get("method")
    if not isinstance(url, str) or not isinstance(method, str) or not isinstance(status, int):
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    posted = request.get("postData")
    text = posted.get("text") if isinstance(posted, dict) else None
    sent = decode(text.encode("utf-8", "surrogatepass"))[0] if isinstance(text, str) else MISSING
    return method, path, sent, received(status, _headers(response), _content(response.get("content")))


def _unsaid(request: Mapping[str, Any]) -> bool:
    """True where the recording does not hold what was sent."""
    posted = request.get("postData")
    return not (isinstance(posted, dict) and isinstance(posted.get("text"), str)) and request.get("bodySize") != 0


def _left_out(found: Any, response: Response) -> bool:
    """True where there was a body that the recording does not hold."""
    if response.content or response.status == 204:
        return False
    if not isinstance(found, dict) or ("text" not in found and found.get("size") != 0):
        return True
    size = found.get("size")
    return isinstance(size, int) and size > 0


def _content(found: Any) -> bytes:
    text = found.get("text") if isinstance(found, dict) else None
    if not isinstance(text, str):
        return b""
    if found.get("encoding") == "base64":
        try:
            return base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError):
            return b""
    return text.encode("utf-8", "surrogatepass")


def _headers(response: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    headers = response.get("headers")
    for one in headers if isinstance(headers, list) else ():
        if isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("value"), str):
            name = one["name"].lower()
            found[name] = f"{found[name]}, {one['value']}" if name in found else one["value"]
    content = response.get("content")
    if "content-type" not in found and isinstance(content, dict) and isinstance(content.get("mimeType"), str):
        found["content-type"] = content["mimeType"]
    return found


# ------------------------------------------------------------------------------ telling


def data(account: Account, mask: Mask) -> dict[str, Any]:
    """What was found, as JSON."""
    counts = _counts(account)
    return {
        "format": 1,
        "verdict": {0: "kept", 1: "broken", 2: "undecided"}[account.status],
        "responses": account.responses,
        "skipped": account.skipped,
        "problems": [plain(problem) for problem in account.problems],
        "kept": counts["kept"],
        "not_exercised": counts["not_exercised"],
        "rules": [
            {
                "id": rule,
                "verdict": "warned" if account.weak(rule) else "broken",
                "count": fold.count,
                "place": fold.place,
                "message": mask.line(fold.finding.message),
                "pointer": fold.finding.pointer,
                "expected": expected(fold.finding, mask),
                "actual": mask.value(fold.finding.actual, fold.finding.leaf),
            }
            for rule, fold in sorted(account.folds.items(), key=lambda pair: (rank(pair[0]), pair[0]))
        ],
    }


def _counts(account: Account) -> Counter[str]:
    found: Counter[str] = Counter()
    evidence = account.evidence
    for rule in account.judge.rules:
        if rule in account.folds:
            found["warned" if account.weak(rule) else "broken"] += 1
        else:
            found["kept" if evidence[rule] else "not_exercised"] += 1
    return found


def lines(account: Account, mask: Mask, style: Style = unstyled) -> Iterator[str]:
    """What a person reads, beside the problems."""
    weak = sorted(rule for rule in account.folds if account.weak(rule))
    for rule in [*account.broken, *weak]:
        fold = account.folds[rule]
        found = fold.finding
        word = ("warned ", "warned") if rule in weak else ("broken ", "broken")
        often = f", {fold.count:,} times" if fold.count > 1 else ""
        yield style(*word) + f" {rule}{often}"
        yield f"        {mask.line(found.message)}"
        where = f", at {plain(found.pointer)}" if found.pointer else ""
        yield f"        {'first in ' if fold.count > 1 else 'in '}{plain(fold.place)}{where}"
        yield from expected_lines(found, mask, "        ")
    if not account.responses:
        yield style("UNDECIDED", "undecided") + ": nothing resembles an answer of the contract"
        return
    counts = _counts(account)
    skipped = (
        f"; left out, because no answer of the contract looks like it: {account.skipped:,}" if account.skipped else ""
    )
    taken = f"; taken for {account.taken}: --operation says otherwise" if account.taken else ""
    verdict = ("kept", "broken", "undecided")[account.status]
    rules = sum(counts.values())
    many = "s" if account.responses != 1 else ""
    yield (
        style(verdict.upper(), verdict)
        + f": {rules} rules: {tally(counts)}; {account.responses:,} response{many}{taken}{skipped}"
    )
