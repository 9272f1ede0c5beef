"""CloudWatch metrics of a lake in a bucket: the results of runs, and a heartbeat of the sensor.

All metrics are in one namespace with the bucket as dimension, so an alarm needs only the name of a metric.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from logging import Logger
from typing import Any

from fitness_assets.orchestration.messages import RunOutput
from fitness_assets.silver.tables import REJECTED_DAYS

NAMESPACE = "fitness-assets"
_SEVERITIES = ("blocking", "error", "warning")


@dataclass(frozen=True)
class Metric:
    """One value at one time.

    Attributes:
        name: what it measures.
        value: how much.
        unit: a unit of CloudWatch.
        severity: of the checks that are counted; None where no checks are.
    """

    name: str
    value: float
    unit: str = "Count"
    severity: str | None = None


HEARTBEAT = Metric("Heartbeat", 1)
"""Sent with each look for uploads; without it the sensor does not run."""


def of_run(output: RunOutput, seconds: float, failed: bool) -> Iterator[Metric]:
    """Metrics of a run: rows in, quarantined, rejected (in total), failed checks, seconds, and whether it failed."""
    if output.uploads:
        yield Metric("RowsIn", sum(row["rows_read"] for row in output.uploads))
        yield Metric("RowsQuarantined", sum(row["rows_quarantined"] for row in output.uploads))
    for metadata in output.all_metadata:
        if metadata.table == REJECTED_DAYS.key:
            yield Metric("RowsRejected", metadata.rows)
    for severity in () if output.unread else _SEVERITIES:  # no zeros of checks that could not be read
        failures = sum(result.severity == severity for _, result in output.failed)
        yield Metric("CheckFailures", failures, severity=severity)
    yield Metric("RunSeconds", seconds, "Seconds")
    yield Metric("RunFailures", int(failed))


def put(metrics: Sequence[Metric], bucket: str, client: Callable[[], Any], log: Logger) -> bool:
    """Send metrics; where that fails, say so in the log and go on.

    Args:
        metrics: at most 1,000.
        bucket: the dimension.
        client: makes a boto3 client for CloudWatch.
        log: for why they were not sent.

    Returns:
        Whether they were sent.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    data = [
        {
            "MetricName": metric.name,
            "Value": metric.value,
            "Unit": metric.unit,
            "Dimensions": [
                {"Name": "Bucket", "Value": bucket},
                *([{"Name": "Severity", "Value": metric.severity}] if metric.severity else []),
            ],
        }
        for metric in metrics
    ]
    try:
        client().put_metric_data(Namespace=NAMESPACE, MetricData=data)
    except (BotoCoreError, ClientError) as error:
        log.warning(f"Metrics were not sent to CloudWatch: {error}")
        return False
    return True
