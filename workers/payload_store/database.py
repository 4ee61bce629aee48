"""Large values in the store's database: a row each."""

from datetime import UTC, datetime

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from workers.payload_store.places import Kept
from workers.store.engine import open_engine, reading, writing
from workers.store.models import PayloadRow


class DatabasePlace:
    """The table `payloads`; see `Place`. Its errors are the store's own (SOP520 to SOP524)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> "DatabasePlace":
        """Open the database at `url`, its tables made where they are not there."""
        return cls(open_engine(url))

    @property
    def address(self) -> str:
        """The database, without its password."""
        return f"store {self._engine.url.render_as_string()}"

    def put(self, key: str, data: bytes) -> None:
        """Write a row; of one that is there, renew the time."""
        now = datetime.now(UTC)
        with writing(self._engine) as session:
            if _renew(session, key, now):
                return
            try:
                with session.begin_nested():
                    session.add(PayloadRow(key=key, data=data, size=len(data), used_at=now))
            except IntegrityError:  # another has put the same meanwhile
                _renew(session, key, now)

    def get(self, key: str) -> bytes | None:
        """Read a row."""
        with reading(self._engine) as session:
            return session.scalar(select(PayloadRow.data).where(PayloadRow.key == key))

    def remove(self, key: str) -> None:
        """Delete a row."""
        with writing(self._engine) as session:
            session.execute(delete(PayloadRow).where(PayloadRow.key == key))

    def kept(self) -> list[Kept]:
        """Tell the rows."""
        wanted = select(PayloadRow.key, PayloadRow.size, PayloadRow.used_at)
        with reading(self._engine) as session:
            return [Kept(key, size, _epoch(at)) for key, size, at in session.execute(wanted)]


def _renew(session: Session, key: str, now: datetime) -> bool:
    """Renew the time of a row; says whether it is there."""
    session.execute(update(PayloadRow).where(PayloadRow.key == key).values(used_at=now))
    return session.scalar(select(PayloadRow.size).where(PayloadRow.key == key)) is not None


def _epoch(at: datetime) -> float:
    """Return a time of the database, which SQLite gives without its zone, as epoch seconds."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
