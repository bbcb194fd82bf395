"""A FastAPI program, with what the reference system breaks: lifespan, request.url, streaming."""
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

EVENTS = []


@asynccontextmanager
async def lifespan(app):
    EVENTS.append("startup")
    yield {"pool": "open"}
    EVENTS.append("shutdown")
    print("shutdown after", EVENTS)


app = FastAPI()
app.router.lifespan_context = lifespan  # FastAPI(lifespan=...) came in 0.93, Debian 12 has 0.92


@app.get("/events")
def events(request: Request):
    return {"events": EVENTS, "pool": request.state.pool}


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
