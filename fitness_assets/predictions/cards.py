"""A model's card: what it predicts, how it was tested, against what, what came out; as Markdown with its pictures."""

import base64
from collections.abc import Iterator
from io import BytesIO

import sklearn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fitness_assets.predictions.models import CONFIDENCE, FOLDS, MIN_TEST_USERS, Evaluation, tenth
from fitness_assets.predictions.tables import (
    EMBARGO_DAYS,
    FACT_PREDICTIONS,
    GAP_DAYS,
    HORIZON_DAYS,
    MODEL,
    MODELS,
    NOT_ENOUGH_DATA,
    PREDICTORS,
    SKILL,
)
from fitness_assets.predictions.transforms import FEATURES

_SHOWN_FEATURES = 12
_BLUE, _GREY = "#3b6fb6", "#8a8a8a"  # both readable on the light and the dark page of the UI


def card(evaluation: Evaluation, version: str, made_from: dict[str, str]) -> str:
    """The card of one model.

    Args:
        evaluation: what came out.
        version: of the model.
        made_from: versions of the tables that it was learned from, by key.
    """
    return "\n".join(_lines(evaluation, version, made_from)) + "\n"


def _lines(evaluation: Evaluation, version: str, made_from: dict[str, str]) -> Iterator[str]:
    target = evaluation.target
    skill = evaluation.measure("skill")
    sources = ", ".join(f"{key} version {of}" for key, of in made_from.items())
    yield from (f"# {MODELS[target.name].key}, version {version}", "", target.description, "")
    yield from (f"**Verdict: {evaluation.verdict}.** {_verdict(evaluation)}", "")
    if evaluation.verdict == NOT_ENOUGH_DATA:
        yield f"It was to be learned from {sources}."
        return
    yield f"![Importance of features, and what came true against what was predicted]({_picture(evaluation)})"
    yield from ("", "## How it was tested", "")
    yield (
        f"Learned from the earlier days ({evaluation.train_rows:,} of them), tested on the later ones, with "
        f"{GAP_DAYS} days between: {HORIZON_DAYS} that a label looks ahead and {EMBARGO_DAYS} that "
        f"a mean looks back. In each of {FOLDS} rounds the people tested were not learned from either: "
        f"{skill['test_rows']:,} days of {skill['test_users']:,} people in all. The interval of the skill is the "
        f"{CONFIDENCE:.0%} interval of a bootstrap over people; what all of them share in these weeks, such as the "
        "season, it takes as given."
    )
    yield from ("", "## Against what", "")
    yield from _measures(evaluation)
    yield from (
        "",
        "## What it is made of",
        "",
        f"scikit-learn {sklearn.__version__}; a penalised {'logistic' if target.classes else 'linear'} regression on "
        f"{len(FEATURES)} features, all known on the day itself: {', '.join(FEATURES)}. Learned from {sources}. The "
        f"predictions of every day are in {FACT_PREDICTIONS.key}; judge them on the rows where `split` is `test`.",
    )


def _verdict(evaluation: Evaluation) -> str:
    skill, rule = evaluation.measure("skill"), evaluation.rule
    if evaluation.verdict == NOT_ENOUGH_DATA:
        return (
            f"There are too few days, people or different outcomes: at least {MIN_TEST_USERS} people have to have "
            f"days more than {GAP_DAYS} days after the days learned from. Nothing is predicted."
        )
    if skill["value"] is None:
        return f"The rule {rule} was never wrong, so there is nothing to improve on. It predicts in the model's place."
    by = f"{skill['value']:+.2%} ({skill['lower']:+.2%} to {skill['upper']:+.2%})"
    if evaluation.verdict == SKILL:
        return f"Its loss is below that of the best rule ({rule}) by {by}, on days and people it has not learned from."
    return f"Its loss is not reliably below that of the best rule ({rule}): {by}. The rule predicts in its place."


def _measures(evaluation: Evaluation) -> Iterator[str]:
    values = {(m["predictor"], m["measure"]): m["value"] for m in evaluation.measures}
    measures = [measure for predictor, measure in values if predictor == PREDICTORS[1]]
    yield f"| predictor | {' | '.join(measure.replace('_', ' ') for measure in measures)} |"
    yield "|---" * (len(measures) + 1) + "|"
    for predictor in PREDICTORS:
        yield f"| {predictor} | {' | '.join(f'{values[predictor, measure]:.4f}' for measure in measures)} |"


def _picture(evaluation: Evaluation) -> str:
    """Both plots of a card as the address of an image that needs no file."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_importance(left, evaluation)
    (_plot_calibration if evaluation.target.classes else _plot_residuals)(right, evaluation)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _plot_importance(axes: Axes, evaluation: Evaluation) -> None:
    names = list(evaluation.importance)[:_SHOWN_FEATURES][::-1]
    axes.barh(names, [evaluation.importance[name] for name in names], color=_BLUE)
    axes.set_title("What the model leans on", fontsize=10)
    axes.set_xlabel("growth of the loss when shuffled", fontsize=8)
    axes.tick_params(labelsize=7)


def _plot_calibration(axes: Axes, evaluation: Evaluation) -> None:
    """For each label: how often it came true against the probability that was given to it."""
    answers = evaluation.answers[MODEL]
    for position, label in enumerate(evaluation.target.classes):
        said, came = answers[:, position], evaluation.truth == label
        bins = tenth(said)
        used = [b for b in range(10) if (bins == b).sum() >= 30]
        axes.plot(
            [said[bins == b].mean() for b in used], [came[bins == b].mean() for b in used], "o-", ms=4, label=label
        )
    axes.plot([0, 1], [0, 1], "--", color=_GREY, lw=1)
    axes.set_title("Calibration of the model", fontsize=10)
    axes.set_xlabel("probability that was given", fontsize=8)
    axes.set_ylabel("share that came true", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)


def _plot_residuals(axes: Axes, evaluation: Evaluation) -> None:
    answers = evaluation.answers[MODEL]
    axes.scatter(answers, evaluation.truth - answers, s=2, alpha=0.2, color=_BLUE, rasterized=True)
    axes.axhline(0, ls="--", color=_GREY, lw=1)
    axes.set_title("What the model missed", fontsize=10)
    axes.set_xlabel("predicted change in kg", fontsize=8)
    axes.set_ylabel("actual − predicted, kg", fontsize=8)
    axes.tick_params(labelsize=7)
