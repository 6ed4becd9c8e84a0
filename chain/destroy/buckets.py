"""Buckets: how much they hold, and emptying them, since CloudFormation deletes only empty ones."""

from __future__ import annotations

from typing import Any

from chain.cloudformation.stack import StackError, code

CALLS = {
    "UploadPackages": ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"),
    "CountObjectsAndEmptyBuckets": ("s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
    "EndRehearsedBuckets": (
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
    ),
}

MOST = 10_000  # counted exactly up to here; more is said to be more, for counting costs a call per thousand


def count(s3: Any, bucket: str) -> str:
    """How many versions and delete markers a bucket holds, as text."""
    from botocore.exceptions import ClientError

    total = 0
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            total += len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))
            if total > MOST:
                return f"more than {MOST}"
    except ClientError as error:
        if code(error) != "NoSuchBucket":
            raise
    return str(total)


def empty(s3: Any, bucket: str) -> None:
    """Remove all versions, delete markers and unfinished uploads. A bucket that is gone is empty."""
    from botocore.exceptions import ClientError

    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if found:
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
                for error in answer.get("Errors", ()):
                    raise StackError(f"{error['Code']} on deleting {error['Key']} from {bucket}: {error.get('Message', '')}")
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", ()):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except ClientError as error:
        if code(error) not in ("NoSuchBucket", "NoSuchUpload"):
            raise
