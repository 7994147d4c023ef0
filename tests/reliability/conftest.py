"""Fixtures of the reliability tests: a home of their own for state and lakes, and one simulator a module.
Homes lie in memory where the machine has /dev/shm: the tests end thousands of processes, and what they prove does not
depend on how slow an fsync is."""
import os
import pathlib
import shutil
import tempfile

import pytest

import rig


def make_home():
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return pathlib.Path(tempfile.mkdtemp(prefix="ticklake-", dir=shm))


@pytest.fixture
def home():
    path = make_home()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def simulator():
    path = make_home()
    with rig.Simulator(path) as sim:
        yield sim
    shutil.rmtree(path, ignore_errors=True)
