"""Bodies that a route's schema in OpenAPI allows, with what reaches something: most of them get past the checks."""

from typing import Any

from hypothesis import strategies as st


def bodies(document: dict[str, Any]) -> dict[tuple[str, str], st.SearchStrategy[Any]]:
    """For each method and path that takes JSON what to send; `document`: as `reaching` gives it."""
    models = document["components"]["schemas"]
    return {
        (method.upper(), path): _of(content["application/json"]["schema"], models, 4)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "application/json" in (content := operation.get("requestBody", {}).get("content", {}))
    }


def _of(schema: dict[str, Any], models: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _of(models[schema["$ref"].rpartition("/")[2]], models, depth)
    if "anyOf" in schema:
        return st.one_of([_of(one, models, depth) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "string" and "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if schema.get("type") == "array" and depth:
        return st.lists(_of(schema.get("items", {}), models, depth - 1), max_size=2)
    if schema.get("type") == "object" and "properties" in schema and depth:
        fields = {name: _of(one, models, depth - 1) for name, one in schema["properties"].items()}
        needed = {name: fields.pop(name) for name in schema.get("required", ()) if name in fields}
        return st.fixed_dictionaries(needed, optional=fields)
    simple: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(max_size=20),
        "integer": st.integers(0, 100),
        "boolean": st.booleans(),
        "null": st.none(),
        "array": st.just([]),
    }
    return simple.get(schema.get("type", ""), st.just({}))
