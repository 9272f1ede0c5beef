"""The template in deploy/ on the tests' own AWS: what it makes, who may do what with it, and when alarms ring."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.cloudformation import parsing
from moto.cloudformation.models import cloudformation_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from fitness_assets.bronze.sources import source_of
from fitness_assets.orchestration import metrics
from fitness_assets.orchestration.messages import RunOutput
from fitness_assets.settings import Settings

# The tests' AWS makes buckets, topics and rights of a template; the rest is asked for by what stands in it.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")

PREFIXES = {"Raw": "inbound data", "Bronze": "layers/bronze", "Silver": "layers/silver", "Gold": "gold tables"}


@dataclass(frozen=True)
class Stack:
    """What became of the template."""

    name: str
    bucket: str
    outputs: dict[str, str]

    def id_of(self, resource: str) -> str:
        """The ARN or name that a resource of the template got."""
        return parsing.clean_json({"Ref": resource}, self._made.resource_map)

    def properties(self, resource: str) -> dict[str, Any]:
        """Properties of a resource with every reference put in; the tests' AWS itself does not make all of them."""
        return parsing.clean_json(
            self._made.template_dict["Resources"][resource]["Properties"], self._made.resource_map
        )

    def wanted(self, resource: str) -> bool:
        """Whether the condition of a resource holds."""
        return self._made.resource_map.lazy_condition_map[self._made.template_dict["Resources"][resource]["Condition"]]

    def policy(self, resource: str) -> list[dict[str, Any]]:
        """The statements of a policy, as IAM has them."""
        iam, arn = boto3.client("iam"), self.id_of(resource)
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return found["Statement"]

    def settings(self, folder: Path) -> Settings:
        """The settings of whoever takes the output into their .env."""
        (folder / ".env").write_text(self.outputs["Settings"])
        return Settings(_env_file=folder / ".env")  # pyright: ignore[reportCallIssue]

    @property
    def _made(self) -> Any:
        return cloudformation_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].get_stack(self.name)


@pytest.fixture(scope="session")
def documented(root: Path) -> str:
    return (root / "docs" / "iam-policy.json").read_text()


def deploy(root: Path, **parameters: str) -> Stack:
    """What `aws cloudformation deploy` does."""
    client, name, bucket = boto3.client("cloudformation"), f"stack-{uuid4().hex}", f"lake-{uuid4().hex}"
    client.create_stack(
        StackName=name,
        TemplateBody=(root / "deploy" / "cloudformation.yaml").read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in {"BucketName": bucket, **parameters}.items()
        ],
        Capabilities=["CAPABILITY_IAM"],
    )
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}  # pyright: ignore[reportTypedDictNotRequiredAccess]
    return Stack(name, bucket, outputs)


@pytest.fixture(scope="module", autouse=True)
def no_value_is_none() -> Iterator[None]:
    """AWS takes what has no value out of a list; the tests' AWS has to be taught that."""
    clean = parsing.clean_json

    def cleaner(resource: Any, resources: Any) -> Any:
        found = clean(resource, resources)
        return [value for value in found if value is not None] if isinstance(resource, list) else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "clean_json", cleaner)
        yield


@pytest.fixture(scope="module")
def plain(cloud, root) -> Stack:
    """A stack of somebody who only thought of a name for the bucket."""
    return deploy(root)


@pytest.fixture(scope="module")
def full(cloud, root) -> Stack:
    """A stack of somebody who set everything."""
    prefixes = {f"{layer}Prefix": prefix for layer, prefix in PREFIXES.items()}
    return deploy(root, Email="who@example.org", GlueDatabase="fitness", **prefixes)


def test_the_bucket_keeps_what_it_has_and_shows_it_to_nobody(plain, root):
    (rule,) = boto3.client("s3").get_bucket_encryption(Bucket=plain.bucket)["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"  # pyright: ignore[reportTypedDictNotRequiredAccess]
    bucket = plain.properties("Lake")
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if rule["Status"] == "Enabled"]
    assert any(int(rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 0)) == 30 for rule in rules)
    assert any(rule.get("AbortIncompleteMultipartUpload") for rule in rules)
    deleting = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule]
    assert deleting == ["jobs/pipes/"], "a rule would delete current files of the lake"
    template = (root / "deploy" / "cloudformation.yaml").read_text()
    for resource in ("Lake", "LakeByTlsOnly"):
        assert re.search(rf"\n  {resource}:\n.*\n(    #.*\n)?    DeletionPolicy: Retain\n", template)


def test_nothing_gets_to_the_bucket_without_tls(plain):
    policy = plain.properties("LakeByTlsOnly")
    assert policy["Bucket"] == plain.bucket
    (statement,) = policy["PolicyDocument"]["Statement"]
    arn = f"arn:aws:s3:::{plain.bucket}"
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [arn, f"{arn}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def rings(alarm: dict[str, Any]) -> bool:
    """Whether CloudWatch finds that the last period is one to ring for."""
    end = int(time.time() / alarm["Period"] + 1) * alarm["Period"]
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=alarm["Namespace"],
        MetricName=alarm["MetricName"],
        Dimensions=alarm["Dimensions"],
        Period=alarm["Period"],
        StartTime=end - 2 * alarm["Period"],
        EndTime=end,
        Statistics=[alarm["Statistic"]],
    )["Datapoints"]
    if not points:
        return alarm["TreatMissingData"] == "breaching"
    value, threshold = points[-1][alarm["Statistic"]], float(alarm["Threshold"])
    return {"GreaterThanThreshold": value > threshold, "LessThanThreshold": value < threshold}[
        alarm["ComparisonOperator"]
    ]


def test_a_failed_run_rings_and_one_that_succeeds_does_not(plain):
    alarm, output = plain.properties("RunsFail"), RunOutput("run", [], [])
    assert alarm["Namespace"] == metrics.NAMESPACE
    assert alarm["AlarmActions"] == [plain.id_of("Messages")]
    assert not rings(alarm)
    for failed in (False, True):
        assert metrics.put(
            [*metrics.of_run(output, 1, failed)], plain.bucket, lambda: boto3.client("cloudwatch"), getLogger()
        )
        assert rings(alarm) == failed
    boto3.client("cloudwatch").put_metric_alarm(AlarmName="runs-fail", **alarm)  # refuses what it does not know


def test_a_missing_heartbeat_rings(plain):
    alarm = plain.properties("NobodyLooks")
    assert alarm["AlarmActions"] == alarm["OKActions"] == [plain.id_of("Messages")]
    assert rings(alarm)
    assert metrics.put([metrics.HEARTBEAT], plain.bucket, lambda: boto3.client("cloudwatch"), getLogger())
    assert not rings(alarm)
    boto3.client("cloudwatch").put_metric_alarm(AlarmName="nobody-looks", **alarm)


def test_alarms_may_use_the_topic_and_others_only_by_their_own_rights(plain):
    topic = plain.id_of("Messages")
    assert "KmsMasterKeyId" not in plain.properties("Messages"), "alarms may not use AWS's own key"
    (policy, deny) = plain.properties("MessagesPolicy")["PolicyDocument"]["Statement"]
    assert (policy["Principal"], policy["Action"], policy["Resource"]) == (
        {"Service": "cloudwatch.amazonaws.com"},
        "sns:Publish",
        topic,
    )
    alarms = f"arn:aws:cloudwatch:eu-central-1:{DEFAULT_ACCOUNT_ID}:alarm:*"
    assert policy["Condition"] == {"ArnLike": {"aws:SourceArn": alarms}}
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")


def test_an_address_is_told_if_there_is_one(plain, full):
    assert full.wanted("MessagesByEmail")
    assert not plain.wanted("MessagesByEmail")
    assert full.properties("MessagesByEmail") == {
        "TopicArn": full.id_of("Messages"),
        "Protocol": "email",
        "Endpoint": "who@example.org",
    }


def named(documented: str, stack: Stack, **names: str) -> list[dict[str, Any]]:
    """The statements of the documented policy with somebody's names put in."""
    for name, value in {**names, "BUCKET": stack.bucket, "TOPIC_ARN": stack.id_of("Messages")}.items():
        documented = documented.replace(name, value)
    return json.loads(documented)["Statement"]


def test_the_machine_has_the_rights_of_the_documented_policy_and_no_others(full, documented):
    prefixes = {f"BUCKET/{layer.lower()}": f"{full.bucket}/{prefix}" for layer, prefix in PREFIXES.items()}
    assert full.policy("LakePolicy") == named(documented, full, **prefixes, GLUE_DATABASE="fitness")
    role = full.properties("MachineRole")
    assert role["ManagedPolicyArns"] == [full.id_of("LakePolicy")]
    assert "Policies" not in role
    assert {who["Principal"]["Service"] for who in role["AssumeRolePolicyDocument"]["Statement"]} == {
        "ec2.amazonaws.com"
    }
    profile = boto3.client("iam").get_instance_profile(InstanceProfileName=full.outputs["MachineProfile"])
    assert [role["RoleName"] for role in profile["InstanceProfile"]["Roles"]] == [full.id_of("MachineRole")]


def test_who_uses_no_glue_has_no_rights_on_it(plain, documented):
    statements = [part for part in named(documented, plain) if part["Sid"] != "EnterGoldTablesInGlue"]
    assert plain.policy("LakePolicy") == statements


def test_the_machine_may_look_for_uploads_before_there_are_any(cloud, plain, monkeypatch):
    for name, value in cloud.user(f"machine-{uuid4().hex}", *plain.policy("LakePolicy")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would remember who asked before
    assert source_of(f"s3://{plain.bucket}/raw").find() == []


def test_who_uploads_may_put_and_nothing_else(cloud, full):
    # The tests' AWS asks the policy of the key's user.
    user = cloud.user(f"uploader-{uuid4().hex}", *full.policy("UploadPolicy"))
    key = {name.lower(): value for name, value in user.items()}
    s3, upload = boto3.client("s3", **key), {"Bucket": full.bucket, "Key": f"{PREFIXES['Raw']}/2024/year.csv"}
    s3.put_object(**upload, Body=b"user_id,date,steps\n")
    for forbidden in (
        lambda: s3.get_object(**upload),
        lambda: s3.delete_object(**upload),
        lambda: s3.list_objects_v2(Bucket=full.bucket),
        lambda: s3.put_object(Bucket=full.bucket, Key="gold tables/fact_daily/_symlink_format_manifest/manifest"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden()


def test_the_outputs_are_settings(plain, full, tmp_path):
    settings = full.settings(tmp_path)
    assert settings.lake_bucket == full.bucket
    assert settings.raw == f"s3://{full.bucket}/{PREFIXES['Raw']}"
    assert settings.prefixes == {layer: PREFIXES[layer.title()] for layer in ("bronze", "silver", "gold")}
    assert settings.sns_topic_arn == full.id_of("Messages")
    assert settings.glue_database == full.properties("Catalogue")["DatabaseInput"]["Name"] == "fitness"
    assert "AWS_DEFAULT_REGION=eu-central-1" in full.outputs["Settings"].splitlines()
    settings, others = plain.settings(tmp_path), Settings(s3_bucket=plain.bucket)
    assert (settings.glue_database, settings.prefixes, settings.raw_prefix) == (
        None,
        others.prefixes,
        others.raw_prefix,
    )
