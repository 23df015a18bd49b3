"""The admin pages of sessions, dead letters and commands.

They show what an administrator needs to run the server: what arrived, from where and when.
Measurements are not shown, and viewing a session is recorded in its person's access log.
"""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from server.care.access import note_look
from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.care.pages.base import viewer_of
from server.common.admin import LogAdmin, ReadOnlyAdmin
from server.common.problems import without_found
from server.devices.models import Command, DeadLetter
from server.retention.deletion import Scope, delete_sessions
from server.session_data.commands.ask import outcome
from server.session_data.dead_letters import retry
from server.session_data.models import SessionData


@admin.register(SessionData)
class SessionDataAdmin(ReadOnlyAdmin):
    """Sessions received, without their measurements."""

    list_display = ["id", "user", "device", "state", "revision", "received_at", "updated_at"]
    list_filter = ["state", "schema"]
    allowed_lookups = ("state__exact", "schema")
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
        """Return the sessions without loading their documents."""
        return super().get_queryset(request).defer("document_json")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the session, and record it in the person's access log."""
        session = self.get_object(request, object_id)
        if session is not None and isinstance(request.user, Person):
            note_look(request.user, session.user, "session in the admin site", session.pk)
        return super().change_view(request, object_id, form_url, extra_context)

    def delete_model(self, request: HttpRequest, obj: SessionData) -> None:
        """Delete the session permanently, with everything derived from it; note it in the log."""
        delete_sessions(obj.user, Scope(session_id=obj.pk), by=viewer_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SessionData]) -> None:
        """Delete several sessions."""
        for session in queryset.select_related("user"):
            self.delete_model(request, session)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Rejected documents, with the reason but without the values in it: they may be measurements.

    They are not searched for the reason either.
    """

    list_display = ["received_at", "sender", "device", "person", "door", "why", "size"]
    list_filter = ["door"]
    allowed_lookups = ("door__exact",)
    list_select_related = ["device", "person"]
    search_fields = ["sender", "person__username"]
    exclude = ["payload", "reason"]  # they contain personal data
    readonly_fields = ["why"]
    show_full_result_count = False
    actions = ["retry"]

    @admin.display(description="reason")
    def why(self, letter: DeadLetter) -> str:
        """Return the reason without the values found."""
        return str(without_found(letter.reason))

    def delete_model(self, request: HttpRequest, obj: DeadLetter) -> None:
        """Delete the document, and record it in the person's audit log."""
        super().delete_model(request, obj)
        detail = f"a rejected document of {obj.device or obj.sender}"
        note(viewer_of(request), AuditEvent.DELETED, obj.person, detail)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Delete several documents."""
        for letter in queryset.select_related("person", "device"):
            self.delete_model(request, letter)

    @admin.action(description="Retry", permissions=["delete"])
    def retry(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Retry the documents; those accepted, or already stored, are deleted here."""
        outcomes = [retry(letter).outcome for letter in queryset.order_by("id")]
        rejected = outcomes.count("rejected")
        text = f"{len(outcomes) - rejected} accepted, {rejected} rejected again: see the reasons"
        self.message_user(request, text, messages.WARNING if rejected else messages.SUCCESS)


@admin.register(Command)
class CommandAdmin(LogAdmin):
    """Commands sent to devices, and their outcomes."""

    list_display = ["asked_at", "command", "device", "person", "asked_by_name", "became"]
    list_select_related = ["device", "person"]
    search_fields = ["person__username", "asked_by_name"]
    readonly_fields = ["became"]

    @admin.display(description="outcome")
    def became(self, command: Command) -> str:
        """Return the outcome as in the API."""
        return outcome(command)
