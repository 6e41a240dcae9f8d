"""The command ``contract``.

Exit status, everywhere: 0 kept, 1 broken, 2 could not tell. Nothing heavy is imported before the
command that needs it is known.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from contract.config import Settings
    from contract.result import Result

__all__ = ["cli", "main"]


def main(args: list[str] | None = None) -> NoReturn:
    """Runs the command and exits with 0 (kept), 1 (broken) or 2 (could not tell)."""
    import gc

    from contract.errors import ContractError

    gc.set_threshold(50_000, 20, 20)  # What a command makes it keeps to its end: to look for rubbish costs 5 %.
    # Hypothesis keeps tables in a folder: not in the working directory, and once for all of them.
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(cache, "pytest-contract", "hypothesis"))
    try:
        status = cli.main(args=args, prog_name="contract", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ContractError as error:
        _tell(str(error))
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("contract: ended", err=True)
        sys.exit(2)
    except OSError as error:
        _hush()
        _tell(f"{error.filename or 'the output'} cannot be read or written: {error.strerror or error}")
        sys.exit(2)
    except Exception as error:  # Python would exit with 1, and that says that the API is broken.
        _failed(error)
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)


def _tell(text: str) -> None:
    """Says on standard error what went wrong; a library that it is told in the words of may quote what was sent."""
    from contract.config import credentials
    from contract.mask import Mask, plain
    from contract.send import Credentials

    click.echo(f"contract: {plain(Mask(secrets=Credentials(**credentials()).secrets).text(text))}", err=True)


def _failed(error: Exception) -> None:
    """Says in one line what this tool stumbled over, and where."""
    from traceback import extract_tb

    frames = [f for f in extract_tb(error.__traceback__) if Path(f.filename).parent.name == "contract"]
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    _tell(f"this tool failed, which says nothing about the API: {type(error).__name__}{where}: {error}")


def _hush() -> None:
    """Drops all further output: whoever read it has seen enough, and Python would complain at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Commands(click.Group):
    """The commands; one whose reader has seen enough ends well. click would exit with 1, which says broken here."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _hush()
            return 0


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pytest-contract", prog_name="contract")
def cli() -> None:
    """Contract tests for one REST operation: is what the documents promise kept?

    \b
    Try it without an account:   contract demo
    Against your own staging:    contract run --base-url https://staging.example.com/api --id ID

    Credentials come from CONTRACT_USERNAME and CONTRACT_PASSWORD, or CONTRACT_TOKEN. Exit status:
    0 kept, 1 broken, 2 could not tell.
    """


# Options of more than one command.
_config = click.option("--config", metavar="FILE", help="Settings to read instead of the nearest contract.toml.")
_spec = click.option("--spec", metavar="FILE", help="Fragment to use instead of the bundled one.")
_state_dir = click.option("--state-dir", metavar="DIR", help="Where journals are kept.")
_profile = click.option("--profile", metavar="NAME", help="smoke, standard or deep.")
_seed = click.option("--seed", metavar="N", help="Seed of everything that is drawn.")
_unrestorable = click.option(
    "--allow-unrestorable", is_flag=True, default=None, help="Go on although something will be left changed."
)
_base_url = click.option("--base-url", metavar="URL", help="Address of the API, with its path.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        _config,
        _base_url,
        _spec,
        click.option(
            "--id", "ids", metavar="ID", multiple=True, help="Record that the run may update; may be repeated."
        ),
        _profile,
        click.option(
            "--strict", metavar="BASIS", help="Weakest basis that fails a run: documented, observed, inferred."
        ),
        _seed,
        click.option("--report-dir", metavar="DIR", help="Where reports are written."),
        _state_dir,
        click.option("--max-requests", metavar="N", help="Most requests to send."),
        click.option("--max-seconds", metavar="N", help="Most seconds to take."),
        _unrestorable,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _say(lines: Iterable[object]) -> None:
    for line in lines:
        click.echo(line)


def _settings(options: dict[str, Any]) -> Settings:
    from contract.config import resolve

    config = options.pop("config", None)
    return resolve(options, config=config, names={"ids": "--id"})


def _style(text: str, name: str) -> str:
    from contract.report import COLOURS

    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    colour, bold = COLOURS.get(name, ("", False))
    return click.style(text, fg=colour or None, bold=bold or None)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, and nothing elsewhere."""
    if quiet or not sys.stderr.isatty() or "CI" in os.environ:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("requests", total=None)
        yield lambda done, planned: bar.update(task, completed=done, total=planned)


@cli.command()
@_run_options
@click.option("--against", metavar="RUN.json", help="Earlier run: what changed since then fails this one.")
@click.option("--accept", is_flag=True, help="Write what is broken now to the known failures, for 90 days.")
@click.option("--junit", metavar="FILE", help="Write JUnit XML too.")
@click.option("--sarif", metavar="FILE", help="Write SARIF 2.1.0 too.")
@click.option("--code-quality", metavar="FILE", help="Write GitLab's code-quality JSON too.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Print only what is broken, and the verdict; of a dry run what it reaches."
)
def run(
    against: str | None,
    accept: bool,
    junit: str | None,
    sarif: str | None,
    code_quality: str | None,
    dry_run: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Test one environment against the contract.

    \b
    Example:
      export CONTRACT_USERNAME=project CONTRACT_PASSWORD=token
      contract run --base-url https://staging.example.com/api/relay/rest --id 3fa85f64-…
    """
    from contract import compare as comparing
    from contract import files, known
    from contract.config import credentials
    from contract.errors import ContractError
    from contract.mask import plain
    from contract.run import run as carry_out

    config = options["config"]
    settings = _settings(options)
    if not dry_run:
        files.ready(settings.report_dir, junit, sarif, code_quality)
    old = comparing.earlier(against, settings) if against is not None else None
    if dry_run:
        return _dry_run(settings, quiet)
    file = None
    if accept:
        settings, file = known.place(settings, config)
    try:
        with _progress(quiet) as progress:
            result = carry_out(settings, credentials(), progress=progress, notify=partial(click.echo, err=True))
    except ContractError:
        stale = [path for path in (junit, sarif, code_quality) if path is not None and Path(path).is_file()]
        stale += [settings.report_dir] if Path(settings.report_dir, "run.json").is_file() else []
        if stale:
            holds = f"still {'hold' if len(stale) > 1 else 'holds'} what an earlier run wrote"
            click.echo(f"contract: {' and '.join(map(plain, stale))} {holds}", err=True)
        raise
    if file is not None and (count := result.accept(file)):
        click.echo(f"accepted {count} failure{'s'[: count != 1]}: {file}")
    _show(result, settings, quiet)
    written = _write(result, settings, quiet, junit=junit, sarif=sarif, code_quality=code_quality)
    if not written:
        return result.status or 2
    return result.status if old is None else _regressed(old, result, settings)


def _show(result: Result, settings: Settings, quiet: bool) -> None:
    from contract import report
    from contract.mask import mask_of

    try:
        _say(report.lines(result, mask_of(settings), _style, quiet=quiet))
    except BrokenPipeError:
        _hush()  # The reports are still to be written, and the exit status to be told.
    except OSError as error:
        _hush()
        _tell(f"the output cannot be written: {error.strerror}")


def _write(result: Result, settings: Settings, quiet: bool, **asked: str | None) -> bool:
    """Writes the reports, and those that were asked for; False where one cannot be written, which is told."""
    from contract import ci, files
    from contract.errors import ConfigError
    from contract.mask import mask_of, plain

    mask = mask_of(settings).of(result)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _say(ci.workflow_commands(result, mask))
    try:
        path = files.write(result, Path(settings.report_dir), mask)
        files.write_asked(result, mask, **asked)
    except ConfigError as error:
        click.echo(f"contract: {plain(str(error))}", err=True)
        return False
    if not quiet:
        click.echo(f"report: {path}")
    return True


def _regressed(old: dict[str, Any], result: Result, settings: Settings) -> int:
    """Shows what changed since the run *old*; the exit status of both together."""
    from contract import compare as comparing
    from contract.errors import ConfigError

    folder = Path(settings.report_dir)
    try:
        found = comparing.compare(old, comparing.read(folder / "run.json"))
    except ConfigError as error:
        click.echo(str(error), err=True)
        return result.status or 2
    comparing.attach(found, folder)
    _say(comparing.lines(found, _style))
    both = {found.status, result.status}
    return 1 if 1 in both else max(both)


def _dry_run(settings: Settings, quiet: bool) -> int:
    from contract.mask import shown
    from contract.model import MISSING
    from contract.prepare import affordable, prepare
    from contract.rules import unpromised

    contract, plan = prepare(settings)
    affordable(settings, plan)
    most = 120 if sys.stdout.isatty() else sys.maxsize  # Whoever keeps it wants all of it.
    for block in () if quiet else plan.blocks:
        click.echo(click.style(f"{block.name}: {len(block.cases)} requests", bold=True))
        for case in block.cases:
            operation = contract.operations[case.operation]
            sent = case.body if case.content is None else case.content.decode("utf-8", "replace")
            body = f"  {shown(sent, most)}" if sent is not MISSING else ""
            click.echo(f"  {case.expect:<11} {case.label}  [{operation.method}]{body}")
    if not quiet:
        click.echo()
    for name, (reached, wanted) in plan.coverage.items():
        click.echo(f"{name}: {reached} of {wanted}")
    for name in plan.unreachable:
        click.echo(f"not exercised: {name} (needs an id in [resources])")
    for promise in unpromised(contract):
        click.echo(f"no rule, as the fragment does not say it: {promise}")
    requests = sum(not case.unless for case in plan.cases)
    click.echo(f"{requests} requests, and a few before and after; nothing was sent")
    if plan.updates:
        click.echo(f"tour: {plan.updates} updates, {plan.updates / plan.bound:.2f} x the least possible ({plan.bound})")
    return 0


@cli.command()
@_config
@_base_url
@_spec
@_state_dir
def restore(**options: Any) -> int:
    """Put back what an interrupted run left changed.

    \b
    Example:
      contract restore --base-url https://staging.example.com/api/relay/rest
    """
    from contract.config import credentials
    from contract.custody import Journal, state_directory
    from contract.mask import mask_of, plain
    from contract.report import restored_lines
    from contract.run import restore_all

    settings = _settings(options)
    done = restore_all(settings, credentials())
    if not done:
        click.echo("nothing to put back: no run was cut off here")
        for place in Journal.elsewhere(state_directory(settings.state_dir), settings.base_url):
            click.echo(f"one was cut off elsewhere: contract restore --base-url {plain(place)}")
    for id, restored in done.items():
        _say(restored_lines(id, restored, mask_of(settings), _style))
    return 2 if any(restored.verdict == "not_restored" for restored in done.values()) else 0


@cli.command()
@_config
@_spec
@_as_json
def rules(config: str | None, spec: str | None, as_json: bool) -> int:
    """List every rule, its basis and its source.

    \b
    Example:
      contract rules | grep echo
    """
    from contract import rules as made
    from contract import spec as specs

    contract = specs.load(_settings({"config": config, "spec": spec}).spec or None)
    found = made.rules(contract)
    if as_json:
        rows = [
            {"id": r.id, "promise": r.promise, "basis": r.basis, "source": contract.source(r.fact), "text": r.text, "line": r.line}
            for r in found.values()
        ]  # fmt: skip
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for rule in found.values():
        click.echo(f"{rule.id:<70} {rule.basis:<10} {contract.source(rule.fact)}")
    click.echo(f"{len(found)} rules")
    for promise in made.unpromised(contract):
        click.echo(f"no rule, as the fragment does not say it: {promise}")
    return 0


@cli.command()
@click.argument("rule")
@_config
@_spec
def explain(rule: str, config: str | None, spec: str | None) -> int:
    """Explain one rule, with an example that keeps it and one that breaks it.

    \b
    Example:
      contract explain update_phone_number.echo.name
    """
    from contract import explain as words
    from contract import rules as made
    from contract import spec as specs
    from contract.errors import ConfigError, nearest

    contract = specs.load(_settings({"config": config, "spec": spec}).spec or None)
    found = made.rules(contract)
    if rule not in found:
        raise ConfigError(f"no rule is called {rule!r}.{nearest(rule, found)} See: contract rules")
    _say(words.lines(contract, found[rule]))
    return 0


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="0 takes a free one.")
@click.option(
    "--db", type=click.Path(dir_okay=False, path_type=Path), help="Database to keep; a temporary one without."
)
@click.option(
    "--defect",
    "defects",
    metavar="NAME",
    multiple=True,
    help="One named way to be wrong, or several; see: contract defects --list.",
)
@click.option(
    "--variant", metavar="NAME", help="One named way to be right that the documents leave open; some, joined by +."
)
def serve(port: int, db: Path | None, defects: tuple[str, ...], variant: str | None) -> int:
    """Serve the reference server on loopback, until it is interrupted.

    \b
    Example:
      contract serve --port 0 --defect write-not-stored
    """
    from contract import reference
    from contract.errors import ConfigError

    try:
        reference.serve(port=port, database=db, defect="+".join(defects), variant=variant)
    except (ValueError, OSError) as error:
        raise ConfigError(getattr(error, "strerror", "") or str(error)) from error
    return 0


@cli.command()
@click.option("--report-dir", metavar="DIR", default="reports", show_default=True, help="Where reports are written.")
def demo(report_dir: str) -> int:
    """Start the reference server and run against it, whole and with one defect.

    \b
    Example:
      contract demo
    """
    from contract.demo import demo as show

    return show(Path(report_dir), _style, click.echo)


@cli.command()
@click.option("--list", "only_list", is_flag=True, help="List the defects and variants, and run nothing.")
@click.option("--only", metavar="PATTERN", default="*", help="Only names that match, as in 'echo-*'.")
@click.option("--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Runs side by side.")
@click.option("--mutants", is_flag=True, help="Also change every field of the answers in every way, one at a time.")
def defects(only_list: bool, only: str, jobs: int, mutants: bool) -> int:
    """Print the kill table: every defect of the reference server, and the rules that caught it.

    \b
    Example:
      contract defects --only '*number*'
    """
    from contract import kill

    if only_list:
        _say(kill.names())
        return 0
    return kill.table(only, jobs, mutants, _style, click.echo)


@cli.command()
@click.option(
    "--format", "form", type=click.Choice(["openapi", "jsonschema"]), default="openapi", show_default=True,
    help="A whole OpenAPI 3.1 document, or a JSON Schema of the update's body.",
)  # fmt: skip
@_config
@_spec
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write openapi.json and schemathesis.toml there, with the configured ids as examples, and print their names.",
)  # fmt: skip
def export(form: str, config: str | None, spec: str | None, output: Path | None) -> int:
    """Print the contract for other tools: no extensions, companions as if/then.

    \b
    Example:
      contract export --format jsonschema > body.schema.json
      contract export --output fuzz && cd fuzz && st run openapi.json
    """
    from contract import export as plain
    from contract import spec as specs
    from contract.errors import ConfigError

    settings = _settings({"config": config, "spec": spec})
    contract = specs.load(settings.spec or None)
    if output is not None:
        try:
            # What the environment holds now may be another address when schemathesis runs.
            base_url = "" if "CONTRACT_BASE_URL" in os.environ else settings.base_url
            written = plain.write(contract, output, settings.ids, body=form == "jsonschema", base_url=base_url)
        except OSError as error:
            raise ConfigError(f"{output} cannot be written: {error.strerror}", layer="the option --output") from error
        _say(written)
        return 0
    made = plain.json_schema(contract) if form == "jsonschema" else plain.openapi(contract)
    click.echo(json.dumps(made, ensure_ascii=False, indent=2))
    return 0


@cli.command()
@click.argument("page", type=click.Path(path_type=Path))
@click.option("--against", metavar="SPEC", help="Fragment to compare the page with, instead of printing a skeleton.")
@click.option("--operation", default="", metavar="ID", help="Operation that the page is about, if not the update.")
def derive(page: Path, against: str | None, operation: str) -> int:
    """Read the text of a reference page: print a fragment's skeleton, or compare it with a fragment.

    PAGE is plain text, as a browser copies it: the headings "Path parameters", "Request" and "Response", under each a
    field's name on a line and its description on the next, and values under "Allowed values:".

    \b
    Example:
      contract derive page.txt > my.openapi.yaml
      contract derive page.txt --against my.openapi.yaml
    """
    from contract import derive as reader
    from contract import spec as specs

    found = reader.read_file(page)
    if against is None:
        _say(reader.skeleton(found, page.name))
        return 0
    result = reader.compare(found, specs.load(against), operation)
    click.echo(f"{page}: {found.counts}")
    for line in result.newer:
        click.echo(f"newer than the page: {line}")
    for line in result.differences:
        click.echo(click.style(line, fg="red", bold=True))
    count = len(result.differences)
    click.echo(f"{count} difference{'s'[: count != 1]}" if count else f"no difference from {against}")
    return 1 if result.differences else 0


@cli.command()
@click.argument("runs", metavar="[OLD.json NEW.json]", nargs=-1)
@click.option("--base-url", "urls", metavar="URL", multiple=True, help="Address of an environment; give two.")
@click.option("--id", "ids", metavar="ID", multiple=True, help="Record in the first, and in the second environment.")
@click.option("--config", "configs", metavar="FILE", multiple=True, help="Settings; a second one for the second.")
@_spec
@_profile
@_seed
@click.option("--report-dir", metavar="DIR", help="Where both reports are written, in 'first' and 'second'.")
@_state_dir
@click.option("--max-requests", metavar="N", help="Most requests to send to each.")
@click.option("--max-seconds", metavar="N", help="Most seconds to take for each.")
@_unrestorable
@_as_json
def compare(
    runs: tuple[str, ...],
    urls: tuple[str, ...],
    ids: tuple[str, ...],
    configs: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Say what changed between two runs, or from one environment to another.

    Two runs are compared rule by rule and case by case. With two addresses one plan is carried out on
    both first; what the second needs of its own is read from CONTRACT_B_USERNAME, CONTRACT_B_PASSWORD,
    CONTRACT_B_IDS and so on, and is that of the first where it is not set. Exit status: 0 equal,
    1 regressed, 2 could not be compared.

    \b
    Example:
      contract compare last-week/run.json reports/run.json
      contract compare --base-url https://a.example.com/api --id ID --base-url https://b.example.com/api --id ID
    """
    from contract import compare as comparing
    from contract.errors import ConfigError

    unsure = False
    if runs and (urls or ids):
        raise ConfigError("either two files, or two addresses with --base-url")
    if runs:
        if len(runs) != 2:
            raise ConfigError(f"two files are wanted, OLD.json and NEW.json, and {len(runs)} given")
        old, new = (comparing.read(path) for path in runs)
    else:
        pairs = comparing.environments(options, urls, ids, configs)
        say: Callable[[str], Any] = (lambda line: None) if as_json else click.echo
        (old, new), unsure = comparing.both(pairs, _style, say)
    found = comparing.compare(old, new)
    if as_json:
        click.echo(json.dumps(comparing.data(found), ensure_ascii=False, indent=1))
    else:
        _say(comparing.lines(found, _style))
    return found.status or (2 if unsure else 0)


@cli.command()
@click.argument("run_json", metavar="RUN.json", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--case", "label", metavar="LABEL", default="", help="Only what the case with this label showed.")
@click.option(
    "--pytest", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write a pytest file that needs only httpx, and send nothing.",
)  # fmt: skip
@_config
@click.option("--base-url", metavar="URL", help="Address of the API; that of the run without it.")
@_spec
@click.option("--id", "ids", metavar="ID", multiple=True, help="Record that may be updated.")
@_state_dir
@_unrestorable
def replay(run_json: Path, label: str, file: Path | None, **options: Any) -> int:
    """Send recorded failures again: is each FIXED, STILL BROKEN, or COULD NOT TELL?

    The record is put back afterwards. Exit status: 0 all fixed, 1 one still broken, 2 could not tell.

    \b
    Example:
      contract replay reports/run.json --case 'tour 12'
      contract replay reports/run.json --pytest test_found.py
    """
    from dataclasses import replace

    from contract import replay as again
    from contract import spec as specs
    from contract.compare import read
    from contract.config import credentials
    from contract.errors import ConfigError
    from contract.mask import mask_of, plain
    from contract.report import restored_lines

    found = read(run_json, whole=False)
    settings = _settings(options)
    contract = specs.load(settings.spec or None)
    recorded = again.failures(found, contract, label)
    if file is not None:
        return _write_tests(file, recorded, found, contract, next(iter(settings.ids or found.get("restored", ())), ""))
    there = str(found.get("base_url", ""))
    if not settings.base_url:
        settings = replace(settings, base_url=there)
    elif options["base_url"] is None and settings.base_url != there.rstrip("/"):
        problem = f"the run was at {there}, and base_url is {settings.base_url}; say with --base-url which is meant"
        raise ConfigError(problem, layer=settings.layers.get("base_url", ""))
    if not recorded:
        click.echo("nothing to send again: no rule of the run is broken", err=found.get("verdict") != "kept")
        return 0 if found.get("verdict") == "kept" else 2
    outcomes, result = again.replay(recorded, settings, credentials(), contract=contract)
    _say(again.lines(outcomes, _style))
    click.echo(f"sent to {plain(settings.base_url)}")
    for id, restored in result.restored.items():
        _say(restored_lines(id, restored, mask_of(settings), _style))
    return again.status(outcomes, result)


def _write_tests(file: Path, recorded: Any, run: dict[str, Any], contract: Any, id: str) -> int:
    from contract import standalone
    from contract.report import store

    text, left = standalone.text(recorded, contract, run, id)
    for one in left:
        why = one.problem or "one test cannot show it"
        click.echo(f"no test for {one.rule}: {why}", err=True)
    if len(left) == len(recorded):
        click.echo("nothing to write" + ("" if recorded else ": no rule of the run is broken"), err=True)
        return 2
    count = len(recorded) - len(left)
    click.echo(f"{store(file, text)}: {count} test{'s' * (count != 1)}")
    return 0


@cli.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--operation", metavar="ID", default="", help="What the bodies are answers of, where they do not tell.")
@_config
@_spec
@click.option("--strict", metavar="BASIS", help="Weakest basis that fails a check: documented, observed, inferred.")
@_as_json
def check(files: tuple[str, ...], operation: str, as_json: bool, **options: Any) -> int:
    """Judge recorded responses, offline: JSON, NDJSON or HAR, gzip or not; - is standard input.

    A HAR pairs requests with their answers, so what was sent and what an earlier answer showed is judged
    too, as if no request to the record were missing. Who was allowed to ask is not: recordings seldom
    hold credentials. Exit status: 0 kept, 1 broken, 2 unreadable, or nothing there to judge.

    \b
    Example:
      contract check recorded.har
      zcat log.ndjson.gz | contract check - --operation retrieve_phone_number
    """
    from contract import recorded
    from contract import spec as specs
    from contract.mask import mask_of, plain

    settings = _settings(options)
    mask = mask_of(settings)
    contract = specs.load(settings.spec or None)
    account = recorded.check(files, contract, operation=operation, strict=settings.strict, secrets=mask.secrets)
    for problem in account.problems:
        click.echo(f"contract: {plain(problem)}", err=True)
    if as_json:
        click.echo(json.dumps(recorded.data(account, mask), ensure_ascii=False, indent=1))
    else:
        _say(recorded.lines(account, mask, _style))
    return account.status
