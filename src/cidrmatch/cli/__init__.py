"""The command `cidrmatch`, for the terminal.

    module         commands                   what they are about
    lists.py       validate aggregate diff    a list by itself
    questions.py   check explain              an address, and a list or a key
    configs.py     lint schema                a whole configuration
    snapshots.py   compile inspect verify     a snapshot
    replay.py      replay                     a proposed list or configuration, by access logs
    suggest.py     suggest                    the best list for observed addresses

    app.py         the table of all commands, `--version`, what every call shares
    reading.py     the options that say how a list is written, once for all commands
    inputs.py      turns the arguments of a call into lists, policies and engines, or says what is wrong
    output.py      what people and programs read, and the exit status

Only this floor imports typer and rich, which come with the extra "cli".  Nothing is decided here.  Each command calls a
function that Python users can call, too, and prints the answer.
"""
