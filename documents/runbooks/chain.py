"""Deploy, a stack that is stuck, and the end of an environment."""

from __future__ import annotations

from documents.runbooks.facts import Facts
from documents.runbooks.page import Section, command, shell, word

BEFORE = "Before anything"

MEANT = {
    "at rest": ("it is compared, and updated if it differs", "nothing"),
    "moving": ("it joins what is under way and waits", "wait; run it again if you ended it"),
    "first create failed": ("it removes what is left, and creates it again", "mend the cause, then deploy again"),
    "create under review": ("it removes its own change set, and refuses another's", "ask whose change set it names"),
    "gone": ("it creates it", "nothing"),
    "delete failed": ("it refuses", "run destroy again; see [Clean up](#clean-up)"),
    "update failed": ("it refuses", "roll it back: `rollback-stack` below"),
    "rollback failed": (
        "it finishes the rollback once, and refuses if that fails",
        "mend the cause, then `continue-update-rollback` below",
    ),
}
"""What a state of a stack means to the chain, and to whoever stands before it. ``STATES`` says which it is."""

STATES = {
    "CREATE_COMPLETE": "at rest",
    "UPDATE_COMPLETE": "at rest",
    "UPDATE_ROLLBACK_COMPLETE": "at rest",
    "IMPORT_COMPLETE": "at rest",
    "IMPORT_ROLLBACK_COMPLETE": "at rest",
    "CREATE_IN_PROGRESS": "moving",
    "ROLLBACK_IN_PROGRESS": "moving",
    "UPDATE_IN_PROGRESS": "moving",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "moving",
    "UPDATE_ROLLBACK_IN_PROGRESS": "moving",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "moving",
    "DELETE_IN_PROGRESS": "moving",
    "IMPORT_IN_PROGRESS": "moving",
    "IMPORT_ROLLBACK_IN_PROGRESS": "moving",
    "CREATE_FAILED": "first create failed",
    "ROLLBACK_COMPLETE": "first create failed",
    "ROLLBACK_FAILED": "first create failed",
    "REVIEW_IN_PROGRESS": "create under review",
    "DELETE_COMPLETE": "gone",
    "DELETE_FAILED": "delete failed",
    "UPDATE_FAILED": "update failed",
    "UPDATE_ROLLBACK_FAILED": "rollback failed",
    "IMPORT_ROLLBACK_FAILED": "rollback failed",
}
"""Every status of CloudFormation; a test holds it against the chain's own table."""


def before(facts: Facts) -> Section:
    """What every other section rests on."""
    name = facts.system.name
    stack = f'aws cloudformation describe-stacks --stack-name "{name}-$1-$ENV" --output text --query'
    since = "import sys, time; print(int(time.time() - 60 * int(sys.argv[1])) * 1000)"
    ago = (
        "import datetime as d, sys; then = d.datetime.now(d.UTC) - d.timedelta(minutes=int(sys.argv[1])); "
        'print(then.isoformat("T", "seconds"))'
    )
    return Section(
        BEFORE,
        (
            "In a checkout of the commit that is deployed, with credentials of this account: `make` needs "
            "[these policies](../policies/README.md); what calls `aws` is tried as an administrator. `dev` is the environment: "
            "change it. AWS CLI 1.46 or 2, `psql` 15 and Python 3.11 or later.",
            shell(
                f"export ENV=dev AWS_DEFAULT_REGION={facts.region} AWS_PAGER= NOTES=$(mktemp -d)",
                f"output() {{ {stack} \"Stacks[0].Outputs[?OutputKey=='$2'].OutputValue\"; }}",
                f"parameter() {{ {stack} \"Stacks[0].Parameters[?ParameterKey=='$2'].ParameterValue\"; }}",
                f"ago() {{ python3 -c '{ago}' \"$1\"; }}",
                f"since() {{ python3 -c '{since}' \"$1\"; }}",
                "ACCOUNT=$(aws sts get-caller-identity --query Account --output text)",
                f'make status ENV="$ENV" SYSTEM={name}',
            ),
            "Is the account the right one? `echo $ACCOUNT`. `make status` shows every stack, and what waits for a person. "
            "`$NOTES` is a directory that only you can read, for what is kept for a moment.",
        ),
    )


def deploy(facts: Facts) -> Section:
    """How an environment comes to its templates."""
    name = facts.system.name
    target = f'ENV="$ENV" SYSTEM={name}'
    return Section(
        "Deploy",
        (
            f"Values stand in `parameters/{name}/default.yaml`; those of an environment in `parameters/{name}/<suffix>.yaml` "
            "beside it.",
            shell(f"make plan {target}", f"make deploy {target}", f"make drift {target}"),
            "Read the plan: `REPLACED` beside a database, a table, a bucket, a file system or a key means that its data go. "
            "Stop there; `make deploy` refuses it unless `ALLOW` names it.\n"
            "A failure holds back only what depends on it. Mend the cause and run the same command again: it goes on from there. "
            "Ctrl-C is harmless: what AWS has begun goes on, and the same command joins it. "
            "`drift` ends with 3 where something differs from its template, which make calls *Error 3*: "
            "[exit codes](../exit-codes.md).",
        ),
        (BEFORE,),
    )


def stuck(facts: Facts) -> Section:
    """What the chain says of each state of a stack, and what to do."""
    states = "\n".join(
        f"| {', '.join(f'`{state}`' for state, meaning in STATES.items() if meaning == kind)} | {does} | {you} |"
        for kind, (does, you) in MEANT.items()
    )
    layer = next(iter(facts.documents))
    only = "a deployed environment has no stack in such a state"
    return Section(
        "A stack is stuck",
        (
            "`make deploy` names the resource that failed first, and AWS's reason. Where it has scrolled away:",
            shell(
                f"LAYER={layer}",
                command(
                    f'aws cloudformation describe-stack-events --stack-name "{facts.system.name}-$LAYER-$ENV"',
                    "--output text",
                    "--query \"StackEvents[?ends_with(ResourceStatus,'_FAILED')]"
                    '.[Timestamp,LogicalResourceId,ResourceStatus,ResourceStatusReason]"',
                ),
            ),
            f"| the stack is in | `make deploy` | you |\n|---|---|---|\n{states}",
            "`rollback-stack` and `continue-update-rollback` bring it back to where it was before the update. "
            "`--resources-to-skip` leaves a resource as it is and calls it done: say which, and read `make drift` afterwards.",
            shell(
                f'aws cloudformation rollback-stack --stack-name "{facts.system.name}-$LAYER-$ENV"',
                f'aws cloudformation continue-update-rollback --stack-name "{facts.system.name}-$LAYER-$ENV"',
                not_run=only,
            ),
            _causes(facts),
        ),
        (BEFORE,),
    )


CAUSES = (
    (
        "AWS::EC2::EIP",
        "`AddressLimitExceeded`",
        "Five Elastic IP addresses are a region's default: release one, or raise the quota.",
    ),
    (
        "AWS::CloudTrail::Trail",
        "`MaximumNumberOfTrailsExceeded`",
        "Five trails are a region's limit: another environment's must go.",
    ),
    ("AWS::S3::Bucket", "`BucketNotEmpty`", "Something still writes. `make destroy` empties and tries twice; run it again."),
    (
        "AWS::Lambda::Function",
        "a subnet or group `has dependencies` or `has a dependent object`",
        "Lambda gives network interfaces back late, in up to 20 minutes. Wait, then run the same command again.",
    ),
    (
        "AWS::SecretsManager::RotationSchedule",
        "`WARNING … was not rotated`",
        "The stacks stand. Read the log group that it names; see [Credential leak](#credential-leak) to rotate again.",
    ),
    (
        "AWS::RDS::DBInstance",
        "the database needs longer than you expect",
        "A Multi-AZ instance takes 10 to 20 minutes to be made, and an update that interrupts may wait for its window.",
    ),
    (
        "AWS::KMS::Key",
        "`KMSInvalidStateException` or `inaccessible-encryption-credentials`",
        "A key is disabled or waits for its deletion: see [Clean up](#clean-up) to cancel it, at once.",
    ),
)
"""Failures by the type that has them: what AWS says, and what to do."""


def _causes(facts: Facts) -> str:
    rows = "\n".join(f"| {says} | {do} |" for type_, says, do in CAUSES if facts.all(type_))
    taken = "| `AlreadyExists` | Another stack or a person has that name: another ENV, or remove it. |"
    return f"| it says | do |\n|---|---|\n{rows}\n{taken}"


def clean_up(facts: Facts) -> Section:
    """The end of an environment, and what remains of its keys."""
    name = facts.system.name
    tagged = command(
        "aws resourcegroupstaggingapi get-resources",
        f'--tag-filters "Key=System,Values={name}" "Key=Environment,Values=$ENV"',
        "--output text --query",
    )
    keys = f"{tagged} 'ResourceTagMappingList[0].ResourceARN' --resource-type-filters kms:key"
    window = word(str(min((one.properties.get("PendingWindowInDays", 30) for one in facts.all("AWS::KMS::Key")), default=30)))
    return Section(
        "Clean up",
        (
            "It shows what will go and asks once. **The data go with it**: no final snapshot, no retained backup, unless "
            f"`parameters/{name}/<suffix>.yaml` says `finalSnapshot: true`. Then a snapshot of each database that is no "
            "copy comes first, under a key that stays; the end names it, with the command that brings it back. Files, "
            "objects and tables are not in it.",
            shell(f'make destroy ENV="$ENV" SYSTEM={name}'),
            f"It ends with an audit. Keys in their waiting period of {window} days are all that may be left; anything else it "
            "calls `LEFT`: "
            "restored databases and whatever else was made by hand. What still bears the environment's tags:",
            shell(f"{tagged} 'ResourceTagMappingList[].ResourceARN'"),
            f"A key that waits for its end can be saved for {window} days, and with it everything that it encrypts. "
            "After that nobody can, AWS included.",
            shell(
                f"KEY=$({keys})",
                "aws kms describe-key --key-id \"$KEY\" --query 'KeyMetadata.[KeyState,DeletionDate,Description]' --output text",
                'aws kms cancel-key-deletion --key-id "$KEY"',
                'aws kms enable-key --key-id "$KEY"',
            ),
            "A saved key belongs to no stack any more. To let it go after all:",
            shell(f'aws kms schedule-key-deletion --key-id "$KEY" --pending-window-in-days {window}'),
        ),
        (BEFORE,),
    )
