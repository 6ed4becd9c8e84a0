"""What a picture shows is what the templates say."""

from documents.page.inventory import World
from generator.systems.federal_records import FEDERAL_RECORDS
from generator.systems.healthcare import HEALTHCARE
from generator.systems.ledger import LEDGER
from model import BOTH, PRIMARY, RECOVERY
from tests.support.page_subjects import documents, small

ZONES = ("ZoneAId", "ZoneBId", "ZoneCId")


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


def test_a_replica_of_a_secret_stands_at_the_other_site_under_a_key_of_that_site() -> None:
    world = World.of(HEALTHCARE, documents(HEALTHCARE))
    assert [one.detail for one in world.things(RECOVERY) if one.title == "DatabaseSecret"] == ["replica"]
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
