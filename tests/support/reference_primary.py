"""The register of federal-records' reference primary: the layers at that site that are left out for an agency's database."""

REFERENCE_PRIMARY = {
    "artifacts",
    "backup",
    "database",
    "files",
    "heartbeat",
    "monitoring",
    "network",
    "notify",
    "probe",
    "rotation",
    "secrets",
}
