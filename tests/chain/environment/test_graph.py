"""Stacks and the edges between them, from templates and values alone."""

from __future__ import annotations

import pytest

from chain.environment.exit_codes import InputError
from chain.environment.templates import load
from tests.support.chain.checkout import Checkout, ref


def test_edges_follow_imports_within_and_across_sites(checkout: Checkout) -> None:
    sites = {"primary": "us-east-1", "recovery": "us-west-2"}
    checkout.layer("keys", sites=sites, outputs={"Arn": "a"})
    checkout.layer("vault", sites=sites, imports={"Key": "keys.Arn", "Other": "primary:keys.Arn"})
    graph = checkout.graph()
    suffix = checkout.suffix
    after = {stack.id: set(graph.after[stack.id]) for stack in graph.stacks}
    assert after[f"us-west-2/shop-vault-{suffix}"] == {f"us-west-2/shop-keys-{suffix}", f"us-east-1/shop-keys-{suffix}"}
    assert after[f"us-east-1/shop-vault-{suffix}"] == {f"us-east-1/shop-keys-{suffix}"}
    assert [stack.layer for stack in (each.template for each in graph.stacks)] == ["keys", "keys", "vault", "vault"]
    assert graph.regions == ("us-east-1", "us-west-2")
    vault = graph[f"us-west-2/shop-vault-{suffix}"]
    outputs = {f"us-west-2/shop-keys-{suffix}": {"Arn": "here"}}
    assert vault.parameters(outputs) == ({"EnvironmentSuffix": suffix, "Key": "here"}, ["primary:keys.Arn"])


def test_a_value_for_an_import_cuts_the_wire_and_leaves_the_optional_layer_out(checkout: Checkout) -> None:
    checkout.layer("source", optional=True, outputs={"Arn": "a"}, imports={"Base": "base.Id"})
    checkout.layer("base", optional=True, outputs={"Id": "i"})
    checkout.layer("replica", imports={"SourceArn": "source.Arn"})
    assert {stack.template.layer for stack in checkout.graph().stacks} == {"base", "source", "replica"}
    checkout.values({"replica": {"SourceArn": "arn:given"}})
    graph = checkout.graph()
    (replica,) = graph.stacks
    assert replica.values["SourceArn"] == "arn:given"
    assert graph.after == {replica.id: set()}
    assert tuple(map(str, graph.left_out)) == (
        f"shop-base-{checkout.suffix} at primary: optional, and nothing here is wired to it",
        f"shop-source-{checkout.suffix} at primary: optional, and nothing here is wired to it",
    )


def test_a_layer_that_names_another_stands_where_that_one_does_and_is_left_out_with_it(checkout: Checkout) -> None:
    checkout.layer("replica", imports={"SourceArn": "source.Arn"})
    checkout.layer("source", optional=True, outputs={"Arn": "a"})
    checkout.layer("topic", optional=True, outputs={"Arn": "t"})
    checkout.layer("watch", optional="source", imports={"Topic": "topic.Arn"})
    checkout.layer("page", optional="watch")
    assert {stack.template.layer for stack in checkout.graph().stacks} == {"page", "replica", "source", "topic", "watch"}
    checkout.values({"replica": {"SourceArn": "arn:given"}})
    graph = checkout.graph()
    assert [stack.template.layer for stack in graph.stacks] == ["replica"]
    assert f"shop-watch-{checkout.suffix} at primary: optional, and source is left out too" in map(str, graph.left_out)
    assert f"shop-topic-{checkout.suffix} at primary: optional, and nothing here is wired to it" in map(str, graph.left_out)


def test_a_companion_at_another_site_is_no_companion(checkout: Checkout) -> None:
    checkout.layer("source")
    checkout.layer("watch", optional="source", sites={"recovery": "us-west-2"})
    assert [stack.template.layer for stack in checkout.graph().stacks] == ["source"]


def test_what_another_sites_optional_layers_give_is_answered_whole_or_not_at_all(checkout: Checkout) -> None:
    recovery = {"recovery": "us-west-2"}
    for layer in ("source", "secret"):
        checkout.layer(layer, optional=True, outputs={"Arn": "a"})
    checkout.layer("vault", outputs={"Arn": "v"})
    checkout.layer("replica", sites=recovery, imports={"SourceArn": "primary:source.Arn", "Vault": "primary:vault.Arn"})
    checkout.layer("rotation", sites=recovery, imports={"SecretArn": "primary:secret.Arn"})
    assert len(checkout.graph().stacks) == 5
    checkout.values({"replica": {"SourceArn": "arn:given"}})
    with pytest.raises(InputError) as refused:
        checkout.graph()
    (problem,) = refused.value.problems
    assert "answers replica.SourceArn, and not rotation.SecretArn" in problem
    assert "optional layers at primary" in problem
    checkout.values({"replica": {"SourceArn": "arn:given"}, "rotation": {"SecretArn": "arn:given"}})
    assert {stack.template.layer for stack in checkout.graph().stacks} == {"replica", "rotation", "vault"}


def test_several_systems_are_one_graph_without_edges_between_them(checkout: Checkout) -> None:
    for system in ("shop", "bank"):
        checkout.layer("keys", system=system, outputs={"Arn": "a"})
        checkout.layer("data", system=system, imports={"Key": "keys.Arn"})
    graph = checkout.graph()
    assert len(graph.stacks) == 4
    for stack in graph.stacks:
        assert {need.split("/")[1].split("-")[0] for need in graph.after[stack.id]} <= {stack.template.system}
    assert {stack.template.system for stack in checkout.graph("bank").stacks} == {"bank"}


def test_packages_wait_for_the_bucket_of_their_site(checkout: Checkout) -> None:
    checkout.layer("artifacts", outputs={"BucketName": "b"})
    checkout.layer("function", packages=("f-1.zip",))
    graph = checkout.graph()
    assert graph.after[checkout.id("function")] == {checkout.id("artifacts")}


def test_defaults_are_answers_as_well(checkout: Checkout) -> None:
    checkout.layer("files", parameters={"Days": {"Type": "Number", "Default": 7}, "On": {"Type": "String", "Default": True}})
    (stack,) = checkout.graph().stacks
    assert stack.values == {"Days": "7", "On": "true", "EnvironmentSuffix": checkout.suffix}


def test_a_circle_is_refused(checkout: Checkout) -> None:
    checkout.layer("one", imports={"Two": "two.Out"}, outputs={"Out": ref("Two")})
    checkout.layer("two", imports={"One": "one.Out"}, outputs={"Out": ref("One")})
    with pytest.raises(InputError, match="these stacks wait for each other in a circle: us-east-1/shop-"):
        checkout.graph()


def test_wires_that_lead_nowhere_are_all_told(checkout: Checkout) -> None:
    checkout.layer("keys", outputs={"Arn": "a"}, sites={"recovery": "us-west-2"})
    checkout.layer("notify", outputs={"TopicArn": "a"})
    checkout.layer("data", imports={"A": "kyes.Arn", "B": "keys.Arn", "C": "notify.Topic"}, packages=("x.zip",))
    with pytest.raises(InputError) as refused:
        checkout.graph()
    assert refused.value.problems[:4] == (
        "templates/shop/data.yaml: A is wired to kyes.Arn, but kyes is no layer; did you mean keys?",
        "templates/shop/data.yaml: B is wired to keys.Arn, but keys does not stand at primary",
        "templates/shop/data.yaml: C is wired to notify.Topic, which is no output; there are: TopicArn",
        "templates/shop/data.yaml names packages, but no artifacts layer stands at primary",
    )


def test_a_missing_value_names_the_block_of_its_site(checkout: Checkout) -> None:
    checkout.layer("network", parameters={"Cidr": {"Type": "String"}}, sites={"primary": "us-east-1", "recovery": "us-west-2"})
    checkout.values({"primary:network": {"Cidr": "10.0"}})
    with pytest.raises(InputError) as refused:
        checkout.graph()
    assert refused.value.problems == (f"parameters/shop/{checkout.suffix}.yaml: recovery:network.Cidr is missing",)


def test_an_unknown_system_is_told_with_the_nearest(checkout: Checkout) -> None:
    checkout.layer("keys")
    with pytest.raises(InputError, match="shp is no system; there are: shop; did you mean shop\\?"):
        checkout.graph("shp")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"<<<<<<< HEAD\na: [\n", "templates/shop/data.yaml: not YAML: mapping values"),
        (b"Description: \xe9\n", "templates/shop/data.yaml: not YAML: 'utf-8' codec"),
        (b"", "templates/shop/data.yaml: no template of ours, for it has no Resources or no Metadata.Layer"),
        (b"- a\n", "templates/shop/data.yaml: no template of ours"),
    ],
)
def test_a_template_that_cannot_be_read_is_told_with_the_remedy(checkout: Checkout, text: bytes, said: str) -> None:
    checkout.layer("data").write_bytes(text)
    checkout.layer("other")
    with pytest.raises(InputError) as refused:
        checkout.graph()
    (only,) = refused.value.problems
    assert only.startswith(said)
    assert only.endswith("run `make build`")


def test_a_system_that_is_named_twice_is_taken_once(checkout: Checkout) -> None:
    checkout.layer("data")
    assert len(load(checkout.root / "templates", ["shop", "shop"])) == 1


def test_without_templates_the_remedy_is_a_build(checkout: Checkout) -> None:
    with pytest.raises(InputError, match="templates/ holds no templates: run `make build`"):
        checkout.graph()
