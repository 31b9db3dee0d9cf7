class Failure(Exception):
    """The benchmark itself cannot continue; a client that fails is a row of the table instead."""
