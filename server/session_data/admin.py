"""Sessions, dead letters and commands in the admin site.

They say what an administrator needs to run the server: what came, from where, when. What was
measured is not shown, and looking at one session is noted where its person can read it.
"""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from server.care.access import note_look
from server.care.models import Person
from server.care.pages.base import viewer_of
from server.common.admin import ReadOnlyAdmin
from server.devices.models import Command, DeadLetter
from server.retention.deletion import Scope, delete_sessions
from server.session_data.commands.ask import outcome
from server.session_data.dead_letters import retry
from server.session_data.models import SessionData


@admin.register(SessionData)
class SessionDataAdmin(ReadOnlyAdmin):
    """What has come in."""

    list_display = ["id", "user", "device", "state", "revision", "received_at", "updated_at"]
    list_filter = ["state", "schema"]
    list_select_related = ["user", "device"]
    search_fields = ["=id", "=user__username"]
    ordering = ["-placed_at", "-id"]
    show_full_result_count = False
    fields = readonly_fields = (
        "id",
        "user",
        "device",
        "schema",
        "revision",
        "state",
        "received_at",
        "updated_at",
        "agent_version",
        "model",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without the documents: one is read where it is shown."""
        return super().get_queryset(request).defer("document_json")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The session's page, and a note that it was looked at."""
        session = self.get_object(request, object_id)
        if session is not None and isinstance(request.user, Person):
            note_look(request.user, session.user, "session in the admin site", session.pk)
        return super().change_view(request, object_id, form_url, extra_context)

    def delete_model(self, request: HttpRequest, obj: SessionData) -> None:
        """For good, with what was made of it, and with a note for its person."""
        delete_sessions(obj.user, Scope(session_id=obj.pk), by=viewer_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SessionData]) -> None:
        """Each of several."""
        for session in queryset.select_related("user"):
            self.delete_model(request, session)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Why a document was refused."""

    list_display = ["received_at", "sender", "device", "person", "door", "reason", "size"]
    list_filter = ["door"]
    list_select_related = ["device", "person"]
    search_fields = ["sender", "reason", "person__username"]
    exclude = ["payload"]  # it holds somebody's data
    show_full_result_count = False
    actions = ["retry"]

    @admin.action(description="Try to accept these again", permissions=["delete"])
    def retry(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """What is accepted, or is there already, is a dead letter no longer."""
        outcomes = [retry(letter).outcome for letter in queryset.order_by("id")]
        refused = outcomes.count("rejected")
        text = f"{len(outcomes) - refused} accepted, {refused} refused again: the reasons are here"
        self.message_user(request, text, messages.WARNING if refused else messages.SUCCESS)


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    """Who asked which device for what, and what became of it."""

    list_display = ["asked_at", "command", "device", "person", "asked_by_name", "became"]
    list_select_related = ["device", "person"]
    search_fields = ["person__username", "asked_by_name"]
    readonly_fields = ["became"]
    show_full_result_count = False

    @admin.display(description="outcome")
    def became(self, command: Command) -> str:
        """As the API says it."""
        return outcome(command)
