"""A simulated AWS on loopback: S3, SNS, SQS, CloudWatch, Glue and IAM (moto), which can inject faults."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, Literal

import boto3
from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Fault = Literal[500, 503, "slow", "cut", "lost"]
"""A fault: an error status; a slow answer; a connection that breaks before (`cut`) or after (`lost`) the request."""

_SLOW_SECONDS = 0.3


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


class Cloud:
    """The server, in a thread of this process. It checks the signature and the permissions of every request."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._fault: Callable[[str], Fault | None] = lambda request: None
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self._iam = boto3.client(
            "iam", "us-east-1", endpoint_url=self._url, aws_access_key_id="any", aws_secret_access_key="any"
        )
        self._admin = self.user("admin", {"Action": "*", "Resource": "*"})
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from here on, moto checks permissions
        self._iam = boto3.client("iam", "us-east-1", endpoint_url=self._url, **_arguments(self._admin))

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """Create a user with the permissions in some policy statements; returns environment variables with its key."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement for statement in statements]}
        self._iam.create_user(UserName=name)
        self._iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=json.dumps(policy))
        key = self._iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make every AWS SDK send its requests to this server, as the admin."""
        return {
            "AWS_ENDPOINT_URL": self._url,
            **self._admin,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }

    @contextmanager
    def faults(self, fault: Callable[[str], Fault | None]) -> Iterator[None]:
        """In this block, inject the fault that ``fault`` returns for a request (``PUT /bucket/key``), if any."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = lambda request: None

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}".removesuffix("?")
        self.requests.append(request)
        # A blank in a query may be written + or %20. S3 checks the signature of the second form, moto of what it got.
        environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("+", "%20")
        fault = self._fault(request)
        if fault in (500, 503):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(f"{fault} Fault", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>A fault of the test.</Message></Error>"]
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
        answer = self._app(environ, start_response) if fault != "cut" else []
        if fault in ("cut", "lost"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        return answer


def _arguments(key: dict[str, str]) -> dict[str, Any]:
    return {name.lower(): value for name, value in key.items()}


class Inbox:
    """An SNS topic, and the messages that were sent to it."""

    def __init__(self, name: str) -> None:
        self._sqs, sns = boto3.client("sqs"), boto3.client("sns")
        self.arn: str = sns.create_topic(Name=name)["TopicArn"]
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        queue = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=queue["QueueArn"])

    def read(self) -> list[dict[str, str]]:
        """The messages since the last call."""
        found = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]
