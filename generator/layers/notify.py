"""The notify layer."""

from dataclasses import dataclass

from awacs import sns as actions
from awacs.aws import ArnLike
from troposphere import Equals, Not, Ref, Sub, sns

from generator.layer import Layer
from generator.parts import policies
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Notify(Layer):
    """The topic on which operators hear of trouble, encrypted with a key that lets alarms and database events publish."""

    name: str = "notify"

    def define(self, t: Template) -> None:
        email = t.parameter(
            "OperatorEmail",
            "Who is told. The address must confirm its subscription. Empty: nobody is subscribed by this stack.",
            Default="",
            AllowedPattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$",
            ConstraintDescription="an e-mail address, or nothing",
        )
        key = t.output_of("keys.TopicKeyArn")
        wanted = t.condition("OperatorIsNamed", Not(Equals(email, "")))

        topic = sns.Topic("Topic", TopicName=t.named("topic-alerts"), KmsMasterKeyId=key)
        alarms = Sub("arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*")
        policy = sns.TopicPolicy(
            "TopicPolicy",
            Topics=[Ref(topic)],
            PolicyDocument=policies.document(
                policies.allow(
                    "AlarmsOfThisAccountPublish",
                    [actions.Publish],
                    [Ref(topic)],
                    ArnLike("aws:SourceArn", alarms),
                    to=policies.service("cloudwatch"),
                ),
                policies.allow(
                    "RdsEventsOfThisAccountPublish",
                    [actions.Publish],
                    [Ref(topic)],
                    policies.THIS_ACCOUNT,
                    to=policies.service("events.rds"),
                ),
                policies.deny_clear_text_publish([Ref(topic)]),
            ),
        )
        subscription = sns.SubscriptionResource(
            "OperatorSubscription", Condition=wanted, TopicArn=Ref(topic), Protocol="email", Endpoint=email
        )

        t.section("Where trouble is told.", topic, policy)
        t.section("Who is told: an address, where the environment names one.", subscription)
        t.output("TopicArn", Ref(topic), "Where alarms and database events go.")
