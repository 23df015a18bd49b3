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
HEADERS: dict[str, dict[str, Any]] = {
    "Location": {
        "description": "The address of what was made",
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/api/session/0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b/",
    },
    "Retry-After": {
        "description": "Seconds until you may try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "RateLimit-Policy": {
        "description": "Your limits: the quota `q`, which is free again after `w` seconds",
        "schema": {"type": "string"},
        "example": '"requests";q=600;w=30, "changes";q=120;w=60',
    },
    "RateLimit": {
        "description": "What is left of each quota, and seconds until all of it is",
        "schema": {"type": "string"},
        "example": '"requests";r=599;t=1, "changes";r=119;t=1',
    },
}
# The groups of operations, by the beginning of their paths.
TAGS = [
    {"name": name, "description": text}
    for name, text in {
        "session": "Sessions: write them, and read histories, changes, summaries and exports",
        "device": "Devices: register, rename, block and reassign them",
        "commands": "Commands that start and stop a session on a device, and their outcome",
        "people": "Yourself and the people who share with you",
        "invitations": "Invitations to see a history",
        "access-requests": "Requests for access between members of an institution",
        "links": "Who may see whom, with their permissions",
        "alerts": "Alerts of your rules",
        "notes": "Notes about a person or a session, and what was measured before and after",
        "sheet": "The page for the doctor, as FHIR",
        "access-log": "Who has looked at your data",
        "audit-log": "What was done by you, and to your account",
        "auth": "Your API tokens",
    }.items()
]
LIMITS = ("RateLimit-Policy", "RateLimit")
# What makes something that has no address.
NO_ADDRESS = ("device_code",)


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


def describe_operations(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Give each operation a summary: the first sentence of its description."""
    for path in result["paths"].values():
        for operation in path.values():
            first_line = operation["description"].partition("\n")[0]
            operation["summary"] = first_line.partition(". ")[0].removesuffix(".")
    return result


def describe_headers(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the headers of responses."""
    result["components"]["headers"] = HEADERS
    for path in result["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                for name in _headers(operation, status):
                    place = {"$ref": f"#/components/headers/{name}"}
                    answer.setdefault("headers", {}).setdefault(name, place)
    return result


def _headers(operation: dict[str, Any], status: str) -> list[str]:
    names = []
    if status in ("429", "503"):
        names.append("Retry-After")
    if status in ("201", "202") and operation["operationId"] not in NO_ADDRESS:
        names.append("Location")
    if operation.get("security") and (status.startswith("2") or status == "429"):
        names += LIMITS
    return names
