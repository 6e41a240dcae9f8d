"""The tests of the package; what they share is imported as ``tests.NAME``."""
