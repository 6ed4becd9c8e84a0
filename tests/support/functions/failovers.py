"""An account with a global database, the functions that a failover asks, and the failover function in this process."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.retries.standard import ExponentialBackoff

from emulator import Emulator

LONDON, DUBLIN = "eu-west-2", "eu-west-1"
OTHER = {LONDON: DUBLIN, DUBLIN: LONDON}
SYSTEM = "healthcare"
ALARM = "arn:aws:cloudwatch:{region}:123456789012:alarm:failover-evidence"
PROBE = """
import datetime
def handler(event, context):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    do = event.get("do")
    if do == "fence":
        return {"fenced": True, "epoch": event["epoch"], "ended": 0, "group": "closed"}
    if do == "unfence":
        return {"fenced": False, "epoch": event["epoch"], "token": event["token"], "group": "open"}
    if do in ("adopt", "open", "close"):
        return {"adopted": True, "group": "closed" if do == "close" else "open"}
    if do == "verify":
        return {"verified": True, "writable": True, "epoch": event["epoch"], "at": now, "writer": "it", "group": "open"}
    return {"writable": True, "epoch": 0, "in_recovery": False, "at": now, "fenced": False, "seconds": 30.0}
"""

UNWRITABLE = PROBE.replace('"writable": True, "epoch": 0', '"writable": False, "epoch": 99')
"""That of a primary that is lost to its clients and can be fenced. What was written by a fence has come to it with the stream."""


def packed(source: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("handler.py", source)
    return data.getvalue()


def function(aws: Emulator, name: str, region: str, source: str = PROBE) -> str:
    iam = aws.client("iam")
    if not [one for one in iam.list_roles()["Roles"] if one["RoleName"] == "probe"]:
        allowed = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = {"Version": "2012-10-17", "Statement": [allowed]}
        iam.create_role(RoleName="probe", AssumeRolePolicyDocument=json.dumps(trust))
    made = aws.client("lambda", region).create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::123456789012:role/probe",
        Handler="handler.handler",
        Code={"ZipFile": packed(source)},
    )
    return str(made["FunctionArn"])


@dataclass
class Site:
    """What stands in one region, whichever role it has."""

    region: str
    cluster: str
    probe: str
    topic: str
    queue: str


@dataclass
class Failover:
    """The function of one environment, whose recovery site is ``here``."""

    aws: Emulator
    monkeypatch: pytest.MonkeyPatch
    suffix: str
    here: Site
    away: Site
    whole: str = "failing"
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from orchestration.world import forget

        forget()
        self.monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)  # between attempts of one call
        environment = {
            **self.aws.environment,
            "AWS_REGION": self.here.region,
            "AWS_DEFAULT_REGION": self.here.region,
            "AWS_LAMBDA_FUNCTION_NAME": f"failover-{self.suffix}",
            "SYSTEM": SYSTEM,
            "SUFFIX": self.suffix,
            "KIND": "aurora",
            "TOPIC_ARN": self.here.topic,
            "ALARM_ARN": ALARM.format(region=self.here.region),
            "EVIDENCE_ALARMS": "replica-data-stale,primary-unreachable",
            "PROBE_PRIMARY_ARN": self.away.probe,
            "PROBE_RECOVERY_ARN": self.here.probe,
            "REPLICA_AGE_ARN": self.here.probe,
            "PRIMARY_REGION": self.away.region,
            "GLOBAL_CLUSTER_ID": self.whole,
            "HOME_ARN": self.away.cluster,
            "TARGET_ARN": self.here.cluster,
            "CAPACITY_MIN": "2",
            "CAPACITY_MAX": "8",
            "CAPACITY_HOME_MIN": "0.5",
            "CAPACITY_HOME_MAX": "2",
        }
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)
        told = {"mode": "auto", "rpo-seconds": "900", "max-lag-seconds": "60", "cooldown-seconds": "3600"}
        for name, value in told.items():
            self.configure(name, value)

    def configure(self, name: str, value: str) -> None:
        self.ssm.put_parameter(Name=f"/{SYSTEM}/{self.suffix}/config/{name}", Value=value, Type="String", Overwrite=True)

    @property
    def ssm(self) -> Any:
        return self.aws.client("ssm", self.here.region)

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        from failover.handler import handler

        return handler(event, None)

    def event(self, at: str = "2026-11-21T09:00:00.000+0000") -> dict[str, Any]:
        alarm = ALARM.format(region=self.here.region)
        return {
            "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm State Change",
            "resources": [alarm],
            "detail": {"alarmName": "failover-evidence", "state": {"value": "ALARM", "timestamp": at}},
        }

    def evidence(self, *pieces: str) -> None:
        cloudwatch = self.aws.client("cloudwatch", self.here.region)
        for name in ("replica-data-stale", "primary-unreachable"):
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM" if name in pieces else "OK", StateReason="test")

    def alarm(self) -> None:
        """Both pieces of evidence."""
        self.evidence("replica-data-stale", "primary-unreachable")

    def both(self) -> None:
        """Both pieces of evidence, and what they are evidence of."""
        self.alarm()
        self.primary("unwritable")

    def primary(self, probe: str) -> None:
        """The primary answers as this function does; as none, where there is none of this name."""
        self.monkeypatch.setenv("PROBE_PRIMARY_ARN", f"arn:aws:lambda:{self.away.region}:123456789012:function:{probe}")

    def drive(self, most: int = 40) -> list[dict[str, Any]]:
        """Ticks until nothing is left to do."""
        said = []
        for _ in range(most):
            said.append(self.invoke({"tick": True}))
            if said[-1]["outcome"] in ("nothing to do", "completed", "failed", "refused"):
                break
            if said[-1]["outcome"] == "waiting":
                self.aws.settle()
        return said

    def parameters(self, below: str = "") -> dict[str, Any]:
        path = f"/{SYSTEM}/{self.suffix}/"
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=path + below, Recursive=True)
        return {one["Name"][len(path) :]: json.loads(one["Value"]) for page in pages for one in page["Parameters"]}

    @property
    def topology(self) -> dict[str, Any]:
        found = self.parameters("topology/")
        return dict(found[max(found)]) if found else {}

    def outcomes(self) -> list[str]:
        return [one["outcome"] for name, one in self.parameters("execution/").items() if name.endswith("99-ended")]

    def writer(self) -> list[str]:
        found = self.aws.client("rds", self.here.region).describe_global_clusters(GlobalClusterIdentifier=self.whole)
        return [one["DBClusterArn"] for one in found["GlobalClusters"][0]["GlobalClusterMembers"] if one["IsWriter"]]

    def told(self) -> list[str]:
        """The subjects of what operators were told so far, which is then forgotten."""
        sqs, found = self.aws.client("sqs", self.here.region), []
        while messages := sqs.receive_message(QueueUrl=self.here.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(str(json.loads(message["Body"])["Subject"]))
                sqs.delete_message(QueueUrl=self.here.queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def disturb(self, before: Callable[[str], Any] | None = None, after: Callable[[str], None] | None = None) -> None:
        """Lets ``before`` see every call of the function, and answer it for the service; ``after`` sees it answered."""
        from orchestration.world import _session, forget

        forget()
        session = _session()

        def send(event_name: str, **_: Any) -> AWSResponse | None:
            name = event_name.rpartition(".")[2]
            self.calls.append(name)
            return before(name) if before else None

        def answered(event_name: str, **_: Any) -> None:
            if after:
                after(event_name.rpartition(".")[2])

        session.events.register("before-send.*", send)
        session.events.register("after-call.*", answered)

    def refuse(self, call: str, times: int | None = None) -> None:
        """Lets the first calls of this name fail, without the service's knowing: an error, throttled, no answer, and again."""
        troubles = itertools.islice(itertools.cycle(TROUBLES), times)

        def make(name: str) -> AWSResponse | None:
            if name != call or (trouble := next(troubles, None)) is None:
                return None
            status, kind = trouble
            if not status:
                raise ReadTimeoutError(endpoint_url="https://of-the-test")
            answer = AWSResponse("https://of-the-test", status, {"x-amzn-errortype": kind}, None)
            answer._content = b"{}" if name in ("PutParameter", "Invoke") else FAILED % kind.encode()
            return answer

        self.disturb(before=make)


TROUBLES = ((0, "no answer"), (500, "InternalFailure"), (400, "ThrottlingException"), (0, "no answer"))
"""Four, where a call is attempted three times: so that the last attempt meets each."""

FAILED = b"<ErrorResponse><Error><Code>%s</Code><Message>of the test</Message></Error></ErrorResponse>"


SUFFIXES = count(1)
Start = Callable[[], Failover]


def site(aws: Emulator, region: str, cluster: str) -> Site:
    topic = aws.client("sns", region).create_topic(Name="operators")["TopicArn"]
    sqs = aws.client("sqs", region)
    policy = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
        ]
    }
    queue = sqs.create_queue(QueueName="operators", Attributes={"Policy": json.dumps({"Version": "2012-10-17", **policy})})[
        "QueueUrl"
    ]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns", region).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for name in ("replica-data-stale", "primary-unreachable"):
        aws.client("cloudwatch", region).put_metric_alarm(
            AlarmName=name,
            Namespace="Standby",
            MetricName=name,
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    function(aws, "unwritable", region, UNWRITABLE)
    return Site(region, cluster, function(aws, "probe", region), topic, queue)


def ended_well(failover: Failover) -> None:
    """One writer, which the topology names, by one execution that ended once."""
    assert failover.outcomes() == ["completed"]
    assert failover.writer() == [failover.topology["writer"]] == [failover.here.cluster]
    assert failover.topology["epoch"] == 1


def onward(failover: Failover, execution: str = "") -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """What follows an answer: the next minute, an approval, or a new request after a refusal; nothing when one was completed."""
    asked, wanted = count(1), failover.outcomes().count("completed") + 1

    def following(answer: dict[str, Any]) -> dict[str, Any] | None:
        if failover.outcomes().count("completed") == wanted:
            return None
        if answer["outcome"] == "waiting-for-approval":  # how old the data were nobody could say
            return {"approve": answer["execution"], "by": "operator"}
        if execution and answer["outcome"] in ("refused", "nothing to do"):
            return {**REQUESTS[execution], "execution": f"{execution}{next(asked):02d}"}
        return {"tick": True}

    return following


THERE, BACK = "manual-20261121T120000Z-0a1b", "manual-20261121T130000Z-0a1b"
REQUESTS = {THERE: {"request": "switchover", "by": "operator"}, BACK: {"request": "failback", "by": "operator"}}


def answers(failover: Failover, *steps: str, most: int = 40) -> list[dict[str, Any]]:
    """Minutes until each of ``steps`` was done or has failed."""
    said = []
    for _ in range(most):
        said.append(failover.invoke({"tick": True}))
        failover.aws.settle()
        if set(steps) <= {one.get("step") for one in said}:
            break
    return said
