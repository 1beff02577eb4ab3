"""The one exception that the commands turn into a line of text and exit status 2."""


class UserError(Exception):
    """Something that the user can mend: a file, a key, a value, a path. The message says what and how."""
