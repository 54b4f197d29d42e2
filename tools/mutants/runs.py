"""Faults in the files of runs, in resuming, and in the search over runs."""

from tools.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "resume/without-the-optimizer",
        "training/checkpoints.py",
        "part.load_state_dict(state[key])",
        'key == "optimizer" or part.load_state_dict(state[key])',
        "test_training.py::test_killed_and_resumed_equals_never_killed",
    ),
    Mutant(
        "resume/without-the-method",
        "training/checkpoints.py",
        "part.load_state_dict(state[key])",
        'key == "method" or part.load_state_dict(state[key])',
        "test_training.py::test_killed_and_resumed_equals_never_killed",
    ),
    Mutant(
        "resume/without-the-schedule",
        "training/checkpoints.py",
        "part.load_state_dict(state[key])",
        'key == "scheduler" or part.load_state_dict(state[key])',
        "test_training.py::test_killed_and_resumed_equals_never_killed",
    ),
    Mutant(
        "resume/with-other-random-numbers",
        "training/checkpoints.py",
        'torch.set_rng_state(state["rng"].cpu())',
        "pass",
        "test_training.py::test_killed_and_resumed_equals_never_killed",
    ),
    Mutant(
        "resume/rows-of-the-cut-epoch-stay",
        "training/checkpoints.py",
        'history.keep_until(state["epoch"], state["metrics"] if world.first else None)',
        "pass",
        "test_training.py::test_killed_and_resumed_equals_never_killed",
    ),
    Mutant(
        "history/the-last-epoch-is-dropped",
        "training/history.py",
        "r.epoch <= epoch",
        "r.epoch < epoch",
        "test_training.py::test_history_survives_a_cut_line",
    ),
    Mutant(
        "history/digits-are-lost",
        "training/history.py",
        "repr(float(r.value))",
        'f"{r.value:.6g}"',
        "test_training.py::test_history_survives_a_cut_line",
    ),
    Mutant(
        "history/a-cut-line-counts",
        "training/history.py",
        'text[: text.rfind("\\n") + 1]',
        "text",
        "test_run_files.py::test_a_number_that_was_cut_is_no_number",
    ),
    Mutant(
        "history/the-oldest-value",
        "training/history.py",
        "for r in reversed(self.records):",
        "for r in self.records:",
        "test_training.py::test_a_run_gives_its_model_back",
    ),
    Mutant(
        "files/anything-is-unpickled",
        "training/runs.py",
        "weights_only=True",
        "weights_only=False",
        "test_run_files.py",
    ),
    Mutant(
        "files/not-atomic",
        "_utils/files.py",
        "save(temporary)",
        "save(path), save(temporary)",
        "test_run_files.py",
    ),
    Mutant(
        "tune/judged-on-the-test-split",
        "experiments/judging.py",
        'rows["split"] == "val"',
        'rows["split"] == "test"',
        "test_search.py::test_a_trial_is_judged_by_its_best_epoch_on_validation",
    ),
    Mutant(
        "tune/the-worst-is-kept",
        "experiments/search.py",
        "key=lambda k: (scores[k], -k)",
        "key=lambda k: (-scores[k], -k)",
        "test_search.py::test_the_best_trial_is_kept_and_the_first_of_equals",
    ),
    Mutant(
        "tune/the-last-of-equals",
        "experiments/search.py",
        "key=lambda k: (scores[k], -k)",
        "key=lambda k: (scores[k], k)",
        "test_search.py::test_the_best_trial_is_kept_and_the_first_of_equals",
    ),
]
