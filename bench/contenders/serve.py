"""serve.py PORT FOLDER: the program in a folder as the launcher serves it, with nothing of vmlet around it."""
import gc
import sys

gc.disable()
sys.path.insert(0, sys.argv[2])
import uvicorn  # noqa: E402
from main import app  # noqa: E402

gc.enable()
gc.freeze()
uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    loop="uvloop",
    http="httptools",
    ws="none",
    log_config=None,
    access_log=False,
    server_header=False,
    date_header=False,
)
