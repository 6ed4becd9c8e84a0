"""The notify layer."""

from dataclasses import dataclass

from troposphere import Equals, Not, Ref, sns

from generator.layer import Layer
from generator.parts import policies
from generator.parts.publishers import ALARMS, RDS_EVENTS, Publisher
from generator.template import Template


@dataclass(frozen=True, kw_only=True)
class Notify(Layer):
    """The topic on which operators hear of trouble, encrypted with a key that lets those publish who have something to tell.

    ``publishers`` are those of the keys layer; ``kind`` is the topic's.
    """

    name: str = "notify"
    kind: str = "topic-alerts"
    display_name: str = ""
    publishers: tuple[Publisher, ...] = (ALARMS, RDS_EVENTS)

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

        optional = {"DisplayName": self.display_name} if self.display_name else {}
        topic = sns.Topic("Topic", TopicName=t.named(self.kind), **optional, KmsMasterKeyId=key)
        policy = sns.TopicPolicy(
            "TopicPolicy",
            Topics=[Ref(topic)],
            PolicyDocument=policies.document(
                *(publisher.may_publish(topic) for publisher in self.publishers), policies.deny_clear_text_publish([Ref(topic)])
            ),
        )
        subscription = sns.SubscriptionResource(
            "OperatorSubscription", Condition=wanted, TopicArn=Ref(topic), Protocol="email", Endpoint=email
        )

        t.section("Where trouble is told.", topic, policy)
        t.section("Who is told: an address, where the environment names one.", subscription)
        t.output("TopicArn", Ref(topic), "Where alarms and database events go.")
