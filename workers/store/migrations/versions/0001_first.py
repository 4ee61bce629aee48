"""The first shape: documents, plans, templates."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "documents",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_id", sa.String(200), nullable=False),
        sa.Column("source_version", sa.String(200), nullable=False),
        sa.Column("format", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column(
            "document_digest", sa.String(64), sa.ForeignKey("documents.digest"), nullable=False
        ),
        sa.Column("plan_digest", sa.String(64), sa.ForeignKey("plans.digest"), nullable=False),
        sa.Column("tree", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_by", sa.String(200), nullable=False),
    )
    op.create_index("ix_templates_key_version", "templates", ["key", "version"], unique=True)
    op.create_index("ix_templates_source", "templates", ["source_id", "source_version"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("templates")
    op.drop_table("plans")
    op.drop_table("documents")
