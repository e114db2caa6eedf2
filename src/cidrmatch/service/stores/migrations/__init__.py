"""The revisions of a store's tables, for Alembic; upgrading.py runs them."""
