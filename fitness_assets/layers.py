"""The layer steps of the graph, upstream steps first."""

from fitness_assets.bronze.assets import bronze_step
from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.coach.assets import coach_step
from fitness_assets.engine.layer_step import LayerStep
from fitness_assets.gold.assets import STEP as GOLD
from fitness_assets.predictions.assets import prediction_step
from fitness_assets.quality.assets import STEP as QUALITY
from fitness_assets.quality.published import audited
from fitness_assets.settings import Settings
from fitness_assets.silver.assets import STEP as SILVER


def steps(settings: Settings) -> list[LayerStep]:
    """The layer steps for some settings."""
    return [
        bronze_step(settings.raw, pseudonyms_of(settings)),
        SILVER,
        GOLD,
        prediction_step(settings.training_rows, audited),
        QUALITY,
        coach_step(settings.goals, pseudonyms_of(settings)),
    ]
