"""The command `cidrmatch`, for the terminal.

    module         commands                   what they have in common
    lists.py       validate aggregate diff    a list by itself
    questions.py   check explain              an address is asked about: of a list, or of a key
    configs.py     lint schema                a whole configuration
    snapshots.py   compile inspect verify     a snapshot

    app.py         the table of all commands, `--version`, what every call shares
    inputs.py      from the words of a call to lists, policies and engines; or why not
    output.py      what people and programs read, and the exit status

Only this floor imports typer and rich, which come with the extra "cli".
Nothing is decided here: each command asks a function that a Python user has
too, and says the answer.
"""
