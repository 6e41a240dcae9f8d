"""The contract as pytest items: collects one for each rule, has the run carried out once, and tells each
item what it found.

Loaded with ``--contract`` only; see `contract.plugin`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from contract import compare, files, known, report
from contract import rules as made
from contract import spec as specs
from contract.compare import Comparison
from contract.config import credentials, find
from contract.errors import ConfigError, ContractError
from contract.known import Accepted
from contract.ledger import Entry
from contract.mask import mask_of
from contract.model import Rule
from contract.plugin import ContractWarning, fail, option_of, settings_of
from contract.result import Result
from contract.run import run
from contract.shares import collected, together

__all__ = ["ContractRun"]

ROOT: Final = "contract"
"""The first part of the node id of every item."""
GENERAL: Final = "in_general"
"""The last part of the node id of a rule that is about a whole promise."""


# ---------------------------------------------------------------------------- nodes


class ContractNode(pytest.Collector):
    """The contract, one of its operations, or one promise of an operation."""

    made: list[pytest.Item | pytest.Collector] | None = None
    run: ContractRun

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """What is below it: made by the run for the whole contract at once."""
        return self.run.collect(self) if self.made is None else self.made


class _Item(pytest.Item):
    """Looks up what the run found; the first one of a session has it carried out."""

    run: ContractRun

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """A warning that is an error by the user's wish is told in its own words."""
        if isinstance(excinfo.value, ContractWarning):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **kwargs)


class RuleItem(_Item):
    """One rule."""

    rule: Rule
    file: str

    def runtest(self) -> None:
        """Passes, fails, warns or is skipped, as the rule was kept, broken, warned about or not exercised."""
        self.run.tell(self)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The line of the fragment that states the rule."""
        return Path(self.file), (self.rule.line or 1) - 1, self.rule.id


class RegressionsItem(_Item):
    """What changed since an earlier run."""

    def runtest(self) -> None:
        """Fails where the API does not do as well, or not the same, as in the earlier run."""
        self.run.carry_out(self.session)
        found = self.run.comparison
        if isinstance(found, str):
            fail(f"could not tell: {found}")
        if found is not None and found.status:
            fail("\n".join(compare.lines(found)))

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file of the earlier run."""
        return Path(self.run.against), 0, "contract.regressions"


# ---------------------------------------------------------------------------- the run


class ContractRun:
    """The run of one session: collects the items, is carried out once, and tells what it found."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        try:
            self.settings = settings_of(config)
            self.mask = mask_of(self.settings)
        except ContractError as error:
            raise pytest.UsageError(str(error)) from error
        self.file = str(option_of(config, "config")[0] or "")
        self.against = str(option_of(config, "against")[0] or "")
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
        self.told: set[str] = set()
        """Why nothing could be told, as items have failed for it."""
        self.comparison: Comparison | str | None = None
        """What changed since the earlier run, or why that cannot be told."""
        self.accepted: list[Accepted] = []
        """New entries for the file of known failures."""
        self.written: Path | None = None
        """Where run.json is."""

    # ------------------------------------------------------------- collecting

    def pytest_report_header(self) -> str:
        """The options that start the same run again."""
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
        """Takes node ids of the contract out of the arguments: pytest looks for a file of that name."""
        rest = []
        given = self.config.invocation_params.args
        for arg in self.config.args:
            path, colons, names = arg.partition("::")
            here = path == ROOT or (self.config.invocation_params.dir / path).resolve() == self.config.rootpath / ROOT
            if colons and here:
                self.chosen[f"{ROOT}::{names}"] = False
            else:
                rest.append(arg)
        self.config.args = rest
        files = [Path(arg.partition("::")[0]) for arg in rest]
        tests = rest and all("::" in arg for arg in rest)
        plain = "--contract" not in given and all(
            (self.config.invocation_params.dir / file).is_file() for file in files
        )
        if not self.chosen and (tests or (rest and plain)):
            self.collected = True  # Somebody wants some tests of their own, and not to wait for an API.
        found = yield
        if self.collected:
            for id, there in self.chosen.items():
                if not there:
                    raise pytest.UsageError(f"not found: {id} (pytest --contract --co -q lists every one)")
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Puts the contract beside whatever the session collects from files."""
        found = yield
        if isinstance(collector, pytest.Session) and not self.collected and found.passed:
            self.collected = True
            node = ContractNode.from_parent(collector, name=ROOT, nodeid=ROOT)
            node.run = self
            found.result.append(node)
        return found

    def collect(self, root: ContractNode) -> list[pytest.Item | pytest.Collector]:
        """The nodes below *root*: operations, promises, and one item for each rule."""
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
        """True for an item that was asked for, by itself or by a node above it, and where none was."""
        found = [chosen for chosen in self.chosen if id == chosen or id.startswith(f"{chosen}::")]
        self.chosen.update(dict.fromkeys(found, True))
        return bool(found) or not self.chosen

    # -------------------------------------------------------------- the run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Ends the session where it was not said what to test; a worker's session fails in its items."""
        if (
            not self.worker
            and not session.config.option.collectonly
            and any(isinstance(item, RuleItem) for item in session.items)
        ):
            try:
                self.settings.need("base_url", "ids", option="--contract-")
            except ContractError as error:
                raise pytest.UsageError(str(error)) from error

    def carry_out(self, session: pytest.Session) -> Result:
        """What the run found; the first call carries it out, for the items that were selected."""
        if self.result is None and not self.problem:
            # Should this tool itself fail, one item shows how, and the others do not try again.
            self.problem = "the run did not come to its end"
            self.problem = self._carry_out(session)
        if self.result is None:
            self._once(f"could not tell: {self.problem}")
        return self.result

    def _carry_out(self, session: pytest.Session) -> str:
        """Carries out the run; returns why there is no result, where there is none."""
        selected = frozenset(item.rule.id for item in session.items if isinstance(item, RuleItem))
        compared = any(isinstance(item, RegressionsItem) for item in session.items)
        self.only = None if compared or selected == self.rules else selected
        settings = known.place(self.settings, self.file)[0] if self.accept else self.settings
        try:
            settings.need("base_url", "ids", option="--contract-")
            earlier = compare.read(self.against) if compared else None
            if self.worker:
                folder, workers = Path(self.worker["contract_folder"]), int(self.worker["workercount"])
                result = together(settings, credentials(), folder, workers=workers, only=self.only)
            else:
                files.ready(settings.report_dir)
                result = run(settings, credentials(), only=self.only)
        except ContractError as error:
            return self.mask.line(str(error))
        self._have(result)
        if earlier is not None:
            try:
                self.comparison = compare.compare(earlier, report.data(result, self.mask))
            except ConfigError as error:
                self.comparison = str(error)
        if result.interrupted:
            self._end(result.interrupted)
        return ""

    def _have(self, result: Result) -> None:
        if self.accept:
            self.accepted = result.accepting()
        self.result, self.mask = result, self.mask.of(result)
        self.entries = {entry.rule.id: entry for entry in result.entries}

    def _end(self, number: int) -> None:
        """Ends the session after a signal: the records were put back before."""
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        pytest.exit(f"ended by {signal.Signals(number).name}", returncode=128 + number)

    def tell(self, item: RuleItem) -> None:
        """Lets *item* end as its rule did."""
        result = self.carry_out(item.session)
        entry = self.entries[item.rule.id]
        cause = self._cause(entry)
        if cause is not entry:
            # It is told there, if anybody sees that.
            if self.only is None or cause.rule.id in self.only:
                pytest.skip(entry.reason)
            entry = cause
        self._end_as(item, entry, result)

    def _cause(self, entry: Entry) -> Entry:
        """The entry under which *entry* is told."""
        seen = {entry.rule.id}
        while entry.under:
            entry = self.entries[entry.under]
            if entry.rule.id in seen:
                break
            seen.add(entry.rule.id)
        return entry

    def _end_as(self, item: RuleItem, entry: Entry, result: Result) -> None:
        mask = self.mask
        reason = mask.line(entry.reason)
        if entry.verdict == "broken" or entry.accepted:
            if entry.accepted:
                pytest.xfail(reason)  # With --runxfail it goes on.
            fail("\n".join(report.failure_lines(result, entry, mask)).rstrip("\n"))
        if entry.verdict == "warned":
            message = mask.line(entry.failures[0].finding.message)
            item.warn(ContractWarning(f"{entry.rule.id} ({entry.rule.basis} only): {message}"))
        if entry.verdict == "undecided":
            self._open(f"could not tell: {reason}")
        if entry.verdict == "not_exercised" and result.problem and not entry.lacking:
            self._open(f"could not tell: {mask.line(result.problem)}")
        if entry.verdict == "not_exercised":
            pytest.skip(reason)

    def _open(self, text: str) -> NoReturn:
        """Fails an item of which nothing can be told; beside a broken rule, of which that may be a
        consequence, it is skipped.
        """
        for entry in self.entries.values():
            if entry.verdict == "broken" and (self.only is None or entry.rule.id in self.only):
                pytest.skip(text)
        self._once(text)

    def _once(self, text: str) -> NoReturn:
        """Fails an item, and skips each further one to which the same happened: one reason is one failure."""
        if text in self.told:
            pytest.skip(text)
        self.told.add(text)
        fail(text)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Gives what an item reports the place where its rule is stated."""
        told = yield
        if isinstance(item, _Item) and call.excinfo is not None:
            path, line, _ = item.reportinfo()
            crash = getattr(told.longrepr, "reprcrash", None)
            if isinstance(told.longrepr, tuple):
                told.longrepr = (str(path), (line or 0) + 1, told.longrepr[2])
            elif crash is not None and isinstance(call.excinfo.value, pytest.fail.Exception):
                text = str(call.excinfo.value).splitlines()
                first = text[1] if text[0].startswith("broken") else text[0]
                crash.path, crash.lineno, crash.message = str(path), (line or 0) + 1, first.strip()
        return told

    # -------------------------------------------------------- pytest-xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells each worker where they meet."""
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="pytest-contract-"))
        node.workerinput["contract_folder"] = str(self.folder)

    # ---------------------------------------------------------------- the end

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Writes the reports, when the workers of pytest-xdist have ended, too."""
        done = yield
        if self.worker:
            return done
        if self.folder is not None:
            self._gather()
        if self.result is None:
            return done
        try:
            self.written = files.write(self.result, Path(self.settings.report_dir), self.mask)
            if self.accepted:
                _, path = known.place(self.settings, self.file)
                known.append(path, self.accepted)
        except ContractError as error:
            self.problem = str(error)
        open_end = self.result.problem or self.result.left_behind or self.problem
        if open_end and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and session.exitstatus > max(pytest.ExitCode):
            self.pytest_terminal_summary(reporter)  # pytest asks for it with a status of its own alone.
        return done

    def _gather(self) -> None:
        """Puts together what the workers found."""
        assert self.folder is not None
        settings = known.place(self.settings, self.file)[0] if self.accept else self.settings
        try:
            result = collected(settings, self.folder)
            if result is not None:
                self._have(result)
        except ContractError as error:
            self.problem = str(error)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Shows the ledger: what is broken, how the records were left, the counts and where the reports are."""
        if self.result is None:
            return
        writer = self.config.get_terminal_writer()

        def style(text: str, name: str) -> str:
            colour, bold = report.COLOURS.get(name, ("", False))
            return writer.markup(text, **({colour: True} if colour else {}), bold=bold)

        terminalreporter.section("contract")
        for line in report.lines(self.result, self.mask, style, quiet=self.config.get_verbosity() < -1, brief=True):
            writer.line(line)
        if self.result.only is not None:
            count = len(self.result.only)
            writer.line(f"selected: {count} of {len(self.entries)} rules; others were judged in passing, if at all")
        if self.problem:
            writer.line(f"could not tell: {self.problem}", red=True)
        if self.accepted:
            count = len(self.accepted)
            file = known.place(self.settings, self.file)[1]
            writer.line(f"accepted {count} failure{'s'[: count != 1]}: {file}")
        if self.written is not None:
            writer.line(f"report: {self.written}")
