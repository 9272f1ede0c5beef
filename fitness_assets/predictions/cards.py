"""Writes model cards: what a model predicts, what may be concluded, how it was tested, and the results as charts."""

import base64
from collections.abc import Iterator
from io import BytesIO

import sklearn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fitness_assets.predictions.bootstrap import CONFIDENCE
from fitness_assets.predictions.drift import section
from fitness_assets.predictions.evaluation import Evaluation
from fitness_assets.predictions.measures import INTERVAL, tenth
from fitness_assets.predictions.rounds import ROUNDS
from fitness_assets.predictions.tables import (
    COVERAGE,
    EMBARGO_DAYS,
    FACT_PREDICTIONS,
    GAP_DAYS,
    HORIZON_DAYS,
    MODEL,
    MODELS,
    NOT_ENOUGH_DATA,
    PREDICTORS,
)
from fitness_assets.predictions.transforms import FEATURES

_SHOWN_FEATURES = 12
_BLUE, _GREY = "#3b6fb6", "#8a8a8a"  # both readable on the light and the dark page of the UI


def card(evaluation: Evaluation, version: str, made_from: dict[str, str], of_data: str) -> str:
    """The card of one model; its end, `drift.section`, is written anew by later versions that keep the model.

    Args:
        evaluation: what came out.
        version: of the model.
        made_from: versions of the tables that it was learned from, by key.
        of_data: what the data is worth; a model is not worth more.
    """
    newest = section(evaluation.drift) if evaluation.drift else ""
    return "\n".join(_lines(evaluation, version, made_from, of_data)) + "\n" + newest


def _lines(evaluation: Evaluation, version: str, made_from: dict[str, str], of_data: str) -> Iterator[str]:
    target = evaluation.target
    skill = evaluation.measure("skill")
    sources = ", ".join(f"{key} version {of}" for key, of in made_from.items())
    yield from (f"# {MODELS[target.name].key}, version {version}", "", target.description, "")
    yield from (f"**Verdict: {evaluation.verdict}.** {evaluation.conclusion}", "", of_data, "")
    if evaluation.verdict == NOT_ENOUGH_DATA:
        yield f"It was to be learned from {sources}."
        return
    yield f"![Importance of features, and what came true against what was predicted]({_picture(evaluation)})"
    yield from ("", "## How it was tested", "")
    yield (
        f"The model learned from the earlier days ({evaluation.train_rows:,} of them) and was tested on later ones. "
        f"{GAP_DAYS} days lie in between: a label looks {HORIZON_DAYS} days ahead, a mean looks {EMBARGO_DAYS} days "
        f"back. People with later days are in {ROUNDS} groups: in each round two are learned from, one calibrates and "
        "one is tested; people without later days are always learned from. "
        f"{skill['test_rows']:,} days of {skill['test_users']:,} people were tested in all. Intervals are "
        f"{CONFIDENCE:.0%} intervals of a bootstrap over people. They say nothing about another season."
    )
    yield from ("", "## Compared with simple baselines", "")
    yield from _measures(evaluation)
    yield from ("", f"## How far its {'probabilities' if target.classes else 'intervals'} can be trusted", "")
    yield from _reliability(evaluation)
    yield from (
        "",
        "## What it is made of",
        "",
        f"scikit-learn {sklearn.__version__}; a penalised {'logistic' if target.classes else 'linear'} regression on "
        f"{len(FEATURES)} features, all known on the day itself: {', '.join(FEATURES)}. Learned from {sources}. The "
        f"predictions of every day are in {FACT_PREDICTIONS.key}; judge them on the rows where `split` is `test`.",
    )


def _reliability(evaluation: Evaluation) -> Iterator[str]:
    who = evaluation.predictor or MODEL
    if evaluation.target.classes:
        error = evaluation.measure("calibration_error", who)
        yield (
            f"The probability of the label that {who} predicts is off by {_share(error)} on average (expected "
            "calibration error over ten bins)."
        )
        return
    parts = {"": "all test days", "_new_people": "people without earlier days"}
    parts |= {f"_q{number}": f"quarter {number} of the year" for number in range(1, 5)}
    yield (
        f"{INTERVAL:.0%} of the numbers should come true inside their interval. The interval is calibrated on people "
        f"who are neither learned from nor tested. What {who} reached:"
    )
    yield from ("", "| tested on | days | people | inside |", "|---|---|---|---|")
    found = {m["measure"]: m for m in evaluation.measures if m["predictor"] == who}
    for part, words in parts.items():
        if row := found.get(COVERAGE + part):
            yield f"| {words} | {row['test_rows']:,} | {row['test_users']:,} | {_share(row)} |"


def _share(row: dict[str, float]) -> str:
    return f"{row['value']:.1%} ({row['lower']:.1%} to {row['upper']:.1%})"


def _measures(evaluation: Evaluation) -> Iterator[str]:
    values = {(m["predictor"], m["measure"]): m["value"] for m in evaluation.measures}
    everywhere = [m for p, m in values if p == MODEL and all((other, m) in values for other in PREDICTORS)]
    yield f"| predictor | {' | '.join(measure.replace('_', ' ') for measure in everywhere)} |"
    yield "|---" * (len(everywhere) + 1) + "|"
    for predictor in PREDICTORS:
        yield f"| {predictor} | {' | '.join(f'{values[predictor, measure]:.4f}' for measure in everywhere)} |"


def _picture(evaluation: Evaluation) -> str:
    """Both plots of a card as the address of an image that needs no file."""
    figure = Figure(figsize=(9.5, 3.6))
    # A layout that matplotlib works out takes as long as drawing.
    margins = {"left": 0.165, "right": 0.985, "top": 0.91, "bottom": 0.13, "wspace": 0.17}
    left, right = figure.subplots(1, 2, gridspec_kw=margins)
    _plot_importance(left, evaluation)
    (_plot_calibration if evaluation.target.classes else _plot_residuals)(right, evaluation)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=90)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _plot_importance(axes: Axes, evaluation: Evaluation) -> None:
    names = list(evaluation.importance)[:_SHOWN_FEATURES][::-1]
    axes.barh(names, [evaluation.importance[name] for name in names], color=_BLUE)
    axes.set_title("What the model relies on", fontsize=10)
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
