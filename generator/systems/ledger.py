"""Ledger: a financial services company's transaction database."""

from datetime import timedelta

from compliance.profiles.financial_audit import FINANCIAL_AUDIT
from compliance.rules import rds
from generator.layers.artifacts import Artifacts
from generator.layers.audit import Audit
from generator.layers.database import Database
from generator.layers.keys import Keys
from generator.layers.monitoring import Monitoring
from generator.layers.network import Network
from generator.layers.notify import Notify
from generator.layers.rotation import Rotation
from generator.layers.secrets import Secrets
from model import PRIMARY, Deviation, System

LEDGER = System(
    name="ledger",
    title="Ledger",
    serves="a financial services company's transaction database",
    regions={PRIMARY: "us-east-1"},
    profile=FINANCIAL_AUDIT,
    layers=(
        Artifacts(),
        Keys(),
        Network(),
        Notify(),
        Audit(),
        Secrets(),
        Database(
            database="ledger",
            customer_key=False,
            tls_required=False,
            logged_statements="all",
            log_retention=timedelta(days=2557),
        ),
        Rotation(every=timedelta(days=30)),
        Monitoring(),
    ),
    deviations=(
        Deviation(
            rds.customer_key,
            "database.Instance",
            "LG-02 asks for the AWS-managed key aws/rds. Storage, backups and snapshots are encrypted; who may decrypt is "
            "decided by RDS permissions instead of a key policy, and a snapshot cannot be shared with another account.",
        ),
        Deviation(
            rds.tls_forced,
            "database.Instance",
            "LG-05 asks that TLS is not forced, for a legacy application. Instead: the subnets have no route out, only the "
            "client group reaches the port, passwords are exchanged by SCRAM-SHA-256 and never in clear, TLS is offered "
            "from 1.2 and every function of ours verifies it. SCRAM itself locks out old drivers (JDBC before 42.2).",
        ),
        Deviation(
            "LG-06",
            "database.MonitoringRole",
            "Enhanced Monitoring writes to the account's log group RDSOSMetrics, which AWS names and which all instances share. "
            "The database's own logs carry the prefix /aws/rds/.",
        ),
    ),
)
