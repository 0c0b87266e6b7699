"""The one exception for what a user can mend."""


class LitePoseError(ValueError):
    """Wrong input, file or option. The message says what is wrong, what it got, what to do.

    The command line prints it without a traceback; everything else that escapes is a bug.
    """
