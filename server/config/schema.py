"""What drf-spectacular can't see for itself."""

from typing import Any

# Whatever is asked, these may be the answer; all have the one form of `Problem`.
ANY_ADDRESS = {
    "400": "Not as described here",
    "401": "No token, or one that does not open anything",
    "403": "Known, but not allowed",
    "404": "Not there, or not for you",
    "429": "More than a fair share; Retry-After says when",
    "503": "The database or the broker is away; Retry-After says for how long at least",
}
ANY_BODY = {
    "413": "More than a mebibyte",
    "415": "Expected application/json",
}


def describe_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Adds the answers that every address may give."""
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for method, operation in path.items():
            expected = ANY_ADDRESS | (ANY_BODY if method in ("post", "put", "patch") else {})
            for status, text in expected.items():
                answer = operation["responses"].setdefault(status, {"content": problem})
                answer["description"] = answer.get("description") or text
    for name in ("StartRequest", "StartOnDeviceRequest"):
        result["components"]["schemas"][name]["additionalProperties"] = False
    return result
