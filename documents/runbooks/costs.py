"""What an environment costs a month: list prices with their source and date, quantities from the templates and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from documents.runbooks.facts import Facts, Resource
from documents.runbooks.page import Section
from model.values import evaluate

HOURS = 730
"""Hours of a month, as AWS counts them in its calculator."""

Values = Mapping[str, Mapping[str, Any]]
"""The blocks of a parameter file: layer -> parameter -> value."""


@dataclass(frozen=True)
class Price:
    """A list price in us-east-1, in USD. ``seen`` says who gives the figure, and when."""

    unit: str
    amount: Decimal
    page: str
    seen: str


def _price(unit: str, amount: str, page: str, seen: str) -> Price:
    return Price(unit, Decimal(amount), page, seen)


RECALLED = "recalled, not looked up, 2026-11"
PRICES = {
    "db.r6g.large": _price("hour", "0.225", "aws.amazon.com/rds/postgresql/pricing", RECALLED),
    "gp3": _price("GiB-month", "0.115", "aws.amazon.com/rds/postgresql/pricing", "usage.ai, 2026-06"),
    "db.t4g.medium": _price("hour", "0.073", "aws.amazon.com/rds/aurora/pricing", RECALLED),
    "db.serverless": _price("ACU-hour", "0.12", "aws.amazon.com/rds/aurora/pricing", "oneuptime.com, 2025-12"),
    "cache.t4g.small": _price("hour", "0.032", "aws.amazon.com/elasticache/pricing", RECALLED),
    "kms": _price("key and month", "1.00", "aws.amazon.com/kms/pricing", RECALLED),
    "secret": _price("secret and month", "0.40", "aws.amazon.com/secrets-manager/pricing", RECALLED),
    "alarm": _price("alarm and month", "0.10", "aws.amazon.com/cloudwatch/pricing", RECALLED),
    "composite": _price("alarm and month", "0.50", "aws.amazon.com/cloudwatch/pricing", RECALLED),
    "zone": _price("zone and month", "0.50", "aws.amazon.com/route53/pricing", RECALLED),
    "check": _price("check and month", "0.50", "aws.amazon.com/route53/pricing", RECALLED),
    "dashboard": _price("dashboard and month", "3.00", "aws.amazon.com/cloudwatch/pricing", "factualminds.com, 2026-06"),
    "metric": _price("metric and month", "0.30", "aws.amazon.com/cloudwatch/pricing", "signoz.io, 2026-02"),
    "nat": _price("hour", "0.045", "aws.amazon.com/vpc/pricing", "cloudburn.io, 2026-02"),
    "address": _price("hour", "0.005", "aws.amazon.com/vpc/pricing", "cloudburn.io, 2026-02"),
    "endpoint": _price("zone and hour", "0.01", "aws.amazon.com/privatelink/pricing", "hammadhaqqani.com, read 2026-11"),
}
BY_USE = (
    (
        "AWS::Logs::LogGroup",
        "Log lines taken in",
        _price("GB", "0.50", "aws.amazon.com/cloudwatch/pricing", "factualminds.com, 2026-06"),
    ),
    ("AWS::Logs::LogGroup", "Log lines kept", _price("GB-month", "0.03", "aws.amazon.com/cloudwatch/pricing", RECALLED)),
    ("AWS::EC2::NatGateway", "NAT gateway, data", _price("GB", "0.045", "aws.amazon.com/vpc/pricing", "cloudburn.io, 2026-02")),
    (
        "AWS::EC2::VPCEndpoint",
        "Interface endpoints, data",
        _price("GB", "0.01", "aws.amazon.com/privatelink/pricing", "hammadhaqqani.com, read 2026-11"),
    ),
    (
        "AWS::RDS::DBInstance",
        "Backups beyond the size of the storage",
        _price("GB-month", "0.095", "aws.amazon.com/rds/postgresql/pricing", "usage.ai, 2026-06"),
    ),
    ("AWS::RDS::DBCluster", "Storage of Aurora", _price("GB-month", "0.10", "aws.amazon.com/rds/aurora/pricing", RECALLED)),
    (
        "AWS::RDS::DBCluster",
        "Reads and writes of Aurora",
        _price("million", "0.20", "aws.amazon.com/rds/aurora/pricing", RECALLED),
    ),
    (
        "AWS::RDS::GlobalCluster",
        "Writes of Aurora to the other region",
        _price("million", "0.20", "aws.amazon.com/rds/aurora/pricing", RECALLED),
    ),
    (
        "AWS::ElastiCache::ReplicationGroup",
        "Snapshots of the cache beyond its own size",
        _price("GB-month", "0.085", "aws.amazon.com/elasticache/pricing", RECALLED),
    ),
    (
        "AWS::CloudTrail::Trail",
        "Calls on data in the trail",
        _price("100,000", "0.10", "aws.amazon.com/cloudtrail/pricing", RECALLED),
    ),
    (
        "AWS::CloudTrail::Trail",
        "All other calls, where the account has another trail",
        _price("100,000", "2.00", "aws.amazon.com/cloudtrail/pricing", RECALLED),
    ),
    ("AWS::S3::Bucket", "Objects, S3 Standard", _price("GB-month", "0.023", "aws.amazon.com/s3/pricing", RECALLED)),
    ("AWS::Lambda::Function", "Functions", _price("GB-second", "0.0000133334", "aws.amazon.com/lambda/pricing", RECALLED)),
    ("AWS::EFS::FileSystem", "Files, EFS Standard", _price("GB-month", "0.30", "aws.amazon.com/efs/pricing", RECALLED)),
    (
        "AWS::Backup::BackupVault",
        "Recovery points of databases",
        _price("GB-month", "0.095", "aws.amazon.com/backup/pricing", RECALLED),
    ),
    ("AWS::DynamoDB::Table", "Table, writes on demand", _price("million", "0.625", "aws.amazon.com/dynamodb/pricing", RECALLED)),
    ("AWS::KMS::Key", "Requests to keys", _price("10,000", "0.03", "aws.amazon.com/kms/pricing", RECALLED)),
)


@dataclass(frozen=True)
class Line:
    """What is paid whether or not it is used; ``quantity`` in the price's unit, ``times`` units of time in a month."""

    what: str
    quantity: Decimal
    times: int
    price: Price
    resources: tuple[Resource, ...]  # that are paid for

    @property
    def monthly(self) -> Decimal:
        """USD a month."""
        return self.quantity * self.times * self.price.amount


@dataclass(frozen=True)
class Bill:
    """What an environment with the default values costs; ``used`` by what is done with it, ``unpriced`` without a price here."""

    lines: tuple[Line, ...]
    used: tuple[tuple[str, Price, tuple[Resource, ...]], ...]
    unpriced: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """USD a month before anything is used."""
        return sum((one.monthly for one in self.lines), Decimal())


def bill(facts: Facts, values: Values) -> Bill:
    """The costs of one site."""
    used = tuple((what, price, tuple(facts.all(type_))) for type_, what, price in BY_USE if facts.all(type_))
    return Bill(tuple(_lines(facts, values)), used, tuple(sorted(set(_unpriced(facts, values)))))


def section(facts: Facts, values: Values) -> Section:
    """The table of an environment with the default values."""
    costs = bill(facts, values)
    rows = [
        f"| {one.what} | {one.quantity:,} | {one.price.amount} per {one.price.unit} | {one.monthly:,.2f} | "
        f"{_source(one.price)} | yes |"
        for one in costs.lines
    ]
    used = [f"| {what} | by use | {price.amount} per {price.unit} | | {_source(price)} | yes |" for what, price, _ in costs.used]
    missing, total = ", ".join(costs.unpriced), costs.total
    unknown = f" Without a price here, and so **not** in the sum: {missing}." if missing else ""
    elsewhere = "" if facts.region == "us-east-1" else f" This system runs in {facts.region}, where they differ, mostly upwards."
    return Section(
        "Costs",
        (
            f"One environment with the values of `parameters/{facts.system.name}/default.yaml`: "
            f"about **{total:,.0f} USD a month** before anything is used.",
            "Prices are list prices of us-east-1 on demand as of each source's date, without taxes, discounts and free tiers. "
            "None was read from "
            f"AWS itself: **confirm each on its page** before a decision rests on it.{elsewhere}{unknown}",
            "\n".join(
                [
                    "| what | quantity | USD | USD a month | price page; figure from | to be confirmed |",
                    "|---|---|---|---|---|---|",
                    *rows,
                    f"| **Sum** | | | **{total:,.2f}** | | |",
                    *used,
                ]
            ),
            "A restored copy of the database costs as much as the database while it stands. What logs every statement pays for "
            "each line twice: "
            "taken in, and kept.",
        ),
    )


def _source(price: Price) -> str:
    return f"<https://{price.page}/>; {price.seen}"


def _lines(facts: Facts, values: Values) -> Iterator[Line]:
    for one in facts.all("AWS::RDS::DBInstance"):
        copies = 2 if one.properties.get("MultiAZ") else 1
        zones = " in two zones" if copies == 2 else ""
        class_ = _value(facts, values, one, "DBInstanceClass")
        if class_ == "db.serverless":
            yield Line(f"Database `{one.title}`, {class_}, at its least capacity", _least(facts), HOURS, PRICES[class_], (one,))
        elif class_ in PRICES:
            yield Line(f"Database `{one.title}`, {class_}{zones}", Decimal(copies), HOURS, PRICES[class_], (one,))
        if "AllocatedStorage" in one.properties:
            size = Decimal(str(_value(facts, values, one, "AllocatedStorage")))
            yield Line(f"Its storage, GiB{zones}", copies * size, 1, PRICES["gp3"], (one,))
    for one in facts.all("AWS::ElastiCache::ReplicationGroup"):
        class_ = _value(facts, values, one, "CacheNodeType")
        if class_ in PRICES:
            yield Line(
                f"Cache `{one.title}`, nodes of {class_}",
                Decimal(one.properties["NumCacheClusters"]),
                HOURS,
                PRICES[class_],
                (one,),
            )
    counted = (
        ("NAT gateways", "AWS::EC2::NatGateway", HOURS, "nat"),
        ("Public addresses", "AWS::EC2::EIP", HOURS, "address"),
        ("Keys", "AWS::KMS::Key", 1, "kms"),
        ("Secrets", "AWS::SecretsManager::Secret", 1, "secret"),
        ("Alarms", "AWS::CloudWatch::Alarm", 1, "alarm"),
        ("Alarms on alarms", "AWS::CloudWatch::CompositeAlarm", 1, "composite"),
        ("Hosted zones", "AWS::Route53::HostedZone", 1, "zone"),
        ("Health checks", "AWS::Route53::HealthCheck", 1, "check"),
        ("Dashboards", "AWS::CloudWatch::Dashboard", 1, "dashboard"),
        ("Metrics out of logs", "AWS::Logs::MetricFilter", 1, "metric"),
    )
    for what, type_, times, price in counted:
        found = tuple(facts.all(type_))
        if found:
            yield Line(what, Decimal(len(found)), times, PRICES[price], found)
    endpoints = tuple(one for one in facts.all("AWS::EC2::VPCEndpoint") if "SubnetIds" in one.properties)
    if endpoints:
        each_zone = Decimal(sum(len(one.properties["SubnetIds"]) for one in endpoints))
        yield Line("Interface endpoints, times their zones", each_zone, HOURS, PRICES["endpoint"], endpoints)


def _least(facts: Facts) -> Decimal:
    """The ACU of an instance that nobody uses: its cluster says so."""
    clusters = [one.properties.get("ServerlessV2ScalingConfiguration") for one in facts.all("AWS::RDS::DBCluster")]
    return Decimal(str(next(scaling["MinCapacity"] for scaling in clusters if scaling)))


def _unpriced(facts: Facts, values: Values) -> Iterator[str]:
    for one in facts.all("AWS::RDS::DBInstance"):
        class_ = _value(facts, values, one, "DBInstanceClass")
        if class_ not in PRICES:
            yield f"{class_} (`{one.title}`)"
        if not {"AllocatedStorage", "DBClusterIdentifier"} & one.properties.keys():
            yield f"the storage of the replica (`{one.title}`), as large as its source's"
    for one in facts.all("AWS::ElastiCache::ReplicationGroup"):
        class_ = _value(facts, values, one, "CacheNodeType")
        if class_ not in PRICES:
            yield f"{class_} (`{one.title}`)"
    if len(facts.system.regions) > 1:
        yield "what is sent to the other region"


def _value(facts: Facts, values: Values, one: Resource, property_: str) -> Any:
    """A property as the default environment has it: a literal, or its parameter's value."""
    declared, given = facts.documents[one.layer]["Parameters"], values.get(one.layer, {})
    return evaluate(one.properties[property_], lambda name: given.get(name, declared[name].get("Default", "of its own value")))
