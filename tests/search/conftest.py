"""The drawn people of the tests of training, for a supernet to be searched."""

from tests.training.conftest import people, threads_as_before

__all__ = ["people", "threads_as_before"]
