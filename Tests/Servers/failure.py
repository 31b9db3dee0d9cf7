"""The error of the test scripts: its text is the sentence that the user reads."""


class Failure(Exception):
    pass
