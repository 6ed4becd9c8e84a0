"""Who is about to change what: the ordinary AWS configuration, and the account that it leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from chain.cloudformation.rate_limit import Pace, attach
from chain.cloudformation.reachable_regions import CLOSED
from chain.cloudformation.stack import Clients, code
from chain.environment.exit_codes import AccessError

CALLS = {"LookAround": ("sts:GetCallerIdentity",)}

HOW = (
    "Give credentials the ordinary way: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `aws sso login`."
    " To try everything without an account: make try"
)
CONNECT, READ, FIRST_READ = 4.0, 60.0, 12.0  # seconds; the last for PROMPT
INVOCATION = 130.0  # seconds; Lambda answers when the function has ended: to ask again before would run it beside itself
PROMPT = ("cloudformation", "ssm", "sts")  # what is asked first, and answers at once or not at all
ATTEMPTS = 12  # per call, the first included; throttling is slept off with growing pauses
REFUSED = {
    "AccessDenied",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@dataclass(frozen=True)
class Caller:
    """Where the calls go, and in whose name."""

    account: str
    arn: str
    endpoints: tuple[tuple[str, str], ...]  # region, CloudFormation's endpoint there

    def __str__(self) -> str:
        """What an operator reads before anything happens."""
        places = "\n".join(f"Region   {region}  {endpoint}" for region, endpoint in self.endpoints)
        return f"Account  {self.account}\nCaller   {self.arn}\n{places}"


def ordinary_clients() -> Clients:
    """Clients as the environment and the AWS configuration files describe them, each made once."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": ATTEMPTS},
        connect_timeout=CONNECT,
        max_pool_connections=40,
    )
    session = boto3.Session()
    made: dict[tuple[str, str], Any] = {}
    lock = Lock()

    def client(service: str, region: str) -> Any:
        with lock:  # a session must not make two clients at once
            if (service, region) not in made:
                # The first calls show whether there is a way at all; that need not be tried for minutes.
                read = FIRST_READ if service in PROMPT else INVOCATION if service == "lambda" else READ
                special = config.merge(Config(read_timeout=read))
                try:
                    one = session.client(service, region_name=region, config=special)  # type: ignore[call-overload]
                except ValueError as error:  # botocore's word for an address that is none
                    raise AccessError(
                        f"{error}: AWS_ENDPOINT_URL is the address of an AWS; leave it unset for the real one"
                    ) from error
                made[service, region] = attach(one, Pace())
            return made[service, region]

    return client


def caller(clients: Clients, regions: Sequence[str]) -> Caller:
    """Ask AWS who calls: the first region that answers knows it."""
    identity = _identity(clients, regions)
    endpoints = tuple((region, clients("cloudformation", region).meta.endpoint_url) for region in regions)
    return Caller(identity["Account"], identity["Arn"], endpoints)


def _identity(clients: Clients, regions: Sequence[str]) -> Mapping[str, str]:
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    silent: list[Exception] = []
    for region in regions:
        try:
            found: Mapping[str, str] = clients("sts", region).get_caller_identity()
            return found
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            silent.append(error)
        except exceptions.ClientError as error:
            if code(error) not in CLOSED:
                raise
            silent.insert(0, error)  # of all that went wrong, a refusal says most
        except (KeyError, ResponseParserError) as error:  # a page, most likely
            endpoint = clients("sts", region).meta.endpoint_url
            raise AccessError(f"{endpoint} does not answer as AWS does. Check AWS_ENDPOINT_URL and the proxy") from error
    raise silent[0]


@contextmanager
def access() -> Iterator[None]:
    """Turn whatever botocore says about credentials and the way to AWS into one sentence."""
    from botocore import exceptions

    try:
        yield
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise AccessError(f"There are no AWS credentials to use: {str(error).rstrip('.')}. {HOW}") from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise AccessError(
            f"AWS was not reached: {str(error).rstrip('.')}. Check the network, AWS_ENDPOINT_URL and the proxy"
        ) from error
    except exceptions.ClientError as error:
        said = f"{code(error)} on {error.operation_name}: {error.response['Error'].get('Message', '')}"
        raise AccessError(
            f"AWS refused the caller ({said}). {HOW}" if code(error) in REFUSED else f"AWS answered {said}"
        ) from error
    except exceptions.BotoCoreError as error:
        raise AccessError(f"AWS cannot be asked: {str(error).rstrip('.')}. Check the AWS configuration: ~/.aws, AWS_*") from error
