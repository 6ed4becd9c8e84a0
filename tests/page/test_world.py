"""What a picture shows is what the templates say."""

from generator.systems.federal_records import FEDERAL_RECORDS
from generator.systems.healthcare import HEALTHCARE
from generator.systems.ledger import LEDGER
from model import BOTH, PRIMARY, RECOVERY
from page.world import World
from tests.page.subjects import documents, small

HERE = {"Type": "AWS::S3::Bucket", "Properties": {}}
ZONES = ("ZoneAId", "ZoneBId", "ZoneCId")


def _ends(world: World, how: str) -> set[tuple[str, str]]:
    return {
        (".".join(edge.source[1:]) + f"@{edge.source[0]}", ".".join(edge.target[1:]) + f"@{edge.target[0]}")
        for edge in world.copies
        if edge.how == how
    }


def test_a_database_is_in_the_subnets_of_its_group() -> None:
    things = {(one.layer, one.title): one for one in World.of(LEDGER, documents(LEDGER)).things(PRIMARY)}
    database = things["database", "Instance"]
    assert (database.kind, database.tier) == ("Database", "Database")
    assert database.detail == "postgres 15.19, several zones, AWS-managed key"
    assert database.zones == ZONES
    assert (things["network", "NatGatewayA"].tier, things["network", "NatGatewayA"].zones) == ("Public", ("ZoneAId",))
    assert (things["rotation", "Function"].tier, things["audit", "Bucket"].tier) == ("Database", "")


def test_an_instance_of_a_cluster_is_in_the_zone_that_it_names() -> None:
    things = {(one.layer, one.title): one for one in World.of(HEALTHCARE, documents(HEALTHCARE)).things(PRIMARY)}
    assert things["aurora-reader", "InstanceB"].zones == ("ZoneBId",)
    assert (things["aurora-reader", "InstanceB"].kind, things["aurora-reader", "InstanceB"].detail) == ("Instance", "serverless")
    assert things["aurora", "Cluster"].zones == ZONES


def test_files_are_where_their_mount_targets_are() -> None:
    things = {(one.layer, one.title): one for one in World.of(FEDERAL_RECORDS, documents(FEDERAL_RECORDS)).things(RECOVERY)}
    assert things["files-replica", "FileSystem"].zones == ZONES


def test_copies_lead_from_the_source_to_the_replica() -> None:
    federal = World.of(FEDERAL_RECORDS, documents(FEDERAL_RECORDS))
    assert _ends(federal, "read replica") == {("database.Instance@primary", "database-replica.Instance@recovery")}
    assert _ends(federal, "replication of files") == {("files.FileSystem@primary", "files-replica.FileSystem@recovery")}
    assert _ends(federal, "copies of recovery points") == {
        ("vault.Vault@primary", "vault.Vault@recovery"),
        ("vault.Vault@recovery", "vault.Vault@primary"),
    }
    healthcare = World.of(HEALTHCARE, documents(HEALTHCARE))
    assert _ends(healthcare, "global database") == {("aurora.Cluster@primary", "aurora-secondary.Cluster@recovery")}
    assert _ends(healthcare, "replication of objects") == {("objects.Bucket@primary", "objects-replica.Bucket@recovery")}
    assert _ends(healthcare, "recovery points") == {("aurora.Cluster@primary", "vault.Vault@primary")}


def test_a_replica_of_a_secret_stands_at_the_other_site_under_a_key_of_that_site() -> None:
    world = World.of(HEALTHCARE, documents(HEALTHCARE))
    assert _ends(world, "replica of the secret") == {("secrets.DatabaseSecret@primary", "secrets.DatabaseSecret@recovery")}
    keys = {edge.target: edge.source for edge in world.encryption()}
    assert keys[RECOVERY, "secrets", "DatabaseSecret"] == (RECOVERY, "keys", "SecretsKey")
    assert keys[PRIMARY, "secrets", "DatabaseSecret"] == (PRIMARY, "keys", "SecretsKey")


def test_a_layer_at_both_sites_is_encrypted_with_each_sites_own_key() -> None:
    world = small(
        keys={"sites": BOTH, "resources": {"Key": {"Type": "AWS::KMS::Key"}}, "outputs": {"Arn": {"Value": {"Ref": "Key"}}}},
        notify={
            "sites": BOTH,
            "imports": {"KeyArn": "keys.Arn"},
            "resources": {
                "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": {"Ref": "KeyArn"}}},
                "Other": {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": "alias/aws/sns"}},
            },
        },
    )
    assert [(edge.source, edge.target) for edge in world.encryption()] == [
        ((site, "keys", "Key"), (site, "notify", "Topic")) for site in BOTH
    ]


def test_what_names_another_site_stands_there_and_what_cannot_be_followed_is_not_drawn() -> None:
    world = small(
        away={"sites": (RECOVERY,), "resources": {"Bucket": HERE}, "outputs": {"Name": {"Value": {"Ref": "Bucket"}}}},
        home={
            "imports": {"AwayName": "recovery:away.Name", "Given": "recovery:away.Missing"},
            "resources": {
                name: {
                    "Type": "AWS::S3::Bucket",
                    "Properties": {"ReplicationConfiguration": {"Rules": [{"Destination": {"Bucket": value}}]}},
                }
                for name, value in {"One": {"Fn::Sub": "${AwayName}"}, "Two": {"Ref": "Given"}, "Three": "by-hand"}.items()
            },
        },
    )
    assert _ends(world, "replication of objects") == {("home.One@primary", "away.Bucket@recovery")}


def test_a_backup_whose_vault_is_unknown_is_not_drawn() -> None:
    plan = {"Type": "AWS::Backup::BackupPlan", "Properties": {"BackupPlan": {"Rule": [{"TargetBackupVault": "by-hand"}]}}}
    chosen = {"BackupPlanId": {"Ref": "Plan"}, "BackupSelection": {"Resources": [{"Ref": "Bucket"}]}}
    stray = {"BackupPlanId": "by-hand", "BackupSelection": {"Resources": [{"Ref": "Bucket"}]}}
    select = "AWS::Backup::BackupSelection"
    world = small(
        backup={
            "resources": {
                "Plan": plan,
                "Bucket": HERE,
                "Chosen": {"Type": select, "Properties": chosen},
                "Stray": {"Type": select, "Properties": stray},
            }
        }
    )
    assert world.copies == ()
