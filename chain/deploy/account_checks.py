"""Whether the account is ready for stacks that do not stand yet: zones, engines, endpoints, quotas, and names that are taken.

Each check asks one service of one region; what differs between accounts and regions is asked, and nothing is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chain.cloudformation.reachable_regions import Seen
from chain.cloudformation.stack import Clients, code
from chain.cloudformation.statuses import DECISIONS, Decision
from chain.environment.graph import ZONE, Graph, Stack
from chain.environment.stack_values import lookup, pseudo
from model.values import Unknown, evaluate, unknown

CALLS = {
    "LookAround": (
        "cloudtrail:DescribeTrails",
        "ec2:DescribeAddresses",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeVpcEndpointServices",
        "ec2:DescribeVpcs",
        "elasticache:DescribeCacheEngineVersions",
        "lambda:GetAccountSettings",
        "rds:DescribeOrderableDBInstanceOptions",
        "sts:GetCallerIdentity",
    ),
    "ReadQuotas": ("servicequotas:GetServiceQuota",),
    "CountObjectsAndEmptyBuckets": ("s3:ListBucket",),
    "FollowRotation": ("secretsmanager:DescribeSecret",),
}

BUCKET, SECRET, FUNCTION = "AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::Lambda::Function"
INSTANCE, CLUSTER, CACHE = "AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::ElastiCache::ReplicationGroup"
ENDPOINT, ADDRESS, VPC, TRAIL = "AWS::EC2::VPCEndpoint", "AWS::EC2::EIP", "AWS::EC2::VPC", "AWS::CloudTrail::Trail"
QUOTAS: Mapping[str, tuple[str, str, str]] = {
    ADDRESS: ("ec2", "L-0263D0A3", "Elastic IP addresses"),
    VPC: ("vpc", "L-F678F1CE", "VPCs"),
}
"""What Service Quotas calls the number of these per region."""
TRAILS = 5  # per region, shadows of other regions' trails included; AWS raises it for nobody
UNRESERVED = 100  # executions at once that Lambda keeps for functions that reserve none
LEAST = 10  # executions at once below which functions that run together are throttled


@dataclass(frozen=True)
class Check:
    """One question, and what it is about."""

    about: str
    ask: Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Wanted:
    """A resource that is to be made, its properties as far as they can be told beforehand."""

    stack: Stack
    name: str
    type: str
    properties: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A property that is known, or nothing."""
        value = self.properties.get(name)
        return str(value) if isinstance(value, str | int | float) else ""


def checks(graph: Graph, clients: Clients, seen: Seen) -> Iterator[Check]:
    """What is asked of each region in which something is to be made."""
    fresh = [stack for stack in graph.stacks if _is_fresh(stack, seen)]
    if not fresh:
        return
    account = clients("sts", fresh[0].region).get_caller_identity()["Account"]
    for region in sorted({stack.region for stack in fresh}):
        here = [stack for stack in fresh if stack.region == region]
        yield from _of(region, here, [each for stack in here for each in _wanted(stack, account)], clients)


def _is_fresh(stack: Stack, seen: Seen) -> bool:
    state = seen.standing[stack.region].get(stack.name)
    return state is None or DECISIONS[state.status] in (Decision.CREATE, Decision.REMOVE, Decision.REVIEW)


def _of(region: str, stacks: Sequence[Stack], wanted: Sequence[Wanted], clients: Clients) -> Iterator[Check]:
    types = Counter(each.type for each in wanted)
    zones = _zones(stacks)

    def of(type_: str) -> list[Wanted]:
        return [each for each in wanted if each.type == type_]

    def check(about: str, ask: Callable[..., Iterable[str]], service: str, *more: Any) -> Check:
        # Clients are made here, one after another; only the calls are made at once.
        return Check(f"{about} in {region}", partial(ask, region, clients(service, region), *more))

    if zones:
        yield check("zones", absent_zones, "ec2", zones)
    if types[INSTANCE]:
        orders = {order for each in of(INSTANCE) if (order := _order(each, of(CLUSTER)))}
        for order in sorted(orders):
            yield check(f"{order[2]} of {order[0]}", not_orderable, "rds", order, zones, clients("ec2", region))
    for each in of(CACHE):
        yield check(f"the engine of {each.name}", no_such_cache, "elasticache", each)
    if types[ENDPOINT]:
        yield check("VPC endpoint services", absent_services, "ec2", of(ENDPOINT), zones)
    for type_, (service, quota, what) in QUOTAS.items():
        if types[type_]:
            used = partial(_used, clients("ec2", region), type_)
            yield check(f"the quota of {what}", above_quota, "service-quotas", types[type_], used, service, quota, what)
    if types[TRAIL]:
        yield check("trails", too_many_trails, "cloudtrail", types[TRAIL])
    if types[FUNCTION]:
        yield check("Lambda's concurrency", too_little_concurrency, "lambda", of(FUNCTION))
    for each in of(BUCKET):
        if each.text("BucketName"):
            yield check(f"the bucket {each.text('BucketName')}", taken_bucket, "s3", each)
    for each in of(SECRET):
        if each.text("Name"):
            yield check(f"the secret {each.text('Name')}", taken_secret, "secretsmanager", each)


def _wanted(stack: Stack, account: str) -> Iterator[Wanted]:
    """The resources of a stack; a property that rests on what does not exist yet is left out."""
    known = pseudo(stack.region, account, stack.name, "")
    told = lookup(stack.template.document, stack.values, known, {}, lambda name, _: Unknown(f"{name} does not stand yet"))
    for name, resource in stack.template.resources.items():
        properties = evaluate(resource.get("Properties", {}), told, stack.template.document)
        yield Wanted(stack, name, resource["Type"], {key: each for key, each in properties.items() if not unknown(each)})


def _zones(stacks: Sequence[Stack]) -> tuple[str, ...]:
    return tuple(sorted({text for stack in stacks for name, text in stack.values.items() if ZONE.fullmatch(name)}))


def absent_zones(region: str, ec2: Any, zones: Sequence[str]) -> Iterator[str]:
    """Zones that the parameter files name and this account does not have."""
    there = sorted(_names(ec2))
    for zone in zones:
        if zone not in there:
            yield f"{region} has no Availability Zone {zone} for this account. It has {', '.join(there)}: name three of them"


def _names(ec2: Any) -> dict[str, str]:
    """The names that this account has for the zones, by their ids."""
    return {each["ZoneId"]: each["ZoneName"] for each in ec2.describe_availability_zones()["AvailabilityZones"]}


Order = tuple[str, str, str]
"""Engine, its version and the instance class."""


def _order(instance: Wanted, clusters: Sequence[Wanted]) -> Order | None:
    """What is ordered; a member of a cluster has the cluster's version, and a replica that of its source."""
    engine, version, class_ = (instance.text(name) for name in ("Engine", "EngineVersion", "DBInstanceClass"))
    beside = [each for each in clusters if each.stack.id == instance.stack.id]
    if not version and beside:
        version = beside[0].text("EngineVersion")
    return (engine, version, class_) if engine and class_ else None


def not_orderable(region: str, rds: Any, order: Order, zones: Sequence[str], ec2: Any) -> Iterator[str]:
    """An engine version or a class that RDS does not offer in the region, or not in all zones given."""
    engine, version, class_ = order
    asked = {"Engine": engine, "DBInstanceClass": class_, **({"EngineVersion": version} if version else {})}
    pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(**asked)
    options = [option for page in pages for option in page["OrderableDBInstanceOptions"]]
    remedy = f"See what it offers: aws rds describe-orderable-db-instance-options --region {region} --engine {engine}" + (
        f" --engine-version {version}" if version else ""
    )
    what = f"{class_} for {engine} {version}".rstrip()
    if not options:
        yield f"RDS in {region} does not offer {what}. {remedy}"
        return
    offered = {zone["Name"] for option in options for zone in option.get("AvailabilityZones", ())}
    names = _names(ec2)
    without = [zone for zone in zones if zone in names and names[zone] not in offered]
    if offered and without:
        yield f"RDS in {region} does not offer {what} in {' and '.join(without)}. {remedy}, or name other zones"


def no_such_cache(region: str, elasticache: Any, cache: Wanted) -> Iterator[str]:
    """A version of the cache's engine that ElastiCache does not offer."""
    engine, version = cache.text("Engine"), cache.text("EngineVersion")
    if not engine or not version:
        return
    pages = elasticache.get_paginator("describe_cache_engine_versions").paginate(Engine=engine)
    there = [each["EngineVersion"] for page in pages for each in page["CacheEngineVersions"]]
    known = ", ".join(there)
    if not any(f"{each}.".startswith(f"{version}.") for each in there):
        yield f"ElastiCache in {region} does not offer {engine} {version}, which {cache.stack.id} asks for. It has {known}"


def absent_services(region: str, ec2: Any, endpoints: Sequence[Wanted], zones: Sequence[str]) -> Iterator[str]:
    """Services that have no endpoint here, or not in every zone."""
    wanted = {each.text("ServiceName"): each for each in endpoints if each.text("ServiceName")}
    if not wanted:
        return
    filters = [{"Name": "service-name", "Values": sorted(wanted)}]
    pages = ec2.get_paginator("describe_vpc_endpoint_services").paginate(Filters=filters)
    there = {each["ServiceName"]: each for page in pages for each in page["ServiceDetails"]}
    names = _names(ec2)
    for service, each in sorted(wanted.items()):
        if service not in there:
            yield f"{region} offers no VPC endpoint for {service}, which {each.stack.id} asks for. Choose another region for it"
        elif each.text("VpcEndpointType") == "Interface":
            offered = there[service].get("AvailabilityZones", ())
            without = [zone for zone in zones if zone in names and names[zone] not in offered]
            if without:
                yield f"The VPC endpoint of {service} is not offered in {' and '.join(without)}. Name other zones"


def _used(ec2: Any, type_: str) -> int:
    return len(ec2.describe_addresses()["Addresses"] if type_ == ADDRESS else ec2.describe_vpcs()["Vpcs"])


def above_quota(
    region: str, quotas: Any, more: int, used: Callable[[], int], service: str, quota: str, what: str
) -> Iterator[str]:
    """More than the account may have."""
    limit = int(quotas.get_service_quota(ServiceCode=service, QuotaCode=quota)["Quota"]["Value"])
    there = used()
    if there + more > limit:
        yield (
            f"{region}: {more} {what} are to be made, {there} are there, and {limit} are allowed. Ask for more: aws"
            f" service-quotas request-service-quota-increase --region {region} --service-code {service} --quota-code {quota}"
            f" --desired-value {there + more}"
        )


def too_many_trails(region: str, cloudtrail: Any, more: int) -> Iterator[str]:
    """More trails than a region can have."""
    there = len(cloudtrail.describe_trails(includeShadowTrails=True)["trailList"])
    if there + more > TRAILS:
        yield (
            f"{region}: {more} trails are to be made, {there} are there, and CloudTrail allows no more than {TRAILS}."
            f" Delete one that is not needed: aws cloudtrail describe-trails --region {region}"
        )


def too_little_concurrency(region: str, lambda_: Any, functions: Sequence[Wanted]) -> Iterator[str]:
    """Functions that would be refused their share, or throttled."""
    free = lambda_.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    reserved = sum(int(each.text("ReservedConcurrentExecutions") or 0) for each in functions)
    needed = reserved + UNRESERVED if reserved else LEAST
    if free < needed:
        yield (
            f"{region}: Lambda may run {free} executions at once that nobody has reserved, and {needed} are needed. Ask for more:"
            f" aws service-quotas request-service-quota-increase --region {region} --service-code lambda"
            f" --quota-code L-B99A9384 --desired-value 1000"
        )


def taken_bucket(_region: str, s3: Any, bucket: Wanted) -> Iterator[str]:
    """A bucket of that name stands, and not in a stack of ours."""
    from botocore.exceptions import ClientError

    name = bucket.text("BucketName")
    whose = "in this account, outside of any stack of this environment"
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if code(error) in ("404", "NoSuchBucket"):
            return
        if code(error) not in ("403", "AccessDenied", "301"):
            raise
        whose = "where this caller may not look; bucket names are the whole world's"
    yield (
        f"The bucket {name}, which {bucket.stack.id} would make, exists {whose}. Empty and delete it if it is left from before"
        f" (aws s3 rb --force s3://{name}), or choose another ENV"
    )


def taken_secret(region: str, manager: Any, secret: Wanted) -> Iterator[str]:
    """A secret of that name stands, or waits to be deleted and keeps its name until then."""
    name = secret.text("Name")
    try:
        found = manager.describe_secret(SecretId=name)
    except manager.exceptions.ResourceNotFoundException:
        return
    state = f"is deleted only after {found['DeletedDate']:%Y-%m-%d}" if "DeletedDate" in found else "exists outside of any stack"
    yield (
        f"The secret {name} in {region}, which {secret.stack.id} would make, {state}. If nothing in it is needed:"
        f" aws secretsmanager delete-secret --region {region} --secret-id {name} --force-delete-without-recovery"
    )
