"""/api/invitations/, /api/links/ and /api/audit-log/: sharing, by program."""

import math
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db.models import Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, Throttled, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.care import audit, sharing
from server.care.authentication import person_of
from server.care.guesses import WINDOW
from server.care.models import CareLink, Invitation, Permission, Person
from server.care.wrong_codes import NO_SUCH_CODE, note_wrong, too_many_wrong
from server.common.codes import LONGEST_TYPED, NotACodeError
from server.common.paging import paged


class PermissionsSerializer(serializers.Serializer[Any]):
    """What a caregiver may do."""

    permissions = serializers.MultipleChoiceField(choices=Permission.choices, allow_empty=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """In a fixed order, as a list."""
        told: dict[str, Any] = super().to_representation(instance)
        told["permissions"] = [each for each in Permission if each in told["permissions"]]
        return told


class WishSerializer(PermissionsSerializer):
    """An invitation to be made. `name` is for oneself, to know later whom one invited."""

    name = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)
    days = serializers.IntegerField(min_value=1, max_value=30, default=7)


class InvitationSerializer(PermissionsSerializer):
    """An invitation that can still be accepted."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    expires_at = serializers.DateTimeField()


class NewInvitationSerializer(InvitationSerializer):
    """Its code too, which is shown this once; `url` opens it in a browser."""

    code = serializers.CharField()
    url = serializers.URLField()


class InvitationsSerializer(serializers.Serializer[Any]):
    """All of one's own, newest first."""

    results = InvitationSerializer(many=True)


class LinkSerializer(PermissionsSerializer):
    """`caregiver` may do this with `person`."""

    id = serializers.IntegerField()
    caregiver = serializers.CharField(source="caregiver.username")
    person = serializers.CharField(source="person.username")
    created_at = serializers.DateTimeField()


class LinksSerializer(serializers.Serializer[Any]):
    """Those to oneself, and one's own to others."""

    results = LinkSerializer(many=True)


class AcceptSerializer(serializers.Serializer[Any]):
    """The code of an invitation."""

    code = serializers.CharField(max_length=LONGEST_TYPED)


class AuditEntrySerializer(serializers.Serializer[Any]):
    """`actor` did `event`, with or to `subject`; empty is the operator, or nobody known."""

    at = serializers.DateTimeField()
    event = serializers.CharField()
    actor = serializers.CharField(source="actor_name")
    subject = serializers.CharField(source="subject_name")
    detail = serializers.CharField()


class AuditLogSerializer(serializers.Serializer[Any]):
    """A page, newest first; `has_more` says that there is a next one."""

    has_more = serializers.BooleanField()
    results = AuditEntrySerializer(many=True)


class InvitationsView(APIView):
    """`/api/invitations/`."""

    @extend_schema(operation_id="invitations", responses=InvitationsSerializer)
    def get(self, request: Request) -> Response:
        """One's own that can still be accepted."""
        rows = sharing.open_invitations(person_of(request))
        return Response(InvitationsSerializer({"results": rows}).data)

    @extend_schema(
        operation_id="invitation_create",
        request=WishSerializer,
        responses={201: NewInvitationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Invite somebody: the answer has the code, this once."""
        wished = WishSerializer(data=request.data)
        wished.is_valid(raise_exception=True)
        asked = wished.validated_data
        life = timedelta(days=asked["days"])
        made, text = sharing.invite(person_of(request), asked["permissions"], asked["name"], life)
        url = request.build_absolute_uri(f"/join/{text}/")
        told = {**InvitationSerializer(made).data, "code": text, "url": url}
        return Response(told, status=201)


class InvitationView(APIView):
    """`/api/invitations/<id>/`."""

    @extend_schema(operation_id="invitation_withdraw", responses={204: None})
    def delete(self, request: Request, invitation_id: int) -> Response:
        """Withdraw one of one's own."""
        found = sharing.open_invitations(person_of(request)).filter(pk=invitation_id).first()
        if found is None:
            raise Http404
        sharing.withdraw(found)
        return Response(status=204)


class AcceptView(APIView):
    """`POST /api/invitations/accept/`."""

    @extend_schema(
        operation_id="invitation_accept", request=AcceptSerializer, responses={201: LinkSerializer}
    )
    def post(self, request: Request) -> Response:
        """Become a caregiver of whoever made the invitation."""
        viewer = person_of(request)
        if too_many_wrong(request):
            raise Throttled(wait=math.ceil(WINDOW.total_seconds()))
        sent = AcceptSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        try:
            link = self._accept(viewer, sent.validated_data["code"])
        except NotACodeError:
            note_wrong(request)
            raise ValidationError(NO_SUCH_CODE) from None
        except sharing.OwnInvitationError:
            raise ValidationError("expected somebody else's invitation") from None
        return Response(LinkSerializer(link).data, status=201)

    def _accept(self, viewer: Person, text: str) -> CareLink:
        found = sharing.find(text)
        if not isinstance(found, Invitation):
            raise NotACodeError
        return sharing.accept(found, viewer)


class LinksView(APIView):
    """`GET /api/links/`."""

    @extend_schema(operation_id="links", responses=LinksSerializer)
    def get(self, request: Request) -> Response:
        """Who may see one, and whom one may see."""
        return Response(LinksSerializer({"results": links_of(person_of(request))}).data)


class LinkView(APIView):
    """`/api/links/<id>/`."""

    @extend_schema(
        operation_id="link_change", request=PermissionsSerializer, responses=LinkSerializer
    )
    def patch(self, request: Request, link_id: int) -> Response:
        """Permit one's caregiver this and no more. A caregiver can't change it."""
        viewer = person_of(request)
        link = self._link(viewer, link_id)
        if link.person_id != viewer.pk:
            raise PermissionDenied("this is for the person to say who is cared for")
        sent = PermissionsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        if "permissions" not in sent.validated_data:
            raise ValidationError({"permissions": "expected it"})
        try:
            sharing.change(link, sent.validated_data["permissions"], viewer)
        except ModelError as error:
            raise ValidationError({"permissions": error.messages}) from None
        return Response(LinkSerializer(link).data)

    @extend_schema(operation_id="link_end", responses={204: None})
    def delete(self, request: Request, link_id: int) -> Response:
        """End it, from either side; it holds from the next request on."""
        viewer = person_of(request)
        sharing.end(self._link(viewer, link_id), viewer)
        return Response(status=204)

    def _link(self, viewer: Person, link_id: int) -> CareLink:
        link = links_of(viewer).filter(pk=link_id).first()
        if link is None:
            raise Http404
        return link


def links_of(viewer: Person) -> QuerySet[CareLink]:
    """The open links on either side of the viewer."""
    mine = Q(person=viewer) | Q(caregiver=viewer)
    links = CareLink.objects.filter(mine, ended_at=None)
    return links.select_related("caregiver", "person")


class AuditLogView(APIView):
    """`GET /api/audit-log/`."""

    @extend_schema(
        operation_id="audit_log",
        parameters=[OpenApiParameter("page", int, description="From 1, the newest")],
        responses=AuditLogSerializer,
    )
    def get(self, request: Request) -> Response:
        """What one did, and what was done about one: log-ins, sharing, devices, exports."""
        rows = audit.entries_of(person_of(request))
        page = paged(rows, request.query_params.get("page", ""))
        told = {"has_more": page.older is not None, "results": page.rows}
        return Response(AuditLogSerializer(told).data)
