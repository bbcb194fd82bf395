"""Loads a Python program inside a machine and serves it over HTTP. Python 3.9 and later; README.md draws its states.

Every module here is imported under emulation, where an import costs 20 to 40 times what it costs on the host: a module
imports at its top what each start needs, and inside its functions what only some starts need.
"""

__version__ = "0.1.0"
