"""A FastAPI program: work done once at the start, a path parameter, and an answer that is sent bit by bit."""
import asyncio
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI):
    # Runs once, before the first request; what follows `yield` runs when the machine is halted.
    app.state.started = time.time()
    app.state.greetings = {"en": "Hello", "fr": "Bonjour", "de": "Hallo"}
    print("started")
    yield
    print("stopped")


app = FastAPI(title="fastapi-hello")
# The same as FastAPI(lifespan=lifespan), which the runtime's FastAPI (0.92) does not know yet.
app.router.lifespan_context = lifespan


@app.get("/")
async def root():
    return {"hello": "world", "languages": sorted(app.state.greetings)}


@app.get("/hello/{name}")
async def hello(name: str, language: str = "en"):
    greeting = app.state.greetings.get(language, "Hello")
    return {"message": f"{greeting}, {name}!", "awake_seconds": round(time.time() - app.state.started, 3)}


@app.get("/count/{limit}")
async def count(limit: int, pause: float = 0.1):
    async def lines():
        for number in range(1, limit + 1):
            yield f"{number}\n"
            await asyncio.sleep(pause)

    return StreamingResponse(lines(), media_type="text/plain")
