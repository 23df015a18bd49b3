"""Additions to the OpenAPI schema that drf-spectacular can't infer."""

from typing import Any

# Any operation may return these; all have the form of `Problem`.
ANY_OPERATION = {
    "400": "Invalid request",
    "401": "Missing or invalid token",
    "403": "Not allowed",
    "404": "Not found, or not visible to you",
    "429": "Too many requests; Retry-After says when to try again",
    "503": "The database or the broker is unavailable; Retry-After says when to try again",
}
# Any operation with a request body may return these too.
ANY_BODY = {
    "413": "Body larger than 1 MiB",
    "415": "Expected application/json",
}


def describe_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the error responses that every operation may return."""
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for method, operation in path.items():
            expected = ANY_OPERATION | (ANY_BODY if method in ("post", "put", "patch") else {})
            for status, text in expected.items():
                answer = operation["responses"].setdefault(status, {"content": problem})
                answer["description"] = answer.get("description") or text
    for name in ("StartRequest", "StartOnDeviceRequest"):
        result["components"]["schemas"][name]["additionalProperties"] = False
    return result
