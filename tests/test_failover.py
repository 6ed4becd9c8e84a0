"""``deploy.py failover`` and ``failback`` as an operator meets them; the function is a stand-in, for it is tried elsewhere."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

import emulator
from chain.environment.exit_codes import Exit
from chain.failover.function import Follower, named
from chain.failover.topology import Place, read
from protocol.journal import MANUAL
from tests.support.chain import two_regions
from tests.support.chain.checkout import Checkout, Clients, ref
from tests.support.chain.deployment import run
from tests.support.chain.lines import of
from tests.support.chain.lines import read as lines
from tests.support.chain.proxy import proxy
from tests.support.chain.two_regions import AWAY, HOME, failover, remember
from tests.support.commands import call

pytestmark = pytest.mark.usefixtures("ordinary")


@pytest.fixture
def dark(aws: emulator.Emulator) -> Iterator[None]:
    """The primary region is lost."""
    aws.darken(HOME)
    yield
    aws.lighten(HOME)


@pytest.fixture
def shop(checkout: Checkout, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A system with a stand-in, deployed; its executions are counted."""
    names = (f"manual-{number}" for number in itertools.count(1))
    monkeypatch.setattr("chain.failover.function.named", lambda: next(names))
    failover(checkout)
    checkout.layer("notes", sites={"primary": HOME})
    result = run(checkout, clients)
    assert not result.failed, result.failed
    return checkout


def state(checkout: Checkout, clients: Clients) -> str:
    return read(clients, Place("shop", checkout.suffix, AWAY)).topology.state


def test_a_failover_needs_nothing_of_the_primary_region(
    shop: Checkout, clients: Clients, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    request.getfixturevalue("dark")  # only now that it stands
    assert call(shop, "failover", "--system", "shop") == Exit.OK
    said = capsys.readouterr().out
    assert f"shop-{shop.suffix}  home, and never was elsewhere" in said
    assert "The failover would begin." in said
    assert "data lost: up to 7 s" in said
    assert "fences: the site that writes now" in said
    assert state(shop, clients) == "home"
    assert call(shop, "failover", "--system", "shop", "--mode", "failover", "--yes") == Exit.OK
    said = capsys.readouterr().out
    assert "02-fence" in said
    assert "manual-1: completed" in said
    assert "failed-over since 2026-01-02T03:04:05+00:00 (epoch 1, execution manual-1) on stale and unreachable" in said
    assert "arn:writer at the recovery site writes, after 61 s, up to 7 s of data lost" in said
    assert HOME not in said
    assert state(shop, clients) == "failed-over"


def test_whoever_watches_is_told_again_why_nothing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = SimpleNamespace(id="manual-1", entries={})
    monkeypatch.setattr("chain.failover.function.read", lambda *_: SimpleNamespace(executions=[execution]))
    failing = {"more": True, "outcome": "step-failed", "step": "ready", "why": "FunctionError: no backups."}
    waiting = {"more": True, "outcome": "waiting", "step": "home-caught-up"}
    answers = iter([*[failing] * 9, *[waiting] * 5, {"more": False, "outcome": "completed"}])
    times, said = itertools.count(0, 25), list[str]()
    follower = Follower(
        None,  # type: ignore[arg-type]
        Place("shop", "dev", AWAY),
        said.append,
        lambda _: next(answers),
        lambda: lambda: None,
        clock=lambda: float(next(times)),
    )
    assert follower.follow("manual-1", failing)["outcome"] == "completed"
    assert said[:2] == ["  ready: FunctionError: no backups."] * 2
    assert 3 <= len(said) <= 6, "again and again, and no flood"
    assert said[-1].startswith("  home-caught-up: is waited for")


def test_what_waits_for_a_person_is_approved_by_its_name(
    shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(shop, clients, "mood", json.dumps({"do": "wait", "lost": None}))
    failing = ("failover", "--system", "shop")
    assert call(shop, *failing) == Exit.WAITING
    assert "against it: The stand-in says so." in (said := capsys.readouterr().out)
    assert "nobody can say how much" in said
    assert call(shop, *failing, "--mode", "failover", "--yes") == Exit.WAITING
    again = f"make failover ENV={shop.suffix} SYSTEM='shop' MODE='failover' APPROVE=manual-1"
    assert f"To approve it: {again}" in capsys.readouterr().out
    assert call(shop, "status") == Exit.OK
    assert "WAITS FOR A PERSON: failover manual-1, asked for by arn:aws:iam::" in capsys.readouterr().out
    assert call(shop, *failing, "--approve", "manual-77") == Exit.INPUT
    assert capsys.readouterr().err == "manual-77 waits for no approval; there wait: manual-1\n"
    assert call(shop, *failing, "--approve", "manual-1", "--yes") == Exit.OK
    assert "approval" in capsys.readouterr().out
    assert state(shop, clients) == "failed-over"


def test_a_refusal_changes_nothing_and_has_a_code_of_its_own(
    shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(shop, clients, "mood", json.dumps({"do": "refuse", "lost": 0}))
    assert call(shop, "failover", "--system", "shop", "--mode", "switchover", "--yes") == Exit.REFUSED
    assert "The switchover would be refused." in (said := capsys.readouterr().out)
    assert "data lost: none" in said
    assert not read(clients, Place("shop", shop.suffix, AWAY)).executions


def test_a_file_that_a_failback_needs_at_its_end_is_read_before_it_begins(
    shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.values({"nots": {}})
    assert call(shop, "failback", "--system", "shop", "--yes") == Exit.INPUT
    assert "nots is no layer; there are: failover, notes; did you mean notes?" in capsys.readouterr().err
    assert not read(clients, Place("shop", shop.suffix, AWAY)).executions
    assert call(shop, "failover", "--system", "shop") == Exit.OK, "a failover needs no file"


def test_a_program_reads_what_a_failover_would_do_did_and_left(
    shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(command: str, *more: str, code: Exit = Exit.OK) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert call(shop, command, "--system", "shop", "--json", *more) == code
        return lines(capsys.readouterr().out)

    home, would = told("failover")
    assert (home["kind"], home["system"], home["region"], home["state"], home["epoch"]) == ("topology", "shop", AWAY, "home", 0)
    assert (would["kind"], would["would"], would["lost_seconds"], would["steps"]) == (
        "forecast",
        "act",
        7.0,
        ["fence", "promote"],
    )
    _, would, now, ended = told("failover", "--mode", "failover", "--yes")
    assert (would["request"], now["state"], now["writer"]) == ("failover", "failed-over", "arn:writer")
    assert ended == {"kind": "execution", "execution": "manual-1", "outcome": "completed", "why": []}
    for command in ("status", "drift"):
        (now,) = of("topology", told(command))
        assert (now["state"], now["epoch"], now["executions"], now["destroying"]) == ("failed-over", 1, [], False)
    *_, drifted = told("failback", "--yes")
    assert (drifted["kind"], drifted["different"]) == ("drift", 0)
    remember(shop, clients, "mood", json.dumps({"do": "wait", "lost": None}))
    *_, waits, ended = told("failover", "--mode", "switchover", "--yes", code=Exit.WAITING)
    assert waits["executions"] == [{"execution": ended["execution"], "request": "switchover", "acts": False, "waits": True}]
    assert (ended["outcome"], ended["why"]) == ("waiting-for-approval", ["The stand-in says so."])


@pytest.mark.parametrize(
    ("command", "operation", "said"),
    [
        ("status", "GetParametersByPath", "CREATE_COMPLETE"),
        ("drift", "GetParametersByPath", "properties declared"),
        ("drift", "GetResources", "properties declared"),
    ],
)
def test_what_nobody_is_let_to_know_of_a_failover_hides_nothing_else(
    shop: Checkout,
    aws: emulator.Emulator,
    command: str,
    operation: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    denied = json.dumps({"__type": "AccessDeniedException", "message": "no"})
    with proxy(aws.endpoint) as between:
        between.says[operation] = lambda _: (400, denied)
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.endpoint)
        assert call(shop, command) == Exit.UNSEEN
    shown = capsys.readouterr().out
    assert said in shown
    assert f"shop-{shop.suffix}  NOT SEEN: " in shown
    assert f"AccessDeniedException on {operation}: no" in shown


def test_nobody_to_ask_is_a_no(shop: Checkout, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert call(shop, "failover", "--system", "shop", "--mode", "failover") == Exit.REFUSED
    assert not read(clients, Place("shop", shop.suffix, AWAY)).executions


def test_a_command_that_was_interrupted_joins_what_it_had_begun(
    shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(shop, clients, "execution/manual-9/00-began", json.dumps({"request": "failover", "at": "2026", "evidence": []}))
    remember(shop, clients, "execution/manual-9/01-decided", json.dumps({"epoch": 1, "at": "2026"}))
    assert call(shop, "failover", "--system", "shop", "--mode", "failover", "--yes") == Exit.OK
    said = capsys.readouterr().out
    assert "failover manual-9, asked for by nobody known at 2026: acts" in said
    assert "manual-9: completed" in said
    assert "on an operator's word" in said


@pytest.mark.parametrize("given", [("--mode", "failover"), ("--mode", "switchover"), ("--approve", "manual-9")])
def test_what_is_said_to_join_an_interrupted_command_joins_it(
    shop: Checkout,
    clients: Clients,
    given: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = given[1] if given[0] == "--mode" else "failover"
    began = {"request": request, "at": "2026", "evidence": [], "by": "x"}
    remember(shop, clients, "execution/manual-9/00-began", json.dumps(began))
    remember(shop, clients, "execution/manual-9/01-decided", json.dumps({"epoch": 1, "at": "2026"}))
    with monkeypatch.context() as patch:
        patch.setattr("chain.failover.function.Follower.follow", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert call(shop, "failover", "--system", "shop", "--yes", *given) == Exit.INTERRUPTED
    (said,) = re.findall(r"join it with: make failover ENV=\S+ SYSTEM='shop'(.*)", capsys.readouterr().err)
    words = [word for pair in re.findall(r"(MODE|APPROVE)='([^']+)'", said) for word in (f"--{pair[0].lower()}", pair[1])]
    assert words == list(given)
    assert call(shop, "failover", "--system", "shop", "--yes", *words) == Exit.OK
    assert "manual-9: completed" in capsys.readouterr().out


def test_a_function_that_goes_on_failing_is_told(shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    remember(shop, clients, "mood", json.dumps({"do": "act", "fails": True}))
    assert call(shop, "failover", "--system", "shop", "--mode", "failover", "--yes") == Exit.FAILED
    said = capsys.readouterr()
    assert said.out.count("as the test wants it; asked again") == 5
    assert "as the test wants it" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "failover takes one system; give it: make failover SYSTEM=name ENV="),
        (("--system", "plain"), "plain has no layer failover: it does not leave its region"),
    ],
)
def test_what_cannot_fail_over_is_told(
    checkout: Checkout, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.layer("notes", system="plain")
    assert call(checkout, "failover", *arguments) == Exit.INPUT
    assert said in capsys.readouterr().err


def test_a_system_that_is_not_deployed_cannot_fail_over(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    failover(checkout)
    assert call(checkout, "failover", "--system", "shop") == Exit.NOT_READY
    assert "does not stand, so nothing can fail over: deploy it first" in capsys.readouterr().err


def test_a_failback_ends_with_drift(shop: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    call(shop, "failover", "--system", "shop", "--mode", "failover", "--yes")
    assert call(shop, "failback", "--system", "shop", "--mode", "dry-run") == Exit.OK
    assert state(shop, clients) == "failed-over"
    capsys.readouterr()
    assert call(shop, "failback", "--system", "shop", "--yes") == Exit.OK
    assert "manual-2: completed" in (said := capsys.readouterr().out)
    assert "0 different." in said
    assert state(shop, clients) == "home"
    call(shop, "failover", "--system", "shop", "--mode", "failover", "--yes")
    clients("ssm", HOME).put_parameter(Name=f"/shop-notes/{shop.suffix}", Value="another", Overwrite=True)
    remember(shop, clients, "execution/manual-5/00-began", json.dumps({"request": "failback", "at": "2026", "evidence": []}))
    remember(shop, clients, "execution/manual-5/01-decided", json.dumps({"epoch": 4, "at": "2026"}))
    assert call(shop, "failback", "--system", "shop", "--yes") == Exit.DRIFT


def test_a_failback_brings_files_home(
    aws: emulator.Emulator, checkout: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    two_regions.files(checkout)
    failover(checkout, "replica", ref("FilesId"))
    assert not run(checkout, clients).failed
    home, away = (
        clients("cloudformation", region).describe_stacks(StackName=f"shop-{layer}-{checkout.suffix}")["Stacks"][0]["Outputs"][0][
            "OutputValue"
        ]
        for region, layer in ((HOME, "files"), (AWAY, "files-replica"))
    )
    clients("efs", AWAY).delete_replication_configuration(SourceFileSystemId=home, DeletionMode="LOCAL_CONFIGURATION_ONLY")
    (aws.files(away) / "written-away").write_text("kept")
    done = threading.Event()

    def replicate() -> None:
        while not done.wait(0.3):
            aws.replicate_files()

    service = threading.Thread(target=replicate)
    service.start()
    try:
        assert call(checkout, "failback", "--system", "shop", "--yes") == Exit.OK, capsys.readouterr().out
    finally:
        done.set()
        service.join()
    said = capsys.readouterr().out
    assert f"files  {home} follows {away}" in said
    assert f"files  {home} replicates to {away}, as declared" in said
    assert (aws.files(home) / "written-away").read_text() == "kept"
    (pair,) = clients("efs", HOME).describe_replication_configurations(FileSystemId=home)["Replications"]
    assert (pair["SourceFileSystemId"], pair["Destinations"][0]["FileSystemId"]) == (home, away)
    assert pair["Destinations"][0]["Status"] == "ENABLED"


def test_a_failback_that_finds_a_difference_is_not_recorded_as_home_and_looks_again(
    checkout: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    failover(checkout, "replica")
    checkout.layer("notes", sites={"primary": HOME})
    assert not run(checkout, clients).failed
    assert call(checkout, "failover", "--system", "shop", "--mode", "failover", "--yes") == Exit.OK
    note, ssm = f"/shop-notes/{checkout.suffix}", clients("ssm", HOME)
    declared = ssm.get_parameter(Name=note)["Parameter"]["Value"]
    ssm.put_parameter(Name=note, Value="another", Overwrite=True)
    capsys.readouterr()
    for _ in range(2):
        assert call(checkout, "failback", "--system", "shop", "--yes") == Exit.DRIFT
        said = capsys.readouterr().out
        assert ": differs" in said
        assert "1 different." in said
        assert "it is not recorded as home" in said
        assert state(checkout, clients) == "failed-over"
    ssm.put_parameter(Name=note, Value=declared, Overwrite=True)
    assert call(checkout, "failback", "--system", "shop", "--yes") == Exit.OK
    assert "0 different." in capsys.readouterr().out
    assert state(checkout, clients) == "home"


@pytest.fixture
def agencys(clients: Clients) -> Iterator[str]:
    """A database that no stack made."""
    rds = clients("rds", HOME)
    made = rds.create_db_instance(
        DBInstanceIdentifier="citizens",
        DBInstanceClass="db.r6g.large",
        Engine="postgres",
        AllocatedStorage=20,
        Tags=[{"Key": "System", "Value": "shop"}],
        **two_regions.CREDENTIALS,
    )
    yield made["DBInstance"]["DBInstanceArn"]
    rds.delete_db_instance(DBInstanceIdentifier="citizens", SkipFinalSnapshot=True)


def test_a_failback_of_an_agencys_database_is_refused_before_anything_is_asked(
    checkout: Checkout, clients: Clients, agencys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failover(checkout, "replica", home=agencys)
    assert not run(checkout, clients).failed
    assert call(checkout, "failover", "--system", "shop", "--mode", "failover", "--yes") == Exit.OK
    (checkout.root / "functions" / "failover" / "handler.py").write_text("raise OSError('asked')\n")
    before = read(clients, Place("shop", checkout.suffix, AWAY)).values
    capsys.readouterr()
    for mode in ("failback", "dry-run"):
        assert call(checkout, "failback", "--system", "shop", "--yes", "--mode", mode) == Exit.REFUSED
        assert f"{agencys} is not of shop-{checkout.suffix}" in capsys.readouterr().out
    assert read(clients, Place("shop", checkout.suffix, AWAY)).values == before
    owner = [{"Key": "Environment", "Value": checkout.suffix}]
    clients("rds", HOME).add_tags_to_resource(ResourceName=agencys, Tags=owner)
    assert call(checkout, "failback", "--system", "shop", "--yes") == Exit.FAILED, "ours: the code is asked"


def test_whose_a_database_is_that_nobody_can_see_is_left_to_the_function(checkout: Checkout, clients: Clients) -> None:
    from chain.failover.function import Function, foreign

    arn = f"arn:aws:rds:{HOME}:123456789012:db:gone"
    function = Function(Place("shop", checkout.suffix, AWAY), "it", {"KIND": "replica", "HOME_ARN": arn}, clients("lambda", AWAY))
    assert foreign(function, clients) == ""
    assert foreign(function, silent(clients)) == ""


def silent(clients: Clients) -> Clients:
    """Clients that nobody answers."""

    def make(service: str, region: str) -> Any:
        client = clients(service, region)
        client.meta.events.register("before-send.*", _silence)
        return client

    return make


def _silence(**_: object) -> None:
    raise ReadTimeoutError(endpoint_url="of the test")


def test_files_of_another_are_left_alone(checkout: Checkout, clients: Clients) -> None:
    two_regions.files(checkout)
    failover(checkout, "replica", ref("FilesId"))
    from chain.environment.templates import load
    from chain.failover import file_failback

    templates = load(checkout.root / "templates")
    assert file_failback.of(templates, "shop", checkout.suffix, clients, file_failback.End("fs-1", AWAY), lambda: None) is None
    assert file_failback.of((), "shop", checkout.suffix, clients, file_failback.End("fs-1", AWAY), lambda: None) is None


def test_a_replication_is_waited_for_until_it_runs(clients: Clients) -> None:
    from chain.failover import file_failback

    waited: list[bool] = []
    runs = iter([False, False, True])
    both = file_failback.End("fs-1", HOME), file_failback.End("fs-2", AWAY)
    file_failback.Files(clients, *both, lambda: waited.append(True))._until(lambda: next(runs))
    assert len(waited) == 2


def test_the_password_goes_home_to_the_secret_that_a_stack_of_ours_has(checkout: Checkout, clients: Clients) -> None:
    from chain.environment.templates import load
    from chain.failover.function import find, secret_of

    failover(checkout)
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "{}"}}
    checkout.layer("secrets", {"Secret": secret, "Other": secret}, sites={"primary": HOME}, outputs={"Arn": ref("Secret")})
    assert not run(checkout, clients).failed
    templates, place = load(checkout.root / "templates"), Place("shop", checkout.suffix, AWAY)
    function = find(clients, place)
    assert secret_of(templates, function, clients) == {}, "there is none to be promoted"
    stacks = clients("cloudformation", HOME).describe_stacks(StackName=f"shop-secrets-{checkout.suffix}")["Stacks"]
    arn = stacks[0]["Outputs"][0]["OutputValue"]
    for name, found in (
        (arn.replace(HOME, AWAY), {"SECRET_HOME_ARN": arn}),
        (f"arn:aws:secretsmanager:{AWAY}:1:secret:agencys", {}),
    ):
        promoted = replace(function, environment={"SECRET_ARN": name})
        assert secret_of(templates, promoted, clients) == found
        assert secret_of(templates, replace(promoted, place=replace(place, suffix="absent")), clients) == {}


def test_a_local_run_that_fails_says_why(checkout: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    failover(checkout, "replica")
    assert not run(checkout, clients).failed
    (checkout.root / "functions" / "failover" / "handler.py").write_text(
        "def handler(event, context):\n    raise OSError('no')\n"
    )
    assert call(checkout, "failback", "--system", "shop", "--yes") == Exit.FAILED
    assert "run here: OSError: no" in capsys.readouterr().err


def test_whoever_asks_again_by_the_same_name_asks_for_the_same() -> None:
    names = {named() for _ in range(3)}
    assert len(names) == 3
    assert all(MANUAL.fullmatch(name) for name in names)
