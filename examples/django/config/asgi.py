"""The program: an ASGI application over a database that is made, or brought up to date, before it serves."""
import os
from concurrent.futures import ThreadPoolExecutor

from django.core.asgi import get_asgi_application
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()

# ASGI modules are imported while the event loop runs, and there Django refuses to use a database: it would block the
# loop. A thread of its own may.
with ThreadPoolExecutor(max_workers=1) as thread:
    thread.submit(call_command, "migrate", verbosity=0, interactive=False).result()
