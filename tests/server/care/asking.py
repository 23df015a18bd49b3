"""Who asks whom in the tests of requests for access, and the steps that they share."""

from server.care.models import AuditEntry, Person

ASK = "/api/access-requests/"
RECEIVED = "/api/access-requests/received/"


def person(name):
    return Person.objects.get(username=name)


def ask(api, name="anna", who="nora", may=("history", "live"), **more):
    answer = api(who)("POST", ASK, {"name": name, "permissions": list(may), **more})
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


def listed(api, who, address=RECEIVED):
    return api(who).get(address).json()["results"]


def agree(api, pk, *may, who="anna"):
    return api(who)("POST", f"{ASK}{pk}/agree/", {"permissions": may})


def decline(api, pk, who="anna"):
    return api(who)("POST", f"{ASK}{pk}/decline/").status_code


def without_id(row):
    return {key: each for key, each in row.items() if key not in ("id", "made_at", "expires_at")}


def log(who):
    rows = AuditEntry.objects.filter(event__startswith="access_").order_by("pk")
    mine = rows.filter(subject=person(who)) | rows.filter(actor=person(who))
    return [(each.event, each.actor_name, each.detail) for each in mine]
