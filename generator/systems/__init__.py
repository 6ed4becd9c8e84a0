"""The systems. A further one is a new module and one more name here."""

from generator.systems.citizen_registry import CITIZEN_REGISTRY
from generator.systems.federal_records import FEDERAL_RECORDS
from generator.systems.healthcare import HEALTHCARE
from generator.systems.ledger import LEDGER
from generator.systems.regional_platform import REGIONAL_PLATFORM

SYSTEMS = (CITIZEN_REGISTRY, FEDERAL_RECORDS, HEALTHCARE, LEDGER, REGIONAL_PLATFORM)
