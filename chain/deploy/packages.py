"""Function packages: put into the artifacts bucket of a site before a stack that names them is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chain.cloudformation.stack import Clients, StackError, code
from chain.environment.graph import BUCKET, Outputs, Stack

CALLS = {
    "UploadPackages": ("s3:GetObject", "s3:PutObject"),  # HeadObject is GetObject to IAM
    "CountObjectsAndEmptyBuckets": ("s3:ListBucket",),  # without it S3 answers 403, not 404
}


def upload(stack: Stack, outputs: Outputs, clients: Clients, folder: Path) -> list[str]:
    """Put what the stack names and the bucket lacks; the names of what was put. A name carries its content's digest."""
    if not stack.template.packages:
        return []
    bucket = outputs[stack.artifacts][BUCKET]
    s3 = clients("s3", stack.region)
    missing = [name for name in stack.template.packages if not _is_there(s3, bucket, name)]
    for name in missing:
        path = folder / name
        if not path.exists():
            raise StackError(
                f"the package {name} is neither in the bucket {bucket} nor in {folder}: run `make build`", status="not begun"
            )
        s3.put_object(Bucket=bucket, Key=name, Body=path.read_bytes())
    return missing


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code(error) in ("404", "NoSuchKey"):  # HeadObject has no body, so the code is the status
            return False
        raise
    return True
