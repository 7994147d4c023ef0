import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402


@pytest.fixture(scope="session")
def sim():
    """A thin market, so that a whole day of trades or quotes is some thousand rows."""
    with harness.Simulator("--seed", 7, "--density", "0.05", "--rate", 1_000_000) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def no_faults_left(request):
    yield
    if "sim" in request.fixturenames:
        request.getfixturevalue("sim").faults("")


@pytest.fixture(params=harness.LAYOUTS)
def layout(request):
    """What a lake may be made of: the same tests hold for all."""
    return request.param


@pytest.fixture
def home(tmp_path, sim):
    return harness.Home(tmp_path, sim.url)
