"""
The pytest plugin: the contract as items beside the user's own tests, and fixtures for these.

pytest loads this file in every run of the user's environment. So nothing heavy is imported before it is
needed, and the hooks that cost something belong to an object that exists only with ``--contract``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pytest

if TYPE_CHECKING:
    import httpx

    from contract.api import Spec
    from contract.compare import Comparison
    from contract.config import Settings
    from contract.ledger import Entry
    from contract.model import Rule
    from contract.report import Mask
    from contract.run import Result

ROOT: Final = "contract"
"""The first part of the node id of every item."""
GENERAL: Final = "in_general"
"""The last part of the node id of a rule that is about a whole promise."""
_OPTIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "config": ("", "FILE", "settings to read instead of the nearest contract.toml"),
    "base_url": ("base_url", "URL", "address of the API, with its path"),
    "id": ("ids", "ID", "record that the run may update; may be repeated"),
    "profile": ("profile", "NAME", "smoke, standard or deep"),
    "strict": ("strict", "BASIS", "weakest basis that fails a run: documented, observed, inferred"),
    "seed": ("seed", "N", "seed of everything that is drawn"),
    "report_dir": ("report_dir", "DIR", "where reports are written"),
    "against": ("", "RUN.json", "an earlier run: what changed since then fails, too"),
}
"""Name of the option and of the ini key, without their beginnings -> (setting, its value, what it is)."""
_PATHS: Final = ("config", "report_dir", "against")


class ContractWarning(UserWarning):
    """
    A rule is broken whose basis is weaker than asked for.
    """


# ------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Declares each setting as an option and as an ini key, neither with a value of its own.
    """
    group = parser.getgroup("contract", "contract tests of an HTTP API")
    about = "collect the contract as items, beside the tests that are there"
    group.addoption("--contract", action="store_true", default=None, help=about)
    parser.addini("contract", f"{about} (--contract)", type="bool", default=None)
    for name, (_, value, help) in _OPTIONS.items():
        option = f"--contract-{name.replace('_', '-')}"
        action = "append" if name == "id" else "store"
        group.addoption(option, action=action, metavar=value, default=None, help=help)
        kind: Any = {"id": "args", "seed": "int"}.get(name, "string")
        parser.addini(f"contract_{name}", f"{help} ({option})", type=kind, default=None)
    group.addoption(
        "--contract-accept",
        action="store_true",
        default=None,
        help="write what is broken now to the file of known failures, for 90 days",
    )


def pytest_configure(config: pytest.Config) -> None:
    """
    Registers the marker, and the run where it is asked for.
    """
    config.addinivalue_line("markers", "contract: one rule of the contract (pytest-contract)")
    given = config.getoption("contract")
    if given or (given is None and config.getini("contract")):
        config.pluginmanager.register(ContractRun(config), "contract-run")


def _option(config: pytest.Config, name: str) -> tuple[Any, bool]:
    """
    (value, True where it stands in the ini file) of an option.
    """
    value = config.getoption(f"contract_{name}")
    if value is not None:
        return value, False
    value = config.getini(f"contract_{name}")
    if name in _PATHS and value and config.inipath is not None:
        value = str(config.inipath.parent / Path(value).expanduser())
    return value, True


def _settings(config: pytest.Config) -> Settings:
    """
    The settings: command line over environment over ini file over contract.toml.

    Raises:
        ConfigError: a value cannot be used; says which layer set it.
    """
    from contract.config import resolve

    options: dict[str, Any] = {}
    ini: dict[str, tuple[Any, str]] = {}
    names = {}
    for name, (setting, *_) in _OPTIONS.items():
        value, from_ini = _option(config, name)
        if not setting or value is None:
            continue
        names[setting] = f"--contract-{name.replace('_', '-')}"
        if from_ini:
            ini[setting] = (value, f"the ini key contract_{name}")
        else:
            options[setting] = value
    file, _ = _option(config, "config")
    return resolve(options, config=file, names=names, ini=ini, start=config.invocation_params.dir)


def _mask(settings: Settings) -> Mask:
    from contract.config import credentials
    from contract.report import Mask
    from contract.send import Credentials

    given = Credentials(**credentials())
    return Mask(secrets=given.secrets, names=tuple(pointer.rpartition("/")[2] for pointer in settings.mask))


# ---------------------------------------------------------------------------- nodes


class ContractNode(pytest.Collector):
    """
    The contract, one of its operations, or one promise of an operation.
    """

    made: list[pytest.Item | pytest.Collector] | None = None
    run: ContractRun

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """
        What is below it: made by the run for the whole contract at once.
        """
        return self.run.collect(self) if self.made is None else self.made


class _Item(pytest.Item):
    """
    Looks up what the run found; the first one of a session has it carried out.
    """

    run: ContractRun

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """
        A warning that is an error by the user's wish is told in its own words.
        """
        if isinstance(excinfo.value, ContractWarning):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **kwargs)


class RuleItem(_Item):
    """
    One rule.
    """

    rule: Rule
    file: str

    def runtest(self) -> None:
        """
        Passes, fails, warns or is skipped, as the rule was kept, broken, warned about or not exercised.
        """
        self.run.tell(self)

    def reportinfo(self) -> tuple[Path, int, str]:
        """
        The line of the fragment that states the rule.
        """
        return Path(self.file), (self.rule.line or 1) - 1, self.rule.id


class RegressionsItem(_Item):
    """
    What changed since an earlier run.
    """

    def runtest(self) -> None:
        """
        Fails where the API does not do as well, or not the same, as in the earlier run.
        """
        from contract import compare

        self.run.carry_out(self.session)
        found = self.run.comparison
        if isinstance(found, str):
            _fail(f"could not tell: {found}")
        if found is not None and found.status:
            _fail("\n".join(compare.lines(found)))

    def reportinfo(self) -> tuple[Path, int, str]:
        """
        The file of the earlier run.
        """
        return Path(self.run.against), 0, "contract.regressions"


def _fail(text: str) -> NoReturn:
    pytest.fail(text, pytrace=False)


# ---------------------------------------------------------------------------- the run


class ContractRun:
    """
    The run of one session: collects the items, is carried out once, and tells what it found.
    """

    def __init__(self, config: pytest.Config) -> None:
        from contract.errors import ContractError

        self.config = config
        try:
            self.settings = _settings(config)
        except ContractError as error:
            raise pytest.UsageError(str(error)) from error
        self.file = str(_option(config, "config")[0] or "")
        self.against = str(_option(config, "against")[0] or "")
        self.accept = bool(config.getoption("contract_accept"))
        self.worker: Mapping[str, Any] = getattr(config, "workerinput", {})
        self.folder: Path | None = None
        """Where the workers of pytest-xdist meet."""
        self.chosen: dict[str, bool] = {}
        """Node ids that were asked for -> whether anything has them."""
        self.collected = False
        self.rules: frozenset[str] = frozenset()
        self.only: frozenset[str] | None = None
        self.result: Result | None = None
        self.entries: dict[str, Entry] = {}
        self.problem = ""
        """Why there is no result."""
        self.comparison: Comparison | str | None = None
        self.accepted: list[Any] = []

    # ------------------------------------------------------------- collecting

    def pytest_report_header(self) -> str:
        """
        The options that start the same run again.
        """
        from contract.config import find

        settings = self.settings
        file = self.file or find(self.config.invocation_params.dir)
        given = {
            "config": str(file or ""),
            "base-url": settings.base_url,
            "profile": settings.profile,
            "strict": settings.strict,
            "seed": str(settings.seed),
        }
        words = ["--contract", *(f"--contract-{name}={value}" for name, value in given.items() if value)]
        words += [f"--contract-id={id}" for id in settings.ids]
        return f"contract: {shlex.join(words)}"

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """
        Takes node ids of the contract out of the arguments: pytest looks for a file of that name.
        """
        rest = []
        for arg in self.config.args:
            path, colons, names = arg.partition("::")
            here = path == ROOT or (self.config.invocation_params.dir / path).resolve() == self.config.rootpath / ROOT
            if colons and here:
                self.chosen[f"{ROOT}::{names}"] = False
            else:
                rest.append(arg)
        self.config.args = rest
        found = yield
        if self.collected:
            for id, known in self.chosen.items():
                if not known:
                    raise pytest.UsageError(f"not found: {id} (pytest --contract --co -q lists every one)")
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """
        Puts the contract beside whatever the session collects from files.
        """
        report = yield
        if isinstance(collector, pytest.Session) and not self.collected and report.passed:
            self.collected = True
            node = ContractNode.from_parent(collector, name=ROOT, nodeid=ROOT)
            node.run = self
            report.result.append(node)
        return report

    def collect(self, root: ContractNode) -> list[pytest.Item | pytest.Collector]:
        """
        The nodes below *root*: operations, promises, and one item for each rule.
        """
        from contract import rules as made
        from contract import spec as specs
        from contract.errors import ContractError

        try:
            contract = specs.load(self.settings.spec or None)
        except ContractError as error:
            raise pytest.Collector.CollectError(str(error)) from error
        rules = made.rules(contract)
        self.rules = frozenset(rules)
        root.made = []
        nodes: dict[tuple[str, ...], ContractNode] = {(): root}
        taken: set[str] = set()
        for rule in rules.values():
            detail = rule.id.removeprefix(f"{rule.operation}.{rule.promise}").removeprefix(".")
            name = re.sub(r"[^\w.+-]", "_", detail) or GENERAL
            id = "::".join((ROOT, rule.operation, rule.promise, name))
            while id in taken:
                name, id = f"{name}_", f"{id}_"
            taken.add(id)
            if not self._wanted(id):
                continue
            parent = root
            for path in ((rule.operation,), (rule.operation, rule.promise)):
                if path not in nodes:
                    nodes[path] = ContractNode.from_parent(parent, name=path[-1])
                    nodes[path].run, nodes[path].made = self, []
                    assert parent.made is not None
                    parent.made.append(nodes[path])
                parent = nodes[path]
            item = RuleItem.from_parent(parent, name=name)
            item.run, item.rule, item.file = self, rule, contract.document.file
            item.extra_keyword_matches.add(rule.id)
            item.add_marker("contract")
            assert parent.made is not None
            parent.made.append(item)
        if self.against and self._wanted(f"{ROOT}::regressions"):
            last = RegressionsItem.from_parent(root, name="regressions")
            last.run = self
            last.add_marker("contract")
            root.made.append(last)
        return root.made

    def _wanted(self, id: str) -> bool:
        """
        True for an item that was asked for, by itself or by a node above it, and where none was.
        """
        found = [chosen for chosen in self.chosen if id == chosen or id.startswith(f"{chosen}::")]
        self.chosen.update(dict.fromkeys(found, True))
        return bool(found) or not self.chosen

    # -------------------------------------------------------------- the run

    def carry_out(self, session: pytest.Session) -> Result:
        """
        What the run found; the first call carries it out, for the items that were selected.
        """
        if self.result is None and not self.problem:
            # Should this tool itself fail, one item shows how, and the others do not try again.
            self.problem = "the run did not come to its end"
            self.problem = self._carry_out(session)
        if self.result is None:
            _fail(f"could not tell: {self.problem}")
        return self.result

    def _carry_out(self, session: pytest.Session) -> str:
        """
        Carries out the run; returns why there is no result, where there is none.
        """
        from contract.compare import read
        from contract.config import credentials
        from contract.errors import ContractError
        from contract.known import place
        from contract.report import plain
        from contract.run import run
        from contract.shares import together

        selected = frozenset(item.rule.id for item in session.items if isinstance(item, RuleItem))
        compared = any(isinstance(item, RegressionsItem) for item in session.items)
        self.only = None if compared or selected == self.rules else selected
        settings = place(self.settings, self.file)[0] if self.accept else self.settings
        try:
            settings.need("base_url", "ids", option="--contract-")
            earlier = read(self.against) if compared else None
            if self.worker:
                folder, workers = Path(self.worker["contract_folder"]), int(self.worker["workercount"])
                result = together(settings, credentials(), folder, workers=workers, only=self.only)
            else:
                result = run(settings, credentials(), only=self.only)
        except ContractError as error:
            return plain(_mask(self.settings).text(str(error)))
        self._have(result)
        if earlier is not None:
            self._compare(earlier)
        if result.interrupted:
            self._end(result.interrupted)
        return ""

    def _have(self, result: Result) -> None:
        if self.accept:
            self.accepted = result.accepting()
        self.result = result
        self.entries = {entry.rule.id: entry for entry in result.entries}

    def _compare(self, earlier: Mapping[str, Any]) -> None:
        from contract import compare, report
        from contract.errors import ConfigError

        assert self.result is not None
        try:
            self.comparison = compare.compare(earlier, report.data(self.result, _mask(self.settings)))
        except ConfigError as error:
            self.comparison = str(error)

    def _end(self, number: int) -> None:
        """
        Ends the session after a signal: the records were put back before.
        """
        import signal

        if number == signal.SIGINT:
            raise KeyboardInterrupt
        pytest.exit(f"ended by {signal.Signals(number).name}", returncode=128 + number)

    def tell(self, item: RuleItem) -> None:
        """
        Lets *item* end as its rule did.
        """
        result = self.carry_out(item.session)
        mask = _mask(self.settings).of(result)
        entry = self.entries[item.rule.id]
        cause = self._cause(entry)
        if cause is not entry and cause.verdict != "undecided":
            # It is told there, if anybody sees that.
            if self.only is None or cause.rule.id in self.only:
                pytest.skip(entry.reason)
            entry = cause
        self._end_as(item, entry, result, mask)

    def _cause(self, entry: Entry) -> Entry:
        """
        The entry under which *entry* is told.
        """
        seen = {entry.rule.id}
        while entry.verdict == "undecided" and entry.reason.startswith("told under "):
            entry = self.entries[entry.reason.removeprefix("told under ")]
            if entry.rule.id in seen:
                break
            seen.add(entry.rule.id)
        return entry

    def _end_as(self, item: RuleItem, entry: Entry, result: Result, mask: Mask) -> None:
        from contract.report import failure_lines, plain

        reason = plain(mask.text(entry.reason))
        if entry.verdict == "broken" or entry.accepted:
            if entry.accepted:
                pytest.xfail(reason)
            _fail("\n".join(failure_lines(result, entry, mask)).rstrip("\n"))
        if entry.verdict == "warned":
            message = plain(mask.text(entry.failures[0].finding.message))
            item.warn(ContractWarning(f"{entry.rule.id} ({entry.rule.basis} only): {message}"))
        if entry.verdict == "undecided":
            _fail(f"could not tell: {reason}")
        if entry.verdict == "not_exercised":
            if result.problem and not entry.rule.needs:
                _fail(f"could not tell: {plain(mask.text(result.problem))}")
            pytest.skip(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """
        Gives what an item reports the place where its rule is stated.
        """
        report = yield
        if isinstance(item, _Item) and call.excinfo is not None:
            path, line, _ = item.reportinfo()
            crash = getattr(report.longrepr, "reprcrash", None)
            if isinstance(report.longrepr, tuple):
                report.longrepr = (str(path), (line or 0) + 1, report.longrepr[2])
            elif crash is not None and isinstance(call.excinfo.value, pytest.fail.Exception):
                text = str(call.excinfo.value).splitlines()
                first = text[1] if text[0].startswith("broken") else text[0]
                crash.path, crash.lineno, crash.message = str(path), (line or 0) + 1, first.strip()
        return report

    # -------------------------------------------------------- pytest-xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """
        Tells each worker where they meet.
        """
        if self.folder is None:
            import tempfile

            self.folder = Path(tempfile.mkdtemp(prefix="pytest-contract-"))
        node.workerinput["contract_folder"] = str(self.folder)

    # ---------------------------------------------------------------- the end

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """
        Writes the reports, when the workers of pytest-xdist have ended, too.
        """
        done = yield
        if self.worker:
            return done
        if self.folder is not None:
            self._gather()
        if self.result is None:
            return done
        from contract import known, report
        from contract.errors import ContractError

        try:
            self.written = report.write(self.result, Path(self.settings.report_dir), _mask(self.settings))
            if self.accepted:
                _, path = known.place(self.settings, self.file)
                known.append(path, self.accepted)
        except ContractError as error:
            self.problem = str(error)
        open_end = self.result.problem or self.result.left_behind or self.problem
        if open_end and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return done

    written: Path | None = None

    def _gather(self) -> None:
        """
        Puts together what the workers found.
        """
        import shutil

        from contract.errors import ContractError
        from contract.known import place
        from contract.shares import collected

        assert self.folder is not None
        settings = place(self.settings, self.file)[0] if self.accept else self.settings
        try:
            result = collected(settings, self.folder)
            if result is not None:
                self._have(result)
        except ContractError as error:
            self.problem = str(error)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """
        Shows the ledger: what is broken, how the records were left, the counts and where the reports are.
        """
        if self.result is None:
            return
        from contract import report

        colours: dict[str, dict[str, bool]] = {
            "broken": {"red": True, "bold": True},
            "kept": {"green": True, "bold": True},
            "warned": {"yellow": True},
            "undecided": {"yellow": True, "bold": True},
        }
        writer = self.config.get_terminal_writer()
        terminalreporter.section("contract")
        for line in report.lines(
            self.result,
            _mask(self.settings),
            lambda text, name: writer.markup(text, **colours.get(name, {})),
            quiet=self.config.get_verbosity() < -1,
            brief=True,
        ):
            writer.line(line)
        if self.result.only is not None:
            writer.line(f"{len(self.result.only)} rules were selected; the others were judged in passing, if at all")
        if self.problem:
            writer.line(f"could not tell: {self.problem}", red=True)
        if self.accepted:
            from contract.known import place

            writer.line(f"accepted {len(self.accepted)} failures: {place(self.settings, self.file)[1]}")
        if self.written is not None:
            writer.line(f"report: {self.written}")


# ------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def contract_config(pytestconfig: pytest.Config) -> Settings:
    """
    The settings, as the command line, the environment, the ini file and contract.toml give them.
    """
    from contract.errors import ContractError

    try:
        return _settings(pytestconfig)
    except ContractError as error:
        _fail(str(error))


@pytest.fixture(scope="session")
def contract_spec(contract_config: Settings) -> Spec:
    """
    The configured fragment, as `contract.load` returns it.
    """
    from contract.api import load
    from contract.errors import ContractError

    try:
        return load(contract_config.spec or None)
    except ContractError as error:
        _fail(str(error))


@pytest.fixture(scope="session")
def contract_transport(contract_config: Settings) -> Iterator[httpx.BaseTransport]:
    """
    What carries the requests of `contract_client`; a fixture of this name may return an ``httpx.MockTransport``.
    """
    from contract.client import transport
    from contract.errors import ContractError

    try:
        made = transport(contract_config)
    except ContractError as error:
        _fail(str(error))
    yield made
    made.close()


@pytest.fixture
def contract_client(
    contract_config: Settings, contract_spec: Spec, contract_transport: httpx.BaseTransport
) -> httpx.Client:
    """
    An ``httpx.Client`` with base URL and credentials; an answer that breaks the contract fails the test.
    """
    from contract.client import client
    from contract.config import credentials
    from contract.errors import ContractError

    try:
        # It is not closed: the connections are the transport's, and serve the next test.
        return client(contract_config, contract_spec, credentials(), contract_transport, _fail)
    except ContractError as error:
        _fail(str(error))
