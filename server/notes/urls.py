"""URLs of the notes."""

from django.urls import include, path

from server.notes import pages
from server.notes.views import BeforeAfterView, NotesExportView, NotesView, NoteView

page_patterns = [
    path("people/<str:username>/notes/", pages.notes, name="notes"),
    path("sessions/<uuid:session_id>/notes/", pages.on_session, name="on-session"),
    path("notes/<uuid:note_id>/", pages.change, name="change"),
    path("notes/<uuid:note_id>/delete/", pages.delete, name="delete"),
]
urlpatterns = [
    path("api/notes/", NotesView.as_view(), name="api-notes"),
    path("api/notes/export/", NotesExportView.as_view(), name="api-notes-export"),
    path("api/notes/<uuid:note_id>/", NoteView.as_view(), name="api-note"),
    path("api/notes/<uuid:note_id>/before-after/", BeforeAfterView.as_view()),
    path("", include((page_patterns, "notes"))),
]
