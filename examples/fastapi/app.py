"""A FastAPI application that migrates its database before it serves requests.

pip install fastapi uvicorn ../..   # sqlmigrate from this repository
DATABASE_URL=postgresql://… uvicorn app:app

DATABASE_URL must be a URL that psycopg reads. With an embedded server, that is the URL that `sqlmigrate embedded start`
prints, not embedded:PATH.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import psycopg
from fastapi import FastAPI

from sqlmigrate import Migrator, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate() -> None:
    """Applies pending migrations. If several workers start together, one migrates and the others wait for the lock."""
    Migrator(load_settings({"dir": (str(MIGRATIONS),)}, os.environ)).migrate()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Runs before the first request; an error here stops the application."""
    await anyio.to_thread.run_sync(migrate)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/notes")
def notes() -> list[str]:
    """Returns all notes, oldest first."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return [text for (text,) in connection.execute("select text from notes order by id")]
