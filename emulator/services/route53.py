"""Route 53: health checks say true and false as XML does."""

from __future__ import annotations

from typing import Any


def install() -> None:
    from ministack.services import route53

    parse = route53._parse_health_check_config
    route53._parse_health_check_config = lambda element: {name: _text(value) for name, value in parse(element).items()}


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
