"""The core of every verb: one file each, `NAME.py`, with `NameSettings`, `NameResult` and the function `name`.

A core prints nothing and exits nothing. The command line (`audiomae.cli`) and Python (`audiomae.NAME`) call it.
"""
