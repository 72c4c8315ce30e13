"""A FastAPI application that serves only when its database is up to date.

DATABASE_URL=… uvicorn app:app
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
    """Applies what is pending. Of several workers one does it; the others wait for its lock, and find nothing to do."""
    Migrator(load_settings({"dir": (str(MIGRATIONS),)}, os.environ)).migrate()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Before the first request; an error here keeps the application from starting."""
    await anyio.to_thread.run_sync(migrate)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/notes")
def notes() -> list[str]:
    """Every note, the oldest first."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return [text for (text,) in connection.execute("select text from notes order by id")]
