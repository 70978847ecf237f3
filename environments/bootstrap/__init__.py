"""The one place where parts are put together: database, adapters, executors, use cases, engine, API."""
