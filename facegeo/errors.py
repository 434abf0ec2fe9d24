"""The one kind of error that is the user's to mend."""


class UserError(ValueError):
    """A mistake in data, configuration or command line that the user can put right.

    Commands show its text alone and end with exit code 2; every other exception is a bug of
    ours and keeps its traceback. The text names the file, line or key, what was wanted, what
    came, and what to do.
    """
