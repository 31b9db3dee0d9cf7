class Failure(Exception):
    """The benchmark itself cannot go on; a client that fails is a row of the table instead."""
