"""What the sensor reports to the UI about changes outside Dagster runs: raw uploads, and versions after a rollback."""

from collections.abc import Iterator, Sequence

import dagster as dg

from fitness_assets.bronze.sources import Found
from fitness_assets.lake.lake import Lake
from fitness_assets.orchestration.table_metadata import materialization_metadata
from fitness_assets.registry import PUBLISH_GROUPS

RAW = dg.AssetKey(["raw", "uploads"])

_SHOWN = 20  # names of uploads


def raw_uploads(raw: str) -> dg.AssetSpec:
    """The uploads as an external asset: Dagster shows them in the graph and does not make them.

    Args:
        raw: where they are.
    """
    return dg.AssetSpec(
        RAW,
        description=f"The files of people and devices in {raw}. The sensor `new_uploads` observes them; the table "
        "`bronze/uploads` says what became of each.",
        group_name="raw",
        kinds={"csv"},
    )


def uploads_seen(there: Sequence[Found], new: Sequence[str]) -> dg.AssetObservation:
    """What the sensor found.

    Args:
        there: the uploads that are there.
        new: URIs of those that a run is requested for.
    """
    names = [found.text for found in there if found.uri in set(new)]
    return dg.AssetObservation(
        RAW,
        description=f"New uploads: {len(names)} of {len(there)}.",
        metadata={
            "uploads": len(there),
            "size_bytes": sum(found.size_bytes for found in there),
            "new": len(names),
            "new_uploads": "\n".join(names[:_SHOWN]) + (f"\nand {len(names) - _SHOWN} more" if names[_SHOWN:] else ""),
        },
    )


def versions_moved(instance: dg.DagsterInstance, lake: Lake) -> Iterator[dg.AssetMaterialization]:
    """For each table whose current version is not the one that the UI shows: all that a run of it would show.

    So it is after a rollback, and after a run that another Dagster instance kept.
    """
    for tables in PUBLISH_GROUPS:
        version = lake.current(tables[-1])
        if version is None or version == _shown(instance, tables[-1].key):
            continue
        unmatched, found = ", ".join(_unmatched(lake)) or "nothing", lake.reopen(tables)
        for table in tables:
            yield dg.AssetMaterialization(
                table.key.split("/"),
                description=f"Version {version} is current: a person rolled the table back, or another Dagster "
                "instance published it. Nothing was computed.",
                metadata={"no_longer_matches": unmatched, **materialization_metadata(lake, found, table)},
            )


def _shown(instance: dg.DagsterInstance, key: str) -> str | None:
    """The version of the newest materialization that the instance knows."""
    event = instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
    materialization = event.asset_materialization if event else None
    version = materialization.metadata.get("version") if materialization else None
    return str(version.value) if version else None


def _unmatched(lake: Lake) -> Iterator[str]:
    """The layers that were made from other versions than the current ones."""
    for tables in PUBLISH_GROUPS:
        version = lake.current(tables[-1])
        made_from = lake.metadata(tables[-1], version).inputs if version else {}
        if old := [f"{key} {used}" for key, used in made_from.items() if lake.store.current(key) != used]:
            yield f"{tables[0].layer} (made from {', '.join(old)})"
