"""Alembic's entry: brings the database behind the given connection to the present shape."""

from alembic import context

from workers.store.models import Base


def migrate() -> None:
    """Run the migrations on the connection that the store hands over."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite cannot alter a column in place
    )
    with context.begin_transaction():
        context.run_migrations()


migrate()
