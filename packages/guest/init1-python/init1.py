"""Entry of the launcher: `python3 -u init1.py`, with the control socket's number in VMLET_CONTROL_FD.

Everything else is in the package beside this file, so that a program finds no module of ours by a common name.
"""
import sys

if __name__ == "__main__":  # multiprocessing runs this file again in the children of a program
    from vmlet_init1.main import main

    sys.exit(main())
