"""Streams text word by word, as language models do: by server-sent events, with what is asked checked by pydantic."""
import asyncio
import json
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from model import WordModel


@asynccontextmanager
async def lifespan(app: FastAPI):
    # Once, before the first request: the place to load weights, open files, or warm a cache.
    app.state.model = WordModel.from_file("corpus.txt")
    print(f"model ready: {len(app.state.model)} words")
    yield
    # Once, when the machine is halted.
    print("model released")


app = FastAPI(title="fastapi-streaming")
# The same as FastAPI(lifespan=lifespan), which the runtime's FastAPI (0.92) does not know yet.
app.router.lifespan_context = lifespan


class Prompt(BaseModel):
    prompt: str = Field(default="the", min_length=1, max_length=200)
    max_words: int = Field(default=30, ge=1, le=500)
    seed: int = 0
    pause_seconds: float = Field(default=0.05, ge=0, le=1)


@app.get("/")
async def index():
    return {"words": len(app.state.model), "try": "POST /generate"}


@app.post("/generate")
async def generate(prompt: Prompt):
    return StreamingResponse(events(prompt), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def events(prompt: Prompt):
    """One event a word, then one that says that it is the last."""
    count = 0
    try:
        for word in app.state.model.words(prompt.prompt, limit=prompt.max_words, seed=prompt.seed):
            count += 1
            yield event("word", {"index": count, "text": word})
            await asyncio.sleep(prompt.pause_seconds)
        yield event("done", {"words": count})
    except asyncio.CancelledError:
        # The client has gone: what it does not read is not made.
        print(f"client gone after {count} words")
        raise


def event(name: str, data: dict) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
