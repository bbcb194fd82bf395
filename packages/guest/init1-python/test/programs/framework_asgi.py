"""A FastAPI program, with what the reference system breaks: lifespan, request.url, streaming."""
from contextlib import asynccontextmanager

import starlette
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

EVENTS = []


# Debian 11 has 0.14: a lifespan is a generator there, and what it yields is nobody's state.
IS_OLD = tuple(map(int, starlette.__version__.split(".")[:2])) < (0, 15)


async def lifespan(app):
    EVENTS.append("startup")
    app.state.pool = "open" if IS_OLD else None
    yield {"pool": "open"}
    EVENTS.append("shutdown")
    print("shutdown after", EVENTS)


app = FastAPI()
# FastAPI(lifespan=...) came in 0.93, Debian 12 has 0.92
app.router.lifespan_context = lifespan if IS_OLD else asynccontextmanager(lifespan)


@app.get("/events")
def events(request: Request):
    return {"events": EVENTS, "pool": request.app.state.pool or request.state.pool}


@app.get("/url")
async def url(request: Request):
    return str(request.url)


@app.get("/sse")
async def sse():
    async def produce():
        for number in range(3):
            yield "data: %d\n\n" % number

    return StreamingResponse(produce(), media_type="text/event-stream")


@app.get("/crash")
def crash():
    raise SystemExit(1)
