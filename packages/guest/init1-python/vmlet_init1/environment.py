"""What a program finds around itself: variables, module search path, working folder."""
import os
import sys
import time

from vmlet_init1.control import FD_VARIABLE
from vmlet_init1.failures import Failure

# This file is init1/python/vmlet_init1/environment.py of it: on the drive of the boot kit, or in an image.
KIT_FOLDER = os.environ.get("VMLET_KIT_DIR") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
PACKAGES_FOLDER = "/opt/packages"


def code_folder():
    """Where the program's code is mounted."""
    return os.environ.get("VMLET_CODE_DIR", "/opt/code")


def append_fallback_libraries():
    """Puts the kit's libraries last: whatever the runtime or the program brings is found before them."""
    sys.path.append(os.path.join(KIT_FOLDER, "python"))


def apply_variables(variables):
    """Sets the program's variables. They override the defaults; the control channel is not theirs.

    Raises Failure LOAD_MALFORMED for a name or value that no environment can hold.
    """
    for name, value in variables.items():
        if name == FD_VARIABLE:
            continue
        try:
            os.environ[name] = value
        except (TypeError, ValueError, OSError) as error:
            found = "%s, expected a string without NUL, and a name without =" % error
            raise Failure("LOAD_MALFORMED", 'Cannot set variable "%s": %s' % (name, found)) from error
    if "TZ" in variables:
        time.tzset()


def enter_code_folder():
    """Makes the code folder the working folder and puts the program's folders first on sys.path.

    Returns those folders that exist, the first to be searched first. PYTHONPATH counts though the interpreter runs
    already, because a program may set it in its variables.
    """
    code = code_folder()
    wanted = [code]
    wanted += [os.path.join(code, entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    wanted += [os.path.join(code, ".vmlet", "site-packages"), PACKAGES_FOLDER]
    folders = []
    for folder in wanted:
        if os.path.isdir(folder) and folder not in folders:
            folders.append(folder)
    sys.path[:] = folders + [entry for entry in sys.path if entry not in folders]
    if os.path.isdir(code):
        os.chdir(code)
    return folders
