"""Store: saves and finds templates and plans.

A template's versions count from 1 and are never overwritten. Importing the current version's bytes
again changes nothing; an older version's bytes become the newest version again.
"""

import difflib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self, cast

from pydantic import JsonValue
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from stdops import StoreError
from translator.plan import Plan
from workers.store.engine import open_engine, reading, saving
from workers.store.inbox import Inbox
from workers.store.models import DocumentRow, PlanRow, TemplateRow


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """A template to save: what it is called, its plan, and its web tree where it has one.

    `digest` tells it from its other versions.
    """

    key: str
    name: str
    source_id: str
    format: str
    digest: str
    plan: Plan
    source_version: str = ""
    tree: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """One stored version of a template."""

    key: str
    version: int
    name: str
    source_id: str
    source_version: str
    format: str
    digest: str
    document_digest: str
    plan_digest: str
    imported_at: datetime
    imported_by: str


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving a template gave: its version, and whether it is new."""

    key: str
    version: int
    plan_digest: str
    created: bool


class Store:
    """Templates, plans and documents in one database; safe to share between threads.

    `inbox` are the callbacks that came by HTTP.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._where = engine.url.render_as_string()
        self.inbox: Final = Inbox(engine)
        self._read_plan = lru_cache(maxsize=64)(self._fetch_plan)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the store at an SQLAlchemy address; makes and migrates it when needed.

        Raises:
            StoreError: the database cannot be used (SOP520 to SOP524).
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()

    def check(self) -> None:
        """Ask the database for an answer.

        Raises:
            StoreError: there is none (SOP520 to SOP524).
        """
        with self._reading() as session:
            session.execute(select(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- templates ----------------------------------------------------------------------------

    def save_templates(
        self,
        templates: Sequence[NewTemplate],
        data: bytes,
        file: str,
        operator: str,
        *,
        digest: str = "",
    ) -> list[Saved]:
        """Save all templates of one file, or none; returns them in the given order.

        `digest` names the file where `data` is not the file itself but sealed anew each time.
        Saving what is already the current version of its key changes nothing.
        """
        with saving(self._engine) as session:
            document = _save_document(session, data, file, digest)
            return [_save_template(session, t, document, operator) for t in templates]

    def template(self, key: str, version: int | None = None) -> StoredTemplate:
        """Return a version of a template; None means the newest.

        Raises:
            StoreError: the store does not hold it (SOP525, SOP526).
        """
        with self._reading() as session:
            row = _current(session, key) if version is None else _numbered(session, key, version)
            if row is None:
                raise self._unknown_template(session, key, version)
            return _stored(row)

    def list_templates(self) -> list[StoredTemplate]:
        """Return the newest version of every template, by key."""
        newest = (
            select(TemplateRow.key, func.max(TemplateRow.version).label("version"))
            .group_by(TemplateRow.key)
            .subquery()
        )
        with self._reading() as session:
            rows = session.scalars(
                select(TemplateRow)
                .join(
                    newest,
                    (TemplateRow.key == newest.c.key) & (TemplateRow.version == newest.c.version),
                )
                .order_by(TemplateRow.key)
            )
            return [_stored(row) for row in rows]

    def versions(self, key: str) -> list[StoredTemplate]:
        """Return all versions of a template, newest first; empty for an unknown key."""
        query = select(TemplateRow).where(TemplateRow.key == key)
        with self._reading() as session:
            rows = session.scalars(query.order_by(TemplateRow.version.desc()))
            return [_stored(row) for row in rows]

    def document(self, digest: str) -> bytes:
        """Return an imported file's bytes, as they are kept (see `workers.documents`).

        Raises:
            StoreError: the store does not hold it (SOP527).
        """
        with self._reading() as session:
            row = session.get(DocumentRow, digest)
            if row is None:
                raise self._unknown_digest("document", digest)
            return row.data

    def find(self, template_id: str, version: str | None) -> Mapping[str, JsonValue] | None:
        """Return the web tree of a template by its id in its own system; makes us a `Library`.

        A template whose own system gave no version serves every version that is asked for. What is
        no such id is taken as our key, its version as ours.
        """
        trees = select(TemplateRow.tree).where(TemplateRow.tree.is_not(None))
        by_id = trees.where(TemplateRow.source_id == template_id)
        by_key = trees.where(TemplateRow.key == template_id)
        if version:
            by_id = by_id.where(TemplateRow.source_version.in_((version, "")))
            by_id = by_id.order_by(TemplateRow.source_version.desc())
            number = version.removeprefix("v")
            by_key = by_key.where(TemplateRow.version == (int(number) if number.isdecimal() else 0))
        with self._reading() as session:
            for query in (by_id, by_key):
                tree = session.scalars(query.order_by(TemplateRow.id.desc()).limit(1)).first()
                if tree is not None:
                    return cast("Mapping[str, JsonValue]", tree)  # JSON went in, JSON comes out
        return None

    # --- plans --------------------------------------------------------------------------------

    def save_plan(self, plan: Plan) -> str:
        """Save a plan, if it is not there yet, and return its digest."""
        with saving(self._engine) as session:
            return _save_plan(session, plan)

    def plan(self, digest: str) -> Plan:
        """Return the plan of a digest.

        Raises:
            StoreError: the store does not hold it (SOP527), or cannot read it (SOP528).
        """
        return self._read_plan(digest)

    def plan_of(self, key: str, version: int | None = None) -> Plan:
        """Return the plan of a version of a template; None means the newest.

        Raises:
            StoreError: as `template` and `plan`.
        """
        return self.plan(self.template(key, version).plan_digest)

    def _fetch_plan(self, digest: str) -> Plan:
        with self._reading() as session:
            row = session.get(PlanRow, digest)
            if row is None:
                raise self._unknown_digest("plan", digest)
            text = row.json
        try:
            return Plan.model_validate_json(text)
        except ValueError:
            raise StoreError(
                "SOP528",
                f"plan {digest[:12]!r} was written by another version of stdops",
                where=self._where,
                fix="import its template again, or upgrade stdops",
            ) from None

    # --- sessions and refusals ----------------------------------------------------------------

    def _reading(self) -> AbstractContextManager[Session]:
        return reading(self._engine)

    def _unknown_template(self, session: Session, key: str, version: int | None) -> StoreError:
        current = _current(session, key)
        if current is not None:
            return StoreError(
                "SOP526",
                f"template {key!r} has no version {version}",
                where=self._where,
                fix=f"its newest is {current.version}; leave the version out to take that",
            )
        known = list(session.scalars(select(TemplateRow.key).distinct().order_by(TemplateRow.key)))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        listed = f"known are {', '.join(map(repr, known[:5]))}" if known else "the store is empty"
        return StoreError(
            "SOP525",
            f"unknown template {key!r}{hint}",
            where=self._where,
            fix=f"{listed}; bring one in by `stdops import FILE`",
        )

    def _unknown_digest(self, what: str, digest: str) -> StoreError:
        return StoreError(
            "SOP527",
            f"the store holds no {what} {digest[:12]!r}",
            where=self._where,
            fix="let worker and command line use the same STDOPS_STORE_URL, or import again",
        )


def _current(session: Session, key: str) -> TemplateRow | None:
    query = select(TemplateRow).where(TemplateRow.key == key)
    return session.scalars(query.order_by(TemplateRow.version.desc()).limit(1)).first()


def _numbered(session: Session, key: str, version: int) -> TemplateRow | None:
    query = select(TemplateRow).where((TemplateRow.key == key) & (TemplateRow.version == version))
    return session.scalars(query).first()


def _save_template(session: Session, template: NewTemplate, document: str, operator: str) -> Saved:
    current = _current(session, template.key)
    if current is not None and current.digest == template.digest:
        return Saved(template.key, current.version, current.plan_digest, created=False)
    plan_digest = _save_plan(session, template.plan)
    version = current.version + 1 if current else 1
    session.add(_row(template, version, document, plan_digest, operator))
    session.flush()  # two templates of one file may share a key: the second sees the first
    return Saved(template.key, version, plan_digest, created=True)


def _row(
    template: NewTemplate, version: int, document: str, plan_digest: str, operator: str
) -> TemplateRow:
    tree: dict[str, Any] | None = dict(template.tree) if template.tree is not None else None
    return TemplateRow(
        key=template.key,
        version=version,
        name=template.name,
        source_id=template.source_id,
        source_version=template.source_version,
        format=template.format,
        digest=template.digest,
        document_digest=document,
        plan_digest=plan_digest,
        tree=tree,
        imported_at=datetime.now(UTC),
        imported_by=operator,
    )


def _save_document(session: Session, data: bytes, file: str, digest: str = "") -> str:
    import hashlib

    digest = digest or hashlib.sha256(data).hexdigest()
    if session.get(DocumentRow, digest) is None:
        session.add(DocumentRow(digest=digest, data=data, file=file))
        session.flush()
    return digest


def _save_plan(session: Session, plan: Plan) -> str:
    if session.get(PlanRow, plan.digest) is None:
        text = plan.model_dump_json()  # whole: the unions' `kind` is a default too
        session.add(PlanRow(digest=plan.digest, json=text, created_at=datetime.now(UTC)))
        session.flush()
    return plan.digest


def _stored(row: TemplateRow) -> StoredTemplate:
    return StoredTemplate(
        key=row.key,
        version=row.version,
        name=row.name,
        source_id=row.source_id,
        source_version=row.source_version,
        format=row.format,
        digest=row.digest,
        document_digest=row.document_digest,
        plan_digest=row.plan_digest,
        imported_at=row.imported_at.replace(tzinfo=row.imported_at.tzinfo or UTC),
        imported_by=row.imported_by,
    )
