"""What Alembic runs for an upgrade: all revisions in the transaction that upgrading.py began."""

from __future__ import annotations

from alembic import context

from cidrmatch.service.stores.upgrading import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
