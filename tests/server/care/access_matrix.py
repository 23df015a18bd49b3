"""Who gets which answer from which address of the API."""

import uuid

CALLERS = [
    "anna",  # whose data it is
    "carl",  # a caregiver
    "ella",  # a caregiver no more
    "otto",  # an outsider
    "device",
    "other device",
    "revoked",
    "revoked device token",
    "nobody",
]

DENIED = {"device": 403, "other device": 403}
UNKNOWN = {"revoked": 401, "revoked device token": 401, "nobody": 401}
READ = {"anna": 200, "carl": 200, "ella": 404, "otto": 404, **DENIED, **UNKNOWN}
EVERYBODY = dict.fromkeys(CALLERS, 200)
PEOPLE = {"anna": 200, "carl": 200, "ella": 200, "otto": 200, **DENIED, **UNKNOWN}
WRITE = {"anna": 403, "carl": 403, "ella": 404, "otto": 404, "device": 200, "other device": 404}
OWN = {"anna": 200, "carl": 403, "ella": 404, "otto": 404, "device": 404, "other device": 404}
NOT_HIS = READ | {"carl": 404}
WHOLE_NOTE = {"kind": "drops", "at": "2026-11-22T08:00:00Z", "text": "", "shared": True}
START = dict.fromkeys(["anna", "carl", "ella", "otto"], 201)

# address, method, what is sent, who gets which status
MATRIX = {
    "history": ("/api/session/history/?user=anna", "GET", None, READ),
    "own history": ("/api/session/history/", "GET", None, PEOPLE),
    "history of nobody": (
        "/api/session/history/?user=nobody",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "summary": ("/api/session/summary/?user=anna", "GET", None, READ),
    "export": ("/api/session/export/?user=anna", "GET", None, READ),
    "export of all people": ("/api/session/export/?people=all", "GET", None, PEOPLE),
    "codebook": ("/api/session/export/codebook/", "GET", None, PEOPLE),
    "alerts": ("/api/alerts/", "GET", None, PEOPLE),
    **{
        f"alert of another: {action}": (
            f"/api/alerts/{{alert}}/{action}/",
            "POST",
            body,
            dict.fromkeys(["anna", "ella", "otto"], 404) | {"carl": carl} | DENIED | UNKNOWN,
        )
        for action, body, carl in (
            ("acknowledge", {}, 200),
            ("give-back", {}, 409),
            ("snooze", {"minutes": 60}, 200),
            ("hand-over", {"user": "anna"}, 200),
        )
    },
    "somebody else's": (  # it is under way
        "/api/session/{session}/somebody-else/",
        "POST",
        {},
        {"anna": 409, "carl": 409, "ella": 404, "otto": 404, **DENIED, **UNKNOWN},
    ),
    "activity": ("/api/session/{session}/activity/", "PUT", {"activity": "reading"}, READ),
    "activity taken back": ("/api/session/{session}/activity/", "DELETE", None, READ),
    "page for the doctor": ("/api/sheet/?user=anna", "GET", None, READ),
    "notes": ("/api/notes/?user=anna", "GET", None, READ),
    "own notes": ("/api/notes/", "GET", None, PEOPLE),
    "export of notes": ("/api/notes/export/?user=anna", "GET", None, READ),
    "note about oneself": (
        "/api/notes/",
        "POST",
        {"kind": "bad_sleep"},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 201) | DENIED | UNKNOWN,
    ),
    "note on a session": (
        "/api/notes/",
        "POST",
        "note on session",
        {"anna": 201, "carl": 201, "ella": 404, "otto": 404, **DENIED, **UNKNOWN},
    ),
    **{
        f"{method} {name} note": (f"/api/notes/{{{name} note}}/", method, body, who)
        for name, method, body, who in (
            ("shared", "GET", None, READ),
            ("private", "GET", None, NOT_HIS),
            ("shared", "PUT", WHOLE_NOTE, NOT_HIS | {"carl": 403}),
            ("private", "PUT", WHOLE_NOTE | {"shared": False}, NOT_HIS),
            ("shared", "PATCH", {"text": "x"}, NOT_HIS | {"carl": 403}),
            ("private", "PATCH", {"text": "x"}, NOT_HIS),
            ("Carl's", "PATCH", {"text": "x"}, READ | {"anna": 403}),
        )
    },
    "delete a shared note": (
        "/api/notes/{shared note}/",
        "DELETE",
        None,
        {"carl": 403, "ella": 404, "otto": 404, **DENIED, **UNKNOWN, "anna": 204},
    ),
    "delete a private note": (
        "/api/notes/{private note}/",
        "DELETE",
        None,
        dict.fromkeys(["carl", "ella", "otto"], 404) | DENIED | UNKNOWN | {"anna": 204},
    ),
    "delete Carl's note": (
        "/api/notes/{Carl's note}/",
        "DELETE",
        None,
        {"ella": 404, "otto": 404, **DENIED, **UNKNOWN, "carl": 204},
    ),
    "before and after a shared note": (
        "/api/notes/{shared note}/before-after/",
        "GET",
        None,
        READ,
    ),
    "before and after a private note": (
        "/api/notes/{private note}/before-after/?days=28",
        "GET",
        None,
        NOT_HIS,
    ),
    "session": ("/api/session/{session}/", "GET", None, READ),
    "session of nobody": (
        f"/api/session/{uuid.uuid4()}/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "put": ("/api/session/{session}/", "PUT", "final", WRITE | UNKNOWN),
    "patch": ("/api/session/{session}/", "PATCH", "change", WRITE | UNKNOWN),
    "end": ("/api/session/{session}/end/", "POST", "change", WRITE | UNKNOWN),
    "put own": ("/api/session/{own}/", "PUT", "own final", OWN | UNKNOWN),
    "patch own": ("/api/session/{own}/", "PATCH", "change", OWN | UNKNOWN),
    "end own": ("/api/session/{own}/end/", "POST", "change", OWN | UNKNOWN),
    "start with a known id": (
        "/api/session/start/",
        "POST",
        "final",
        dict.fromkeys(["anna", "carl", "ella", "otto"], 400)
        | {"device": 200, "other device": 404}
        | UNKNOWN,
    ),
    "start": ("/api/session/start/", "POST", "new", {"device": 201, "other device": 201} | UNKNOWN),
    "start one's own": (
        "/api/session/start/",
        "POST",
        {},
        START | {"device": 400, "other device": 400} | UNKNOWN,
    ),
    "stop a device's session": (  # no broker is there
        "/api/session/{session}/end/",
        "POST",
        {},
        {"anna": 503, "carl": 503, "ella": 404, "otto": 404, "device": 200, "other device": 404}
        | UNKNOWN,
    ),
    "start on a device": (
        "/api/session/start/",
        "POST",
        "device",
        {"anna": 503, "carl": 503, "ella": 404, "otto": 404, "device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "start on no device": (
        "/api/session/start/",
        "POST",
        {"device": str(uuid.uuid4())},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404)
        | {"device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "command": ("/api/commands/{command}/", "GET", None, READ),
    "a device's commands": (
        "/api/device/commands/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 200, "other device": 200}
        | UNKNOWN,
    ),
    "a device's settings": (
        "/api/device/settings/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 200, "other device": 200}
        | UNKNOWN,
    ),
    "a device's report": (
        "/api/device/release/",
        "POST",
        {},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "an archive": (
        f"/api/device/release/{'0' * 64}/",
        "GET",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 404, "other device": 404}
        | UNKNOWN,
    ),
    "key of releases": ("/api/device/release/key/", "GET", None, dict.fromkeys(CALLERS, 404)),
    "a device's software": (
        "/api/device/{device}/release/",
        "GET",
        None,
        {"anna": 200} | dict.fromkeys(["carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "a device's view": (
        "/api/device/aim/",
        "POST",
        {},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403)
        | {"device": 400, "other device": 400}
        | UNKNOWN,
    ),
    "batch": ("/api/session/batch/", "POST", [], EVERYBODY | UNKNOWN),
    "authority": (
        f"/api/device/authorities/{uuid.uuid4()}/",
        "GET",
        None,
        dict.fromkeys(CALLERS, 404),
    ),
    "claim": (
        "/api/device/claim/",
        "POST",
        {"code": "ABCD2345", "agent_version": "1"},
        dict.fromkeys(CALLERS, 400),
    ),
    "people": ("/api/people/", "GET", None, PEOPLE),
    "requests for access": ("/api/access-requests/", "GET", None, PEOPLE),
    "ask outside of an institution": (
        "/api/access-requests/",
        "POST",
        {"name": "anna", "permissions": ["history"]},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 403) | DENIED | UNKNOWN,
    ),
    "requests for one's own data": ("/api/access-requests/received/", "GET", None, PEOPLE),
    "agree to no request": (
        "/api/access-requests/1/agree/",
        "POST",
        {"permissions": ["history"]},
        dict.fromkeys(["anna", "carl", "ella", "otto"], 404) | DENIED | UNKNOWN,
    ),
    "access log": ("/api/access-log/", "GET", None, PEOPLE),
    "delete token": (
        "/api/auth/token/",
        "DELETE",
        None,
        dict.fromkeys(["anna", "carl", "ella", "otto"], 204) | DENIED | UNKNOWN,
    ),
    "log in": (
        "/api/auth/token/",
        "POST",
        {"username": "anna", "password": "?"},
        dict.fromkeys(CALLERS, 401),
    ),
    "schema": ("/api/schema/", "GET", None, EVERYBODY | UNKNOWN | {"nobody": 200}),
    "docs": ("/api/docs/", "GET", None, EVERYBODY | UNKNOWN | {"nobody": 200}),
    "healthz": ("/healthz", "GET", None, EVERYBODY),
    "readyz": ("/readyz", "GET", None, EVERYBODY),
    "admin": ("/admin/", "GET", None, dict.fromkeys(CALLERS, 302)),
}
