"""Reading sessions: which columns, in which order, for whom."""

from django.db.models import QuerySet

from server.care.models import Person
from server.session_data.models import SessionData


def sessions_of(person: Person) -> QuerySet[SessionData]:
    """The person's sessions, newest first, without their documents.

    Newest by `started_at`, then `id`: a page that goes on from there sees every session once that keeps
    its date. One whose date its device corrects in between moves to where it belongs, as a new one does.
    """
    return SessionData.objects.filter(user=person).defer("document_json")
