"""The store's tables.

A template's versions are rows that never change; its document and its plan are kept once per
digest, shared by the templates that came from one file or compile to the same plan.
"""

from datetime import datetime

from sqlalchemy import JSON, DateTime, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables."""


class DocumentRow(Base):
    """The bytes of an imported file, by their SHA-256."""

    __tablename__ = "documents"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    file: Mapped[str] = mapped_column(Text)


class PlanRow(Base):
    """A compiled plan, by its digest; never changed, never deleted while a run needs it."""

    __tablename__ = "plans"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    json: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class TemplateRow(Base):
    """One version of a template; `id` grows, `version` counts from 1 for each key.

    `source_id` and `source_version` are what its own system calls it; `tree` is its web tree where
    the format has one, for parents that refer to it as a child.
    """

    __tablename__ = "templates"
    __table_args__ = (
        Index("ix_templates_key_version", "key", "version", unique=True),
        Index("ix_templates_source", "source_id", "source_version"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200))
    version: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    source_id: Mapped[str] = mapped_column(String(200))
    source_version: Mapped[str] = mapped_column(String(200))
    format: Mapped[str] = mapped_column(String(20))
    digest: Mapped[str] = mapped_column(String(64))
    document_digest: Mapped[str] = mapped_column(ForeignKey("documents.digest"))
    plan_digest: Mapped[str] = mapped_column(ForeignKey("plans.digest"))
    tree: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    imported_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    imported_by: Mapped[str] = mapped_column(String(200))


class CallbackRow(Base):
    """A callback that came by HTTP, and what became of it.

    `key` is a digest of the execution that it answers and of its body: the same one again only
    counts in `copies`. `data` is JSON, None where there was nothing that could be handed over.
    `next_at` is when it is tried next, while its state is `received`.
    """

    __tablename__ = "callbacks"
    __table_args__ = (
        Index("ix_callbacks_run", "run"),
        Index("ix_callbacks_due", "state", "next_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    run: Mapped[str] = mapped_column(Text)
    node: Mapped[str] = mapped_column(Text)
    entry: Mapped[int]
    data: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int]
    copies: Mapped[int]


class PayloadRow(Base):
    """A value too large for Temporal's history, where the store keeps those.

    `key` says to which run it belongs and holds its digest, so that it never changes; `used_at` is
    when it was last put.
    """

    __tablename__ = "payloads"

    key: Mapped[str] = mapped_column(String(500), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int]
    used_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
