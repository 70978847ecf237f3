"""HTTP: routes, authentication, problem documents."""
