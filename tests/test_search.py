"""The search: as many trials for every method, the best stored and used, frozen and drawn."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from msam_lib.errors import MsamError
from msam_lib.experiments import comparison, search
from msam_lib.experiments.cases import setting_experiment
from msam_lib.experiments.choices import FOLDER, tuned
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.search import freeze_search
from msam_lib.experiments.judging import scores
from msam_lib.experiments.search import tune
from msam_lib.figures.registry import ITEMS
from msam_lib.figures.search import describe_search, searches
from msam_lib.labels import Case, Comparison
from msam_lib.plots.search import best_by_rate, search_alt, search_curves
from msam_lib.results.frozen import load
from msam_lib.training import Record, Run

ROOT = Path(__file__).resolve().parent.parent
SMALL = {"n_train": 120, "n_val": 40, "n_test": 40}
FAST = {"preset": "smoke", "data_options": SMALL}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_stored_choices_are_the_best_trials_of_a_search_that_the_table_describes(path):
    dataset, _, fusion = path.stem.rpartition("-")
    choices = json.loads(path.read_text())
    words, notes = describe_search(load("search"), Comparison(dataset, fusion))
    counts = [int(word) for word in words.split("(")[0].split() if word.isdigit()]
    for label, choice in choices.items():
        most = max(len(t.get("val", [0])) for t in choice["trials"])
        whole = [t for t in choice["trials"] if len(t.get("val", [0])) == most]
        assert choice["val_accuracy"] == max(t["val_accuracy"] for t in whole), label
        assert min(counts) <= len(choice["trials"]) <= max(counts), label
    preset = setting_experiment(dataset, fusion)
    met = {2 * preset.lr in {t["lr"] for t in c["trials"]} for c in choices.values()}
    assert (met == {True}) == (notes == [])
    if "@" in dataset:  # settings of the dial, whose caption says that all were searched anew
        return
    item = ITEMS[f"table_methods_{fusion}_{dataset}"]
    # the table describes the search of its own methods; others may have an older one
    own = load(item.needs)["label"].unique()
    search = load("search")
    words, notes = describe_search(search[search["label"].isin(own)], Comparison(dataset, fusion))
    caption = item.full_caption({name: load(name) for name in item.sources})
    drawn = (ROOT / "figures" / f"table_methods_{fusion}_{dataset}.md").read_text("utf-8")
    assert words in caption and words in drawn and all(n in drawn for n in notes)


def test_an_uneven_search_is_described():
    toy = Comparison("toy", "late")

    def frozen_search(**rates):
        same = {"dataset": "toy", "fusion": "late"}
        rows = [
            same | {"label": label, "lr": r, "run": f"{label}-{r}"}
            for label, several in rates.items()
            for r in several
        ]
        return pd.DataFrame(rows)

    even = frozen_search(joint=(0.2, 0.1), sam=(0.2, 0.1))
    assert describe_search(even, toy) == ("2 trials for each method", [])
    uneven = frozen_search(joint=(0.2, 0.1), sam=(0.1, 0.05, 0.01))
    words, (note,) = describe_search(uneven, toy)
    assert words == "2 to 3 trials for each method"
    assert "Joint training met learning rates up to 0.2, the other methods up to 0.1" in note
    assert describe_search(uneven, Comparison("toy", "maxout")) == (words, [note])  # late fusion's
    assert describe_search(uneven, Comparison("other", "late"))[1] == []


def test_tuning_takes_the_best_on_validation_and_is_used(tmp_path):
    case = Case("sam", {})
    chosen = tune(
        "synthetic", "late", [case, Case("joint", {})], budget=3, refine=False, seeds=(7,),
        store=tmp_path / "runs", folder=tmp_path, jobs=1, **FAST,
    )  # fmt: skip
    best = max(t["val_accuracy"] for t in chosen["sam"]["trials"])
    assert chosen["sam"]["val_accuracy"] == best
    stored = tuned("synthetic", "late", tmp_path)
    assert stored["sam"]["budget"] == 3 and stored["sam"]["seeds"] == [7]
    assert tuned("synthetic", "maxout", tmp_path) == stored  # falls back to late fusion
    made = comparison.experiment(case, "synthetic", "late", preset="smoke", folder=tmp_path, seed=1)
    assert (made.lr, made.method_options) == (stored["sam"]["lr"], stored["sam"]["method_options"])
    assert made.seed == 1
    untuned = comparison.experiment(Case("asam", {}), "synthetic", "late", folder=tmp_path)
    assert untuned.method_options == {}
    with pytest.raises(MsamError, match="one to 3 seeds"):
        tune("synthetic", "late", [case], seeds=(1, 2, 3, 4), store=tmp_path, folder=tmp_path)


def begun(experiments, store, **options):
    """In place of `run_all`: runs that are never trained."""
    for e in experiments:
        Run.create(Path(store) / e.name, e.config(), {})


def searched(tmp_path, monkeypatch, score, **options):
    """The choice for SAM where a run's validation score is `score(its configuration)`."""
    monkeypatch.setattr(search, "run_all", begun)
    monkeypatch.setattr(search, "scores", lambda run: (score(run.config), run.config["seed"]))
    where = {"store": tmp_path / "runs", "folder": tmp_path}
    return tune("synthetic", "late", [Case("sam", {})], **where, **FAST, **options)["sam"]


def test_trials_of_a_round_race_over_the_seeds(tmp_path, monkeypatch):
    # The first seed is lucky for the largest rates, the others tell the truth.
    def score(config):
        lr = config["lr"]
        return 0.5 + lr if config["seed"] == 100 else 0.2 - 2 * abs(lr - 0.05)

    found = searched(tmp_path, monkeypatch, score, refine=False)
    counts = sorted(len(t["val"]) for t in found["trials"])
    assert counts == [1] * 4 + [2] * 2 + [3] * 3
    assert found["lr"] == pytest.approx(0.05)
    assert found["val_accuracy"] == pytest.approx((0.55 + 0.2 + 0.2) / 3, abs=1e-4)
    assert [t["test"] for t in found["trials"] if len(t["val"]) == 3] == [[100, 101, 102]] * 3
    # Only those go on that were among the better ones before, whatever one seed said of others.
    assert all(t["lr"] > 0.04 for t in found["trials"] if len(t["val"]) > 1)


def test_the_search_goes_beyond_an_edge_and_ends_between_neighbours(tmp_path, monkeypatch):
    # The best rate, 0.3, lies beyond the grid of 0.1, 0.05, 0.0167; the best radius within it.
    def score(config):
        rate, rho = math.log(config["lr"] / 0.3), math.log(config["method_options"]["rho"] / 0.05)
        return 1 - rate**2 / 100 - rho**2 / 100

    found = searched(tmp_path, monkeypatch, score)
    rounds = [t["round"] for t in found["trials"]]
    assert rounds == ["coarse"] * 9 + ["beyond"] * 2 + ["finer"] * 4
    assert found["lr"] == pytest.approx(0.1 * 2 * math.sqrt(2)) and found["edges"] == []
    assert found["method_options"] == {"rho": 0.05}
    # Where the score rises for ever, the record says so.
    found = searched(tmp_path / "rising", monkeypatch, lambda config: config["lr"])
    assert "lr" in found["edges"]


def test_a_trial_is_judged_by_its_best_epoch_on_validation():
    values = {"val": (0.5, 0.6, 0.4), "test": (0.9, 0.8, 0.95), "train": (1.0, 1.0, 1.0)}
    rows = [
        (epoch, epoch, split, modality, "accuracy", value + (0.3 if modality == "x1" else 0.0))
        for split, three in values.items()
        for epoch, value in enumerate(three)
        for modality in ("fused", "x1")
    ]
    frame = pd.DataFrame(rows, columns=list(Record._fields))
    assert scores(SimpleNamespace(finished=True, metrics=lambda: frame)) == (0.6, 0.8)
    assert scores(SimpleNamespace(finished=False, metrics=lambda: frame))[0] == -math.inf
    errors = frame.assign(metric="mae")
    assert scores(SimpleNamespace(finished=True, metrics=lambda: errors)) == (-0.4, -0.95)


def test_the_best_trial_is_kept_and_the_first_of_equals(tmp_path, monkeypatch):
    one = {"seeds": (100,), "refine": False}
    found = searched(tmp_path, monkeypatch, lambda config: config["lr"], **one)
    assert found["lr"] == max(t["lr"] for t in found["trials"])
    found = searched(tmp_path, monkeypatch, lambda config: 0.0, **one)
    assert {t["val_accuracy"] for t in found["trials"]} == {0.0}
    first = found["trials"][0]
    assert (found["lr"], found["method_options"]) == (first["lr"], first["method_options"])


def test_a_trial_that_diverges_loses(tmp_path, capsys):
    found = tune(
        "synthetic", "late", [Case("joint", {})], budget=3, seeds=(1,), refine=False,
        store=tmp_path / "runs", folder=tmp_path, jobs=1, clip_norm=0.0, weight_decay=1e30, **FAST,
    )  # fmt: skip
    assert found["joint"]["val_accuracy"] == 0.0
    assert "NonFiniteLoss" in capsys.readouterr().out


# --- frozen and drawn -----------------------------------------------------------------------------


def choice(trials, **more):
    """One method's entry in the file of choices; trials of (lr, options, accuracy)."""
    names = ("lr", "method_options", "val_accuracy")
    listed = [dict(zip(names, t, strict=True)) for t in trials]
    return {"trials": listed, "seeds": [100], "preset": "teach", "commit": "abc"} | more


@pytest.fixture
def frozen(tmp_path):
    """Two methods on AV-MNIST whose preset has the learning rate 0.02, frozen and read again."""
    encoder = {"reading": "encoder"}
    choices = {
        "joint": choice([(0.04, {}, 0.6), (0.02, {}, 0.7), (0.01, {}, 0.75)]),
        "msam:reading=encoder": choice(
            [(lr, encoder | {"rho": rho}, lr * 10 + rho) for lr in (0.04, 0.02) for rho in (0, 0.2)]
        ),
    }
    (tmp_path / "avmnist-late.json").write_text(json.dumps(choices))
    return load(freeze_search(tmp_path, tmp_path).name.removesuffix(".csv.gz"), tmp_path)


def test_every_trial_is_frozen_with_its_rate_and_option(frozen):
    assert len(frozen) == 7 and set(frozen["preset_lr"]) == {0.02}
    own = frozen[frozen["label"] == "msam:reading=encoder"]
    assert own["option"].tolist() == ["0", "0.2", "0", "0.2"]  # not the option the row is named by
    assert set(own["method"]) == {"msam"} and set(frozen["seed"]) == {100}
    record = frozen.attrs["provenance"]
    assert record["commit"] == ["abc"] and list(record["made from"]) == ["avmnist-late.json"]
    assert Experiment.preset("teach", dataset="avmnist").lr == 0.02


def test_the_best_option_at_each_rate(frozen):
    table = best_by_rate(frozen)
    assert table["msam:reading=encoder"].dropna().tolist() == pytest.approx([0.4, 0.6])
    assert table["joint"].tolist() == [0.75, 0.7, 0.6]


def test_a_line_per_method_and_its_choice_marked(frozen):
    found, names = searches(frozen)
    (ax,) = search_curves(found, names).axes
    lines = [x for x in ax.lines if len(x.get_xdata()) > 2]
    assert list(lines[0].get_ydata()) == pytest.approx([75, 70, 60])
    marked = [(float(x.get_xdata()[0]), float(x.get_ydata()[0])) for x in ax.lines
              if len(x.get_ydata()) == 1]  # fmt: skip
    assert marked[0] == (0.01, pytest.approx(75)) and marked[1] == (0.04, pytest.approx(60))
    assert max(y for _, y in marked) < ax.get_ylim()[1]
    text = search_alt(found, names)
    assert "Joint training 70.0 and 75.0 % (at 0.01)" in text
    assert "M-SAM (encoder) 40.0 and 60.0 % (at 0.04)" in text


def test_the_item_shows_one_data_set(frozen):
    item = ITEMS["search_avmnist"]
    other = frozen.assign(dataset="digits", value=0.0)
    shown = item.select(pd.concat([frozen, other]))
    assert set(shown["dataset"]) == {"avmnist"} and "one seed" in item.caption


def test_the_frozen_search_is_that_of_the_stored_choices(tmp_path):
    name = freeze_search(tmp_path).name.removesuffix(".csv.gz")
    pd.testing.assert_frame_equal(load(name, tmp_path), load(name, ROOT / "figures" / "data"))
