"""``make bench``: how fast it is, each figure beside what it is measured against.

Prints the table, writes ``reports/bench.md`` and ``reports/bench.json``, and exits 1 where a goal is
missed. Ratios are of medians; the spread is the least and the most. Traffic goes to loopback only.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DEEP_SECONDS = float(os.environ.get("BENCH_DEEP_SECONDS", "600"))


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    figure: float
    goal: float
    unit: str
    spread: str = ""
    least: bool = False
    """True where the goal is the least that will do."""
    note: str = ""

    @property
    def met(self) -> bool:
        """True where the goal is met."""
        return self.figure >= self.goal if self.least else self.figure <= self.goal


@contextmanager
def served(*options: str) -> Iterator[dict[str, Any]]:
    """The reference server in a process of its own."""
    command = [sys.executable, "-m", "contract", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(timeout=10)


def environment(server: dict[str, Any]) -> dict[str, str]:
    """The environment in which a client of *server* runs."""
    given = {"CONTRACT_USERNAME": server["username"], "CONTRACT_PASSWORD": server["password"]}
    rest = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**rest, **given, "CI": "true"}


def timed(command: list[str], env: dict[str, str], cwd: str, allowed: tuple[int, ...]) -> tuple[float, float]:
    """(wall, CPU) seconds of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=400)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in allowed:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout[-800:]} {done.stderr[-800:]}")
    return wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def spread(values: list[float]) -> str:
    """The least and the most."""
    return f"{min(values):.3g} - {max(values):.3g}"


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, str]:
    """The ratio of the medians, and the spread of the single ratios."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=False)]
    return statistics.median(ours) / statistics.median(theirs), spread(pairs)


def config(server: dict[str, Any], folder: str, **more: Any) -> str:
    """A contract.toml for *server*."""
    values = {"base_url": server["base_url"], "ids": server["ids"][:1], "state_dir": f"{folder}/state", **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["[resources]", *(f'{key} = "{value}"' for key, value in server["resources"].items())]
    path = Path(folder) / "contract.toml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def against_peer() -> Iterator[Row]:
    """A standard run beside ``st run`` on the exported fragment, set up so that it reaches as much as it can:
    the companions as branches, the one record that is there, and on after the first failure.
    """
    from contract import spec

    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    with served() as server, tempfile.TemporaryDirectory() as folder:
        file = config(server, folder, report_dir=f"{folder}/reports")
        exported = Path(folder) / "openapi.json"
        exported.write_text(json.dumps(aimed(branched(spec.load()), server["ids"][0])))
        run = [sys.executable, "-m", "contract", "run", "--config", file, "-q"]
        peer = [str(Path(sys.executable).parent / "st"), "run", str(exported), "--url", server["base_url"]]
        peer += ["--auth", f"{server['username']}:{server['password']}", "--phases", "examples,coverage,fuzzing"]
        peer += ["--continue-on-failure", "--seed", "1"]
        timed(run, environment(server), folder, (0,))  # the first start compiles the modules
        for turn in range(5):
            ours.append(timed(run, environment(server), folder, (0,)))
            if turn < 2:
                theirs.append(timed(peer, environment(server), folder, (0, 1)))
    for i, name in enumerate(("wall", "CPU")):
        mine, other = [pair[i] for pair in ours], [pair[i] for pair in theirs]
        figure = statistics.median(mine) / statistics.median(other)
        note = f"{statistics.median(mine):.2f} s against {statistics.median(other):.1f} s"
        yield Row(f"standard run, {name}, against st run", figure, 0.10, "x", spread(mine), note=note)


def aimed(document: dict[str, Any], id: str) -> dict[str, Any]:
    """*document*, in which every path leads to the record *id*."""
    for item in document["paths"].values():
        for parameter in itertools.chain(
            *(part.get("parameters", ()) for part in (item, *item.values()) if isinstance(part, dict))
        ):
            if parameter.get("in") == "path":
                parameter["schema"] = {"type": "string", "enum": [id]}
    return document


def settings(server: dict[str, Any], folder: str, **more: Any) -> Any:
    """Settings for a run in this process."""
    from contract.config import Settings

    base = {"base_url": server["base_url"], "ids": tuple(server["ids"][:1]), "resources": server["resources"]}
    return Settings(**{**base, "state_dir": f"{folder}/state", **more})


def given(server: dict[str, Any]) -> dict[str, str]:
    """The credentials of *server*."""
    return {"username": server["username"], "password": server["password"], "token": ""}


def economy() -> Iterator[Row]:
    """Requests of a run, and CPU for each."""
    import httpx

    from contract.run import run

    cpu: list[float] = []
    bare: list[float] = []
    with served() as server, tempfile.TemporaryDirectory() as folder:
        run(settings(server, folder), given(server))  # what is loaded once is loaded now
        for _ in range(5):
            start = time.process_time()
            result = run(settings(server, folder), given(server))
            cpu.append((time.process_time() - start) / result.requests)
            with httpx.Client(auth=(server["username"], server["password"])) as client:
                start = time.process_time()
                for exchange in result.exchanges:
                    method = result.contract.operations[exchange.case.operation].method
                    headers = {"Content-Type": exchange.case.media_type}
                    answer = client.request(method, exchange.url, content=exchange.content, headers=headers)
                    try:
                        answer.json()
                    except ValueError:
                        continue
                bare.append((time.process_time() - start) / len(result.exchanges))
    yield Row("requests of a standard run", result.requests, 300, "")
    figure = result.plan.updates / result.plan.bound
    yield Row("updates of the tour, against the least possible", figure, 1.25, "x", note=f"{result.plan.updates}")
    figure, between = ratio(cpu, bare)
    note = f"{statistics.median(cpu) * 1e3:.2f} ms"
    yield Row("CPU per request, against a bare httpx loop", figure, 1.6, "x", between, note=note)


def branched(contract: Any) -> dict[str, Any]:
    """The exported fragment with the companions as ``anyOf`` branches, which schemathesis generates fastest."""
    from contract import export

    made = export.openapi(contract)
    schema: Any = made
    for token in contract.update.request.pointer.split("/")[1:]:
        schema = schema[token.replace("~1", "/")]
    schema.pop("allOf")
    name, selector = max(contract.update.request.selectors.items(), key=lambda pair: len(pair[1].choices))
    schema["anyOf"] = [
        {"properties": {name: {"const": choice.value}}, "required": [name, *choice.requires]}
        for choice in selector.choices.values()
    ]
    return made


def bodies() -> Iterator[Row]:
    """Valid bodies per second."""
    import hypothesis
    import jsonschema_rs
    import schemathesis
    from hypothesis import strategies as st

    from contract import export, spec
    from contract.generate import Generator

    contract = spec.load()
    request = contract.update.request
    assert request is not None
    ids = {name: "5a6f0c1e-0000-4000-8000-000000000001" for name, item in request.fields.items() if item.resource}
    generator = Generator(contract.update, ids)

    def naive() -> Any:
        branches = []
        for value in generator.enums["call_handler"]:
            need = generator.choice("call_handler", value).requires
            fixed = {"call_handler": st.just(value), **{n: generator.values[n] for n in need}}
            rest = {n: s for n, s in generator.values.items() if n not in fixed and n not in generator.selectors}
            branches.append(st.fixed_dictionaries(fixed, optional=rest))
        return st.one_of(branches)

    loaded = schemathesis.openapi.from_dict(branched(contract))
    operation = loaded[contract.update.path][contract.update.method]
    peer = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    valid = jsonschema_rs.Draft202012Validator(export.json_schema(contract))

    def speed(strategy: Any, count: int, check: bool = False) -> float:
        made: list[Any] = []

        @hypothesis.seed(1)
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(strategy)
        def collect(value: Any) -> None:
            made.append(value)

        start = time.perf_counter()
        collect()
        seconds = time.perf_counter() - start
        if check:
            assert all(valid.is_valid(body) for body in made)
        return len(made) / seconds

    ours = [speed(generator.bodies(), 400, check=True) for _ in range(3)]
    plain = [speed(naive(), 400) for _ in range(3)]
    theirs = [speed(peer, 400) for _ in range(3)]
    note = f"{statistics.median(ours):.0f} a second, all of them valid"
    figure, between = ratio(ours, theirs)
    yield Row("valid bodies per second, against schemathesis", figure, 5, "x", between, least=True, note=note)
    figure, between = ratio(ours, plain)
    yield Row("valid bodies per second, against fixed_dictionaries", figure, 1.5, "x", between, least=True)


def judging() -> Iterator[Row]:
    """Judging one answer with every rule."""
    import jsonschema
    import jsonschema_rs

    from contract import reference, spec
    from contract.budget import Budget
    from contract.check import Judge
    from contract.model import Case, Interaction
    from contract.send import Credentials, Sender

    contract = spec.load()
    judge = Judge(contract)
    with reference.running() as server:
        sender = Sender(
            contract,
            base_url=server.base_url,
            credentials=Credentials(server.username, server.password),
            budget=Budget(10, 60),
        )
        body = {"name": "x", "call_receive_mode": "voice", "call_request_method": "POST"}
        before = sender.send(Case(label="r", operation=contract.retrieve.id), server.ids[0]).body
        case = Case(label="u", operation=contract.update.id, body=body)
        answer = sender.send(case, server.ids[0])
        sender.close()
        interaction = Interaction(case=case, response=answer, before=before, id=server.ids[0])
    assert contract.update.response is not None
    schema = dict(contract.update.response.schema)
    slow = jsonschema.Draft202012Validator(schema)
    quick = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

    def each(call: Callable[[], Any], count: int) -> list[float]:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(count):
                call()
            times.append((time.perf_counter() - start) / count)
        return times

    assert not judge.judge(interaction).findings
    ours = each(lambda: judge.judge(interaction), 2000)
    python = each(lambda: slow.is_valid(answer.body), 50)
    rust = each(lambda: quick.is_valid(answer.body), 5000)
    note = f"{statistics.median(ours) * 1e6:.0f} µs"
    figure, between = ratio(python, ours)
    yield Row("judging one 200, faster than jsonschema alone", figure, 10, "x", between, least=True, note=note)
    figure, between = ratio(ours, rust)
    yield Row("judging one 200, slower than jsonschema-rs alone", figure, 8, "x", between)


def starts() -> Iterator[Row]:
    """Start of the command and import of the idle plugin."""
    env = dict(os.environ)

    def wall(code: list[str]) -> list[float]:
        timed([sys.executable, *code], env, "/", (0,))
        return [timed([sys.executable, *code], env, "/", (0,))[0] * 1e3 for _ in range(9)]

    empty = wall(["-c", "pass"])
    helped = wall(["-m", "contract", "--help"])
    figure = statistics.median(helped) - statistics.median(empty)
    yield Row("start of contract --help, beyond python", figure, 150, "ms", spread(helped))
    code = "import time, pytest; t = time.perf_counter(); import contract.plugin; print(time.perf_counter() - t)"
    costs = []
    for _ in range(9):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        costs.append(float(done.stdout) * 1e3)
    yield Row("import of the idle plugin, beside pytest", statistics.median(costs), 10, "ms", spread(costs))


def latency() -> Iterator[Row]:
    """A run at 50 ms a request, with several records."""
    import httpx

    from contract.run import run

    class Slow(httpx.BaseTransport):
        """Adds 50 ms to every request."""

        def __init__(self) -> None:
            self.inner = httpx.HTTPTransport(limits=httpx.Limits(max_connections=8))

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            """Waits, then sends."""
            time.sleep(0.05)
            return self.inner.handle_request(request)

    walls: dict[int, float] = {}
    with served() as server, tempfile.TemporaryDirectory() as folder:
        ids = [id for id in server["ids"] if _ordinary(server, id)]
        for count in (1, 2, 4):
            chosen = settings(server, folder, ids=tuple(ids[:count]))
            start = time.perf_counter()
            result = run(chosen, given(server), transport=Slow())
            assert result.verdict == "kept", result.problem
            walls[count] = time.perf_counter() - start
    for count, goal in ((2, 1.9), (4, 3.6)):
        note = f"{walls[count]:.1f} s against {walls[1]:.1f} s"
        yield Row(f"a run at 50 ms, {count} ids", walls[1] / walls[count], goal, "x", least=True, note=note)


def _ordinary(server: dict[str, Any], id: str) -> bool:
    """True for a record that a run can put back."""
    import httpx

    auth = (server["username"], server["password"])
    record = httpx.get(f"{server['base_url']}/phone_numbers/{id}", auth=auth).json()
    return bool(record["call_handler"] != "call_flow")


def deep() -> Iterator[Row]:
    """A long exploration: flat memory, steady speed."""
    code = """
import json, resource, sys, time
from contract.config import Settings
from contract.run import run
server, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
marks = []
def progress(done, planned):
    now = time.monotonic() - began
    if not marks or now - marks[-1][0] >= seconds / 20:
        marks.append((now, done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
began = time.monotonic()
settings = Settings(base_url=server["base_url"], ids=tuple(server["ids"][:1]), resources=server["resources"],
                    profile="deep", max_seconds=seconds, max_requests=10_000_000, state_dir=sys.argv[3])
result = run(settings, {"username": server["username"], "password": server["password"], "token": ""}, progress=progress)
print(json.dumps({"verdict": result.verdict, "marks": marks}))
"""
    with served() as server, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, json.dumps(server), str(DEEP_SECONDS), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEEP_SECONDS + 120)
    marks = json.loads(done.stdout.splitlines()[-1])["marks"]
    speeds = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(marks)]
    first, last = statistics.median(speeds[2:4]), statistics.median(speeds[-3:-1])
    note = f"{last:.0f} requests a second"
    yield Row(f"deep for {DEEP_SECONDS:.0f} s, last speed against first", last / first, 0.9, "x", least=True, note=note)
    growth = marks[-1][2] / marks[len(marks) // 4][2]
    yield Row("deep, memory at the end against the first quarter", growth, 1.1, "x", note=f"{marks[-1][2] // 1024} MiB")


def growth() -> Iterator[Row]:
    """The plan for more fields and more selector values."""
    from contract import plan, spec

    def fragment(fields: int, values: int) -> spec.Contract:
        names = [f"field_{i}" for i in range(fields)]
        properties: dict[str, Any] = {name: {"type": "string"} for name in names}
        enum = [f"value_{i}" for i in range(values)]
        properties["kind"] = {"type": "string", "enum": enum}
        properties["kind"]["x-selector"] = {
            v: {"requires": {names[i % fields]: {"basis": "documented"}}} for i, v in enumerate(enum)
        }
        shown: dict[str, Any] = {name: {"type": ["string", "null"]} for name in names}
        shown |= {"id": {"type": "string", "format": "uuid"}, "kind": {"type": "string", "enum": enum}}
        record = {"type": "object", "required": list(shown), "properties": shown}
        answer = {"description": "The record.", "content": {"application/json": {"schema": record}}}
        linked = {**answer, "links": {"read": {"operationId": "read_thing", "x-reads-back": ""}}}
        key = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        body = {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}
        put = {
            "operationId": "update_thing",
            "requestBody": body,
            "responses": {"200": linked},
            "x-unsent": "unchanged",
        }
        get = {"operationId": "read_thing", "responses": {"200": answer}}
        paths = {"/things/{id}": {"parameters": [key], "get": get, "put": put}}
        return spec.loads(json.dumps({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths}))

    def cost(fields: int, values: int) -> tuple[float, float]:
        contract = fragment(fields, values)
        start = time.process_time()
        made = plan.plan(contract, seed=1)
        return sum(not case.unless for case in made.cases), time.process_time() - start

    cost(10, 5)
    few, many = cost(10, 11), cost(160, 11)
    yield Row("requests planned, 160 fields against 10", many[0] / few[0], 16, "x", note=f"{many[0]:.0f}")
    yield Row("CPU of the plan, 160 fields against 10", many[1] / few[1], 16, "x", note=f"{many[1]:.2f} s")
    small, large = cost(40, 5), cost(40, 40)
    bound = 40 * 39 / (5 * 4)
    yield Row("requests planned, 40 values against 5", large[0] / small[0], bound, "x", note=f"{large[0]:.0f}")
    yield Row("CPU of the plan, 40 values against 5", large[1] / small[1], bound, "x", note=f"{large[1]:.2f} s")


def main() -> int:
    """Measures everything; 1 where a goal is missed."""
    chosen = sys.argv[1:]
    rows: list[Row] = []
    for part in (economy, bodies, judging, starts, latency, growth, against_peer, deep):
        if chosen and part.__name__ not in chosen:
            continue
        for row in part():
            rows.append(row)
            sign = ">=" if row.least else "<="
            mark = "ok  " if row.met else "MISS"
            print(
                f"{mark} {row.what:<56} {row.figure:9.3g} {row.unit:<3} {sign} {row.goal:g}  {row.spread}  {row.note}",
                flush=True,
            )
    if not chosen:
        write(rows)
    return 0 if all(row.met for row in rows) else 1


def write(rows: list[Row]) -> None:
    """Writes the table for people and for machines."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = ["# Benchmark", "", f"Measured by `make bench` on {machine}. Ratios are of medians.", ""]
    lines += ["| what | figure | goal | spread | note |", "|---|---|---|---|---|"]
    for row in rows:
        sign = "at least" if row.least else "at most"
        mark = "" if row.met else " **missed**"
        lines.append(
            f"| {row.what} | {row.figure:.3g} {row.unit}{mark} | {sign} {row.goal:g} | {row.spread} | {row.note} |"
        )
    folder = ROOT / "reports"
    folder.mkdir(exist_ok=True)
    (folder / "bench.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = [{**row.__dict__, "met": row.met} for row in rows]
    (folder / "bench.json").write_text(
        json.dumps({"machine": machine, "rows": data}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
