"""The one key to compare names of files by, whoever wrote them down."""


def name_key(name: str) -> str:
    """The name as every table, list and archive is searched for it: `/` between folders."""
    return name.replace("\\", "/")
