"""The procedures around a system that can leave its region: switchover, the loss of a region or a zone, corruption, failback.

What stands against a failover is the function's own table, which decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from documents.runbooks.chain import BEFORE
from documents.runbooks.facts import Facts
from documents.runbooks.page import Section, anchor, command, shell
from model import RECOVERY
from protocol.parameters import MODE, path
from protocol.refusals import REFUSALS
from protocol.topology import LAYER

SWITCHOVER, LOSS, FAILBACK = "Planned switchover", "Loss of the region", "Failback"
ZONE, CORRUPTION, AGENCY, AGAINST = "Loss of a zone", "Corruption", "The agency's own source", "What stands against a failover"
BROKEN = "A broken topology"
ONCE = "It prints what it would do and lose, and asks once."


def sections(facts: Facts) -> Iterator[Section]:
    """Those of one site: what moves the writer stands with the recovery site, whose region alone it needs."""
    if not leaves(facts):
        return
    if facts.site == RECOVERY:
        yield _switchover(facts)
        yield _failback(facts)
        yield _loss(facts)
        yield _broken(facts)
        yield _against()
        if "SourceDatabaseArn" in facts.documents.get("database-replica", {}).get("Parameters", {}):
            yield _agency()
    else:
        yield _zone(replace(facts, site=RECOVERY).page)
        yield _corruption(facts)


def leaves(facts: Facts) -> bool:
    """Whether the system can leave its region."""
    return any(layer.name == LAYER for layer in facts.system.layers)


def _make(target: str, facts: Facts, *more: str) -> str:
    return command(f'make {target} ENV="$ENV" SYSTEM={facts.system.name}', *more)


def _is_global(facts: Facts) -> bool:
    return bool(facts.all("AWS::RDS::DBCluster"))


def _applications(facts: Facts) -> str:
    page = f"../../templates/{facts.system.name}/README.md#how-it-finds-the-database-after-the-system-has-left-its-region"
    return f"Then look that the applications run at this site and write: [how they find the database]({page})."


def _switchover(facts: Facts) -> Section:
    how = (
        "Aurora does it: the clusters change their roles, and nothing is lost."
        if _is_global(facts)
        else "The primary is fenced, the replica catches up and is promoted; files and the secret follow. Nothing is lost. "
        "The way back makes two databases anew: it takes as long as two copies of the data."
    )
    return Section(
        SWITCHOVER,
        (
            f"For a drill, or before something that is announced for {facts.system.regions['primary']}. {how} **Connections "
            f"break**: tell the users. {ONCE}",
            shell(_make("failover", facts, "MODE=switchover")),
            f"The last line says which site writes, and the RTO that was measured. {_applications(facts)}",
        ),
        (BEFORE,),
    )


def _failback(facts: Facts) -> Section:
    how = (
        "One switchover of the global database."
        if _is_global(facts)
        else "The old primary is kept in a snapshot and removed; a replica takes its name, catches up and is promoted; the "
        "recovery instance is kept in a snapshot and replaced by a replica of its own name. Writes stop before the "
        "promotion, not earlier. Before it removes anything it looks at what later steps need; what is missing it says in its "
        "lines at `ready` and by mail, again every few minutes, and goes on by itself when that is mended."
    )
    return Section(
        FAILBACK,
        (
            f"When {facts.system.regions['primary']} is well again, at a quiet hour, never by itself. {how} {ONCE} It may be "
            "ended and run again: it goes on where it stood, and ends when `drift` finds no difference.",
            shell(_make("failback", facts)),
            "Until then `make deploy` refuses stacks that describe the database, its secret or the files.",
        ),
        (BEFORE,),
    )


def _loss(facts: Facts) -> Section:
    names = [facts.name(one) for one in facts.all("AWS::CloudWatch::CompositeAlarm") if one.layer == "evidence"]
    wait = 'EXECUTION=$(sed -n "s/.* APPROVE=//p" "$NOTES/failover.txt") && rm "$NOTES/failover.txt"'
    return Section(
        LOSS,
        (
            "Two pieces of evidence, both measured in this region, fail over by themselves where the mode is `auto`; you get a "
            f"mail at every step. Nothing here calls {facts.system.regions['primary']}; *Error 8* of `make status` above only "
            "says that it does not answer. **A primary that answers and takes writes is not left on an alarm's word**, with or "
            "without an approval: its probe is asked at the decision and before the promotion (`primary-answers`). Your own "
            "`MODE=failover` is not stopped by that. What waits for you ends when the alarms are over, and an approval counts "
            "for ten minutes. The evidence, and the mode:",
            shell(
                command(
                    f'aws cloudwatch describe-alarms --alarm-types CompositeAlarm --alarm-names "{names[0]}"',
                    "--query 'CompositeAlarms[].[AlarmName,StateValue,StateUpdatedTimestamp]' --output text",
                ),
                command(
                    f'aws ssm get-parameter --name "{path(facts.system.name, "$ENV")}{MODE}"',
                    "--query Parameter.Value --output text",
                ),
            ),
            "What would happen, and what would be lost; make says *Error 12* where it would be refused, and *13* where it would "
            "wait for you. Then the same in earnest:",
            shell(
                _make("failover", facts) + " || true",
                _make("failover", facts, "MODE=failover") + ' | tee "$NOTES/failover.txt" || true',
                wait,
            ),
            "If it waits, its reasons stand above: one more person reads them, and approves:",
            shell(f'[ -z "$EXECUTION" ] || {_make("failover", facts, "APPROVE=$EXECUTION")}'),
            _applications(facts),
            "**A primary that cannot be reached cannot be fenced**: clients beside it may write to it until it can. What honours "
            "the epoch refuses that; AWS offers no more. How fast AWS itself promotes is not proven by the tests of this page.",
        ),
        (BEFORE,),
    )


def _broken(facts: Facts) -> Section:
    (probe,) = (facts.name(one) for one in facts.all("AWS::Lambda::Function") if one.layer == "probe-recovery")
    primary, database = facts.system.regions["primary"], "cluster" if _is_global(facts) else "instance"
    home = f"{facts.system.name}.md"
    said = '"$NOTES/probe.json" --query FunctionError --output text && cat "$NOTES/probe.json" && rm "$NOTES/probe.json"'
    # The same bytes for both versions of the AWS CLI.
    invoke = f'aws lambda invoke --function-name "{probe}" --payload "fileb://$NOTES/ask.json"'
    members = (
        command(
            "aws rds describe-global-clusters --output text",
            "--query 'GlobalClusters[].GlobalClusterMembers[].[DBClusterArn,IsWriter]'",
        )
        if _is_global(facts)
        else command(
            "aws rds describe-db-instances --output text --query "
            "'DBInstances[].[DBInstanceIdentifier,DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier]'"
        )
    )
    alone = (
        "**This site's cluster left the global database** (the list above does not name it), because AWS had not failed over "
        "within 15 minutes: it goes on writing, and `make failback` refuses, for the rest of the global database has the state "
        "of before. Take a snapshot of this cluster, stop the writers, and bring it home as a restored cluster: "
        f"[Restore from a snapshot]({home}#restore-from-a-snapshot) and [Copy back]({home}#copy-back)."
        if _is_global(facts)
        else "**This site's instance was promoted**: [Failback](#failback), as after every failover."
    )
    return Section(
        BROKEN,
        (
            "A failover that has fenced the primary and was not accepted within four hours is recorded as `broken`, and nothing "
            "fails over until a person has looked. Where no writer is named, a client that honours the epoch writes nowhere. "
            "**A promotion that was accepted is never given up**: at its deadline a mail says *promotion takes longer than*, and "
            "again each time that it has passed once more; it is gone on with every minute, the topology is the one of before, "
            f"and the {database} that is promoted is shut to clients until it is verified. Its journal, which `make status` "
            f"names, says what fails; look at the events of that {database}. What is recorded, what each site's database says of "
            "itself, and what follows what:",
            shell(
                _make("status", facts),
                """printf '{"do": "probe"}' >"$NOTES/ask.json\"""",
                command(invoke, said),
                command(f"{invoke} --region {primary}", f"{said} || true"),
                'rm "$NOTES/ask.json"',
                members,
            ),
            f"**Nobody writes, and this site's {database} was not promoted**: when {primary} is well, [Failback](#failback) "
            f"takes the fence off the {database} there, under a new epoch. {alone}",
        ),
        (BEFORE,),
    )


def _against() -> Section:
    rows = [f"| `{one.id}` | {'an approval' if one.approvable else 'nobody'} | {one.remedy} |" for one in REFUSALS]
    return Section(
        AGAINST,
        (
            "In this order. Each is told with what was seen and what would be lost.",
            "\n".join(["| what | may be overruled by | what to do |", "|---|---|---|", *rows]),
        ),
    )


def _agency() -> Section:
    return Section(
        AGENCY,
        (
            "Where an environment gives `SourceDatabaseArn`, the primary is the agency's: nothing here writes to it, so there is "
            "no heartbeat, no fence, and nobody who names the writer: where clients beside it honour the epoch, the agency makes "
            "the row that the [README](../../templates/federal-records/README.md) shows. "
            "A failover waits for an approval, also where the mode says `auto`. Whose it is "
            "(empty: the reference primary), and whether it is followed:",
            shell(
                "parameter database-replica SourceDatabaseArn",
                command(
                    "aws rds describe-db-instances --output text --query "
                    "'DBInstances[].[DBInstanceIdentifier,DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier]'",
                ),
            ),
            f"Before you approve a failover the agency stops its writers and says so in writing; then "
            f"[{LOSS}]({anchor(LOSS)}). For the way back the agency makes a replica of this site's database, "
            "under the name that its own instance had; it stops the writers here, waits until the replica has everything, and "
            "promotes it. `make failback` refuses: it would delete somebody else's instance. When the agency has said in writing "
            "that its database holds all data, `make destroy` and `make deploy` make this site a replica of it again. In between "
            "there is none; files, sessions and backups of this site go with it, so copy the files out first.",
        ),
        (BEFORE,),
    )


def _zone(recovery: str) -> Section:
    return Section(
        ZONE,
        (
            "Do not leave the region: the standby in another zone takes over in a minute or two, without loss, and the alarms of "
            "the evidence wait longer than that. What RDS did, and where each instance is now:",
            shell(
                "aws rds describe-events --duration 60 --output text --query 'Events[].[Date,SourceIdentifier,Message]'",
                command(
                    "aws rds describe-db-instances --output text --query "
                    "'DBInstances[].[DBInstanceIdentifier,DBInstanceStatus,AvailabilityZone,SecondaryAvailabilityZone]'",
                ),
            ),
            f"If it has not come back after ten minutes: [{LOSS}]({recovery}.md{anchor(LOSS)}).",
        ),
        (BEFORE,),
    )


def _corruption(facts: Facts) -> Section:
    what = "db-clusters" if _is_global(facts) else "db-instances"
    query = "DBClusters[].[DBClusterIdentifier" if _is_global(facts) else "DBInstances[].[DBInstanceIdentifier"
    return Section(
        CORRUPTION,
        (
            "**A failover does not help**: the other site has the same rows within seconds. Stop what writes them, find the "
            "second at which the data were right, and restore beside the original: "
            "[Point-in-time recovery](#point-in-time-recovery), then [Copy back](#copy-back). How far a restore reaches:",
            shell(f"aws rds describe-{what} --output text --query '{query},EarliestRestorableTime,LatestRestorableTime]'"),
            "Files, objects and recovery points have sections of their own. If the data of both sites are to be given up, call "
            "the database owner first.",
        ),
        (BEFORE,),
    )
