"""Regional platform: disaster recovery of a serverless application within one region."""

from datetime import timedelta

from compliance.profiles.baseline import BASELINE
from generator.layers.artifacts import Artifacts
from generator.layers.audit import Audit
from generator.layers.aurora import CONTINUOUS_RETENTION, Aurora
from generator.layers.backup import EVERY_END, Backup, Plan, Rule
from generator.layers.health import MARKED, Health
from generator.layers.keys import AURORA, BACKUP, LOGS, OBJECTS, SECRETS, TABLE, TRAIL, Keys
from generator.layers.network import Network
from generator.layers.notify import Notify
from generator.layers.objects import Objects
from generator.layers.platform_monitoring import PlatformMonitoring
from generator.layers.restore_validation import RestoreValidation
from generator.layers.rotation import Rotation
from generator.layers.secrets import Secrets
from generator.layers.table import Table
from generator.layers.vault import Vault
from generator.parts import backup_targets
from generator.parts.publishers import ALARMS, RDS_EVENTS, RULES
from model import PRIMARY, Deviation, Disruption, Objectives, System

PUBLISHERS = (ALARMS, RDS_EVENTS, RULES)
HOURLY = "cron(0 * * * ? *)"
WITHIN_THE_REGION = Objectives(rpo=timedelta(hours=1), rto=timedelta(hours=4))

REGIONAL_PLATFORM = System(
    name="regional-platform",
    title="Regional platform",
    serves="a serverless application in one region",
    prefix="dr-",
    regions={PRIMARY: "us-east-1"},
    objectives=dict.fromkeys((Disruption.INSTANCE, Disruption.ZONE, Disruption.APPLICATION), WITHIN_THE_REGION),
    profile=BASELINE,
    layers=(
        Artifacts(),
        Keys(purposes=(AURORA, OBJECTS, TABLE, BACKUP, LOGS, SECRETS, TRAIL), publishers=PUBLISHERS),
        Network(nat_gateways=0, host_bits=8, gateways=("s3", "dynamodb"), buckets="backup-bucket", zones_named=True),
        Notify(kind="notifications", display_name="DR Notifications", publishers=PUBLISHERS),
        Audit(),
        Secrets(),
        Aurora(database="platform"),
        Rotation(database="aurora", every=timedelta(days=30)),
        Table(),
        Objects(kind="backup-bucket", short_lived={MARKED: timedelta(days=1)}),
        Health(),
        Vault(kind="vault"),
        Backup(
            plans=(
                Plan((Rule("hourly-continuous", HOURLY, CONTINUOUS_RETENTION, continuous=True),), (backup_targets.CLUSTER,)),
                Plan((Rule("hourly-snapshot", HOURLY, CONTINUOUS_RETENTION),), (backup_targets.TABLE,), kind="table"),
            ),
            rehearsal="cron(0 10 ? * MON,THU *)",
            rehearsed_within=timedelta(days=1),
            validated=(backup_targets.CLUSTER.type,),
            notified_states=EVERY_END,
        ),
        RestoreValidation(),
        PlatformMonitoring(),
    ),
    deviations=(
        Deviation(
            "RP-08",
            "backup.DynamoDBPlan",
            "AWS Backup's continuous backup does not cover DynamoDB. The table's own point-in-time recovery goes back to any "
            "second of 35 days, and a plan of its own takes a snapshot every hour: all rules of a plan hold for all that it "
            "selects, so one plan with both would take snapshots of the cluster, too.",
        ),
        Deviation(
            "A-13",
            "backup.RestoreTestingPlan",
            "The 4 hours after corruption or human error rest on a restore that nobody has measured yet. It is rehearsed twice a "
            "week, its duration is a metric, and an alarm stands at 3 hours; the first rehearsals replace this deviation.",
        ),
        Deviation(
            "A-13",
            "objects.Bucket",
            "Older versions of objects are brought back one by one, in place: how long that takes grows with their number. At a "
            "thousand calls per second a million takes seventeen minutes.",
        ),
    ),
)
