"""S3: replication as its role may, and the configurations of a bucket that ministack knows nothing of; objects.py copies."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from emulator.services import objects

Answer = tuple[int, dict[str, str], bytes]

# Query of a bucket's configuration that comes by id -> the element of which a list consists; of none ministack knows.
KEPT = {"intelligent-tiering": "IntelligentTieringConfiguration", "metrics": "MetricsConfiguration"}
LIST = {"intelligent-tiering": "ListBucketIntelligentTieringConfigurationsOutput", "metrics": "ListMetricsConfigurationsResult"}
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@cache
def _store() -> Any:
    from ministack.core.responses import AccountScopedDict

    return AccountScopedDict()


def install() -> None:
    from ministack.services import s3

    dispatch, delete, version = s3._dispatch, s3._delete_bucket, s3._put_bucket_versioning
    put = s3._put_bucket_replication
    s3._put_bucket_replication = lambda bucket, body: _refused(bucket, body) or put(bucket, body)
    s3._put_bucket_versioning = lambda bucket, body: _replicating(bucket, body) or version(bucket, body)
    s3._delete_bucket = lambda bucket: _forget(delete, bucket)
    s3._maybe_replicate = objects.replicate
    s3._maybe_replicate_delete_marker = objects.replicate_delete_marker

    def dispatched(method: str, bucket: str, key: str, headers: Any, body: bytes, query: dict[str, Any]) -> Answer:
        kind = next((name for name in KEPT if name in query), "") if bucket and not key else ""
        if kind and bucket in s3._buckets:
            return _kept(method, bucket, kind, str(s3._qp(query, "id")), body)
        answer: Answer = dispatch(method, bucket, key, headers, body, query)
        return answer

    s3._dispatch = dispatched


def _kept(method: str, bucket: str, kind: str, name: str, body: bytes) -> Answer:
    """Configurations by id: their documents as they came."""
    from ministack.services import s3

    found = _store().setdefault((bucket, kind), {})
    if method == "PUT":
        found[name] = re.sub(rb"<\?xml[^>]*>", b"", body).replace(NAMESPACE.encode(), b"")
        return 200, {}, b""
    if method == "GET" and not name:
        inner = b"".join(found[one] for one in sorted(found))
        return _xml(LIST[kind], inner + b"<IsTruncated>false</IsTruncated>")
    if name not in found:
        answer: Answer = s3._error("NoSuchConfiguration", "The specified configuration does not exist.", 404, f"/{bucket}")
        return answer
    if method == "DELETE":
        del found[name]
        return 204, {}, b""
    return 200, {"Content-Type": "application/xml"}, found[name]


def _xml(root: str, inner: bytes) -> Answer:
    return 200, {"Content-Type": "application/xml"}, f"<{root}{NAMESPACE}>".encode() + inner + f"</{root}>".encode()


def _forget(theirs: Callable[[str], Answer], bucket: str) -> Answer:
    answer = theirs(bucket)
    if answer[0] < 300:
        for kind in KEPT:
            _store().pop((bucket, kind), None)
    return answer


def _replicating(bucket: str, body: bytes) -> Answer | None:
    """S3 keeps the versions on as long as it replicates them."""
    from ministack.services import s3

    if b"Suspended" not in body or s3._bucket_replication.get(bucket) is None:
        return None
    message = "A replication configuration is present on this bucket, so you cannot change the versioning state."
    answer: Answer = s3._error("InvalidBucketState", message, 409, f"/{bucket}")
    return answer


def _refused(bucket: str, body: bytes) -> Answer | None:
    """What S3 asks of a configuration, where ministack takes any."""
    from ministack.services import s3

    try:
        rules = [one for one in s3.fromstring(body) if one.tag.endswith("Rule")]
    except SyntaxError:
        return None  # ministack says so
    message = None
    for rule in rules:
        named = {one.tag.split("}")[-1]: one for one in rule}
        target = "".join(one.text or "" for one in named["Destination"] if one.tag.endswith("Bucket")).rsplit(":", 1)[-1]
        if s3._bucket_owner_account(target) is None:
            message = "Destination bucket must exist."
        elif target == bucket:
            message = "Destination bucket cannot be the same as the source bucket."
        for wanted in ("DeleteMarkerReplication", "Priority"):
            if "Filter" in named and wanted not in named:
                message = f"{wanted} must be specified for this version of Cross Region Replication configuration schema."
    answer: Answer | None = s3._error("InvalidRequest", message, 400, f"/{bucket}") if message else None
    return answer
