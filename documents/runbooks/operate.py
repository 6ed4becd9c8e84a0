"""Whether it works, whether it is safe, and what to look at when it is neither: test, security, troubleshoot."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from documents.runbooks import cluster, database, regions
from documents.runbooks.chain import BEFORE
from documents.runbooks.facts import Facts, Resource
from documents.runbooks.log_search import search
from documents.runbooks.page import Section, Shell, anchor, command, shell, word
from model import PRIMARY, RECOVERY

TEST, SECURITY, TROUBLE = "Test", "Security", "Troubleshoot"
ALARM, FUNCTION, KEY = "AWS::CloudWatch::Alarm", "AWS::Lambda::Function", "AWS::KMS::Key"

OFTEN = (
    ("Failover test", "twice a year", "how long connections are refused"),
    ("Point-in-time recovery", "every quarter", "how long until somebody can read the restored data, and how old they are"),
    ("Restore the table", "every quarter", "how long it takes"),
    ("Bring objects back", "every quarter", "that the right version is found and comes back"),
    ("Restore files", "every quarter", "how long it takes"),
    ("Replay the archive of changes", "every quarter", "that the archive verifies, and how many changes a minute are applied"),
    ("Credential leak", "twice a year", "how long until the leaked password is refused"),
)
"""What is rehearsed, in an environment of its own, how often at least, and what is written down."""


def test(facts: Facts, titles: Collection[str]) -> Section:
    """How one sees that an environment works. ``titles``: the other sections of the page."""
    parts: list[str | Shell] = [
        f"Before a deployment, without an account: `make try SYSTEM={facts.system.name}` deploys it to an emulator on this "
        "machine, reads it back and destroys it; `make test` runs every test, and every command of this page.",
        "After one: `make drift` ([Deploy](#deploy)). Then that an alarm reaches somebody; CloudWatch sets it right "
        "again with its "
        "next look:",
        shell(
            command(
                f"aws cloudwatch set-alarm-state --alarm-name {word(facts.name(facts.all(ALARM)[0]))}",
                '--state-value ALARM --state-reason "A test: nothing to do. Say that you got this."',
            )
        ),
    ]
    for one in _checks(facts):
        parts += [
            f"`{facts.name(one).replace('$ENV', '<suffix>')}` uses all that the application depends on, and says of each whether "
            "it works and how fast; `FunctionError` means that something does not:",
            shell(
                command(
                    f"aws lambda invoke --function-name {word(facts.name(one))}",
                    "--query '[StatusCode,FunctionError]' --output text \"$NOTES/answer.json\"",
                ),
                'python3 -m json.tool "$NOTES/answer.json" && rm "$NOTES/answer.json"',
            ),
        ]
    rows = [f"| [{title}]({anchor(title)}) | {often} | {what} |" for title, often, what in OFTEN if title in titles]
    if regions.leaves(facts):
        switchover = f"[{regions.SWITCHOVER}]({replace(facts, site=RECOVERY).page}.md{anchor(regions.SWITCHOVER)})"
        rows.append(f"| {switchover}, and the way back | twice a year | the RTO that it says, and how long the way back takes |")
    parts += [
        "What is never rehearsed does not work on the day. In an environment of its own:",
        "\n".join(["| rehearse | at least | write down |", "|---|---|---|", *rows]),
    ]
    return Section(TEST, tuple(parts), (BEFORE,))


def _checks(facts: Facts) -> list[Resource]:
    """Functions that are there to say whether the rest works."""
    return [one for one in facts.all(FUNCTION) if one.layer == "health"]


def security(facts: Facts) -> Section:
    """What protects it, and how one sees that it still does."""
    name = facts.system.name
    tagged = (
        "aws resourcegroupstaggingapi get-resources --resource-type-filters kms:key --output text "
        f'--tag-filters "Key=System,Values={name}" "Key=Environment,Values=$ENV" --query "ResourceTagMappingList[].ResourceARN"'
    )
    keys = [f"| `{facts.text(one.layer, one.properties['AliasName']).replace('$ENV', '<suffix>')}` |" for one in _aliases(facts)]
    parts: list[str | Shell] = [
        f"How each control stands: [docs/compliance/{name}.md](../compliance/{name}.md); "
        "`make evidence` writes what that rests on. Who may deploy and who may look: "
        "[docs/policies](../policies/README.md). A person has no access to the data by either: that takes membership "
        "of the client "
        "group and the right to read the secret. The keys, each with yearly rotation:",
        "\n".join(["| key |", "|---|", *keys]),
        shell(
            f'for KEY in $({tagged}); do aws kms get-key-rotation-status --key-id "$KEY" '
            "--query '[KeyId,KeyRotationEnabled]' --output text; done"
        ),
    ]
    if facts.all("AWS::SecretsManager::SecretTargetAttachment"):
        parts += [
            "The password: when it was changed last, and when it will be:",
            shell(
                command(
                    f"aws secretsmanager describe-secret --secret-id {word(database.secret(facts))} --output text",
                    "--query '[Name,RotationEnabled,LastRotatedDate,NextRotationDate,KmsKeyId]'",
                )
            ),
        ]
    group = facts.documents.get("network", {}).get("Outputs", {}).get("DatabaseGroupId")
    if group:
        parts += [
            "Who may reach the database: members of the groups in the last column, and nobody by an address:",
            shell(
                command(
                    'aws ec2 describe-security-group-rules --filters "Name=group-id,Values=$(output network DatabaseGroupId)"',
                    "--output text --query "
                    "'SecurityGroupRules[].[IsEgress,FromPort,ToPort,CidrIpv4,ReferencedGroupInfo.GroupId]'",
                )
            ),
        ]
    for one in facts.all("AWS::CloudTrail::Trail"):
        trail = word(facts.text(one.layer, one.properties["TrailName"]))
        parts += [
            "Every call is on record, as long as this says `True` and no error:",
            shell(
                command(
                    f"aws cloudtrail get-trail-status --name {trail} --output text",
                    "--query '[IsLogging,LatestDeliveryTime,LatestDeliveryError]'",
                )
            ),
        ]
    log = database.trail_log(facts)
    if log:
        parts += [
            "Calls that were refused in the last day: somebody who tries, or a permission that is missing:",
            shell(search(log, '{ ($.errorCode = "AccessDenied*") || ($.errorCode = "*UnauthorizedOperation") }', 1440)),
        ]
    return Section(SECURITY, tuple(parts), (BEFORE,))


def _aliases(facts: Facts) -> list[Resource]:
    return facts.all("AWS::KMS::Alias")


FORCED = "rds.force_ssl"
"""Stands for a type where a parameter group refuses connections without TLS."""

SYMPTOMS = (
    (
        "AWS::RDS::",
        "a connection times out",
        "The client is not in the client group, or not in this VPC: see [Connect](#connect).",
    ),
    (
        "AWS::RDS::",
        "`password authentication failed` (28P01)",
        "The password was rotated since it was read: read the secret again. If it still fails, see [Credential leak]"
        "(#credential-leak) to rotate.",
    ),
    (FORCED, "`no pg_hba.conf entry … no encryption`", "The server takes TLS only: `sslmode=verify-full`."),
    (
        "AWS::RDS::",
        "`certificate verify failed`",
        "The client has no or old root certificates: `functions/common/rds-global-bundle.pem` has all of them.",
    ),
    (
        "AWS::EC2::VPCEndpoint",
        "a call to AWS from the VPC hangs",
        "No endpoint for that service, or the client's group is not let in there: the first command below.",
    ),
    (
        "AWS::Lambda::Function",
        "`Task timed out`",
        "What it waits for does not answer: the line before says what. If nothing was said, the network interface is "
        "new: once is "
        "no trouble.",
    ),
    (
        "AWS::Lambda::Function",
        "`AccessDenied` in a function's log",
        "Its role or a key's policy was changed: `make drift`, and the refused calls under [Security](#security).",
    ),
    (
        "AWS::SecretsManager::RotationSchedule",
        "the rotation fails",
        "Its log says at which of the four steps; the old password stays valid. The next attempt begins where it stopped.",
    ),
    (
        "AWS::Backup::BackupPlan",
        "no recovery points come",
        "The account is not opted in to the type ([Recovery points](#recovery-points)), or the role lost a permission: the job's "
        "`StatusMessage` says.",
    ),
    (
        "AWS::DynamoDB::Table",
        "`ProvisionedThroughputExceededException` of a table on demand",
        "The load more than doubled within 30 minutes, or one key takes it all. The first ends by itself.",
    ),
    ("AWS::S3::Bucket", "`AccessDenied` from S3 with the right role", "The client does not use TLS 1.2, or may not use the key."),
    (
        "AWS::CloudWatch::Alarm",
        "an alarm stays in `INSUFFICIENT_DATA`",
        "What it watches is not there or has another name now: `make drift`.",
    ),
    ("AWS::SNS::Topic", "nobody got a mail", "Nobody confirmed the subscription: [Confirm](#confirm-the-e-mail-subscription)."),
)
"""What is seen, by the type that has it, and what it is mostly."""

AT_PRIMARY = ("Connect", "Credential leak", "A stack is stuck")
"""Sections of the primary's page to which these sentences lead."""


def trouble(facts: Facts) -> Section:
    """What mostly is behind what is seen, and where to look."""
    groups = facts.all("AWS::RDS::DBParameterGroup", "AWS::RDS::DBClusterParameterGroup")
    types = facts.types | ({FORCED} if any(one.properties.get("Parameters", {}).get(FORCED) == "1" for one in groups) else set())
    rows = [f"| {seen} | {do} |" for of, seen, do in SYMPTOMS if any(each.startswith(of) for each in types)]
    parts: list[str | Shell] = [
        _found(
            facts, "An alarm has its own lines under [Alarms](#alarms), and a stack under [A stack is stuck](#a-stack-is-stuck)."
        ),
        _found(facts, "\n".join(["| you see | mostly |", "|---|---|", *rows])),
        *_looks(facts),
    ]
    return Section(TROUBLE, tuple(parts), (BEFORE,))


def _found(facts: Facts, text: str) -> str:
    """With its links led to the primary's page where only that has the section."""
    for title in AT_PRIMARY if facts.site != PRIMARY else ():
        text = text.replace(f"({anchor(title)})", f"({facts.system.name}.md{anchor(title)})")
    return text


def _looks(facts: Facts) -> Iterator[str | Shell]:
    if facts.all("AWS::EC2::VPCEndpoint"):
        yield "The endpoints of the VPC:"
        yield shell(
            command(
                'aws ec2 describe-vpc-endpoints --filters "Name=vpc-id,Values=$(output network VpcId)" --output text',
                "--query 'VpcEndpoints[].[ServiceName,VpcEndpointType,State]'",
            )
        )
    functions = facts.all(FUNCTION)
    if functions:
        groups = " ".join(word(facts.name(one)) for one in functions)
        yield "What the functions complained of in the last hour:"
        yield shell(
            f'for NAME in {groups}; do aws logs filter-log-events --log-group-name "/aws/lambda/$NAME" '
            "--start-time \"$(since 60)\" --filter-pattern '?ERROR ?Error ?Traceback ?Task' --max-items 20 "
            "--query 'events[].[logStreamName,message]' --output text; done"
        )
    if database.instance(facts) or cluster.cluster(facts):
        yield "What RDS says that happened in the last day:"
        yield shell("aws rds describe-events --duration 1440 --output text --query 'Events[].[Date,SourceIdentifier,Message]'")
