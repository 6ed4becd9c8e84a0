"""Runbooks take every name from the built documents, and say of every command whether it is run."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from chain.cloudformation.statuses import DECISIONS, REMEDIES, Decision
from documents import runbooks
from documents.runbooks import chain, costs, facts, page, regions, stores
from documents.runbooks.facts import Facts
from documents.runbooks.page import Section, shell
from generator.assemble import Built, assemble
from generator.systems import SYSTEMS
from generator.systems.federal_records import FEDERAL_RECORDS
from generator.systems.healthcare import HEALTHCARE
from model import PRIMARY, RECOVERY, System
from tests.support.pieces import system_of


def named(text: str) -> dict[str, str]:
    return {"Fn::Sub": f"{text}-${{EnvironmentSuffix}}"}


def document(resources: dict[str, Any], outputs: dict[str, Any] | None = None, imports: dict[str, str] | None = None) -> Any:
    return {
        "Metadata": {"Layer": {"Imports": imports or {}}},
        "Parameters": {"Class": {"Default": "db.t4g.medium"}, "Limit": {}},
        "Resources": {title: {"Type": type_, "Properties": given} for title, (type_, given) in resources.items()},
        "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()},
    }


AURORA = document(
    {
        "Cluster": (
            "AWS::RDS::DBCluster",
            {
                "DBClusterIdentifier": named("aurora"),
                "Engine": "aurora-postgresql",
                "EngineVersion": "15.10",
                "BackupRetentionPeriod": 7,
                "KmsKeyId": {"Ref": "KeyArn"},
                "VpcSecurityGroupIds": [{"Ref": "Group"}],
                "DeletionProtection": False,
            },
        ),
        "InstanceA": (
            "AWS::RDS::DBInstance",
            {
                "DBInstanceIdentifier": named("aurora-a"),
                "DBClusterIdentifier": {"Ref": "Cluster"},
                "Engine": "aurora-postgresql",
                "DBInstanceClass": {"Ref": "Class"},
            },
        ),
        "Group": ("AWS::EC2::SecurityGroup", {"GroupName": named("group")}),
        "Odd": ("AWS::EC2::VPC", {}),
        "Shown": ("AWS::EC2::VPC", {}),
        "Secret": ("AWS::SecretsManager::Secret", {"Name": named("secret")}),
        "Attachment": ("AWS::SecretsManager::SecretTargetAttachment", {"SecretId": {"Ref": "SecretArn"}}),
        "Table": (
            "AWS::DynamoDB::Table",
            {
                "TableName": named("table"),
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "SSESpecification": {"KMSMasterKeyId": {"Ref": "KeyArn"}},
            },
        ),
        "Vault": ("AWS::Backup::BackupVault", {"BackupVaultName": named("vault")}),
    },
    {"KeyArn": {"Fn::GetAtt": ["Key", "Arn"]}, "SecretArn": {"Ref": "Secret"}, "ShownId": {"Ref": "Shown"}},
    {"KeyArn": "data.KeyArn", "SecretArn": "primary:data.SecretArn"},
)


def alarm(**given: Any) -> tuple[str, dict[str, Any]]:
    return (
        "AWS::CloudWatch::Alarm",
        {
            "AlarmName": named("alarm"),
            "AlarmDescription": "Trouble.",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": {"Ref": "Limit"},
            **given,
        },
    )


WATCH = document(
    {
        "Formula": alarm(Metrics=[]),
        "Cluster": alarm(
            Namespace="AWS/RDS",
            MetricName="CPUUtilization",
            Period=3600,
            Dimensions=[{"Name": "DBClusterIdentifier", "Value": {"Ref": "ClusterName"}}],
        ),
    },
    imports={"ClusterName": "data.Name"},
)


def of(**documents: Any) -> Facts:
    data = documents.get("data")
    if data is not None and "Name" not in data["Outputs"]:
        data["Outputs"]["Name"] = {"Value": {"Ref": "Cluster"}}
    return Facts(system_of(), documents, dict.fromkeys(documents, "generator/layers/x.py"))


def built() -> dict[str, dict[str, Built]]:
    return {system.name: assemble(system, lambda function: f"{function}-0.zip") for system in SYSTEMS}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return runbooks.documents(SYSTEMS, built(), {})


def test_every_system_has_a_page_for_each_site_and_every_link_between_them_leads_to_a_section(pages: dict[str, str]) -> None:
    assert {f"{system.name}.md" for system in SYSTEMS} < set(pages)
    sections = {
        name.rpartition("/")[2]: {page.anchor(heading) for heading in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}
        for name, text in pages.items()
    }
    for name, text in pages.items():
        here = name.rpartition("/")[2]
        for file, section in re.findall(r"\]\(([a-z-]*(?:\.md)?)(#[^)]+)\)", text):
            assert section in sections[file or here], f"{name}: {file}{section}"


def test_what_moves_the_writer_or_brings_data_back_is_found_from_what_one_sees(pages: dict[str, str]) -> None:
    seen = pages["README.md"]
    for name in (
        regions.LOSS,
        regions.BROKEN,
        regions.AGAINST,
        regions.FAILBACK,
        regions.SWITCHOVER,
        stores.FILES,
        stores.OBJECTS,
    ):
        having = [file for file, text in pages.items() if f"\n## {name}\n" in text]
        assert having
        for file in having:
            assert f"({file.rpartition('/')[2]}{page.anchor(name)})" in seen


def test_leaving_the_region_is_rehearsed_where_that_can_be(pages: dict[str, str]) -> None:
    rehearsed = {name: "planned-switchover), and the way back | twice a year" in text for name, text in pages.items()}
    assert [name for name, said in rehearsed.items() if said] == [
        "federal-records.md",
        "healthcare.md",
    ]


def test_a_system_of_two_regions_has_a_page_for_each_site_that_leads_to_the_other(pages: dict[str, str]) -> None:
    first, second = (pages[f"federal-records{end}.md"] for end in ("", "-recovery"))
    assert "AWS_DEFAULT_REGION=eu-west-1" in first
    assert "AWS_DEFAULT_REGION=eu-west-2" in second
    assert "[federal-records-recovery](federal-records-recovery.md)" in first
    assert "[federal-records](federal-records.md)" in second
    assert "### ReplicationLagTooHigh" in second
    assert "## Clean up" in first
    assert "## Clean up" not in second, "what is done to all sites stands with the primary"
    assert "## Point-in-time recovery" not in second, "a replica is restored where its source is"


def test_an_output_of_another_site_is_asked_for_in_its_region() -> None:
    known = Facts.of(FEDERAL_RECORDS, built()["federal-records"])
    (target,) = [
        item["Value"]
        for one in known.all("AWS::CloudWatch::Alarm")
        for item in one.properties["Dimensions"]
        if item["Name"] == "DestinationFileSystemId"
    ]
    assert known.text("files", target) == "$(cut -d/ -f2 <<< $(AWS_DEFAULT_REGION=eu-west-2 output files-replica FileSystemArn))"


def test_every_alarm_log_group_and_filter_of_every_system_stands_on_its_page(pages: dict[str, str]) -> None:
    for system in SYSTEMS:
        text = pages[f"{system.name}.md"]
        known = Facts.of(system, built()[system.name])
        for one in known.all("AWS::CloudWatch::Alarm"):
            assert f"### {one.title}\n" in text
        for one in known.all("AWS::Logs::LogGroup", "AWS::CloudWatch::Dashboard"):
            assert known.name(one).replace("$ENV", "<suffix>").replace("$AWS_DEFAULT_REGION", known.region) in text


def test_no_command_is_both_run_and_not_run_in_a_section() -> None:
    for system in SYSTEMS:
        for section in runbooks.sections(Facts.of(system, built()[system.name]), {}):
            used: dict[bool, set[str]] = {True: set(), False: set()}
            for part in section.parts:
                if not isinstance(part, str):
                    used[bool(part.not_run)].update(op for line in part.commands for op in page.OPERATION.findall(line))
            assert not used[True] & used[False], section.title


def test_the_states_of_a_stack_are_those_of_the_chain() -> None:
    kinds = {
        Decision.UPDATE: {"at rest"},
        Decision.WAIT: {"moving"},
        Decision.REMOVE: {"first create failed"},
        Decision.REVIEW: {"create under review"},
        Decision.CREATE: {"gone"},
        Decision.CONTINUE: {"rollback failed"},
        Decision.REFUSE: {"delete failed", "update failed", "rollback failed"},
    }
    assert chain.STATES.keys() == DECISIONS.keys()
    for state, decision in DECISIONS.items():
        assert chain.STATES[state] in kinds[decision], state
    for state, remedy in REMEDIES.items():
        does = " ".join(chain.MEANT[chain.STATES[state]])
        assert next(word for word in ("rollback-stack", "continue-update-rollback", "destroy") if word in remedy) in does


def test_a_cluster_has_procedures_of_its_own() -> None:
    known = of(data=AURORA, watch=WATCH)
    text = page.render("X", "", tuple(runbooks.sections(known, {})))
    assert '--db-cluster-identifier "aurora-$ENV-restored"' in text
    assert '--kms-key-id "$(output data KeyArn)"' in text
    assert 'describe-events --source-type db-cluster --source-identifier "aurora-$ENV"' in text
    assert "--no-deletion-protection" in text
    assert "Enabled=true,SSEType=KMS,KMSMasterKeyId=$(output data KeyArn)" in text
    assert "list-recovery-points-by-backup-vault --backup-vault-name" in text
    assert "aws dynamodb delete-table --table-name" in text
    assert "a formula is > the environment's value (`Limit`)" in text
    assert '--start-time "$(ago 120)"' in text


def test_a_cluster_of_a_global_database_is_restored_with_its_capacity_and_swapped_with_nothing() -> None:
    known = Facts.of(HEALTHCARE, built()["healthcare"])
    found = {section.title: section for section in runbooks.sections(known, {})}
    assert "Swap the clusters" not in found, "the other region follows the cluster that runs"
    text = page.render("X", "", tuple(found.values()))
    assert "--serverless-v2-scaling-configuration MinCapacity=0.5,MaxCapacity=2" in text
    for letter in "ab":
        assert f'create-db-instance --db-instance-identifier "healthcare-aurora-{letter}-$ENV-restored"' in text
    assert "| Database `InstanceB`, db.serverless, at its least capacity | 0.5 | 0.12 per ACU-hour | 43.80 |" in text


def test_a_secondary_has_no_procedures_of_a_database_before_a_failover() -> None:
    there = Facts.of(HEALTHCARE, built()["healthcare"], RECOVERY)
    titles = [section.title for section in runbooks.sections(there, {})]
    assert titles == [
        "Before anything",
        "Monitor",
        "Alarms",
        "Confirm the e-mail subscription",
        "Planned switchover",
        "Failback",
        "Loss of the region",
        "A broken topology",
        "What stands against a failover",
        "Bring objects back",
        "Recovery points",
        "Security",
        "Troubleshoot",
        "Costs",
    ]


def test_a_system_without_a_database_has_no_procedures_for_one() -> None:
    titles = [section.title for section in runbooks.sections(of(x=document({})), {})]
    assert titles == ["Before anything", "Deploy", "Monitor", "Troubleshoot", "A stack is stuck", "Clean up", "Costs"]


def test_names_become_shell_text() -> None:
    known = of(data=AURORA)
    assert known.text("data", {"Fn::Sub": "a-${AWS::Region}-${EnvironmentSuffix}"}) == "a-$AWS_DEFAULT_REGION-$ENV"
    assert known.text("data", {"Fn::Sub": ["${Of}-b", {"Of": {"Ref": "Cluster"}}]}) == "aurora-$ENV-b"
    assert known.text("data", {"Ref": "Class"}) == "$(parameter data Class)"
    assert known.text("data", {"Ref": "Shown"}) == "$(output data ShownId)"
    assert "--logical-resource-id Odd --query" in known.text("data", {"Ref": "Odd"})
    assert known.text("data", True) == "true"
    assert known.text("data", {"Fn::Select": [3, {"Fn::Split": [":", {"Ref": "Class"}]}]}) == (
        "$(cut -d: -f4 <<< $(parameter data Class))"
    )
    with pytest.raises(LookupError, match="which no shell can say"):
        known.text("data", {"Fn::ImportValue": "x"})


def test_an_output_that_a_runbook_needs_and_nobody_offers_is_named() -> None:
    with pytest.raises(LookupError, match="no output refers to a AWS::SNS::Topic"):
        of(x=document({"Topic": ("AWS::SNS::Topic", {})})).output("AWS::SNS::Topic")


def test_words_are_quoted_for_the_shell() -> None:
    assert [page.word(text) for text in ("a-b", "a $ENV", "it's")] == ["a-b", '"a $ENV"', "'it'\"'\"'s'"]


def test_a_command_that_is_not_run_stands_in_the_table_with_its_reason() -> None:
    text = page.render("X", "", [Section("Do", (shell("aws a b", not_run="so"), shell("aws c d")), ("First",))])
    assert "| Do | `aws a b` | not run | so |" in text
    assert "`aws c d`" not in text
    assert "First: [First](#first), in this shell." in text
    assert "Every command above, but those of this table, is run in a test" in text
    whole = page.render("X", "", [Section("Do", (shell("aws c d"),))])
    assert whole.endswith(
        "Every command above is run in a test, on a deployed environment in the emulator with a real PostgreSQL behind it.\n"
    )


def test_costs_follow_the_values_of_the_environment_and_name_what_has_no_price() -> None:
    known = of(data=AURORA)
    cheap, strange = (
        "\n".join(map(str, costs.section(known, {"data": {"Class": name}}).parts)) for name in ("db.t4g.medium", "db.odd")
    )
    assert "db.t4g.medium | 1 | 0.073 per hour | 53.29 |" in cheap
    assert "**not** in the sum: db.odd (`InstanceA`)" in strange


def test_an_instance_with_a_key_and_a_literal_class_is_restored_and_priced_with_them() -> None:
    given = {
        "DBInstanceIdentifier": named("rds"),
        "DBInstanceClass": "db.r6g.large",
        "AllocatedStorage": 100,
        "MultiAZ": True,
        "Engine": "postgres",
        "EngineVersion": "15.10",
        "KmsKeyId": {"Ref": "KeyArn"},
        "BackupRetentionPeriod": 7,
        "PreferredMaintenanceWindow": "sun:05:00-sun:06:00",
    }
    attachment = ("AWS::SecretsManager::SecretTargetAttachment", {"SecretId": "arn"})
    resources = {"Instance": ("AWS::RDS::DBInstance", given), "Attachment": attachment}
    known = of(x=document(resources, {"KeyArn": {"Fn::GetAtt": ["Key", "Arn"]}}, {"KeyArn": "x.KeyArn"}))
    text = page.render("X", "", tuple(runbooks.sections(known, {})))
    assert "`$(output x KeyArn)`, as in the source" in text
    assert "the log archive" not in text
    assert "| **Sum** | | | **351.50** |" in text


def test_whatever_is_paid_for_by_the_hour_or_month_is_in_the_sum_or_named_as_missing() -> None:
    """A type that is new to the templates is put among these, or has a price."""
    free = """
        Backup::BackupPlan Backup::BackupSelection Backup::RestoreTestingPlan Backup::RestoreTestingSelection EC2::FlowLog
        EC2::InternetGateway EC2::Route EC2::RouteTable EC2::SecurityGroup EC2::SecurityGroupEgress EC2::SecurityGroupIngress
        EC2::Subnet EC2::SubnetRouteTableAssociation EC2::VPC EC2::VPCGatewayAttachment EFS::AccessPoint EFS::MountTarget
        ElastiCache::ParameterGroup ElastiCache::SubnetGroup ElastiCache::User ElastiCache::UserGroup Events::Rule IAM::Role
        KMS::Alias Lambda::Permission RDS::DBClusterParameterGroup RDS::DBParameterGroup RDS::DBSubnetGroup
        RDS::EventSubscription Route53::RecordSet S3::BucketPolicy SNS::Subscription SNS::Topic SNS::TopicPolicy
        SQS::Queue SQS::QueuePolicy SSM::Parameter SecretsManager::ResourcePolicy SecretsManager::RotationSchedule
        SecretsManager::SecretTargetAttachment
    """
    for system in SYSTEMS:
        for site in system.regions:
            here = Facts.of(system, built()[system.name], site)
            found = costs.bill(here, {})
            paid = {one.type for line in found.lines for one in line.resources} | {
                one.type for _, _, resources in found.used for one in resources
            }
            assert here.types - paid == here.types & {f"AWS::{name}" for name in free.split()}, here.page


def test_a_cache_is_paid_by_the_node_and_a_replicas_storage_is_named_as_missing(pages: dict[str, str]) -> None:
    text = pages["federal-records-recovery.md"]
    assert "| Cache `ReplicationGroup`, nodes of cache.t4g.small | 3 | 0.032 per hour | 70.08 |" in text
    assert "the storage of the replica (`Instance`), as large as its source's" in text
    assert "what is sent to the other region" in text
    known = Facts.of(FEDERAL_RECORDS, built()["federal-records"], RECOVERY)
    assert "cache.odd (`ReplicationGroup`)" in costs.bill(known, {"cache": {"NodeType": "cache.odd"}}).unpriced


def test_a_server_is_said_to_take_tls_only_where_it_does(pages: dict[str, str]) -> None:
    said = {name for name, text in pages.items() if "The server takes TLS only" in text}
    assert said == {name for name in pages if not name.endswith(("README.md", "ledger.md"))}, "LG-05 asks that it takes both"


def test_every_price_is_marked_and_has_a_page_and_a_date() -> None:
    for price in (*costs.PRICES.values(), *(price for _, _, price in costs.BY_USE)):
        assert price.amount > 0
        assert price.page.startswith("aws.amazon.com/")
        assert re.search(r"20\d\d-\d\d$", price.seen)


def test_prices_elsewhere_are_said_to_differ() -> None:
    system: System = dataclasses.replace(system_of(), regions={"primary": "eu-central-2"})
    known = dataclasses.replace(of(x=document({})), system=system)
    assert "runs in eu-central-2, where they differ" in str(costs.section(known, {}).parts)


def test_ledgers_sum_is_that_of_its_lines(pages: dict[str, str]) -> None:
    text = pages["ledger.md"]
    rows = re.findall(r"^\| .+? \| [\d,.]+ \| [\d.]+ per .+? \| ([\d,.]+) \|", text, re.MULTILINE)
    total = re.search(r"\*\*Sum\*\* \| \| \| \*\*([\d,.]+)\*\*", text)
    assert total
    assert sum(round(float(row.replace(",", "")) * 100) for row in rows) == round(float(total[1].replace(",", "")) * 100)


def test_types_that_ref_to_an_arn_are_asked_of_their_stack() -> None:
    assert of(data=AURORA).text("data", {"Ref": "SecretArn"}) == "$(output data SecretArn)"
    assert facts.PSEUDO["EnvironmentSuffix"] == "$ENV"


@pytest.mark.parametrize("system", [HEALTHCARE, FEDERAL_RECORDS], ids=lambda system: system.name)
def test_what_leaves_its_region_says_how_and_the_way_back(system: System) -> None:
    documents = {site: Facts.of(system, built()[system.name], site) for site in system.regions}
    away = [one.title for one in regions.sections(documents[RECOVERY])]
    assert away[:5] == [regions.SWITCHOVER, regions.FAILBACK, regions.LOSS, regions.BROKEN, regions.AGAINST]
    assert (regions.AGENCY in away) is (system is FEDERAL_RECORDS)
    assert [one.title for one in regions.sections(documents[PRIMARY])] == [regions.ZONE, regions.CORRUPTION]


@pytest.mark.parametrize(("system", "target"), [("federal-records", "17."), ("ledger", "16.")])
def test_a_major_upgrade_leads_to_the_next_version_of_what_runs(system: str, target: str) -> None:
    page = Path("docs/operations", f"{system}.md").read_text()
    assert f"\nTARGET={target}" in page
