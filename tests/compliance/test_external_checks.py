"""Second opinions: what is neither mended nor accepted is told, what is accepted and gone too, and nothing can be silenced."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from compliance import external_checks, wildcards
from compliance.external_checks import Opinion
from model import read

ROOT = Path(__file__).parents[2]
WHERE = "small/base.Bucket"
NEEDS_POLICY_SENTRY = pytest.mark.skipif(
    find_spec("policy_sentry") is None, reason="make test installs requirements/policy-sentry.lock"
)

FAILED = {
    "check_id": "CKV_AWS_18",
    "check_name": "Ensure it logs",
    "file_path": "/small/base.yaml",
    "resource": "AWS::S3::Bucket.Bucket",
}


def report(**summary: int) -> dict[str, Any]:
    counted = {"failed": 1, "skipped": 0, "parsing_errors": 0, "resource_count": 2}
    return {"summary": counted | summary, "results": {"failed_checks": [FAILED]}}


def program(folder: Path, text: str) -> Path:
    """A program in checkov's place, which says this and how it was started."""
    path = folder / "checkov"
    path.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys\n"
        f"pathlib.Path({str(folder / 'started')!r}).write_text(repr((sys.argv[1:], sorted(os.environ), sorted(os.listdir()))))\n"
        f"print({text!r})\n"
    )
    path.chmod(0o755)
    return path


def opinions(policy: dict[str, Any], type_: str = "AWS::IAM::Role") -> list[str]:
    trust = {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}}
    roles = {"AssumeRolePolicyDocument": trust, "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": policy}}]}
    properties = roles if type_ == "AWS::IAM::Role" else {"KeyPolicy": {"Statement": [policy]}}
    template = {"Resources": {"It": {"Type": type_, "Properties": properties}, "Other": {"Type": "AWS::SNS::Topic"}}}
    return [f"{each.where} {each.check}" for each in external_checks.policy_sentry({"small/base": template})]


def test_a_finding_that_is_neither_mended_nor_accepted_is_told_with_where_it_is() -> None:
    (problem,) = external_checks.unsettled([Opinion("CKV_AWS_18", WHERE, "Ensure it logs")] * 2, {})
    assert problem.startswith(f"{WHERE}: CKV_AWS_18 Ensure it logs; mend the layer, or accept it")


def test_a_finding_that_is_accepted_for_another_resource_is_told() -> None:
    problems = external_checks.unsettled(
        [Opinion("CKV_AWS_18", WHERE, "Ensure it logs")], {("CKV_AWS_18", "small/base.Other"): "why"}
    )
    assert len(problems) == 2


def test_an_acceptance_of_what_is_no_longer_found_is_told() -> None:
    assert external_checks.unsettled([], {("CKV_AWS_18", WHERE): "why"}) == [
        f"{WHERE}: CKV_AWS_18 is no longer found; take it out of second_opinions.yaml"
    ]


def test_what_is_found_and_accepted_is_settled() -> None:
    reasons = external_checks.accepted(f"accepted: [{{check: CKV_AWS_18, reason: Because., where: [{WHERE}]}}]")
    assert reasons == {("CKV_AWS_18", WHERE): "Because."}
    assert external_checks.unsettled([Opinion("CKV_AWS_18", WHERE, "Ensure it logs")], reasons) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"{{check: C, reason: Because., where: [{WHERE}, {WHERE}]}}", "twice"),
        (f"{{check: C, where: [{WHERE}]}}", "without a reason"),
        (f"{{check: C, reason: ' ', where: [{WHERE}]}}", "without a reason"),
    ],
)
def test_an_acceptance_is_given_once_and_says_why(entry: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        external_checks.accepted(f"accepted: [{entry}]")


def test_a_failed_check_is_an_opinion_on_a_resource() -> None:
    assert external_checks.opinions_of(report(), 2) == [Opinion("CKV_AWS_18", WHERE, "Ensure it logs")]


@pytest.mark.parametrize(
    "wrong", [report(resource_count=1), report(parsing_errors=1), report(failed=2), {"passed": 0, "failed": 0}], ids=str
)
def test_a_report_that_does_not_cover_every_resource_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="did not judge all 2 resources"):
        external_checks.opinions_of(wrong, 2)


def test_what_is_silenced_in_a_template_is_refused() -> None:
    with pytest.raises(ValueError, match="1 checks of checkov are silenced in the templates"):
        external_checks.opinions_of(report(skipped=1), 2)


def test_checkov_runs_offline_beside_nothing_but_the_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BC_API_KEY", "a-key")
    assert external_checks.checkov(program(tmp_path, json.dumps(report())), tmp_path, 2)
    started = (tmp_path / "started").read_text()
    assert "'--directory', 'templates'" in started
    assert "--skip-download" in started
    assert "CKV_SKIP_PACKAGE_UPDATE_CHECK" in started
    assert "BC_API_KEY" not in started
    assert started.endswith(", ['templates'])")


def test_a_run_of_checkov_without_a_report_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gave no report"):
        external_checks.checkov(program(tmp_path, "Traceback"), tmp_path, 2)


@NEEDS_POLICY_SENTRY
@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({"Action": "s3:GetObject", "Resource": "*"}, ["PS_STAR s3:GetObject"]),
        ({"Action": ["s3:GetObject", "tag:GetResources"], "Resource": ["*"]}, ["PS_STAR s3:GetObject"]),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}, []),
        ({"Action": "tag:GetResources", "Resource": "*"}, []),
        ({"Action": "s3:GetObjects", "Resource": "arn"}, ["PS_UNKNOWN s3:GetObjects"]),
        ({"Action": "nothing:Get*", "Resource": "arn"}, ["PS_UNKNOWN nothing:Get*"]),
        ({"Action": "s3:GetObjectVersion*", "Resource": "arn"}, []),
        ({"Action": "kms:CreateGrant", "Resource": "arn"}, ["PS_PERMISSIONS kms:CreateGrant"]),
        ({"Action": "kms:CreateGrant", "Resource": "*", "Effect": "Deny"}, []),
        ({"NotAction": "iam:*", "Resource": "*"}, ["PS_INVERTED NotAction"]),
        ({"Action": "s3:GetObject", "NotResource": "arn"}, ["PS_INVERTED NotResource"]),
        ({"NotAction": "iam:*", "Resource": "*", "Effect": "Deny"}, []),
    ],
    ids=str,
)
def test_what_policy_sentry_says_of_a_statement_of_a_role(policy: dict[str, Any], found: list[str]) -> None:
    assert opinions({"Effect": "Allow"} | policy) == [f"small/base.It {each}" for each in found]


@NEEDS_POLICY_SENTRY
def test_in_the_policy_of_a_resource_only_unknown_actions_are_found() -> None:
    statement = {"Effect": "Allow", "Action": ["kms:CreateGrant", "kms:Decrypts"], "Resource": "*", "Principal": "*"}
    assert opinions(statement, "AWS::KMS::Key") == ["small/base.It PS_UNKNOWN kms:Decrypts"]


@NEEDS_POLICY_SENTRY
def test_every_finding_of_policy_sentry_here_is_accepted_and_nothing_more() -> None:
    templates = {
        str(path.relative_to(ROOT / "templates").with_suffix("")): read(path.read_text())
        for path in (ROOT / "templates").glob("*/*.yaml")
    }
    reasons = external_checks.accepted(external_checks.ACCEPTED.read_text())
    own = {key: why for key, why in reasons.items() if key[0].startswith("PS_")}
    assert own
    assert external_checks.unsettled(external_checks.policy_sentry(templates), own) == []


@NEEDS_POLICY_SENTRY
@pytest.mark.parametrize(("mended", "explained", "status"), [(True, True, 0), (False, True, 1), (True, False, 1)])
def test_the_command_fails_while_anything_is_unsettled(
    mended: bool,
    explained: bool,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    templates = tmp_path / "templates"
    (templates / "small").mkdir(parents=True)
    statement = "{Sid: Mine, Effect: Deny, Action: 's3:*', Resource: arn, Principal: {AWS: arn}}"
    policy = f"{{Type: AWS::S3::BucketPolicy, Properties: {{PolicyDocument: {{Statement: {statement}}}}}}}"
    (templates / "small/base.yaml").write_text(f"Resources: {{Bucket: {{Type: AWS::S3::Bucket}}, Policy: {policy}}}\n")
    why = tmp_path / "wildcards.yaml"
    why.write_text(f"stars: [{'{why: Because., types: [AWS::S3::BucketPolicy], part: Action}' if explained else ''}]\n")
    monkeypatch.setattr(wildcards, "REASONS", why)
    entry = f"{{check: CKV_AWS_18, reason: Because., where: [{WHERE}]}}" if mended else ""
    accepted = tmp_path / "accepted.yaml"
    accepted.write_text(f"accepted: [{entry}]\n")
    monkeypatch.setattr(external_checks, "ACCEPTED", accepted)
    arguments = ["--checkov", str(program(tmp_path, json.dumps(report()))), "--templates", str(templates)]
    assert external_checks.main(arguments) == status
    *_, opinions, wild = capsys.readouterr().out.splitlines()
    assert opinions == f"1 findings of checkov and policy_sentry, {int(not mended)} of them unsettled"
    assert wild == f"1 times a * in a policy, {int(not explained)} of them, or of their reasons, unsettled"
