"""URL routes of people, sharing, accounts and institutions."""

from django.urls import include, path

from server.care import views
from server.care.asking import pages as asking_pages
from server.care.asking import views as asking
from server.care.pages import account, institution, join, login, once, sharing

page_patterns = [
    path("login/code/", login.login_code, name="login-code"),
    path("sharing/", sharing.sharing_page, name="sharing"),
    path("sharing/looks/", sharing.looks, name="looks"),
    path("sharing/log/", sharing.log, name="log"),
    path("sharing/links/<int:link_id>/", sharing.change, name="link-change"),
    path("sharing/links/<int:link_id>/end/", sharing.end, name="link-end"),
    path(
        "sharing/invitations/<int:invitation_id>/withdraw/",
        sharing.withdraw,
        name="invitation-withdraw",
    ),
    path("sharing/ask/", asking_pages.ask_page, name="ask"),
    path("sharing/ask/<int:request_id>/withdraw/", asking_pages.withdraw, name="ask-withdraw"),
    path("sharing/requests/<int:request_id>/agree/", asking_pages.agree, name="request-agree"),
    path(
        "sharing/requests/<int:request_id>/decline/", asking_pages.decline, name="request-decline"
    ),
    path("shown/", once.once, name="once"),
    path("join/", join.join, name="join"),
    path("join/accept/", join.accept, name="accept"),
    path("join/refuse/", join.refuse, name="refuse"),
    path("join/account/", join.activate_page, name="activate"),
    path("join/<str:code>/", join.join, name="join-code"),
    path("sign-up/", join.sign_up_page, name="sign-up"),
    path("account/", account.account, name="account"),
    path("account/zone/", account.zone, name="zone"),
    path("account/password/", account.password, name="password"),
    path("account/second-factor/", account.second_factor_page, name="second-factor"),
    path("account/second-factor/off/", account.second_factor_off, name="second-factor-off"),
    path("account/recovery-codes/", account.recovery_codes, name="recovery-codes"),
    path("account/apps/new/", account.new_app, name="app-new"),
    path("account/apps/<int:token_id>/revoke/", account.revoke_app, name="app-revoke"),
    path("institution/", institution.institution_page, name="institution"),
    path("institution/log/", institution.institution_log, name="institution-log"),
    path("institution/people/<str:username>/", institution.member_page, name="member"),
    path("institution/people/<str:username>/code/", institution.member_code, name="member-code"),
    path(
        "institution/people/<str:username>/links/<int:link_id>/end/",
        institution.end_link,
        name="member-link-end",
    ),
]
urlpatterns = [
    path("api/auth/token/", views.TokenView.as_view(), name="token"),
    path("api/people/", views.PeopleView.as_view(), name="people"),
    path("api/invitations/", views.InvitationsView.as_view(), name="api-invitations"),
    path("api/invitations/accept/", views.AcceptView.as_view(), name="api-invitation-accept"),
    path(
        "api/invitations/<int:invitation_id>/",
        views.InvitationView.as_view(),
        name="api-invitation",
    ),
    path("api/links/", views.LinksView.as_view(), name="api-links"),
    path("api/links/<int:link_id>/", views.LinkView.as_view(), name="api-link"),
    path("api/access-requests/", asking.SentView.as_view(), name="api-access-requests"),
    path(
        "api/access-requests/received/",
        asking.ReceivedView.as_view(),
        name="api-access-requests-received",
    ),
    path(
        "api/access-requests/<int:request_id>/",
        asking.WithdrawView.as_view(),
        name="api-access-request",
    ),
    path(
        "api/access-requests/<int:request_id>/agree/",
        asking.AgreeView.as_view(),
        name="api-access-request-agree",
    ),
    path(
        "api/access-requests/<int:request_id>/decline/",
        asking.DeclineView.as_view(),
        name="api-access-request-decline",
    ),
    path("api/audit-log/", views.AuditLogView.as_view(), name="api-audit-log"),
    path("api/access-log/", views.AccessLogView.as_view(), name="access-log"),
    path("admin/login/", login.admin_login, name="admin-login"),
    path("", include((page_patterns, "care"))),
]
