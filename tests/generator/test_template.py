"""A template keeps what is laid out, in the order in which it was."""

from pathlib import Path

from troposphere import GetAtt, Ref, Sub, sns

from generator.names import Space
from generator.template import Template
from model import read


def test_the_suffix_is_the_first_parameter_and_bounded() -> None:
    suffix = Template("x").document()["Parameters"]["EnvironmentSuffix"]
    assert (suffix["MinLength"], suffix["MaxLength"]) == (2, 16)
    assert suffix["AllowedPattern"] == "^[a-z0-9]+(-[a-z0-9]+)*$"


def test_own_parameters_stand_before_imported_ones() -> None:
    t = Template("x")
    t.output_of("network.VpcId", "AWS::EC2::VPC::Id")
    t.parameter("Size", "How big.", "Number", MinValue=1)
    assert list(t.document()["Parameters"]) == ["EnvironmentSuffix", "Size", "NetworkVpcId"]


def test_an_output_imported_twice_is_one_parameter() -> None:
    t = Template("x")
    assert t.output_of("network.VpcId").data == t.output_of("network.VpcId").data == {"Ref": "NetworkVpcId"}
    assert t.imports == {"NetworkVpcId": "network.VpcId"}


def test_an_import_of_another_site_says_so() -> None:
    t = Template("x")
    t.output_of("primary:database-replica.InstanceArn")
    assert t.imports == {"PrimaryDatabaseReplicaInstanceArn": "primary:database-replica.InstanceArn"}
    description = t.document()["Parameters"]["PrimaryDatabaseReplicaInstanceArn"]["Description"]
    assert description == "InstanceArn of the database-replica layer at the primary site."


def test_an_import_may_carry_the_name_that_the_requirements_give_it() -> None:
    t = Template("x")
    assert t.output_of("primary:database.InstanceArn", name="SourceDatabaseArn").data == {"Ref": "SourceDatabaseArn"}
    assert t.imports == {"SourceDatabaseArn": "primary:database.InstanceArn"}


def test_names_carry_prefix_suffix_and_what_their_space_asks() -> None:
    t = Template("x", prefix="dr-")
    assert t.name("rds") == "dr-rds-${EnvironmentSuffix}"
    assert t.name("role-x", Space.ACCOUNT) == "dr-role-x-${AWS::Region}-${EnvironmentSuffix}"
    assert t.name("bucket", Space.PARTITION) == "dr-bucket-${EnvironmentSuffix}-${AWS::AccountId}-${AWS::Region}"
    assert t.name("alias/key") == "alias/dr-key-${EnvironmentSuffix}"
    assert t.exactly("Lambda-Errors").data == {"Fn::Sub": "Lambda-Errors-${EnvironmentSuffix}"}
    assert t.underscored("plan").data == {"Fn::Join": ["_", {"Fn::Split": ["-", {"Fn::Sub": "dr-plan-${EnvironmentSuffix}"}]}]}


def test_sections_outputs_conditions_and_packages_are_kept() -> None:
    t = Template("x", package=lambda function: f"{function}-1.zip")
    topic = sns.Topic("Topic", Condition=t.condition("Wanted", {"Fn::Equals": ["a", "a"]}), TopicName=t.named("topic"))
    t.section("Why it is here.", topic)
    t.output("Name", GetAtt(topic, "TopicName"), "Its name.")
    t.output("Both", Sub("plain text"), "No variable, so no Sub.")
    assert t.package("rotation") == "rotation-1.zip"
    document = t.document()
    assert t.headings == {"Topic": "Why it is here."}
    assert t.packages == ["rotation-1.zip"]
    assert list(document["Resources"]["Topic"]) == ["Type", "Condition", "Properties"]
    assert document["Conditions"] == {"Wanted": {"Fn::Equals": ["a", "a"]}}
    assert document["Outputs"]["Name"]["Value"] == {"Fn::GetAtt": ["Topic", "TopicName"]}
    assert document["Outputs"]["Both"]["Value"] == "plain text"
    assert Ref(topic).data == {"Ref": "Topic"}


def test_a_path_begins_with_system_and_environment() -> None:
    assert Template("x", system="ledger").path("config/mode").data == {"Fn::Sub": "/ledger/${EnvironmentSuffix}/config/mode"}


def test_only_the_subscription_and_the_mode_of_a_failover_rest_on_a_condition() -> None:
    """A template has one shape in every environment; docs/decisions/0001-one-condition.md."""
    found = {
        (path.parent.name, path.stem): set(read(path.read_text()).get("Conditions", {}))
        for path in Path("templates").glob("*/*.yaml")
    }
    having = {place: names for place, names in found.items() if names}
    assert having.pop(("federal-records", "configuration")) == {"APersonDecides"}
    assert having
    assert {(layer, *names) for (_, layer), names in having.items()} == {("notify", "OperatorIsNamed")}
