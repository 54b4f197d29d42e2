"""The public surface: one list, a line each, and every name on it is there."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import msam_lib as ml

GROWTH = 70  # about 60 names; whoever needs more says which may go


@pytest.mark.parametrize("name", ml.PUBLIC)
def test_every_public_name_is_there_and_says_what_it_is(name):
    home, line = ml.PUBLIC[name]
    thing = getattr(ml, name)
    assert thing is not None and home
    assert 10 <= len(line) <= 80 and not line.endswith(".")
    assert getattr(thing, "__doc__", None)


def test_the_list_is_the_surface():
    assert set(ml.__all__) == {*ml.PUBLIC, "PUBLIC", "__version__"}
    assert len(ml.PUBLIC) <= GROWTH
    assert set(ml.PUBLIC) <= set(dir(ml))
    with pytest.raises(AttributeError, match="no attribute 'paper'"):
        ml.paper  # noqa: B018


def test_reading_results_needs_no_torch():
    code = (
        "import sys, msam_lib as ml; ml.load_results(); ml.build_figures; "
        "ml.catalogue.METHODS; ml.results_table; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("package", ["msam_lib.experiments", "msam_lib.diagnostics"])
def test_no_name_is_a_function_first_and_a_module_later(package):
    home = importlib.import_module(package)
    modules = {m.name for m in pkgutil.iter_modules(home.__path__)}
    assert not modules & set(home.__all__)
    for name in home.__all__:
        assert getattr(home, name) is getattr(home, name)


def test_training_needs_no_package_that_only_some_metrics_need():
    """Each takes about a second to import, at every start and in every worker."""
    code = "import sys, msam_lib.methods, msam_lib.data; print([m for m in {} if m in sys.modules])"
    slow = ["sklearn", "scipy.stats", "pandas", "matplotlib", "distributed", "transformers"]
    done = subprocess.run(
        [sys.executable, "-c", code.format(slow)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
