"""The pages of sharing, accounts and institutions."""

from django.urls import path

from server.care import (
    account_pages,
    institution_pages,
    join_pages,
    login_pages,
    sharing_pages,
)

app_name = "care"
urlpatterns = [
    path("login/code/", login_pages.login_code, name="login-code"),
    path("sharing/", sharing_pages.sharing_page, name="sharing"),
    path("sharing/looks/", sharing_pages.looks, name="looks"),
    path("sharing/log/", sharing_pages.log, name="log"),
    path("sharing/links/<int:link_id>/", sharing_pages.change, name="link-change"),
    path("sharing/links/<int:link_id>/end/", sharing_pages.end, name="link-end"),
    path(
        "sharing/invitations/<int:invitation_id>/withdraw/",
        sharing_pages.withdraw,
        name="invitation-withdraw",
    ),
    path("join/", join_pages.join, name="join"),
    path("join/accept/", join_pages.accept, name="accept"),
    path("join/refuse/", join_pages.refuse, name="refuse"),
    path("join/account/", join_pages.activate_page, name="activate"),
    path("join/<str:code>/", join_pages.join, name="join-code"),
    path("sign-up/", join_pages.sign_up_page, name="sign-up"),
    path("account/", account_pages.account, name="account"),
    path("account/password/", account_pages.password, name="password"),
    path("account/second-factor/", account_pages.second_factor_page, name="second-factor"),
    path("account/second-factor/off/", account_pages.second_factor_off, name="second-factor-off"),
    path("account/recovery-codes/", account_pages.recovery_codes, name="recovery-codes"),
    path("account/apps/<int:token_id>/revoke/", account_pages.revoke_app, name="app-revoke"),
    path("institution/", institution_pages.institution_page, name="institution"),
    path("institution/log/", institution_pages.institution_log, name="institution-log"),
    path("institution/people/<str:username>/", institution_pages.member_page, name="member"),
    path(
        "institution/people/<str:username>/code/", institution_pages.member_code, name="member-code"
    ),
    path(
        "institution/people/<str:username>/links/<int:link_id>/end/",
        institution_pages.end_link,
        name="member-link-end",
    ),
]
