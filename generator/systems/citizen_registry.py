"""Citizen registry: a Japanese government agency's database of citizen data."""

from datetime import timedelta

from compliance.profiles.fedramp_moderate import FEDRAMP_MODERATE
from generator.layers.artifacts import Artifacts
from generator.layers.audit import Audit
from generator.layers.backup import Backup
from generator.layers.database import Database
from generator.layers.files import Files
from generator.layers.keys import BACKUP, DATABASE, FILES, LOGS, SECRETS, TRAIL, Keys
from generator.layers.log_archive import LogArchive
from generator.layers.monitoring import Monitoring
from generator.layers.network import Network
from generator.layers.notify import Notify
from generator.layers.rotation import Rotation
from generator.layers.secrets import Secrets
from generator.layers.vault import Vault
from generator.parts.publishers import ALARMS, RDS_EVENTS, RULES
from model import PRIMARY, Deviation, Disruption, Objectives, System

PUBLISHERS = (ALARMS, RDS_EVENTS, RULES)
WITHIN_THE_REGION = Objectives(rpo=timedelta(hours=1), rto=timedelta(minutes=15))

CITIZEN_REGISTRY = System(
    name="citizen-registry",
    title="Citizen registry",
    serves="a government agency's database of citizen data",
    regions={PRIMARY: "eu-central-2"},
    objectives={Disruption.INSTANCE: WITHIN_THE_REGION, Disruption.ZONE: WITHIN_THE_REGION},
    profile=FEDRAMP_MODERATE,
    layers=(
        Artifacts(),
        Keys(purposes=(DATABASE, FILES, BACKUP, LOGS, SECRETS, TRAIL), publishers=PUBLISHERS),
        Network(public=False, nat_gateways=0, gateways=("s3",)),
        Notify(publishers=PUBLISHERS),
        Audit(),
        Secrets(),
        Database(database="registry", archived=True),
        Rotation(every=timedelta(days=30)),
        Files(),
        LogArchive(),
        Vault(),
        Backup(),
        Monitoring(health_check=True, event_rule=True),
    ),
    deviations=(
        Deviation(
            "CR-11",
            "database.Instance",
            "FedRAMP authorises regions of the United States only: the Moderate baseline is accounted for, control by control, "
            "and not authorised in eu-central-2. Keeping the data outside Japan needs the agency's approval.",
        ),
        Deviation(
            "CR-05",
            "files.FileSystem",
            "RDS cannot write to EFS, and its write-ahead log cannot leave it. A function reads committed changes from a logical "
            "slot and writes hash-chained segments, which `make replay` applies; point-in-time recovery by RDS stays the first "
            "way back.",
        ),
        Deviation(
            "A-13",
            "backup.Plan",
            "The 15 minutes hold when an instance or a zone is lost. After a corruption a new instance is restored, which takes "
            "as long as the data are large: that time is published, not bounded.",
        ),
    ),
)
