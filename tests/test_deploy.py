"""``deploy.py`` as an operator meets it: commands, sentences, exit codes, and being killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import deploy
import emulator
from chain.cloudformation import stack as cfn
from chain.environment.exit_codes import MEANING, Exit
from tests.support.chain.checkout import GATE, REGION, REPOSITORY, Checkout, Clients, parameter, ref
from tests.support.chain.resources import NO_ROLE, bucket, fill, logs
from tests.support.chain.waiting import open_gate, until
from tests.support.commands import call

pytestmark = pytest.mark.usefixtures("ordinary")
NONE = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def test_an_environments_whole_life(checkout: Checkout, clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.layer("logs", logs("life"), outputs={"Name": ref("Group")})
    checkout.layer("spare", optional=True)
    assert call(checkout, "plan") == Exit.OK
    shown = capsys.readouterr().out
    assert shown.startswith("Account  123456789012\nCaller   arn:aws:iam::123456789012:")
    assert "Region   us-east-1  http://127.0.0.1:" in shown
    assert call(checkout, "deploy", "--system", "shop") == Exit.OK
    shown = capsys.readouterr().out
    assert f"    Name = /life/{checkout.suffix}" in shown
    assert "1 stacks: 1 created." in shown
    assert "left out" in shown
    assert call(checkout, "deploy") == Exit.OK
    assert "1 stacks: 1 unchanged." in capsys.readouterr().out
    assert call(checkout, "status") == Exit.OK
    assert "CREATE_COMPLETE" in capsys.readouterr().out
    assert deploy.main(["drift", "--env", "elsewhere"], checkout.root) == Exit.ABSENT
    assert capsys.readouterr().out.endswith("Nothing stands, so nothing was compared: is ENV right, and was it deployed?\n")
    assert call(checkout, "drift") == Exit.OK
    clients("logs", REGION).put_retention_policy(logGroupName=f"/life/{checkout.suffix}", retentionInDays=1)
    assert call(checkout, "drift") == Exit.DRIFT
    assert "RetentionInDays" in capsys.readouterr().out
    assert call(checkout, "destroy", "--yes") == Exit.OK
    assert capsys.readouterr().out.endswith("1 stacks deleted; left: nothing.\n")
    assert call(checkout, "destroy", "--yes") == Exit.OK


def test_a_failure_is_told_with_its_reason_and_the_command_that_resumes(
    checkout: Checkout,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkout.layer("bad", NO_ROLE, outputs={"Name": "x"})
    checkout.layer("held", imports={"BadName": "bad.Name"})
    assert call(checkout, "deploy", "--system", "shop") == Exit.FAILED
    tail = capsys.readouterr().out.splitlines()[-5:]
    assert tail[0] == f"FAILED  {checkout.id('bad')} (ROLLBACK_COMPLETE)"
    assert tail[1].startswith("    Wrong (AWS::CloudFormation::WaitCondition): ")
    assert tail[2:] == [
        f"    holds back: {checkout.id('held')}",
        "2 stacks: none done; 1 failed, 1 held back.",
        f"When the cause is removed, go on with: make deploy ENV={checkout.suffix} SYSTEM='shop'",
    ]


def test_a_plan_that_cannot_be_deployed_does_not_end_well(checkout: Checkout) -> None:
    checkout.layer("odd", {"Odd": {"Type": "AWS::No::Such", "Properties": {}}})
    assert call(checkout, "plan") == Exit.FAILED


def test_bad_input_is_told_before_anything_is_called(
    checkout: Checkout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens: a call would be exit 4
    checkout.layer("data", parameters={"Days": {"Type": "Number", "Default": 7}})
    checkout.values({"data": {"Dais": 8}})
    assert call(checkout, "deploy") == Exit.INPUT
    assert capsys.readouterr().err == "parameters/shop/default.yaml: data.Dais is no parameter; did you mean Days?\n"
    assert call(checkout, "destroy") == Exit.INPUT
    assert capsys.readouterr().err.endswith("data.Dais is no parameter; did you mean Days?\n")
    checkout.values({})
    (checkout.root / "plan").mkdir()
    for command, wrong, said in (
        ("deploy", ("--allow", "Table"), "ALLOW needs a reason"),
        ("deploy", ("--plan", "nowhere.json"), "nowhere.json is no saved plan: [Errno 2]"),
        (
            "plan",
            ("--save", str(checkout.root / "plan")),
            f"{checkout.root / 'plan'} cannot be written; give --save another file",
        ),
        ("plan", ("--save", "/proc/none/plan"), "/proc/none/plan cannot be written (No such file or directory)"),
    ):
        assert call(checkout, command, *wrong) == Exit.INPUT
        assert capsys.readouterr().err.startswith(said)
    for command in ("plan", "destroy"):
        assert deploy.main([command, "--env", "Dev_1"], checkout.root) == Exit.INPUT
        assert "'Dev_1' is no environment suffix" in capsys.readouterr().err


def test_without_credentials_the_ways_to_give_them_are_told(checkout: Checkout) -> None:
    checkout.layer("data")
    process = checkout.command("plan", "--env", "dev", environment=NONE)
    _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.ACCESS
    assert said.startswith(
        "There are no AWS credentials to use: Unable to locate credentials. Give credentials the ordinary way: AWS_PROFILE"
    )
    assert said.rstrip().endswith("make try")


def test_an_endpoint_that_does_not_answer_is_told(checkout: Checkout, aws: emulator.Emulator) -> None:
    checkout.layer("data")
    process = checkout.command("plan", "--env", "dev", environment={**aws.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    _, said = process.communicate(timeout=60)
    assert process.returncode == Exit.ACCESS
    assert said.startswith('AWS was not reached: Could not connect to the endpoint URL: "http://127.0.0.1:9/"')


def test_destroy_asks_once_and_refuses_where_nobody_can_answer(
    checkout: Checkout,
    clients: Clients,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkout.layer("data")
    call(checkout, "deploy")
    cloudformation = clients("cloudformation", REGION)
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert call(checkout, "destroy") == Exit.LEFTOVERS
    assert "Nobody is here to be asked" in capsys.readouterr().err
    answers = {"no": Exit.LEFTOVERS, "yes": Exit.OK}
    for answer, code in answers.items():
        assert cfn.describe(cloudformation, checkout.stack("data")) is not None
        assert at_a_terminal(checkout, answer, "destroy", "--env", checkout.suffix) == code
    assert cfn.describe(cloudformation, checkout.stack("data")) is None


def at_a_terminal(checkout: Checkout, answer: str, *arguments: str) -> int:
    """Run a command whose standard input is a terminal at which someone types."""
    import pty

    master, slave = pty.openpty()
    os.write(master, f"{answer}\n".encode())
    stdin = sys.stdin
    try:
        with os.fdopen(slave) as sys.stdin:
            return deploy.main(arguments, checkout.root)
    finally:
        sys.stdin = stdin
        os.close(master)


def test_yes_may_come_from_the_environment(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.layer("data")
    call(checkout, "deploy")
    monkeypatch.setenv("YES", "1")
    assert call(checkout, "destroy") == Exit.OK


def test_killed_while_stacks_move_and_run_again_it_ends_as_it_should(
    checkout: Checkout,
    clients: Clients,
    aws: emulator.Emulator,
) -> None:
    checkout.layer("slow", GATE, outputs={"Name": "x"})
    checkout.layer("next", imports={"SlowName": "slow.Name"})
    process = checkout.command("deploy", "--env", checkout.suffix, environment=aws.environment)
    cloudformation = clients("cloudformation", REGION)
    until(lambda: (state := cfn.describe(cloudformation, checkout.stack("slow"))) and state.status == "CREATE_IN_PROGRESS")
    process.kill()
    process.communicate(timeout=30)
    again = checkout.command("deploy", "--env", checkout.suffix, environment=aws.environment)
    assert again.stdout is not None
    while "joined: CREATE_IN_PROGRESS since" not in (shown := again.stdout.readline()):
        assert shown, "it ended without joining"
    open_gate(clients, checkout.stack("slow"))
    shown, _ = again.communicate(timeout=60)
    assert again.returncode == Exit.OK
    assert "2 stacks: 1 created, 1 unchanged." in shown
    (begin,) = [
        event
        for event in cloudformation.describe_stack_events(StackName=checkout.stack("slow"))["StackEvents"]
        if event["ResourceStatus"] == "CREATE_IN_PROGRESS" and event["ResourceType"] == "AWS::CloudFormation::Stack"
    ]
    assert begin, "nothing was made twice"


@pytest.mark.parametrize("delay", [0.45, 0.55, 0.65, 0.75])
def test_killed_at_any_moment_and_run_again_it_converges(
    checkout: Checkout,
    aws: emulator.Emulator,
    delay: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(6):
        imports = {"Last": f"l{number - 1}.Name"} if number else {}
        checkout.layer(
            f"l{number}", {"Value": parameter(f"l{number}"), **bucket(f"b{number}")}, imports=imports, outputs={"Name": "x"}
        )
    process = checkout.command("deploy", "--env", checkout.suffix, environment=aws.environment)
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=30)
    assert call(checkout, "deploy") == Exit.OK
    process = checkout.command("destroy", "--env", checkout.suffix, "--yes", environment=aws.environment)
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=30)
    assert call(checkout, "destroy", "--yes") == Exit.OK
    assert "left: nothing." in capsys.readouterr().out


def test_a_destroy_killed_half_way_and_run_again_ends_clean(
    checkout: Checkout,
    clients: Clients,
    aws: emulator.Emulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkout.layer("files", bucket("half"), outputs={"Name": ref("Bucket")})
    checkout.layer("reader", imports={"FilesName": "files.Name"})
    call(checkout, "deploy")
    fill(clients, f"half-{checkout.suffix}")
    process = checkout.command("destroy", "--env", checkout.suffix, "--yes", environment=aws.environment)
    until(lambda: cfn.describe(clients("cloudformation", REGION), checkout.stack("reader")) is None)
    process.kill()
    process.communicate(timeout=30)
    assert call(checkout, "destroy", "--yes") == Exit.OK
    assert capsys.readouterr().out.endswith("left: nothing.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_awss_work_and_names_the_command_that_joins_it(
    checkout: Checkout,
    clients: Clients,
    aws: emulator.Emulator,
    number: signal.Signals,
) -> None:
    checkout.layer("slow", GATE)
    process = checkout.command("deploy", "--env", checkout.suffix, environment=aws.environment)
    until(
        lambda: (state := cfn.describe(clients("cloudformation", REGION), checkout.stack("slow"))) and "PROGRESS" in state.status
    )
    process.send_signal(number)
    shown, said = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED
    assert f"{checkout.id('slow')}  interrupted\n" in shown
    assert "failed" not in shown
    assert said.strip().endswith(f"What AWS had begun goes on there; join it with: make deploy ENV={checkout.suffix}")
    open_gate(clients, checkout.stack("slow"))


def test_an_interrupt_in_this_process_is_an_exit_code(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.layer("data")

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("chain.cli.plan.run", interrupt)
    assert call(checkout, "plan") == Exit.INTERRUPTED


def test_no_way_to_aws_is_an_exit_code(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.layer("data")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert call(checkout, "status") == Exit.ACCESS


def _loading(*words: str) -> tuple[str, set[str]]:
    """What a program says, and the modules that it loads."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return ended.stdout, {line.split("|")[-1].strip() for line in ended.stderr.splitlines() if "|" in line}


def test_help_is_there_at_once_and_holds_the_table_of_exit_codes() -> None:
    """At once: nothing is loaded that is installed, and of ours the table and the protocol's words alone."""
    shown, loaded = _loading("deploy.py", "--help")
    loaded -= _loading("-c", "pass")[1]  # what this Python loads whatever it runs
    assert "argparse" in loaded
    assert not loaded & {"asyncio", "concurrent.futures", "http.client", "subprocess"}
    assert {name for name in loaded if name.startswith("chain")} == {"chain", "chain.environment", "chain.environment.exit_codes"}
    known = {*sys.stdlib_module_names, "chain", "protocol", "coverage"}
    assert not {name for name in loaded if name.partition(".")[0] not in known}
    assert (
        {int(code) for code in re.findall(r"^ +(\d+)  ", shown, re.MULTILINE)}
        == {int(code) for code in MEANING}
        == {int(code) for code in Exit}
    )


def test_replay_has_a_command_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["replay", "verify", str(tmp_path / "nowhere")]) == 2
    assert "is no directory" in "".join(capsys.readouterr())
