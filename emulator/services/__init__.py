"""What the services of ministack lack or drop, one module per service. Each ``install`` changes the module of its service."""

from __future__ import annotations

from collections.abc import Callable

from emulator.services import (
    aurora,
    backup,
    cloudtrail,
    cloudwatch,
    database_restores,
    dynamodb,
    ec2,
    elasticache,
    events,
    expressions,
    global_clusters,
    iam,
    kms,
    lambda_,
    metrics,
    network_interfaces,
    offers,
    rds,
    replica_secrets,
    replicas,
    route53,
    s3,
    ssm,
    tagging,
)

INSTALLERS: tuple[Callable[[], None], ...] = (
    backup.install,
    cloudtrail.install,
    cloudwatch.install,
    dynamodb.install,
    ec2.install,
    elasticache.install,
    events.install,
    expressions.install,
    iam.install,
    network_interfaces.install,
    kms.install,
    lambda_.install,
    metrics.install,
    offers.install,
    rds.install,
    replicas.install,  # around the instances of rds
    aurora.install,  # so are the clusters
    global_clusters.install,  # around the clusters of aurora
    database_restores.install,  # around all of them
    replica_secrets.install,
    route53.install,
    s3.install,
    ssm.install,
    tagging.install,
)
