"""A stand-in for the failover function where commands are tried: it journals as the real one does, and moves nothing."""

from __future__ import annotations

from typing import Any

from tests.chain.two_regions import AWAY, RECOVERY
from tests.chain.world import Checkout, Clients, ref, sub

CODE = """
import datetime, json, os, boto3
from botocore.exceptions import ClientError

STEPS = {"failover": ["fence", "promote"], "switchover": ["fence", "promote"], "failback": ["kept", "writes-stopped", "verify"]}

def handler(event, context):
    ssm, path = boto3.client("ssm", region_name=os.environ["AWS_REGION"]), os.environ["PLACE"]
    def read():
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
        return {each["Name"][len(path):]: json.loads(each["Value"]) for page in pages for each in page["Parameters"]}
    def note(name, **value):
        value["at"] = datetime.datetime.now(datetime.timezone.utc).isoformat()
        ssm.put_parameter(Name=path + name, Value=json.dumps(value), Type="String")
    values = read()
    mood = values.get("mood", {"do": "act"})
    request = event.get("request")
    if request == "dry-run":
        request = event["of"]
        against = [] if mood["do"] == "act" else ["The stand-in says so."]
        return {"would": mood["do"], "against": against, "steps": STEPS[request], "lost_seconds": mood.get("lost", 7.0),
                "evidence": ["stale", "unreachable"]}
    if request and "execution/" + event["execution"] + "/00-began" not in values:
        execution = event["execution"]
        start = "execution/" + execution + "/"
        note(start + "00-began", request=request, by=event["by"], evidence=["stale", "unreachable"])
        if mood["do"] == "wait":
            note(start + "01-waiting", why=["The stand-in says so."])
            return {"execution": execution, "outcome": "waiting-for-approval", "why": ["The stand-in says so."], "more": False}
        note(start + "01-decided", epoch=1)
        return {"execution": execution, "more": True}
    execution = event.get("approve") or event["execution"]
    start = "execution/" + execution + "/"
    began = values[start + "00-began"]
    if event.get("approve"):
        note(start + "approval", by=event["by"])
        note(start + "01-decided", epoch=1)
        return {"execution": execution, "more": True}
    if mood.get("fails"):
        raise RuntimeError("as the test wants it")
    steps = STEPS[began["request"]]
    done = [name for name in values if name.startswith(start) and name[len(start):len(start) + 2] not in ("00", "01", "ap", "dr")]
    if len(done) < len(steps):
        note(start + "%02d-%s" % (len(done) + 2, steps[len(done)]), did=len(done))
        return {"execution": execution, "more": True}
    if os.environ["KIND"] == "replica" and began["request"] == "failback" and start + "drift-free" not in values:
        return {"execution": execution, "step": "drift-free", "outcome": "waiting", "more": True}
    away = began["request"] != "failback"
    epoch = len([name for name in values if name.startswith("topology/")]) + 1
    topology = {"state": "failed-over" if away else "home", "epoch": epoch, "site": "recovery" if away else "primary",
                "writer": "arn:writer",
                "since": "2026-01-02T03:04:05+00:00", "execution": execution, "evidence": began["evidence"],
                "rto_seconds": 61.4, "rpo_seconds": 7.0}
    note("topology/%08d" % epoch, **topology)
    note(start + "99-ended", outcome=mood.get("outcome", "completed"), why="")
    return {"execution": execution, "more": False, "outcome": mood.get("outcome", "completed")}
"""


def failover(checkout: Checkout, kind: str = "aurora", files: Any = None, home: str = "") -> None:
    """The layer with the stand-in, in the recovery region only; ``home`` is the ARN of the primary's database."""
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    everything = {"Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": sub("role-failover-${EnvironmentSuffix}"),
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "remember", "PolicyDocument": everything}],
        },
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": sub("function-failover-${EnvironmentSuffix}"),
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": CODE},
            "Timeout": 30,
            "Environment": {
                "Variables": {
                    "KIND": kind,
                    "PLACE": sub("/shop/${EnvironmentSuffix}/"),
                    **({"FILE_SYSTEM_ID": files} if files else {}),
                    **({"HOME_ARN": home} if home else {}),
                }
            },
        },
    }
    checkout.layer(
        "failover",
        {"Role": role, "Function": function},
        sites=RECOVERY,
        outputs={"FunctionName": ref("Function")},
        imports={files["Ref"]: "recovery:files-replica.Id"} if files else {},
    )
    local = checkout.root / "functions" / "failover"
    local.mkdir(parents=True)
    (local / "handler.py").write_text(CODE)


def remember(checkout: Checkout, clients: Clients, name: str, value: str) -> None:
    """A parameter of the environment."""
    clients("ssm", AWAY).put_parameter(Name=f"/shop/{checkout.suffix}/{name}", Value=value, Type="String")
