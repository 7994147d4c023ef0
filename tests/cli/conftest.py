import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "pipeline"))
import harness  # noqa: E402


@pytest.fixture(scope="session")
def sim():
    with harness.Simulator("--seed", 7, "--density", "0.05", "--rate", 1_000_000) as simulator:
        yield simulator


@pytest.fixture
def home(tmp_path, sim):
    return harness.Home(tmp_path, sim.url)
